// A local data service with a few records of the U.S. Congress. The gateway reaches it as it would reach the real one.
// `?simulate=` makes it fail on purpose: a status, `slow`, `headers`, `told`, `echo`, or `stream` for a body in pieces.

import { bills, committees, members, votes } from "./records.ts";
import { search } from "./search.ts";

const collections: Record<string, readonly { id: string }[]> = { bills, committees, members, votes };

/** How many calls were served since the start. */
let served = 0;

export default {
	async fetch(request: Request): Promise<Response> {
		const url = new URL(request.url);
		const [collection = "", id] = url.pathname.slice(1).split("/");
		if (collection === "served") {
			return Response.json({ served });
		}
		served += 1;
		const simulated = await simulate(url.searchParams.get("simulate"), request);
		if (simulated !== undefined) {
			return simulated;
		}
		const records = collections[collection];
		if (records === undefined) {
			return Response.json({ error: "not_found" }, { status: 404 });
		}
		if (id) {
			const record = records.find((record) => record.id === id);
			return record === undefined ? Response.json({ error: "not_found", id }, { status: 404 }) : Response.json(record);
		}
		return Response.json(search(records, url.searchParams));
	},
};

async function simulate(what: string | null, request: Request): Promise<Response | undefined> {
	if (what === null) {
		return undefined;
	}
	if (what === "echo") {
		return new Response(request.body);
	}
	if (what === "told") {
		return Response.json([...request.headers.keys()]);
	}
	if (what === "stream") {
		return new Response(pieces(), { headers: { "Content-Type": "text/event-stream" } });
	}
	if (what === "slow") {
		await new Promise((resolve) => setTimeout(resolve, 60_000));
		return undefined;
	}
	if (what === "headers") {
		return Response.json({}, { headers: CHATTY });
	}
	const status = Number(what);
	if ([204, 205, 304].includes(status)) {
		return new Response(null, { status });
	}
	return status >= 200 && status < 600 ? Response.json({ simulated: status }, { status }) : undefined;
}

/** Headers, most of which are not the data service's to set. */
const CHATTY = {
	"Access-Control-Allow-Origin": "*",
	"Cache-Control": "public, max-age=600",
	ETag: '"1"',
	"Retry-After": "9",
	"Set-Cookie": "a=b",
	"X-Internal": "10.0.0.1",
	"X-RateLimit-Reset": "123",
};

/** Five events, a fifth of a second apart. */
function pieces(): ReadableStream {
	let left = 5;
	return new ReadableStream({
		async pull(controller) {
			controller.enqueue(new TextEncoder().encode(`data: ${left}\n\n`));
			left -= 1;
			if (left === 0) {
				controller.close();
			} else {
				await new Promise((resolve) => setTimeout(resolve, 200));
			}
		},
	});
}

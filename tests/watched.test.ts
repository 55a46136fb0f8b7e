// A body that passes by and is looked at: the JavaScript around the gateway's streams, without the gateway.

import { expect, test, vi } from "vitest";
// @ts-expect-error: it is the worker's, and has no declarations.
import { Watched as Untyped } from "../worker/src/platform.js";

interface Watched {
	body: ReadableStream<Uint8Array>;
	end: Promise<void>;
	close: string;
	length: number;
	bytes(): Uint8Array;
}
const watch = (body: ReadableStream, most: number, silence = 1_000) => new Untyped(body, most, silence) as Watched;

/** A stream whose other end is in hand. */
function source() {
	let controller!: ReadableStreamDefaultController<Uint8Array>;
	const left: unknown[] = [];
	const stream = new ReadableStream<Uint8Array>({
		start(own) {
			controller = own;
		},
		cancel(reason) {
			left.push(reason);
		},
	});
	const say = (text: string) => controller.enqueue(new TextEncoder().encode(text));
	return { stream, say, left, end: () => controller.close(), fail: () => controller.error(new Error("reset")) };
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("what comes goes on at once, and the end of it is kept", async () => {
	const { stream, say, end } = source();
	const watched = watch(stream, 5);
	const reader = watched.body.getReader();
	say("abc");
	expect(text((await reader.read()).value as Uint8Array)).toBe("abc");
	say("defg");
	expect(text((await reader.read()).value as Uint8Array)).toBe("defg");
	end();
	expect((await reader.read()).done).toBe(true);
	await watched.end;
	expect([watched.close, watched.length, text(watched.bytes())]).toEqual(["complete", 7, "cdefg"]);
});

test("nothing more than is asked for is read ahead", async () => {
	const { stream, say } = source();
	const watched = watch(stream, 100);
	say("a");
	say("b");
	await new Promise((resolve) => setImmediate(resolve));
	expect(watched.length).toBe(0);
	await watched.body.getReader().read();
	expect(watched.length).toBe(1);
});

test("one who goes away cancels: the server hears of it", async () => {
	const { stream, say, left } = source();
	const watched = watch(stream, 100);
	const reader = watched.body.getReader();
	say("abc");
	await reader.read();
	await reader.cancel("gone");
	await watched.end;
	expect([watched.close, text(watched.bytes()), left]).toEqual(["cancelled", "abc", ["gone"]]);
});

test("what breaks off is broken for the caller too", async () => {
	const { stream, say, fail } = source();
	const watched = watch(stream, 100);
	const reader = watched.body.getReader();
	say("abc");
	await reader.read();
	fail();
	await expect(reader.read()).rejects.toThrow("reset");
	await watched.end;
	expect(watched.close).toBe("broken");
});

test("silence ends it, counted from the last piece", async () => {
	vi.useFakeTimers();
	try {
		const { stream, say, left } = source();
		const watched = watch(stream, 100, 1_000);
		const reader = watched.body.getReader();
		await vi.advanceTimersByTimeAsync(900);
		say("abc");
		await reader.read();
		const next = reader.read();
		const failed = expect(next).rejects.toThrow("nothing came");
		await vi.advanceTimersByTimeAsync(900);
		expect(watched.close).toBe("broken");
		await vi.advanceTimersByTimeAsync(200);
		await failed;
		await watched.end;
		expect(watched.close).toBe("silent");
		expect(left).toHaveLength(1);
	} finally {
		vi.useRealTimers();
	}
});

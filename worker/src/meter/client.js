// Messages to the meters. Each goes through the platform, which is what it costs; what may wait goes with another.

import { waitUntil } from "cloudflare:workers";

/** Asks a user's meter, and tells it what waits to be told. */
export function ask(env, sub, message, deadline) {
	const told = WAITING.get(sub)?.messages.splice(0) ?? [];
	const answer = env.METER.getByName(sub).ask(message, told);
	if (told.length > 0) {
		// Perhaps it has them, perhaps not; to be told again changes nothing.
		answer.catch(() => waitUntil(again(env, sub, told)));
	}
	return deadline.limit(answer);
}

/** Tells a user's meter something that nobody waits for; what it answers is what went wrong, or nothing. */
export function tell(env, sub, message) {
	waitUntil(delivered(env, sub, [message]));
}

/** How long a message may wait for another one to the same meter, in milliseconds. */
const WAITS = 1_000;

/** By user: the messages that wait, and until when somebody sees to it that they do not wait too long. */
const WAITING = new Map();

/** Tells a user's meter what makes no difference to anybody yet: with the next message to it, or soon by itself. */
export function tellSoon(env, sub, message) {
	const now = Date.now();
	const waiting = WAITING.get(sub);
	waiting?.messages.push(message);
	if (waiting !== undefined && now <= waiting.until) {
		return;
	}
	// Whoever saw to what waits was stopped, if there was anybody: now this request does.
	const own = waiting ?? { messages: [message] };
	own.until = now + 2 * WAITS;
	WAITING.set(sub, own);
	waitUntil(sendLater(env, sub, own));
}

async function sendLater(env, sub, own) {
	await new Promise((resolve) => setTimeout(resolve, WAITS));
	WAITING.delete(sub);
	if (own.messages.length > 0) {
		await delivered(env, sub, own.messages);
	}
}

async function delivered(env, sub, messages) {
	try {
		await attempt(env, sub, messages);
	} catch {
		await again(env, sub, messages);
	}
}

async function attempt(env, sub, messages) {
	const [message, ...told] = messages;
	const answer = await env.METER.getByName(sub).ask(message, told);
	if (answer !== "") {
		throw new Error(answer);
	}
}

/** How long after each failure a meter is told again, in milliseconds: an object that moves is back in a moment. */
const AGAIN_AFTER = [250, 1_000, 4_000, 12_000];

async function again(env, sub, messages) {
	let last;
	for (const milliseconds of AGAIN_AFTER) {
		await new Promise((resolve) => setTimeout(resolve, milliseconds));
		try {
			return await attempt(env, sub, messages);
		} catch (problem) {
			last = problem;
		}
	}
	console.error(JSON.stringify({ event: "meter_not_told", reason: String(last?.message ?? last) }));
}

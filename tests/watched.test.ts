// A body that passes by and is looked at: the JavaScript around the gateway's streams, without the gateway.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
// @ts-expect-error: it is the worker's, and has no declarations.
import { Watched as Untyped } from "../worker/src/platform.js";

interface Watched {
	body: ReadableStream<Uint8Array>;
	end: Promise<void>;
	close: string;
	length: number;
	bytes(): Uint8Array;
}
const watch = (body: ReadableStream, most: number, silence = 1_000, longest = 10_000) =>
	new Untyped(body, most, silence, longest) as Watched;

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

describe("time", () => {
	beforeEach(() => {
		vi.useFakeTimers();
	});
	afterEach(() => {
		vi.useRealTimers();
	});

	test("a server's silence ends it, counted from when more was asked for", async () => {
		const { stream, say, left } = source();
		const watched = watch(stream, 100);
		const reader = watched.body.getReader();
		await vi.advanceTimersByTimeAsync(900);
		say("abc");
		await reader.read();
		const failed = expect(reader.read()).rejects.toThrow("took too long");
		await vi.advanceTimersByTimeAsync(900);
		expect(watched.close).toBe("");
		await vi.advanceTimersByTimeAsync(200);
		await failed;
		await watched.end;
		expect([watched.close, left.length]).toEqual(["silent", 1]);
	});

	test("one who does not read is gone, and that is not the server's silence", async () => {
		const { stream, say, left } = source();
		const watched = watch(stream, 100);
		const reader = watched.body.getReader();
		say("abc");
		await reader.read();
		say("def");
		await vi.advanceTimersByTimeAsync(1_100);
		await watched.end;
		expect([watched.close, left.length]).toEqual(["cancelled", 1]);
	});

	test("a slow reader gets what was there, however long the server had nothing to say meanwhile", async () => {
		const { stream, say } = source();
		const watched = watch(stream, 100);
		const reader = watched.body.getReader();
		for (let piece = 0; piece < 4; piece++) {
			say("abc");
			await vi.advanceTimersByTimeAsync(900);
			expect(text((await reader.read()).value as Uint8Array)).toBe("abc");
		}
		expect(watched.close).toBe("");
	});

	test("all of it may not take longer than a call may stay open, and whoever was slow is named", async () => {
		// The server has more to say every 900 milliseconds, and the reader reads at once.
		const { stream, say } = source();
		const slow = watch(stream, 100);
		const reader = slow.body.getReader();
		const reading = (async () => {
			for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {}
		})().catch(() => {});
		for (let piece = 0; piece < 12; piece++) {
			await vi.advanceTimersByTimeAsync(900);
			if (slow.close === "") {
				say("abc");
			}
		}
		await reading;
		expect(slow.close).toBe("silent");
		// All was there at once, and the reader takes a little of it now and then.
		const ready = source();
		const unread = watch(ready.stream, 100);
		const lazy = unread.body.getReader();
		for (let piece = 0; piece < 30; piece++) {
			ready.say("abc");
		}
		for (let piece = 0; piece < 12; piece++) {
			await lazy.read().catch(() => {});
			await vi.advanceTimersByTimeAsync(900);
		}
		expect(unread.close).toBe("cancelled");
	});
});

test("what is over is over, whatever still comes", async () => {
	const { stream, say, end } = source();
	const watched = watch(stream, 100);
	const reader = watched.body.getReader();
	say("abc");
	await reader.read();
	const pending = reader.read();
	await reader.cancel("gone");
	await pending;
	try {
		end();
	} catch {
		// It was told already.
	}
	await new Promise((resolve) => setImmediate(resolve));
	expect(watched.close).toBe("cancelled");
});

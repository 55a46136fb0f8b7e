// Everything that is measured, in whatever runs JavaScript: rounds in turn, so that a slow moment of the machine is
// everybody's; ratios of each round, and their median.

import * as legis from "legis-edge";
import { type Check, contenders, type Typia } from "./contenders.ts";
import { decide } from "./decide.ts";
import { PAYLOADS, type Payload } from "./payloads.ts";

const OWN = "legis-edge";
const PEER = "zod 4";

export interface Row {
	what: string;
	/** By contender: nanoseconds, and how many times as fast as the peer. */
	figures: Record<string, { nanoseconds: number; ratio: number }>;
}

const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

/** Milliseconds that a contender gets in a round. */
const SLICE = 12;

function timed(work: () => void, calls: number): number {
	const start = performance.now();
	for (let call = 0; call < calls; call++) {
		work();
	}
	return ((performance.now() - start) / calls) * 1e6;
}

function race(what: string, rounds: number, contenders: Record<string, () => void>, peer = PEER): Row {
	const names = Object.keys(contenders);
	// As many calls as fit a slice, found while the engine warms up.
	const calls = names.map((name) => {
		const work = contenders[name] as () => void;
		let count = 16;
		for (let warm = 0; warm < 14; warm++) {
			const milliseconds = (timed(work, count) * count) / 1e6;
			if (milliseconds >= SLICE) {
				break;
			}
			count = Math.ceil(count * Math.min(4, Math.max(1.2, SLICE / Math.max(milliseconds, 0.01))));
		}
		return count;
	});
	const measured: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
	for (let round = 0; round < rounds; round++) {
		for (const [index, name] of names.entries()) {
			measured[name]?.push(timed(contenders[name] as () => void, calls[index] as number));
		}
	}
	const figures = names.map((name) => {
		const own = measured[name] as number[];
		const ratios = own.map((time, round) => (measured[peer]?.[round] as number) / time);
		return [name, { nanoseconds: median(own), ratio: median(ratios) }] as const;
	});
	return { what, figures: Object.fromEntries(figures) };
}

/** What is right must be taken and what is wrong refused, by everybody, or the race is none. */
function fair(what: string, expected: boolean, contenders: Record<string, () => boolean>) {
	for (const [name, check] of Object.entries(contenders)) {
		if (check() !== expected) {
			throw new Error(`${what}: ${name} says ${!expected}`);
		}
	}
}

export function validation(rounds: number, typia: Typia): Row[] {
	const encoder = new TextEncoder();
	const decoder = new TextDecoder();
	return (Object.keys(PAYLOADS) as Payload[]).flatMap((payload) => {
		const peers: Record<string, Check> = contenders(payload, typia);
		const schema = legis.schemas[PAYLOADS[payload].schema] as legis.Schema<unknown>;
		return (["valid", "invalid"] as const).flatMap((validity) => {
			const value = PAYLOADS[payload][validity];
			const text = JSON.stringify(value);
			const bytes = encoder.encode(text);
			const forms: Record<string, [Record<string, () => boolean>, (check: Check) => () => boolean]> = {
				object: [{ [OWN]: () => legis.validate(schema, value).ok }, (check) => () => check(value)],
				text: [
					{ [OWN]: () => legis.parse(schema, text).ok, [`${OWN}, value`]: () => read(legis.parse(schema, text)) },
					(check) => () => check(JSON.parse(text)),
				],
				bytes: [
					{ [OWN]: () => legis.parse(schema, bytes).ok, [`${OWN}, value`]: () => read(legis.parse(schema, bytes)) },
					(check) => () => check(JSON.parse(decoder.decode(bytes))),
				],
			};
			return Object.entries(forms).map(([form, [own, from]]) => {
				const all = {
					...own,
					...Object.fromEntries(Object.entries(peers).map(([name, check]) => [name, from(check)])),
				};
				const what = `${payload}, ${validity}, from ${form} (${bytes.length} bytes)`;
				fair(what, validity === "valid", all);
				return race(what, rounds, all);
			});
		});
	});
}

function read(result: legis.Result<unknown>): boolean {
	return result.ok && result.value !== undefined;
}

const user = { id: 1, sub: "auth0|1", createdAt: "2026-01-31T10:00:00.000Z", updatedAt: "2026-01-31T10:00:00.000Z" };
const lifetime = { start: "2026-01-31T10:00:00.000Z", used: 12, mcp: 3 };

/** Accounts of all kinds, many of each, so that nothing is remembered from the call before; messages of refusals are, of 500. */
function accounts(used: number): legis.Account[] {
	return Array.from({ length: 256 }, (_, index) => {
		const day = String((index % 28) + 1).padStart(2, "0");
		const period = {
			start: `2026-11-${day}T10:00:00.000Z`,
			end: `2026-12-${day}T10:00:00.000Z`,
			used: used + index,
			mcp: index,
		};
		return {
			user: { ...user, id: index, sub: `auth0|${index}` },
			entitlement: {
				plan: index % 3 === 0 ? "professional" : "developer",
				standing: "active",
				anchor: `2026-01-${day}T10:00:00.000Z`,
				version: index,
			},
			usage: index % 4 === 0 ? { lifetime } : { lifetime, period },
		} as legis.Account;
	});
}

export function decisions(rounds: number): Row[] {
	const now = Date.parse("2026-11-29T12:00:00Z");
	const one = accounts(10).slice(1, 2);
	return (
		[
			["one account, admitted", one],
			["256 accounts, admitted", accounts(10)],
			["256 accounts, refused", accounts(50_000).filter((account) => account.usage.period !== undefined)],
		] as const
	).map(([what, list]) => {
		let at = 0;
		const next = () => list[at++ % list.length] as legis.Account;
		return race(
			`decide, ${what}`,
			rounds,
			{ [OWN]: () => legis.decide(next(), now), TypeScript: () => decide(next(), now) },
			"TypeScript",
		);
	});
}

/** How the time of a call and the memory change over a million calls, valid and refused. */
export function endurance(): { what: string; ratio: number; megabytes: number }[] {
	const { valid, invalid } = PAYLOADS.registration;
	const account = accounts(10)[1] as legis.Account;
	const texts = [JSON.stringify(valid), JSON.stringify(invalid)];
	const works: Record<string, (call: number) => void> = {
		"parse, valid": () => legis.parse(legis.schemas.registration, texts[0] as string),
		"parse, refused": () => legis.parse(legis.schemas.registration, texts[1] as string),
		"validate, refused": () => legis.validate(legis.schemas.registration, invalid),
		decide: (call) => legis.decide(account, 1_795_000_000_000 + call),
	};
	return Object.entries(works).map(([what, work]) => {
		const slice = (calls: number) => {
			const start = performance.now();
			for (let call = 0; call < calls; call++) {
				work(call);
			}
			return performance.now() - start;
		};
		slice(50_000);
		const before = memory();
		const first = slice(100_000);
		slice(800_000);
		const last = slice(100_000);
		return { what, ratio: last / first, megabytes: memory() - before };
	});
}

function memory(): number {
	const { process, gc } = globalThis as { process?: NodeJS.Process; gc?: () => void };
	gc?.();
	return (process?.memoryUsage().rss ?? 0) / 1e6;
}

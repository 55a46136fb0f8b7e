// The worker as it is, in a world that can be made to fail: a clock that is set, and a database that is slow, away, or
// loses its answers. `POST /test/world` sets it, `POST /test/alarm?sub=` rings a meter's alarm, `/test/next?sub=` tells when it rings,
// `/test/batches?sub=` counts the batches that are about a user, `/test/written?about=` the rows that were written for a
// user, or by a statement.

import worker, { Meter as Unharmed } from "../worker/entry.js";

/**
 * Milliseconds the clock is off; what befalls the next batches of the database; how many messages to meters are lost, and how
 * many of their answers to admissions; how many give-ups they heard.
 */
const world = { clock: 0, database: "well", times: 0, lost: 0, unanswered: 0, givenUp: 0 };

const TrueDate = Date;
globalThis.Date = class extends TrueDate {
	constructor(...parts) {
		if (parts.length === 0) {
			super(TrueDate.now() + world.clock);
		} else {
			super(...parts);
		}
	}
	static now() {
		return TrueDate.now() + world.clock;
	}
};

/** What each batch that reached the database said and was bound to: whose it was. Reports of others' calls come at any moment. */
const batches = [];
/** The same of those that were answered, with the rows that they wrote: what D1 is paid for. */
const written = [];
/** A statement, and what it was bound to. */
const bindings = new WeakMap();

// The name is what the worker crate knows a database by.
class D1Database {
	constructor(inner) {
		this.inner = inner;
	}

	prepare(sql) {
		const statement = this.inner.prepare(sql);
		const bind = statement.bind.bind(statement);
		statement.bind = (...values) => {
			const bound = bind(...values);
			bindings.set(bound, [sql, ...values].join("\n"));
			return bound;
		};
		return statement;
	}

	async batch(statements) {
		const bound = statements.map((statement) => bindings.get(statement) ?? "").join("\n");
		batches.push(bound);
		const results = await this.reach(statements);
		written.push({ bound, rows: results.reduce((sum, { meta }) => sum + meta.rows_written, 0) });
		return results;
	}

	async reach(statements) {
		if (world.times === 0) {
			return this.inner.batch(statements);
		}
		world.times -= 1;
		switch (world.database) {
			case "fails before it commits":
				throw new Error("D1_ERROR: Network connection lost.");
			case "loses its answer":
				await this.inner.batch(statements);
				throw new Error("D1_ERROR: Network connection lost.");
			case "waits":
				while (world.database === "waits") {
					await new Promise((resolve) => setTimeout(resolve, 10));
				}
				return this.inner.batch(statements);
			case "is slow":
				await new Promise((resolve) => setTimeout(resolve, 6_000));
				return this.inner.batch(statements);
			default:
				return this.inner.batch(statements);
		}
	}
}

const harmed = (env) => ({ ...env, DB: new D1Database(env.DB) });

/** What meters' storage was asked, by whose meter. */
const asked = new Map();

export class Meter extends Unharmed {
	constructor(state, env) {
		super(state, harmed(env));
		const cursors = [];
		asked.set(state.id.name, cursors);
		const { sql } = state.storage;
		const exec = sql.exec.bind(sql);
		sql.exec = (...statement) => {
			const cursor = exec(...statement);
			cursors.push(cursor);
			return cursor;
		};
	}

	ask(message, told) {
		if (world.lost > 0) {
			world.lost -= 1;
			throw new Error("Network connection lost.");
		}
		const answer = super.ask(message, told);
		if (message.includes('"give_up"')) {
			return Promise.resolve(answer).finally(() => {
				world.givenUp += 1;
			});
		}
		if (world.unanswered > 0 && message.includes('"admit"')) {
			world.unanswered -= 1;
			world.lost += 1;
			return Promise.resolve(answer).then(() => {
				throw new Error("Network connection lost.");
			});
		}
		return answer;
	}

	/** Rings the alarm; in how many milliseconds it rings again. */
	async ring() {
		await this.alarm();
		return this.next();
	}

	/** In how many milliseconds the alarm rings. */
	async next() {
		const next = await this.ctx.storage.getAlarm();
		return next === null ? null : next - Date.now();
	}
}

export default {
	async fetch(request, env, context) {
		const url = new URL(request.url);
		switch (url.pathname) {
			case "/test/world":
				Object.assign(world, await request.json());
				return Response.json(world);
			case "/test/batches":
				return Response.json(batches.filter((bound) => bound.includes(url.searchParams.get("sub"))).length);
			case "/test/written": {
				const about = url.searchParams.get("about");
				const database = written.filter(({ bound }) => bound.includes(about)).reduce((sum, { rows }) => sum + rows, 0);
				const meter = (asked.get(about) ?? []).reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
				return Response.json({ database, meter });
			}
			case "/test/next":
				return Response.json(await env.METER.getByName(url.searchParams.get("sub")).next());
			case "/test/alarm":
				return Response.json(
					await Promise.all([
						env.METER.getByName(url.searchParams.get("sub")).ring(),
						env.METER.getByName(url.searchParams.get("sub")).ring(),
					]),
				);
			default:
				return worker.fetch(request, harmed(env), context);
		}
	},

	scheduled(controller, env, context) {
		return worker.scheduled(controller, harmed(env), context);
	},
};

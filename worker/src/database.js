// D1 as the worker uses it: a batch is one call, its rows come back as JSON. Nothing is decided here.

// JSON escapes both, so that neither is in what they separate.
const RESULT = "\x1e";
const ROWS = "\x1f";

/** Runs statements, each with its values, as one transaction; of each, how many rows it changed and the rows it has. */
export async function batch(database, statements) {
	const prepared = JSON.parse(statements).map(([sql, ...values]) => database.prepare(sql).bind(...values));
	const results = await database.batch(prepared);
	return results
		.map(({ meta, results }) => `${meta?.changes ?? 0}${ROWS}${JSON.stringify(results ?? [])}`)
		.join(RESULT);
}

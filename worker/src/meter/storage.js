// SQL of a Durable Object: what a step reads or writes is one call.

// No value of ours holds these characters: texts are JSON, ids or keys.
const STATEMENT = "\x1e";
const VALUE = "\x1f";

function exec(sql, statement) {
	return sql.exec(...statement.split(VALUE));
}

/** Runs statements, each with its values: all of them, or none. */
export function write(storage, statements) {
	const list = statements.split(STATEMENT);
	if (list.length === 1) {
		exec(storage.sql, statements);
		return;
	}
	storage.transactionSync(() => {
		for (const statement of list) {
			exec(storage.sql, statement);
		}
	});
}

/** The rows of a statement, as JSON. */
export function read(storage, statement) {
	return JSON.stringify(exec(storage.sql, statement).toArray());
}

// A question of the agreement suite, and how the package answers it. Also run inside a browser and inside workerd, so
// it uses nothing but its arguments.

import type * as Legis from "legis-edge";

export interface Question {
	/** A schema's name, `decision` or `change`. */
	about: string;
	text: string;
}

export function answer(legis: typeof Legis, { about, text }: Question): string {
	if (about !== "decision" && about !== "change") {
		const schema = legis.schemas[about as keyof typeof legis.schemas];
		return JSON.stringify(legis.parse(schema as Legis.Schema<unknown>, text));
	}
	const { account, now, cost, to } = JSON.parse(text);
	try {
		return JSON.stringify(
			about === "change" ? legis.previewChange(account, to, now) : legis.decide(account, now, cost),
		);
	} catch (error) {
		return JSON.stringify({ ok: false, issues: (error as Legis.LegisError).issues });
	}
}

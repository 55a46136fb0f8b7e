// The package inside workerd, imported as any worker does.

import * as legis from "legis-edge";
import { answer, type Question } from "./question.ts";

export default {
	async fetch(request: Request): Promise<Response> {
		if (request.method === "GET") {
			return new Response(legis.contract().fingerprint);
		}
		const questions = (await request.json()) as Question[];
		return Response.json(questions.map((question) => answer(legis, question)));
	},
};

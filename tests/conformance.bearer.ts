// Imported before a program, lets it in where a token is wanted: the suite knows of none. It asks with `fetch` and with
// undici; both announce their requests here.

import { subscribe } from "node:diagnostics_channel";

interface Created {
	request: { addHeader(name: string, value: string): void };
}

subscribe("undici:request:create", (message) => {
	(message as Created).request.addHeader("authorization", `Bearer ${process.env.BEARER}`);
});

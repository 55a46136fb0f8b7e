// (a) The least a gateway can do: pass the call on. No token, no meter.

import type { Config } from "./verify.ts";

export default {
	fetch(request: Request, env: Config): Promise<Response> {
		const { pathname, search } = new URL(request.url);
		return fetch(`${env.UPSTREAM_URL}${pathname.slice(4)}${search}`, request as never) as never;
	},
};

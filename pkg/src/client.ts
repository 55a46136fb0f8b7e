/**
 * A client of the gateway: decides before it calls, learns from every answer, and tells what went wrong in types.
 *
 * @module legis-edge/client
 */
import { contract, decide, LegisError } from "legis-edge";
import { apart } from "./apart.ts";
import { problemOf, QuotaExceeded, Unreachable } from "./client-errors.ts";
import { HEADERS } from "./facts.ts";
import { learned } from "./learned.ts";
import type {
	Account,
	CallRequest,
	CallSettlement,
	Decision,
	EndpointUsage,
	RegisteredUser,
	Registration,
	ToolCall,
	ToolCalls,
} from "./types.ts";

export { ProblemError, QuotaExceeded, Unreachable } from "./client-errors.ts";

/** What a client is made of. */
export interface ClientOptions {
	/** Where the gateway is, such as `https://api.example.com`. */
	baseUrl: string;
	/** The user's access token, or how to get one. It is asked for with every request, so it may change. */
	token: string | (() => string | Promise<string>);
	/** Instead of the platform's own. */
	fetch?: typeof fetch;
	/** Instead of the platform's clock, in milliseconds. Without it a clock that is wrong is corrected by the gateway's. */
	now?: () => number;
	/** How often a request is sent again that failed on its way, or that the gateway could not answer; 2 when absent. */
	retries?: number;
	/** The gateway follows other rules than this package: the page should be loaded again. */
	onContractMismatch?: (theirs: string, ours: string) => void;
}

/** What can be said of every request. */
export interface RequestOptions {
	/** Ends the wait. */
	signal?: AbortSignal;
}

/** What can be said of a call. */
export interface CallInit extends Omit<RequestInit, "body"> {
	body?: string | Uint8Array;
	/** Sends the call though it would be refused as far as is known here. */
	insist?: boolean;
	/** The caller's name for the call, such as that of an attempt that failed (`Unreachable`): it is charged once. */
	idempotencyKey?: string | undefined;
}

/** A call that is reserved. */
export interface Reservation {
	id: string;
	decision: Decision & { type: "admit" };
}

/** How old a known account may be before a refusal is believed: a plan may have been bought meanwhile. */
const BELIEVED_MILLIS = 5_000;
/** The first wait before a request is sent again; each later one is twice as long. */
const WAIT_MILLIS = 250;
/** A gateway that asks for a longer wait is told to the caller instead. */
const LONGEST_WAIT_MILLIS = 10_000;

/** Makes a client for one user. */
export function createClient(options: ClientOptions) {
	const base = baseOf(options);
	/** How far the gateway's clock is ahead of this one, in milliseconds: what is left until when is the gateway's to say. */
	let ahead = 0;
	const clock = () => Math.floor((options.now ?? Date.now)());
	const now = () => clock() + ahead;
	const send = options.fetch ?? ((...asked: Parameters<typeof fetch>) => fetch(...asked));
	const retries = options.retries ?? 2;
	const listeners = new Set<() => void>();

	let known: Account | undefined;
	let knownAt = Number.NEGATIVE_INFINITY;
	let refreshing: Promise<Account> | undefined;
	let queued: Promise<Account> | undefined;
	let mismatch: string | undefined;
	/** An answer said something that does not fit what is known. */
	let outdated = false;
	/** Requests are numbered as they begin: of two answers the one to the later request is news. */
	let begun = 0;
	let heard = 0;

	/** Whether it was news. */
	function know(account: Account, number: number): boolean {
		if (number < heard) {
			return false;
		}
		heard = number;
		known = account;
		for (const tell of [...listeners]) {
			apart(tell);
		}
		return true;
	}

	/** One attempt. */
	async function once(path: string, init: RequestInit): Promise<Response> {
		init.signal?.throwIfAborted();
		// Anything else could lead the token to another host; tabs and line ends are dropped from addresses.
		if (!/^\/(?![/\\\t\n\r])/.test(path)) {
			throw new LegisError("invalid_argument", "The path must begin with one slash.");
		}
		sendable(init);
		const number = ++begun;
		const token =
			typeof options.token === "string"
				? options.token
				: await abortable(Promise.resolve(options.token()), init.signal ?? undefined);
		if (typeof token !== "string" || token === "") {
			throw new LegisError(
				"invalid_argument",
				"There is no access token: token must be one, or a function that gives one.",
			);
		}
		const headers = new Headers(init.headers);
		headers.set("Authorization", `Bearer ${token}`);
		let response: Response;
		try {
			response = await send(`${base}${path}`, { ...init, headers });
		} catch (error) {
			init.signal?.throwIfAborted();
			throw new Unreachable(error, headers.get(HEADERS.idempotencyKey) ?? undefined);
		}
		compare(response);
		if (path === ACCOUNT && options.now === undefined) {
			ahead = aheadOf(response, clock()) ?? ahead;
		}
		const account = known && understood(known, (before) => learned(before, response.headers, now()));
		if (account === null) {
			outdated ||= clock() - knownAt > BELIEVED_MILLIS;
		} else if (account !== undefined) {
			know(account, number);
		}
		return response;
	}

	function compare(response: Response): void {
		const theirs = response.headers.get(HEADERS.contract);
		const ours = contract();
		if (theirs !== null && theirs !== mismatch && !theirs.includes(`"${ours.fingerprint}"`)) {
			mismatch = theirs;
			apart(() => options.onContractMismatch?.(theirs, `${ours.version}; fingerprint="${ours.fingerprint}"`));
		}
	}

	/** As many attempts as may be made: what is sent again has a key, or changes nothing. */
	async function request<T>(
		path: string,
		init: RequestInit,
		mayRepeat: boolean,
		read: (response: Response) => Promise<T>,
	): Promise<T> {
		for (let attempt = 0; ; attempt++) {
			const last = !mayRepeat || attempt >= retries;
			try {
				const response = await once(path, init);
				const wait = waitAfter(response, attempt);
				if (last || wait === undefined) {
					return await read(response);
				}
				await response.body?.cancel().catch(() => {});
				await pause(wait, init.signal);
			} catch (error) {
				if (last || !(error instanceof Unreachable)) {
					throw error;
				}
				await pause(WAIT_MILLIS * 2 ** attempt, init.signal);
			}
		}
	}

	function json<T>(path: string, init: RequestInit = {}): Promise<T> {
		return request(path, init, true, async (response) => {
			const body = await whole(response, init);
			if (!response.ok) {
				throw problemOf(response, body);
			}
			return body as T;
		});
	}

	/** The JSON of an answer; of a problem nothing, when it is none. */
	async function whole(response: Response, init: RequestInit): Promise<unknown> {
		let text: string | undefined;
		try {
			text = await response.text();
			return JSON.parse(text);
		} catch (error) {
			if (!response.ok && text !== undefined) {
				return undefined;
			}
			// Of something else than the gateway, such as a page that is served for every address: it will not be JSON the next time.
			if (text !== undefined && !response.headers.get("Content-Type")?.includes("json")) {
				throw problemOf(response, { detail: `The answer is no JSON: is the gateway at ${base || "this origin"}?` });
			}
			init.signal?.throwIfAborted();
			throw new Unreachable(error, new Headers(init.headers).get(HEADERS.idempotencyKey) ?? undefined);
		}
	}

	const post = (body: unknown, { signal }: RequestOptions, key?: string): RequestInit => ({
		method: "POST",
		headers: { "Content-Type": "application/json", ...(key === undefined ? {} : { [HEADERS.idempotencyKey]: key }) },
		body: JSON.stringify(body),
		...(signal === undefined ? {} : { signal }),
	});
	const get = ({ signal }: RequestOptions): RequestInit => (signal === undefined ? {} : { signal });

	/** Asks where the user stands; who asks meanwhile shares the answer, and who gives up does not take it from the others. */
	function refresh(): Promise<Account> {
		refreshing ??= (async () => {
			const number = begun + 1;
			const account = await json<Account>(ACCOUNT);
			if (know(account, number)) {
				knownAt = clock();
				outdated = false;
			}
			return account;
		})().finally(() => {
			refreshing = undefined;
		});
		return refreshing;
	}

	/** The same from now on: what was asked before may be answered with what was before. */
	function refreshAnew(): Promise<Account> {
		queued ??= refreshing
			?.catch(() => {})
			.then(() => {
				queued = undefined;
				return refresh();
			});
		return queued ?? refresh();
	}

	async function account({ signal, fresh }: RequestOptions & { fresh?: boolean } = {}): Promise<Account> {
		signal?.throwIfAborted();
		if (known !== undefined && !fresh && !outdated) {
			return known;
		}
		return abortable(fresh ? refreshAnew() : refresh(), signal);
	}

	/** Throws for a call that would be refused; asks again first, if what is known is not new. */
	async function admit(cost: number, signal: AbortSignal | undefined): Promise<void> {
		const before = await account({ ...(signal ? { signal } : {}) });
		// What this package cannot read, a newer gateway can: it decides.
		if (understood(before, (account) => decide(account, now(), cost))?.type !== "refuse") {
			return;
		}
		const after = Math.abs(clock() - knownAt) > BELIEVED_MILLIS ? await abortable(refresh(), signal) : before;
		const decision = understood(after, (account) => decide(account, now(), cost));
		if (decision?.type === "refuse") {
			throw new QuotaExceeded(decision);
		}
	}

	return {
		/** Registers the user. Again is harmless. */
		async register(details: Registration = {}, init: RequestOptions = {}): Promise<RegisteredUser> {
			return (await json<{ user: RegisteredUser }>("/api/users/register", post(details, init))).user;
		},

		/** Where the user stands: as is known, which every answer keeps fresh, or as the gateway says now. */
		account,

		/** The time of the gateway, as far as it is known here: for `decide`, `meter` and the others beside `known`. */
		now,

		/** The account as it is known, without asking. */
		get known(): Account | undefined {
			return known;
		},

		/** Tells when the account becomes another; returns how to stop. */
		subscribe(listener: () => void): () => void {
			listeners.add(listener);
			return () => {
				listeners.delete(listener);
			};
		},

		/**
		 * Makes a metered call. One that would be refused is not sent: `QuotaExceeded` has the decision. Answers of the data
		 * service are returned as they are, whatever their status; problem documents (RFC 9457) are thrown, the gateway's and
		 * the data service's own.
		 */
		async call(path: string, init: CallInit = {}): Promise<Response> {
			const { insist, idempotencyKey, ...rest } = init;
			const headers = new Headers(init.headers);
			// What has a name may have been paid for already: that is the gateway's to know.
			if (!insist && idempotencyKey === undefined && !headers.has(HEADERS.idempotencyKey)) {
				await admit(1, init.signal ?? undefined);
			}
			// A call that is sent again must not be charged again.
			if (idempotencyKey !== undefined) {
				headers.set(HEADERS.idempotencyKey, idempotencyKey);
			} else if (retries > 0 && !headers.has(HEADERS.idempotencyKey)) {
				headers.set(HEADERS.idempotencyKey, newKey());
			}
			const mayRepeat = headers.has(HEADERS.idempotencyKey);
			const sent = { ...rest, headers } as RequestInit;
			return request(path, sent, mayRepeat, async (response) => {
				if (response.ok || !response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
					return response;
				}
				throw problemOf(response, await whole(response, sent));
			});
		},

		/** Reserves a call that this service makes itself. */
		async reserve(asked: CallRequest = {}, init: RequestOptions = {}): Promise<Reservation> {
			const key = asked.idempotencyKey ?? newKey();
			if (asked.idempotencyKey === undefined) {
				await admit(asked.cost ?? 1, init.signal);
			}
			return json<Reservation>("/api/calls", post(asked, init, key));
		},

		/** Says how a reserved call ended. Again is harmless. */
		async settle(id: string, how: CallSettlement, init: RequestOptions = {}): Promise<void> {
			const path = `/api/calls/${encodeURIComponent(id)}`;
			const { cost } = await json<{ cost: number }>(path, { ...post(how, init), method: "PATCH" });
			if (cost === 0) {
				// What was given back is not in what is known, so a refusal is not believed before it is asked again.
				knownAt = Number.NEGATIVE_INFINITY;
			}
		},

		/** What was called in the last days. */
		async usage(days = 30, init: RequestOptions = {}): Promise<EndpointUsage[]> {
			return (await json<{ stats: EndpointUsage[] }>(`/api/usage?days=${days}`, get(init))).stats;
		},

		/** The tool calls of the last days, a page of them. */
		toolCalls(asked: { days?: number; limit?: number; offset?: number } & RequestOptions = {}): Promise<ToolCalls> {
			const { days = 30, limit = 20, offset = 0 } = asked;
			return json(`/api/mcp/logs?days=${days}&limit=${limit}&offset=${offset}`, get(asked));
		},

		/** Logs a tool call that was made; it costs one call. With the key of an attempt that failed, it costs no second one. */
		async logToolCall(
			record: ToolCall,
			init: RequestOptions & { idempotencyKey?: string } = {},
		): Promise<{ id: string; timestamp: string }> {
			const key = init.idempotencyKey ?? newKey();
			return (await json<{ log: { id: string; timestamp: string } }>("/api/mcp/logs", post(record, init, key))).log;
		},
	};
}

/** Where the gateway's account is. */
const ACCOUNT = "/api/account";

/** Clocks that are so near to each other count as one: the header has whole seconds, and came a while ago. */
const NEAR_MILLIS = 5_000;

/** How far the gateway's clock is ahead of `now`; nothing where it is not the gateway that answers, or it does not say. */
function aheadOf(response: Response, now: number): number | undefined {
	const ahead = Date.parse(response.headers.get("Date") ?? "") - now;
	if (!response.headers.has(HEADERS.contract) || Number.isNaN(ahead)) {
		return undefined;
	}
	return Math.abs(ahead) > NEAR_MILLIS ? ahead : 0;
}

/** Where the gateway is, without a slash at the end. */
function baseOf({ baseUrl, token }: ClientOptions): string {
	if (typeof baseUrl !== "string" || !/^(https?:\/\/|\/|$)/.test(baseUrl)) {
		throw new LegisError("invalid_argument", "baseUrl must begin with https:// or http://, or be empty: this origin.");
	}
	if (typeof token !== "string" && typeof token !== "function") {
		throw new LegisError("invalid_argument", "token must be an access token, or a function that gives one.");
	}
	return baseUrl.replace(/\/+$/, "");
}

/** Throws where no request can be made of what is asked for: that is a mistake of the caller's, and no failure on the way. */
function sendable({ body, signal, ...init }: RequestInit): void {
	if (typeof Request === "function") {
		new Request("http://gateway.invalid", body == null ? init : { ...init, body: "" });
	}
}

/** A client of the gateway. */
export type Client = ReturnType<typeof createClient>;

/** A name for one call. A page that was not served over TLS has no `randomUUID`. */
function newKey(): string {
	return crypto.randomUUID?.() ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
}

/** How long to wait before a request is sent again; nothing when its answer is final. */
function waitAfter(response: Response, attempt: number): number | undefined {
	if (![502, 503, 504].includes(response.status) && response.status !== 409) {
		return undefined;
	}
	const after = response.headers.get(HEADERS.retryAfter) ?? "";
	const asked = /^\d+$/.test(after) ? Number(after) * 1_000 : Number.NaN;
	// Of conflicts only a call that is still running asks to be waited for.
	if (response.status === 409 && Number.isNaN(asked)) {
		return undefined;
	}
	const wait = Number.isNaN(asked) ? WAIT_MILLIS * 2 ** attempt : asked;
	return wait <= LONGEST_WAIT_MILLIS ? wait : undefined;
}

/** What is made of an account; nothing when it follows newer rules than this package knows. */
function understood<T>(account: Account, make: (account: Account) => T): T | undefined {
	try {
		return make(account);
	} catch (error) {
		if (error instanceof LegisError) {
			return undefined;
		}
		throw error;
	}
}

function pause(milliseconds: number, signal: AbortSignal | null | undefined): Promise<void> {
	return abortable(new Promise((resolve) => setTimeout(resolve, milliseconds)), signal ?? undefined);
}

/** What was promised, or the reason of whoever gives up. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
	if (signal === undefined) {
		return promise;
	}
	return new Promise((resolve, reject) => {
		const give = () => reject(signal.reason);
		if (signal.aborted) {
			give();
		}
		signal.addEventListener("abort", give, { once: true });
		promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", give));
	});
}

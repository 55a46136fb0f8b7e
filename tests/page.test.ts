// The page, used as people use it: with a mouse, with a keyboard, on a phone.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { plans } from "legis-edge";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { CHROMIUM_FLAGS, chromiumPath } from "./chromium.ts";
import { ROOT } from "./stack.ts";

const SHOTS = join(import.meta.dirname, "screenshots");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The prices of what is sold, of which the page shows each once, beside what a year saves. */
const prices = (interval: "month" | "year") =>
	plans().flatMap((plan) => plan.prices.filter((price) => price.interval === interval && price.amount > 0));

let browser: Browser;

beforeAll(async () => {
	mkdirSync(SHOTS, { recursive: true });
	browser = await chromium.launch({ executablePath: chromiumPath(), args: CHROMIUM_FLAGS });
});

afterAll(() => browser?.close());

async function open(width: number, height: number): Promise<{ page: Page; context: BrowserContext; faults: string[] }> {
	const context = await browser.newContext({ viewport: { width, height } });
	const page = await context.newPage();
	const faults: string[] = [];
	page.on("pageerror", (error) => faults.push(error.message));
	page.on("console", (said) => {
		if (said.text().includes("Content Security Policy")) {
			faults.push(said.text());
		}
	});
	await page.goto(inject("base"));
	await page.getByRole("heading", { name: "Plans" }).waitFor();
	return { page, context, faults };
}

/** What axe finds wrong for people who do not see or point. */
async function barriers(page: Page): Promise<string[]> {
	await page.evaluate(axe);
	return page.evaluate(async () => {
		// @ts-expect-error: axe was put there above
		const { violations } = await window.axe.run();
		return violations.map(
			(violation: { id: string; nodes: { html: string }[] }) => `${violation.id}: ${violation.nodes[0]?.html}`,
		);
	});
}

async function overflows(page: Page): Promise<boolean> {
	return page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
}

async function signUp(page: Page, email: string) {
	await page.getByLabel("E-mail").fill(email);
	await page.getByLabel("Name").fill("Ada Lovelace");
	await page.getByRole("button", { name: "Continue" }).click();
	await page.getByRole("heading", { name: "Hello, Ada Lovelace" }).waitFor();
}

test("what a browser may do with the page is said with every file of it", async () => {
	const page = await fetch(inject("base"));
	const [script] = /\/assets\/[\w.-]+\.js/.exec(await page.text()) ?? [];
	for (const answer of [page, await fetch(`${inject("base")}${script}`)]) {
		const policy = answer.headers.get("content-security-policy") ?? "";
		expect(policy).toContain("default-src 'none'");
		expect(policy).toContain("frame-ancestors 'none'");
		expect(policy).not.toContain("unsafe-inline");
		expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
		expect(answer.headers.get("referrer-policy")).toBe("no-referrer");
	}
});

describe.each([
	[1280, 900],
	[390, 844],
])("%i pixels wide", (width, height) => {
	test("a visitor sees honest prices, signs up, makes a call, and no barrier is in the way", async () => {
		const { page, context, faults } = await open(width, height);
		for (const { text } of prices("month")) {
			expect(await page.getByText(text).count()).toBe(1);
		}
		await page.getByText("Yearly").click();
		for (const { text } of prices("year")) {
			expect(await page.getByText(text).count()).toBe(1);
		}
		const saved = await page.getByText(/saves \d+%/).allTextContents();
		expect(saved.map((text) => text.trim())).toEqual(prices("year").map((price) => `saves ${price.savingPercent}%`));
		await page.getByText("Monthly").click();
		expect(await barriers(page)).toEqual([]);
		expect(await overflows(page)).toBe(false);
		await page.screenshot({ path: join(SHOTS, `visitor-${width}.png`), fullPage: true });

		await page.getByLabel("Name").fill("x".repeat(201));
		expect(await page.locator("#name-note").textContent()).toBe("Must have at most 200 characters.");
		expect(await page.getByLabel("Name").getAttribute("aria-invalid")).toBe("true");
		await signUp(page, `page-${width}-${Date.now()}@example.com`);
		await page.getByRole("button", { name: "Make a call" }).click();
		await page.getByText("Infrastructure Investment and Jobs Act").waitFor();
		await page.getByText("1 of 100 calls used").waitFor();
		expect(await barriers(page)).toEqual([]);
		expect(await overflows(page)).toBe(false);
		await page.screenshot({ path: join(SHOTS, `user-${width}.png`), fullPage: true });
		expect(faults).toEqual([]);
		await context.close();
	});
});

test("when nothing is left, the page and the gateway refuse in the same words", async () => {
	const { page, context } = await open(1280, 900);
	await signUp(page, `spent-${Date.now()}@example.com`);
	await page.evaluate(async () => {
		const headers = { Authorization: `Bearer ${sessionStorage.getItem("legis.session")}` };
		await Promise.all(Array.from({ length: 100 }, () => fetch("/api/committees?limit=1", { headers })));
	});
	await page.reload();
	await page.getByText("100 of 100 calls used").waitFor();
	let sent = 0;
	page.on("request", (request) => {
		sent += request.url().includes("/api/bills") ? 1 : 0;
	});
	await page.getByRole("button", { name: "Make a call" }).click();
	await page.getByText("Decided in your browser: nothing was sent.").waitFor();
	expect(sent).toBe(0);
	const here = await page.locator(".refused p").first().textContent();
	await page.screenshot({ path: join(SHOTS, "refused-1280.png"), fullPage: true });
	await page.getByRole("button", { name: "Send it all the same" }).click();
	await page.getByText("Answered by the gateway: 429.").waitFor();
	expect(sent).toBe(1);
	expect(await page.locator(".refused p").first().textContent()).toBe(here);
	await context.close();
});

test("a session that ends while somebody looks on says so, once, and asks no more", async () => {
	const { page, context } = await open(1280, 900);
	await signUp(page, `over-${Date.now()}@example.com`);
	let refused = 0;
	await page.route("**/api/account", async (route) => {
		refused += 1;
		await route.continue({ headers: { ...route.request().headers(), authorization: "Bearer over" } });
	});
	await page.getByText("Your session has ended. Please sign in again.").waitFor();
	expect(await page.getByRole("heading", { name: "Hello" }).count()).toBe(0);
	expect(await page.evaluate(() => sessionStorage.getItem("legis.session"))).toBeNull();
	// Longer than it looks again.
	await page.waitForTimeout(7_000);
	expect(refused).toBe(1);
	expect(await barriers(page)).toEqual([]);
	await context.close();
});

test("a change of plan is told before it is made, and shows without a reload once it is", async () => {
	const { page, context, faults } = await open(1280, 900);
	await signUp(page, `payer-${Date.now()}@example.com`);
	await page.getByRole("button", { name: "Change to Professional" }).click();
	await page.getByText("Professional begins at once: 10,000 calls left in this period.").waitFor();
	expect(await barriers(page)).toEqual([]);
	await page.screenshot({ path: join(SHOTS, "change-1280.png"), fullPage: true });
	await page.getByRole("button", { name: "Go on with Professional" }).click();
	await page.getByText("This deployment has no key of a payment service.").waitFor();

	const sub = await page.evaluate(async () => {
		const headers = { Authorization: `Bearer ${sessionStorage.getItem("legis.session")}` };
		return (await (await fetch("/api/account", { headers })).json()).user.sub as string;
	});
	let loads = 0;
	page.on("load", () => {
		loads += 1;
	});
	webhook("checkout.session.completed", "--user", sub, "--plan", "pro");
	await page.getByText("0 of 10,000 calls used this month").waitFor();
	await page.getByRole("button", { name: "Change to Developer" }).click();
	await page.getByText("Professional stays until what you paid for runs out, with 10,000 calls left.").waitFor();
	webhook("customer.subscription.updated", "--user", sub, "--plan", "starter");
	await page
		.locator(".usage")
		.getByText(/Developer begins on/)
		.waitFor();
	expect([loads, faults]).toEqual([0, []]);
	await page.screenshot({ path: join(SHOTS, "payer-1280.png"), fullPage: true });
	// Nothing is offered unasked.
	await page.reload();
	await page.getByRole("button", { name: "Keep Professional" }).waitFor();
	expect(await page.getByRole("button", { name: /^Go on|^Cancel/ }).count()).toBe(0);
	await context.close();
});

/** What the gateway says of the account, made otherwise. */
async function said(page: Page, change: (account: Record<string, never> & { entitlement: object }) => object) {
	await page.route("**/api/account", async (route) => {
		const response = await route.fetch();
		await route.fulfill({ response, json: change(await response.json()) });
	});
}

test("an account of a later release is told of, and the page goes on", async () => {
	const { page, context, faults } = await open(1280, 900);
	await signUp(page, `later-${Date.now()}@example.com`);
	for (const entitlement of [{ plan: "team" }, { standing: "suspended" }]) {
		await page.unroute("**/api/account");
		await said(page, (account) => ({ ...account, entitlement: { ...account.entitlement, ...entitlement } }));
		await page.getByText("The rules have changed since this page was loaded.").waitFor();
		await page.reload();
		await page.getByText("The rules have changed since this page was loaded.").waitFor();
		await page.getByRole("button", { name: "Make a call" }).click();
		await page.getByText("Infrastructure Investment and Jobs Act").waitFor();
		await page.unroute("**/api/account");
		await page.getByText(/calls used/).waitFor();
	}
	expect(faults).toEqual([]);
	await context.close();
});

test("a gateway that does not answer for a while signs nobody out", async () => {
	const { page, context } = await open(1280, 900);
	await signUp(page, `patient-${Date.now()}@example.com`);
	await page.route("**/api/account", (route) =>
		route.fulfill({ status: 503, contentType: "application/problem+json", body: '{"detail":"Not now."}' }),
	);
	await page.reload();
	await page.getByText("Not now. Trying again …").waitFor({ timeout: 20_000 });
	expect(await barriers(page)).toEqual([]);
	await page.unroute("**/api/account");
	await page.getByRole("heading", { name: "Hello, Ada Lovelace" }).waitFor();
	await context.close();
});

test("what a visitor wished is the first thing that is offered", async () => {
	const { page, context } = await open(1280, 900);
	await page.getByRole("button", { name: "Choose Developer" }).click();
	await page.getByText("Yearly").click();
	await signUp(page, `wish-${Date.now()}@example.com`);
	await page.getByText("Developer begins at once: 1,000 calls left in this period.").waitFor();
	const [asked] = await Promise.all([
		page.waitForRequest("**/api/billing/checkout"),
		page.getByRole("button", { name: "Go on with Developer" }).click(),
	]);
	expect(asked.postDataJSON()).toMatchObject({ plan: "starter", interval: "year" });
	await context.close();
});

test("what is decided can be taken back; what was agreed by contract is not changed here", async () => {
	const { page, context } = await open(1280, 900);
	await signUp(page, `decided-${Date.now()}@example.com`);
	const until = new Date(Date.now() + 20 * 86_400_000).toISOString();
	const paid = { plan: "professional", standing: "active", interval: "month", paidUntil: until, version: 5 };
	const cancelled = { ...paid, changes: [{ plan: "free", at: until }] };
	await said(page, (account) => ({ ...account, entitlement: { ...account.entitlement, ...cancelled } }));
	await page.getByRole("button", { name: "Keep Professional" }).click();
	await page.getByText(/^Professional goes on:/).waitFor();
	expect(await page.getByRole("button", { name: "Change to Free" }).count()).toBe(0);
	expect(await page.getByRole("button", { name: "Change to Developer" }).count()).toBe(1);
	expect(await barriers(page)).toEqual([]);

	await page.unroute("**/api/account");
	const agreed = { plan: "enterprise", standing: "active", version: 6 };
	await said(page, (account) => ({ ...account, entitlement: { ...account.entitlement, ...agreed } }));
	await page.getByText("Enterprise was agreed with us.").waitFor();
	expect(await page.getByRole("button", { name: /^Change|^Pay|^Keep|^Choose/ }).count()).toBe(0);
	await page.unroute("**/api/account");

	// Whose grace is over is on Free, whatever they paid by.
	const lapsed = { ...paid, standing: "past_due", version: 7, changes: [{ plan: "free", at: "2026-01-01T00:00:00Z" }] };
	await said(page, (account) => ({ ...account, entitlement: { ...account.entitlement, ...lapsed } }));
	await page.getByText("Yearly").click();
	await page.getByRole("button", { name: "Change to Developer" }).click();
	await page.getByText(/^Developer begins when what is due is paid/).waitFor();
	expect(await page.getByRole("button", { name: /^Pay by/ }).count()).toBe(0);
	await context.close();
});

test("nobody else's words are shown as the page's own", async () => {
	const { page, context } = await open(1280, 900);
	await page.goto(`${inject("base")}/?error=access_denied&error_description=Call+0900&state=x`);
	await page.getByRole("heading", { name: "Sign up or sign in" }).waitFor();
	expect(await page.getByText("Call 0900").count()).toBe(0);
	expect(new URL(page.url()).search).toBe("");
	await context.close();
});

/** An event of the local account at Stripe, sent as the README says. */
function webhook(...words: string[]) {
	const xtask = process.env.LEGIS_XTASK ?? "cargo";
	const first = xtask === "cargo" ? ["xtask"] : [];
	const to = ["--send", inject("base"), "--state", inject("state")];
	execFileSync(xtask, [...first, "webhook", ...words, ...to], { cwd: ROOT, stdio: "pipe" });
}

test("everything can be done with the keyboard", async () => {
	const { page, context } = await open(1280, 900);
	const press = async (key: string, times = 1) => {
		for (let time = 0; time < times; time++) {
			await page.keyboard.press(key);
		}
	};
	await press("Tab");
	expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to content");
	await press("Tab", 3);
	expect(await page.evaluate(() => (document.activeElement as HTMLInputElement).value)).toBe("month");
	await press("ArrowRight");
	await page.getByText(prices("year")[0]?.text as string).waitFor();
	await press("Tab", 2);
	expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Choose Developer");
	await press("Enter");
	expect(await page.evaluate(() => document.activeElement?.id)).toBe("email");
	expect(await page.getByLabel("Plan", { exact: true }).inputValue()).toBe("starter");
	await page.keyboard.type(`keys-${Date.now()}@example.com`);
	await press("Enter");
	await page.getByRole("heading", { name: "Hello" }).waitFor();
	// A call leaves the focus where it was.
	await page.getByRole("button", { name: "Make a call" }).focus();
	await press("Enter");
	await page.getByText("Infrastructure Investment and Jobs Act").waitFor();
	expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Make a call");
	await context.close();
});

// The tools: the sample data, and what the gateway says of the caller.

import type { CallToolResult, McpServer, ServerContext } from "@modelcontextprotocol/server";
import { z } from "zod";
import { bills, committees, members, votes } from "../upstream/records.ts";
import { search } from "../upstream/search.ts";
import { analysis, type Bill, related, votesOn } from "./analysis.ts";
import type { Identity } from "./identity.ts";
import { tellProgress } from "./progress.ts";
import { wait } from "./wait.ts";

const limit = z.int().min(1).max(100).optional().describe("How many at most; 20 when absent");
const query = z.object({ q: z.string().optional().describe("Words that all have to occur"), limit });
const one = z.object({ id: z.string().describe("The id, as the search tells it") });
const annotations = { readOnlyHint: true, openWorldHint: false };

/** Adds every tool; `caller` is who calls in this request. */
export function addTools(server: McpServer, caller: Identity): void {
	addBills(server);
	addMembers(server);
	addVotesAndCommittees(server);
	addAnalyses(server);
	addAccount(server, caller);
}

function addBills(server: McpServer): void {
	server.registerTool(
		"search-bills",
		{ title: "Search bills", description: "Bills whose record holds every word.", inputSchema: query, annotations },
		(asked) => listed("bill", search(bills, parameters(asked)), (bill) => `${bill.id}: ${bill.title}`),
	);
	server.registerTool(
		"get-bill",
		{ title: "Get a bill", description: "The record of one bill.", inputSchema: one, annotations },
		({ id }) => withBill(id, (bill) => told(`${bill.number}, ${bill.title}. ${bill.latestAction}.`, { ...bill })),
	);
}

function addMembers(server: McpServer): void {
	server.registerTool(
		"search-members",
		{
			title: "Search members",
			description: "Members of Congress whose record holds every word.",
			inputSchema: query,
			annotations,
		},
		(asked) => listed("member", search(members, parameters(asked)), (member) => `${member.id}: ${member.name}`),
	);
	server.registerTool(
		"get-member",
		{ title: "Get a member", description: "The record of one member of Congress.", inputSchema: one, annotations },
		({ id }) => {
			const member = members.find((member) => member.id === id);
			return member === undefined
				? unknown("member", id, "search-members")
				: told(`${member.name}, ${member.party}, ${member.chamber}, ${member.state}.`, { ...member });
		},
	);
}

function addVotesAndCommittees(server: McpServer): void {
	server.registerTool(
		"get-recent-votes",
		{
			title: "Get recent votes",
			description: "Roll-call votes, the latest first.",
			inputSchema: z.object({ limit }),
			annotations,
		},
		(asked) => {
			const latest = votes.toSorted((a, b) => b.date.localeCompare(a.date));
			return listed(
				"vote",
				search(latest, parameters(asked)),
				(vote) => `${vote.date} ${vote.chamber}, ${vote.bill}: ${vote.yeas} to ${vote.nays}, ${vote.result}`,
			);
		},
	);
	server.registerTool(
		"get-committees",
		{ title: "Get committees", description: "Every committee.", inputSchema: z.object({}), annotations },
		() =>
			listed(
				"committee",
				{ total: committees.length, results: committees },
				(committee) => `${committee.id}: ${committee.chamber} ${committee.name}`,
			),
	);
}

function addAnalyses(server: McpServer): void {
	server.registerTool(
		"analyze-bill",
		{
			title: "Analyze a bill",
			description: "Status, sponsor, committee and number of votes of one bill.",
			inputSchema: one,
			annotations,
		},
		({ id }) =>
			withBill(id, (bill) => {
				const facts = analysis(bill);
				return told(summary(facts), facts);
			}),
	);
	server.registerTool(
		"enhanced-bill-analysis",
		{
			title: "Analyze a bill in depth",
			description: "The analysis with every vote and the related bills; tells its progress.",
			inputSchema: one,
			annotations,
		},
		({ id }, context) => withBill(id, (bill) => inDepth(bill, context)),
	);
}

/** In three steps, with a moment between them: time enough to be followed, and to be cancelled. */
async function inDepth(bill: Bill, context: ServerContext): Promise<CallToolResult> {
	const step = async (progress: number, message: string) => {
		await wait(50, context.mcpReq.signal);
		await tellProgress(context, progress, 3, message);
	};
	const facts = analysis(bill);
	await step(1, "The record is read");
	const cast = votesOn(bill);
	await step(2, "The votes are counted");
	const others = related(bill);
	await step(3, "The related bills are found");
	const closest = cast.toSorted((a, b) => a.margin - b.margin)[0];
	const lines = [
		summary(facts),
		closest === undefined
			? "No vote on it is in the records."
			: `The closest vote: ${closest.chamber}, ${closest.date}, ${closest.yeas} to ${closest.nays}.`,
		`Other bills of its sponsor: ${others.bySponsor.length}; of its committee: ${others.inCommittee.length}.`,
	];
	return told(lines.join("\n"), { ...facts, votes: cast, related: others });
}

function addAccount(server: McpServer, caller: Identity): void {
	const inputSchema = z.object({});
	server.registerTool(
		"whoami",
		{ title: "Who am I", description: "Who the gateway says is calling.", inputSchema, annotations },
		() => {
			const { sub, userId, plan, standing, email, name } = caller;
			return told(
				`${name ?? email ?? sub}, on the plan ${plan}.`,
				present({ sub, userId, plan, standing, email, name }),
			);
		},
	);
	server.registerTool(
		"get-usage-stats",
		{
			title: "Get usage",
			description: "How many calls the plan has, and how many are left.",
			inputSchema,
			annotations,
		},
		() => {
			const { plan, standing, limit, used, remaining, resetsAt } = caller;
			const calls = limit === undefined ? `${used} calls used, without a limit` : `${used} of ${limit} calls used`;
			const renewal = resetsAt === undefined ? "" : `, renews on ${resetsAt}`;
			return told(`Plan ${plan}: ${calls}${renewal}.`, present({ plan, standing, limit, used, remaining, resetsAt }));
		},
	);
}

function withBill(
	id: string,
	answer: (bill: Bill) => CallToolResult | Promise<CallToolResult>,
): CallToolResult | Promise<CallToolResult> {
	const bill = bills.find((bill) => bill.id === id);
	return bill === undefined ? unknown("bill", id, "search-bills") : answer(bill);
}

function summary({ number, title, status, statusDate, ...facts }: ReturnType<typeof analysis>): string {
	const by = facts.sponsor === undefined ? "" : ` Introduced by ${facts.sponsor.name}.`;
	return `${number}, ${title}. ${status} on ${statusDate}.${by} Votes in the records: ${facts.votes}.`;
}

function listed<R>(
	noun: string,
	found: { total: number; results: readonly R[] },
	line: (record: R) => string,
): CallToolResult {
	const count = `${found.total} ${noun}${found.total === 1 ? "" : "s"}`;
	const shown = found.results.length < found.total ? `${count}, ${found.results.length} shown` : count;
	return told([shown, ...found.results.map(line)].join("\n"), { ...found });
}

/** A result for people and for programs. */
export function told(text: string, structuredContent: Record<string, unknown>): CallToolResult {
	return { content: [{ type: "text", text }], structuredContent };
}

function unknown(noun: string, id: string, tool: string): CallToolResult {
	return {
		content: [{ type: "text", text: `There is no ${noun} with the id "${id}". Call ${tool} to find one's id.` }],
		isError: true,
	};
}

function parameters(asked: { q?: string | undefined; limit?: number | undefined }): URLSearchParams {
	return new URLSearchParams(Object.entries(present(asked)).map(([name, value]) => [name, String(value)]));
}

/** The members that have a value. */
function present(members: Record<string, unknown>): Record<string, unknown> {
	return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

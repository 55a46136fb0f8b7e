import type { ServerContext } from "@modelcontextprotocol/server";

/** Tells a caller that wants to know how far the call is. */
export async function tellProgress(
	{ mcpReq }: ServerContext,
	progress: number,
	total: number,
	message: string,
): Promise<void> {
	const progressToken = mcpReq._meta?.progressToken;
	if (progressToken !== undefined) {
		await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total, message } });
	}
}

// How the sample data is searched, over HTTP and by tool.

/** Records that hold every word of `q` and have the value of every other parameter. */
export function search<R extends { id: string }>(records: readonly R[], parameters: URLSearchParams) {
	const words = (parameters.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
	const limit = Math.min(Number(parameters.get("limit") ?? 20) || 20, 100);
	const offset = Number(parameters.get("offset") ?? 0) || 0;
	const filters = [...parameters].filter(([name]) => !["q", "limit", "offset"].includes(name));
	const found = records.filter((record) => {
		const text = JSON.stringify(record).toLowerCase();
		const fields = record as unknown as Record<string, unknown>;
		return (
			words.every((word) => text.includes(word)) &&
			filters.every(([name, value]) => String(fields[name]).toLowerCase() === value.toLowerCase())
		);
	});
	return { total: found.length, limit, offset, results: found.slice(offset, offset + limit) };
}

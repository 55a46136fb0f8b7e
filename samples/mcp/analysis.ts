// What the records say of a bill, put together. Nothing here is more than they say.

import { bills, committees, members, votes } from "../upstream/records.ts";

export type Bill = (typeof bills)[number];

/** The bill in a few facts. */
export function analysis(bill: Bill) {
	return {
		id: bill.id,
		number: bill.number,
		title: bill.title,
		status: bill.latestAction,
		statusDate: bill.latestActionDate,
		law: bill.latestAction.startsWith("Became Public Law"),
		daysFromIntroduction: days(bill.introduced, bill.latestActionDate),
		sponsor: sponsor(bill),
		committee: committee(bill),
		votes: votesOn(bill).length,
	};
}

/** The member who introduced it. */
function sponsor(bill: Bill) {
	return members.find((member) => member.id === bill.sponsor);
}

/** The committee it was referred to. */
function committee(bill: Bill) {
	return committees.find((committee) => committee.id === bill.committee);
}

/** The votes on it, each with how clear it was. */
export function votesOn(bill: Bill) {
	return votes
		.filter((vote) => vote.bill === bill.id)
		.map(({ id, chamber, date, yeas, nays, result }) => ({
			id,
			chamber,
			date,
			yeas,
			nays,
			result,
			margin: yeas - nays,
			percentInFavour: Math.round((yeas / (yeas + nays)) * 1000) / 10,
		}));
}

/** The other bills of its sponsor and of its committee. */
export function related(bill: Bill) {
	const others = (key: "sponsor" | "committee") =>
		bills.filter((other) => other.id !== bill.id && other[key] === bill[key]).map(({ id, title }) => ({ id, title }));
	return { bySponsor: others("sponsor"), inCommittee: others("committee") };
}

function days(from: string, to: string): number {
	return (Date.parse(to) - Date.parse(from)) / 86_400_000;
}

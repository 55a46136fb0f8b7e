// Compiled by typia before the benchmark runs (`cargo xtask bench package`): its validators are JavaScript then.

import typia, { type tags } from "typia";

type Text<Min extends number, Max extends number> = string & tags.MinLength<Min> & tags.MaxLength<Max>;
type Whole<Min extends number, Max extends number> = number &
	tags.Type<"uint64"> &
	tags.Minimum<Min> &
	tags.Maximum<Max>;
type Seconds = Whole<0, 253402300799>;
type Maybe<T> = T | null | undefined;

interface Registration {
	email?: Maybe<string & tags.Format<"email"> & tags.MaxLength<254>>;
	name?: Maybe<Text<1, 200>>;
	plan?: Maybe<"free" | "Free" | "starter" | "Developer" | "developer" | "Starter" | "professional" | "pro">;
	source?: Maybe<"web" | "mcp">;
}

interface StripePrice {
	id: Text<1, 255>;
	recurring?: Maybe<{ interval?: Maybe<Text<1, 100>> }>;
	interval?: Maybe<Text<1, 100>>;
}

interface StripeEvent {
	id: Text<1, 255>;
	type: Text<1, 100>;
	created: Seconds;
	livemode: boolean;
	data: {
		object: {
			id?: Maybe<Text<1, 255>>;
			object?: Maybe<Text<1, 100>>;
			customer?: Maybe<Text<1, 255>>;
			client_reference_id?: Maybe<Text<0, 500>>;
			metadata?: Maybe<Record<string, unknown>>;
			mode?: Maybe<Text<1, 100>>;
			status?: Maybe<Text<1, 100>>;
			payment_status?: Maybe<Text<1, 100>>;
			items?: Maybe<{
				data: {
					price?: Maybe<StripePrice>;
					plan?: Maybe<StripePrice>;
					current_period_start?: Maybe<Seconds>;
					current_period_end?: Maybe<Seconds>;
				}[];
			}>;
			current_period_start?: Maybe<Seconds>;
			current_period_end?: Maybe<Seconds>;
			billing_cycle_anchor?: Maybe<Seconds>;
			cancel_at?: Maybe<Seconds>;
			cancel_at_period_end?: Maybe<boolean>;
			created?: Maybe<Seconds>;
			currency?: Maybe<Text<1, 100>>;
			amount?: Maybe<Whole<0, 9007199254740991>>;
			charge?: Maybe<Text<1, 255>>;
			invoice?: Maybe<Text<1, 255>>;
			payment_intent?: Maybe<Text<1, 255>>;
		};
		previous_attributes?: Maybe<Record<string, unknown>>;
	};
}

interface UsageRecord {
	endpoint: string & tags.Pattern<"^/[^\\s?#]*$"> & tags.MaxLength<2048>;
	method: string & tags.Pattern<"^[A-Z]+$"> & tags.MaxLength<20>;
	status_code: Whole<100, 599>;
	response_time_ms?: Maybe<Whole<0, 86400000>>;
	error_message?: Maybe<Text<0, 2000>>;
	ip_address?: Maybe<string & tags.Format<"ipv4">>;
	user_agent?: Maybe<Text<0, 512>>;
	timestamp: string & tags.Format<"date-time">;
}

export const registration = typia.createValidate<Registration>();
export const stripe = typia.createValidate<StripeEvent>();
export const records = typia.createValidate<UsageRecord[]>();

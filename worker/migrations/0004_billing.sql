-- Stripe's word, and how it became ours.

-- How often is paid now; a smaller plan that follows may be paid otherwise.
ALTER TABLE users ADD COLUMN billing_interval TEXT CHECK (billing_interval IN ('month', 'year'));

-- What of a user's subscriptions an operator must look at, as long as it is so.
ALTER TABLE users ADD COLUMN billing_alerts TEXT CHECK (billing_alerts IS NULL OR json_type(billing_alerts) = 'array');

CREATE INDEX users_by_billing_alerts ON users (id) WHERE billing_alerts IS NOT NULL;

-- The cron looks for decided changes whose moment has come.
CREATE INDEX users_by_scheduled_at ON users (scheduled_at) WHERE scheduled_at IS NOT NULL;

CREATE TABLE stripe_customers (
  id TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 255),
  -- Whose it is, as was said last; the user may not be registered yet.
  sub TEXT CHECK (length(sub) BETWEEN 1 AND 255),
  -- Who said so, when, and in which event.
  linked_kind TEXT CHECK (linked_kind IN ('users', 'checkout', 'metadata')),
  linked_at INTEGER,
  linked_by TEXT,
  deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
  -- Grows with every event. Whoever writes on top of an older one writes -1, and nothing of their batch is stored.
  version INTEGER NOT NULL CONSTRAINT overtaken CHECK (version >= 0),
  CHECK ((sub IS NULL) = (linked_at IS NULL)),
  CHECK ((sub IS NULL) = (linked_by IS NULL)),
  CHECK ((sub IS NULL) = (linked_kind IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX stripe_customers_by_sub ON stripe_customers (sub) WHERE sub IS NOT NULL;

-- Customers that were known before.
INSERT INTO stripe_customers (id, sub, linked_kind, linked_at, linked_by, version)
SELECT stripe_customer_id, auth0_user_id, 'users', 0, '', 1 FROM users WHERE stripe_customer_id IS NOT NULL;

-- A subscription as each event brought it. What it is worth is computed from all of them, so their order is no matter.
CREATE TABLE subscription_snapshots (
  -- The event's.
  id TEXT PRIMARY KEY,
  customer_id TEXT NOT NULL,
  subscription_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('created', 'updated', 'deleted', 'fetched')),
  facts TEXT NOT NULL CHECK (json_type(facts) = 'object'),
  facts_before TEXT CHECK (facts_before IS NULL OR json_type(facts_before) = 'object'),
  -- Of a fetched one: the snapshots that were known when Stripe was asked.
  seen TEXT CHECK (seen IS NULL OR json_type(seen) = 'array'),
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX subscription_snapshots_by_customer ON subscription_snapshots (customer_id, created_at);

ALTER TABLE stripe_webhook_logs ADD COLUMN customer_id TEXT;
ALTER TABLE stripe_webhook_logs ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1 CHECK (attempts >= 1);
-- When a failed one is tried again.
ALTER TABLE stripe_webhook_logs ADD COLUMN next_attempt_at INTEGER;
-- What an operator must look at.
ALTER TABLE stripe_webhook_logs ADD COLUMN alerts TEXT CHECK (alerts IS NULL OR json_type(alerts) = 'array');

CREATE INDEX stripe_webhook_logs_by_customer ON stripe_webhook_logs (customer_id) WHERE processing_status = 'pending';
CREATE INDEX stripe_webhook_logs_due ON stripe_webhook_logs (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
-- What administrators list, the latest first.
CREATE INDEX stripe_webhook_logs_failed ON stripe_webhook_logs (id) WHERE processing_status = 'failed';
CREATE INDEX stripe_webhook_logs_pending ON stripe_webhook_logs (id) WHERE processing_status = 'pending';
CREATE INDEX stripe_webhook_logs_alerting ON stripe_webhook_logs (id) WHERE alerts IS NOT NULL;
CREATE INDEX stripe_webhook_logs_attention ON stripe_webhook_logs (id)
  WHERE (processing_status <> 'processed' OR alerts IS NOT NULL);
-- What is pruned.
CREATE INDEX stripe_webhook_logs_by_age ON stripe_webhook_logs (created_at) WHERE processing_status = 'processed';

-- What of `failed` is for good.
ALTER TABLE payment_history ADD COLUMN voided INTEGER NOT NULL DEFAULT 0 CHECK (voided IN (0, 1));
ALTER TABLE payment_history ADD COLUMN stripe_charge_id TEXT;
ALTER TABLE payment_history ADD COLUMN stripe_payment_intent_id TEXT;
-- The event that the row is from.
ALTER TABLE payment_history ADD COLUMN stripe_event_id TEXT;
ALTER TABLE payment_history ADD COLUMN event_at INTEGER;

-- Money that goes back, or may have to: refunds by their charge, disputes by themselves.
CREATE TABLE payment_reversals (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('refund', 'dispute', 'closed_dispute')),
  stripe_customer_id TEXT,
  stripe_charge_id TEXT NOT NULL,
  stripe_invoice_id TEXT,
  stripe_payment_intent_id TEXT,
  amount INTEGER NOT NULL CHECK (amount >= 0),
  currency TEXT NOT NULL CHECK (length(currency) = 3),
  status TEXT NOT NULL,
  stripe_event_id TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX payment_reversals_by_customer ON payment_reversals (stripe_customer_id) WHERE stripe_customer_id IS NOT NULL;

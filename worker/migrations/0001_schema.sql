-- The whole schema. Moments are milliseconds since 1970-01-01T00:00:00Z, money is cents, JSON is text that core decodes.

CREATE TABLE plans (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  slug TEXT NOT NULL,
  billing_frequency TEXT NOT NULL CHECK (billing_frequency IN ('one_time', 'monthly', 'yearly')),
  -- Deployment data, different in test and in live mode; the catalog does not know them.
  stripe_price_id TEXT UNIQUE,
  stripe_product_id TEXT,
  -- NULL: agreed by contract.
  amount INTEGER CHECK (amount >= 0),
  currency TEXT NOT NULL CHECK (length(currency) = 3),
  features TEXT NOT NULL CHECK (json_type(features) = 'array'),
  highlighted_features TEXT NOT NULL CHECK (json_type(highlighted_features) = 'array'),
  description TEXT NOT NULL,
  is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
  display_order INTEGER NOT NULL,
  -- -1: unlimited, as old clients read it.
  mcp_calls_limit INTEGER NOT NULL CHECK (mcp_calls_limit = -1 OR mcp_calls_limit > 0),
  -- A plan's monthly and yearly row share its slug.
  UNIQUE (slug, billing_frequency)
) STRICT;

CREATE TABLE users (
  id INTEGER PRIMARY KEY,
  auth0_user_id TEXT NOT NULL UNIQUE CHECK (length(auth0_user_id) BETWEEN 1 AND 255),
  email TEXT,
  name TEXT,
  stripe_customer_id TEXT UNIQUE,
  current_plan_id INTEGER NOT NULL REFERENCES plans (id),
  -- Stripe's word, whatever it is: a status nobody knows is kept as it came.
  subscription_status TEXT NOT NULL DEFAULT 'free',
  subscription_period_end INTEGER,
  -- What monthly periods are counted from, once there was a subscription.
  billing_anchor INTEGER,
  past_due_since INTEGER,
  -- The change that takes effect at the end of the paid period.
  scheduled_plan_id INTEGER REFERENCES plans (id),
  scheduled_at INTEGER,
  -- Grows with every change of the columns above; the meter ignores older ones.
  entitlement_version INTEGER NOT NULL DEFAULT 0 CHECK (entitlement_version >= 0),
  -- Reported columns: the meter decides, these follow.
  api_calls_count INTEGER NOT NULL DEFAULT 0 CHECK (api_calls_count >= 0),
  api_calls_reset_at INTEGER,
  is_admin INTEGER NOT NULL DEFAULT 0 CHECK (is_admin IN (0, 1)),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((scheduled_plan_id IS NULL) = (scheduled_at IS NULL))
) STRICT;

CREATE INDEX users_by_plan ON users (current_plan_id);
CREATE INDEX users_by_scheduled_plan ON users (scheduled_plan_id) WHERE scheduled_plan_id IS NOT NULL;

-- A call's id is given by the worker, so that writing its row again changes nothing.
CREATE TABLE api_usage (
  id TEXT PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id),
  endpoint TEXT NOT NULL,
  method TEXT NOT NULL,
  status_code INTEGER CHECK (status_code BETWEEN 100 AND 599),
  response_time_ms INTEGER CHECK (response_time_ms >= 0),
  error_message TEXT,
  ip_address TEXT,
  user_agent TEXT,
  timestamp INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX api_usage_by_user ON api_usage (user_id, timestamp);

CREATE TABLE mcp_logs (
  id TEXT PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id),
  tool_name TEXT NOT NULL,
  request_data TEXT CHECK (request_data IS NULL OR json_valid(request_data)),
  response_data TEXT CHECK (response_data IS NULL OR json_valid(response_data)),
  status TEXT NOT NULL CHECK (status IN ('success', 'error', 'timeout')),
  error_message TEXT,
  response_time_ms INTEGER CHECK (response_time_ms >= 0),
  tokens_used INTEGER CHECK (tokens_used >= 0),
  timestamp INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX mcp_logs_by_user ON mcp_logs (user_id, timestamp);

CREATE TABLE auth_config (
  id INTEGER PRIMARY KEY,
  config_name TEXT NOT NULL UNIQUE CHECK (config_name IN ('frontend', 'mcp_server')),
  auth0_domain TEXT NOT NULL,
  auth0_client_id TEXT NOT NULL,
  auth0_audience TEXT NOT NULL,
  auth0_scope TEXT NOT NULL,
  allowed_callback_urls TEXT NOT NULL DEFAULT '[]' CHECK (json_type(allowed_callback_urls) = 'array'),
  allowed_logout_urls TEXT NOT NULL DEFAULT '[]' CHECK (json_type(allowed_logout_urls) = 'array'),
  allowed_origins TEXT NOT NULL DEFAULT '[]' CHECK (json_type(allowed_origins) = 'array'),
  is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1))
) STRICT;

CREATE TABLE stripe_webhook_logs (
  id INTEGER PRIMARY KEY,
  stripe_event_id TEXT NOT NULL UNIQUE,
  event_type TEXT NOT NULL,
  processing_status TEXT NOT NULL CHECK (processing_status IN ('pending', 'processed', 'failed')),
  error_message TEXT,
  raw_payload TEXT NOT NULL CHECK (json_valid(raw_payload)),
  processed_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX stripe_webhook_logs_unprocessed ON stripe_webhook_logs (created_at) WHERE processing_status <> 'processed';

CREATE TABLE payment_history (
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id),
  stripe_invoice_id TEXT NOT NULL UNIQUE,
  amount INTEGER NOT NULL,
  currency TEXT NOT NULL CHECK (length(currency) = 3),
  status TEXT NOT NULL CHECK (status IN ('succeeded', 'failed', 'pending')),
  created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX payment_history_by_user ON payment_history (user_id, created_at);

-- For people; the meter decides.
CREATE VIEW user_subscription_details AS
SELECT
  users.id AS user_id,
  users.auth0_user_id,
  users.email,
  users.name,
  plans.name AS plan_name,
  plans.slug AS plan_slug,
  plans.billing_frequency,
  plans.amount AS plan_amount,
  plans.mcp_calls_limit,
  users.api_calls_count,
  CASE WHEN plans.mcp_calls_limit = -1 THEN -1 ELSE max(plans.mcp_calls_limit - users.api_calls_count, 0) END AS calls_remaining,
  users.subscription_status,
  datetime(users.subscription_period_end / 1000, 'unixepoch') AS subscription_period_end,
  datetime(users.api_calls_reset_at / 1000, 'unixepoch') AS api_calls_reset_at,
  users.stripe_customer_id,
  datetime(users.created_at / 1000, 'unixepoch') AS created_at
FROM users
JOIN plans ON plans.id = users.current_plan_id;

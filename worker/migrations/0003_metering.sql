-- What the meter reports beside the old columns, and the runs of the cron.

ALTER TABLE users ADD COLUMN mcp_calls_count INTEGER NOT NULL DEFAULT 0 CHECK (mcp_calls_count >= 0);
-- What was used of the one-time allowance; it shows again when the plan returns to it.
ALTER TABLE users ADD COLUMN lifetime_calls_count INTEGER NOT NULL DEFAULT 0 CHECK (lifetime_calls_count >= 0);
ALTER TABLE users ADD COLUMN lifetime_mcp_count INTEGER NOT NULL DEFAULT 0 CHECK (lifetime_mcp_count >= 0);
-- Without a period to reset, what was counted is the one-time allowance's.
UPDATE users SET lifetime_calls_count = api_calls_count WHERE api_calls_reset_at IS NULL;

-- The cron looks for periods that are over.
CREATE INDEX users_by_reset ON users (api_calls_reset_at) WHERE api_calls_reset_at IS NOT NULL;

ALTER TABLE api_usage ADD COLUMN channel TEXT NOT NULL DEFAULT 'rest' CHECK (channel IN ('rest', 'mcp'));
ALTER TABLE api_usage ADD COLUMN status TEXT NOT NULL DEFAULT 'unknown'
  CHECK (status IN ('success', 'error', 'timeout', 'unknown'));
-- What the call costs in the end; the sum over a period is what the meter counted in it.
ALTER TABLE api_usage ADD COLUMN cost INTEGER NOT NULL DEFAULT 1 CHECK (cost >= 0);
UPDATE api_usage SET
  status = CASE WHEN status_code < 400 THEN 'success' WHEN status_code IS NULL THEN 'unknown' WHEN status_code = 504 THEN 'timeout' ELSE 'error' END,
  cost = CASE WHEN status_code >= 500 THEN 0 ELSE 1 END;

-- A tool call that was reserved and never settled has an unknown outcome; a CHECK is only changed with its table.
CREATE TABLE mcp_logs_next (
  id TEXT PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id),
  tool_name TEXT NOT NULL,
  request_data TEXT CHECK (request_data IS NULL OR json_valid(request_data)),
  response_data TEXT CHECK (response_data IS NULL OR json_valid(response_data)),
  status TEXT NOT NULL CHECK (status IN ('success', 'error', 'timeout', 'unknown')),
  status_code INTEGER CHECK (status_code BETWEEN 100 AND 599),
  error_message TEXT,
  response_time_ms INTEGER CHECK (response_time_ms >= 0),
  tokens_used INTEGER CHECK (tokens_used >= 0),
  ip_address TEXT,
  user_agent TEXT,
  cost INTEGER NOT NULL DEFAULT 1 CHECK (cost >= 0),
  -- Reported with nothing left: kept, because data is never lost, and not charged.
  over_limit INTEGER NOT NULL DEFAULT 0 CHECK (over_limit IN (0, 1)),
  timestamp INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO mcp_logs_next (id, user_id, tool_name, request_data, response_data, status, error_message, response_time_ms, tokens_used, timestamp)
SELECT id, user_id, tool_name, request_data, response_data, status, error_message, response_time_ms, tokens_used, timestamp FROM mcp_logs;
DROP TABLE mcp_logs;
ALTER TABLE mcp_logs_next RENAME TO mcp_logs;
CREATE INDEX mcp_logs_by_user ON mcp_logs (user_id, timestamp);

CREATE TABLE cron_runs (
  -- Given by the worker, in the order of time.
  id TEXT PRIMARY KEY,
  task TEXT NOT NULL,
  -- When the platform meant it to run.
  scheduled_at INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  -- `running` after the end of the day: it was cut off.
  outcome TEXT NOT NULL CHECK (outcome IN ('running', 'succeeded', 'failed')),
  -- How many rows it changed.
  changed INTEGER CHECK (changed >= 0),
  error_message TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX cron_runs_by_task ON cron_runs (task, started_at);

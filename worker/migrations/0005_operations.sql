-- What an operator needs: which files were applied, what was taken over, what an audit found, who changed what.

CREATE TABLE migration_checksums (
  name TEXT PRIMARY KEY,
  -- Of the file up to its own line that writes it here.
  sha256 TEXT NOT NULL CHECK (length(sha256) = 64)
) STRICT, WITHOUT ROWID;

-- What was used before the rows told it: by an adopted database, and before this migration. The meter's counter is this
-- and the rows that are not part of it.
CREATE TABLE opening_balances (
  user_id INTEGER PRIMARY KEY REFERENCES users (id),
  lifetime_used INTEGER NOT NULL CHECK (lifetime_used >= 0),
  lifetime_mcp INTEGER NOT NULL CHECK (lifetime_mcp >= 0),
  -- The end of the monthly period that ran then.
  period_end INTEGER,
  period_used INTEGER NOT NULL DEFAULT 0 CHECK (period_used >= 0),
  period_mcp INTEGER NOT NULL DEFAULT 0 CHECK (period_mcp >= 0),
  -- Calls that were admitted before are part of it; 0 where those that are open are not.
  opened_at INTEGER NOT NULL,
  CHECK (period_end IS NOT NULL OR period_used + period_mcp = 0)
) STRICT;

INSERT INTO opening_balances (user_id, lifetime_used, lifetime_mcp, period_end, period_used, period_mcp, opened_at)
SELECT id, lifetime_calls_count, min(lifetime_mcp_count, lifetime_calls_count), api_calls_reset_at,
  iif(api_calls_reset_at IS NULL, 0, api_calls_count), iif(api_calls_reset_at IS NULL, 0, min(mcp_calls_count, api_calls_count)),
  CAST(unixepoch('subsec') * 1000 AS INTEGER)
FROM users WHERE lifetime_calls_count > 0 OR api_calls_count > 0;

-- Whether a row is part of its user's opening balance; those that are there already are.
ALTER TABLE api_usage ADD COLUMN opening INTEGER NOT NULL DEFAULT 1 CHECK (opening IN (0, 1));
ALTER TABLE mcp_logs ADD COLUMN opening INTEGER NOT NULL DEFAULT 1 CHECK (opening IN (0, 1));
-- The monthly period the call was charged to; NULL for the one-time allowance.
ALTER TABLE api_usage ADD COLUMN period_start INTEGER;
ALTER TABLE mcp_logs ADD COLUMN period_start INTEGER;


-- What was charged to a user's one-time allowance; the rows of a monthly period are found by their moment.
CREATE INDEX api_usage_lifetime ON api_usage (user_id) WHERE period_start IS NULL AND opening = 0 AND cost > 0;
CREATE INDEX mcp_logs_lifetime ON mcp_logs (user_id) WHERE period_start IS NULL AND opening = 0 AND cost > 0;

-- Rows of an old database that have no place here, each with its reason: nothing is lost.
CREATE TABLE quarantine (
  -- From the source, the table and the row, so that adopting again changes nothing.
  id TEXT PRIMARY KEY,
  source TEXT NOT NULL,
  table_name TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT,
  -- As it was.
  row_data TEXT NOT NULL CHECK (json_type(row_data) = 'object'),
  quarantined_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX quarantine_by_reason ON quarantine (source, table_name, reason);

-- Databases that were taken over.
CREATE TABLE adoptions (
  source TEXT PRIMARY KEY,
  shape TEXT NOT NULL,
  -- How many rows came from each table, and where they went.
  counts TEXT CHECK (counts IS NULL OR json_type(counts) = 'object'),
  started_at INTEGER NOT NULL,
  finished_at INTEGER
) STRICT, WITHOUT ROWID;

-- Which user here an old one became.
CREATE TABLE adopted_users (
  source TEXT NOT NULL,
  old_id TEXT NOT NULL,
  user_id INTEGER NOT NULL REFERENCES users (id),
  -- How many calls of theirs were taken over: of what is found next time, only what is more counts.
  used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),
  PRIMARY KEY (source, old_id)
) STRICT, WITHOUT ROWID;

-- Everybody the identity issuer knows, as an export or its API said.
CREATE TABLE auth0_identities (
  listing TEXT NOT NULL,
  sub TEXT NOT NULL CHECK (length(sub) BETWEEN 1 AND 255),
  PRIMARY KEY (listing, sub)
) STRICT, WITHOUT ROWID;

-- When such a listing was made; only one that is finished says who is missing.
CREATE TABLE auth0_listings (
  id TEXT PRIMARY KEY,
  started_at INTEGER NOT NULL,
  finished_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_runs (
  -- Given by the worker, in the order of time.
  id TEXT PRIMARY KEY,
  started_by TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  -- Where it goes on.
  position TEXT NOT NULL CHECK (json_type(position) = 'object'),
  -- How much was looked at.
  checked INTEGER NOT NULL DEFAULT 0 CHECK (checked >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_findings (
  run_id TEXT NOT NULL REFERENCES audit_runs (id) ON DELETE CASCADE,
  code TEXT NOT NULL,
  -- What it is about: an id, stable from run to run.
  subject TEXT NOT NULL,
  severity TEXT NOT NULL CHECK (severity IN ('critical', 'warning', 'notice')),
  facts TEXT NOT NULL CHECK (json_type(facts) = 'object'),
  repair TEXT CHECK (repair IS NULL OR json_type(repair) = 'object'),
  repaired_at INTEGER,
  PRIMARY KEY (run_id, code, subject)
) STRICT, WITHOUT ROWID;

-- What administrators did, each written in the same transaction as what it did.
CREATE TABLE admin_actions (
  id TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  -- The administrator's.
  sub TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT CHECK (detail IS NULL OR json_type(detail) = 'object')
) STRICT, WITHOUT ROWID;

CREATE INDEX admin_actions_by_subject ON admin_actions (subject, at);

-- The checksum of everything above. Written by `cargo xtask generate`; the worker compares it with its own.
INSERT INTO migration_checksums (name, sha256) VALUES
('0001_schema.sql', '4581128234df84546a19b49f30d01c928aac6ec9ff6ddef291f216c03b62f59c'),
('0002_plans.sql', '0fb1cded0862c741526b1454a5da30043fdec1c9f7e394d1fe7575035ad7258a'),
('0003_metering.sql', '510f219c3f71fbecb9adf2b32e3e3125a4ae7478e97881b857c21dab2a6ae2ff'),
('0004_billing.sql', '76044de271dae2c432f6fd56557bb8384f16ccfe79c1bbfea707b735eb8728d2'),
('0005_operations.sql', '3c59e6ba21c6125fe94eed7f62751123a80cd50911ac8ee2839a56c7c63ffa3c');

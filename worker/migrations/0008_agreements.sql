-- What holds although Stripe does not say so.

-- What prices pay for, as it was configured last: whoever pays a price that is sold no more keeps what it gives.
-- No plan: a price of something else that is sold to the same customers.
CREATE TABLE known_prices (
  price_id TEXT PRIMARY KEY CHECK (length(price_id) BETWEEN 1 AND 255),
  plan TEXT CHECK (length(plan) > 0)
) STRICT, WITHOUT ROWID;

-- A plan that was agreed otherwise, such as by contract: it holds beside what is paid at Stripe, until that moment if there is one.
ALTER TABLE users ADD COLUMN agreed_plan_id INTEGER REFERENCES plans (id);
ALTER TABLE users ADD COLUMN agreed_until INTEGER CHECK (agreed_until IS NULL OR agreed_plan_id IS NOT NULL);

CREATE INDEX users_by_agreement ON users (agreed_plan_id) WHERE agreed_plan_id IS NOT NULL;

-- The checksum of everything above. Written by `cargo xtask generate`; the worker compares it with its own.
INSERT INTO migration_checksums (name, sha256) VALUES
('0008_agreements.sql', '0dfa1a6072a3763753d7e0b09f7ea86e8cd88e0596a2b6f2d8ff7c8348ae8a84');

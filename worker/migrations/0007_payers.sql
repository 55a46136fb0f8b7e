-- What was paid before, and by whom.

-- The plan that was held before the first subscription was heard of: what a price nobody knows keeps.
ALTER TABLE users ADD COLUMN prior_plan_id INTEGER REFERENCES plans (id);

-- Whoever keeps a plan so already has it from before this was written down.
UPDATE users SET prior_plan_id = current_plan_id WHERE billing_alerts LIKE '%unknown_price%';

-- Who paid, at Stripe: a customer that moves to another user takes its payments along.
ALTER TABLE payment_history ADD COLUMN stripe_customer_id TEXT;

CREATE INDEX payment_history_by_customer ON payment_history (stripe_customer_id) WHERE stripe_customer_id IS NOT NULL;

UPDATE payment_history SET stripe_customer_id =
  (SELECT customer_id FROM stripe_webhook_logs WHERE stripe_webhook_logs.stripe_event_id = payment_history.stripe_event_id)
WHERE stripe_event_id IS NOT NULL;

-- The checksum of everything above. Written by `cargo xtask generate`; the worker compares it with its own.
INSERT INTO migration_checksums (name, sha256) VALUES
('0007_payers.sql', 'f893759b5e736dcccd368a3a22dafa4a79c9433393b464f1adb2e42e1ab330aa');

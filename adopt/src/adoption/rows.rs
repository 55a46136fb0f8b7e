//! Where rows go, and what is done where they are there already.

use crate::script::Rows;

pub(super) const USERS: Rows = Rows {
    rank: 0,
    head: "INSERT INTO users (id, auth0_user_id, email, name, stripe_customer_id, current_plan_id, subscription_status, \
           subscription_period_end, billing_anchor, past_due_since, billing_interval, entitlement_version, api_calls_count, \
           api_calls_reset_at, lifetime_calls_count, created_at, updated_at) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
};
// Only where the user is the one that was meant: somebody may have registered meanwhile.
pub(super) const OPENINGS: Rows = Rows {
    rank: 1,
    head: "INSERT INTO opening_balances (user_id, lifetime_used, lifetime_mcp, period_end, period_used, period_mcp, opened_at) \
           SELECT users.id, column3, 0, column4, column5, 0, column6 FROM (VALUES ",
    tail: ") JOIN users ON users.id = column1 AND auth0_user_id = column2 WHERE true ON CONFLICT DO NOTHING",
};
pub(super) const ADOPTED: Rows = Rows {
    rank: 2,
    head: "INSERT INTO adopted_users (source, old_id, user_id, used) SELECT column3, column4, users.id, column5 FROM (VALUES ",
    tail: ") JOIN users ON users.id = column1 AND auth0_user_id = column2 WHERE true ON CONFLICT DO NOTHING",
};
pub(super) const CUSTOMERS: Rows = Rows {
    rank: 3,
    head: "INSERT INTO stripe_customers (id, sub, linked_kind, linked_at, linked_by, version) \
           SELECT column1, column2, 'users', 0, '', 1 FROM (VALUES ",
    // A customer whose events came before its user is there already, without a link. A user may have several.
    tail: ") JOIN users ON auth0_user_id = column2 WHERE true ON CONFLICT (id) DO UPDATE SET sub = excluded.sub, \
           linked_kind = excluded.linked_kind, linked_at = excluded.linked_at, linked_by = excluded.linked_by, \
           version = version + 1 WHERE stripe_customers.sub IS NULL",
};
pub(super) const CLIENTS: Rows = Rows {
    rank: 0,
    head: "INSERT INTO auth_config (config_name, auth0_domain, auth0_client_id, auth0_audience, auth0_scope, \
           allowed_callback_urls, allowed_logout_urls, allowed_origins, is_active) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
};
pub(super) const EVENTS: Rows = Rows {
    rank: 0,
    head: "INSERT INTO stripe_webhook_logs (stripe_event_id, event_type, processing_status, error_message, raw_payload, \
           processed_at, created_at) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
};
pub(super) const PAYMENTS: Rows = Rows {
    rank: 0,
    head: "INSERT INTO payment_history (user_id, stripe_invoice_id, amount, currency, status, created_at) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
};
pub(super) const API_USAGE: Rows = Rows {
    rank: 0,
    head: "INSERT INTO api_usage (id, user_id, endpoint, method, status_code, response_time_ms, error_message, ip_address, \
           user_agent, timestamp, status, cost, channel, opening) SELECT *, 'rest', 1 FROM (VALUES ",
    tail: ") WHERE true ON CONFLICT DO NOTHING",
};
pub(super) const MCP_LOGS: Rows = Rows {
    rank: 0,
    head: "INSERT INTO mcp_logs (id, user_id, tool_name, request_data, response_data, status, error_message, response_time_ms, \
           tokens_used, timestamp, cost, opening) SELECT *, 0, 1 FROM (VALUES ",
    tail: ") WHERE true ON CONFLICT DO NOTHING",
};
pub(super) const QUARANTINE: Rows = Rows {
    rank: 9,
    head: "INSERT INTO quarantine (id, source, table_name, reason, detail, row_data, quarantined_at) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
};

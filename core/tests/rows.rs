//! Every row that the database can answer with, on what is almost right: a row of the right form, with columns that are
//! missing or hold something else. Nothing may stop the reading, and what is read keeps the rules. `LEGIS_FUZZ` says how
//! many cases.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should stop"
)]

mod fuzzed;

use fuzzed::cases;
use legis_core::row::{Row, Unfit, read};
use legis_core::rows::auth_config::AuthConfigRow;
use legis_core::rows::billing::{CustomerRow, PayerRow, PaymentRow, ReversalRow, SnapshotRow};
use legis_core::rows::plans::StoredPlan;
use legis_core::rows::users::{StoredUser, UserRow};
use legis_core::subscription::Grace;
use proptest::prelude::*;
use serde_json::{Value, json};

fn user() -> Value {
    json!({
        "id": 7, "auth0_user_id": "auth0|ada", "email": "ada@example.com", "name": null, "stripe_customer_id": "cus_1",
        "plan_slug": "developer", "billing_frequency": "monthly", "plan_amount": 2900, "subscription_status": "active",
        "subscription_period_end": 1_775_001_600_000_i64, "billing_anchor": 1_772_323_200_000_i64, "billing_interval": "month",
        "past_due_since": null, "scheduled_plan_slug": "free", "scheduled_at": 1_775_001_600_000_i64,
        "entitlement_version": 3, "api_calls_count": 12, "mcp_calls_count": 3, "api_calls_reset_at": 1_775_001_600_000_i64,
        "lifetime_calls_count": 40, "lifetime_mcp_count": 9, "created_at": 1_767_225_600_000_i64, "updated_at": 1_767_225_600_000_i64
    })
}

fn payer() -> Value {
    json!({
        "id": 7, "auth0_user_id": "auth0|ada", "entitlement_version": 3, "current_plan_id": 20, "plan_slug": "developer",
        "billing_interval": "year", "subscription_status": "past_due", "subscription_period_end": 1_775_001_600_000_i64,
        "billing_anchor": null, "past_due_since": 1_772_323_200_000_i64, "scheduled_plan_id": 10,
        "scheduled_at": 1_775_001_600_000_i64, "stripe_customer_id": null, "billing_alerts": "[\"x\"]", "prior_plan_id": 30, "agreed_plan_id": 40,
        "agreed_until": 1_775_001_600_000_i64
    })
}

fn customer() -> Value {
    json!({
        "id": "cus_1", "sub": "auth0|ada", "linked_kind": "metadata", "linked_at": 1_772_323_200_000_i64,
        "linked_by": "evt_1", "deleted": 0, "version": 2
    })
}

const FACTS: &str = r#"{"status":"active","prices":[{"id":"price_1","interval":"month"}],"cancelAtPeriodEnd":false}"#;

fn snapshot() -> Value {
    json!({
        "id": "evt_1", "customer_id": "cus_1", "subscription_id": "sub_1", "kind": "updated", "facts": FACTS,
        "facts_before": FACTS, "seen": "[\"evt_0\"]", "created_at": 1_772_323_200_000_i64
    })
}

fn payment() -> Value {
    json!({
        "stripe_invoice_id": "in_1", "status": "succeeded", "voided": 0, "amount": 2900, "currency": "usd",
        "stripe_charge_id": "ch_1", "stripe_payment_intent_id": null, "stripe_event_id": "evt_1", "stripe_customer_id": "cus_1",
        "event_at": 1_772_323_200_000_i64, "created_at": 1_772_323_200_000_i64
    })
}

fn reversal() -> Value {
    json!({
        "id": "re_1", "kind": "refund", "stripe_customer_id": "cus_1", "stripe_charge_id": "ch_1", "stripe_invoice_id": null,
        "stripe_payment_intent_id": null, "amount": 2900, "currency": "usd", "status": "succeeded",
        "stripe_event_id": "evt_1", "created_at": 1_772_323_200_000_i64
    })
}

fn auth_config() -> Value {
    json!({
        "config_name": "frontend", "auth0_domain": "example.auth0.com", "auth0_client_id": "client",
        "auth0_audience": "urn:legis-api", "auth0_scope": "openid read:bills",
        "allowed_callback_urls": "[\"https://app.example.com/\"]", "allowed_logout_urls": "[]",
        "allowed_origins": "[\"https://app.example.com\"]", "is_active": 1
    })
}

fn plan() -> Value {
    json!({
        "id": 20, "name": "Starter", "slug": "developer", "billing_frequency": "monthly", "amount": 2900, "currency": "usd",
        "features": "[]", "highlighted_features": "[]", "description": "", "display_order": 2, "mcp_calls_limit": -1,
        "stripe_price_id": null
    })
}

/// What a column may hold instead.
fn other() -> impl Strategy<Value = Value> {
    let texts = prop::sample::select(vec![
        "",
        "x",
        "developer",
        "enterprise",
        "month",
        "[]",
        "[1]",
        "{}",
        "{\"status\":1}",
        "null",
        "[\"\\ud800\"]",
        "\u{0}",
        "9007199254740993",
        "past_due",
        "canceled",
        "deleted",
    ]);
    let numbers = prop::sample::select(vec![
        json!(0),
        json!(-1),
        json!(1),
        json!(0.5),
        json!(-0.0),
        json!(9_007_199_254_740_992_i64),
        json!(1e300),
        json!(-1e300),
        json!(253_402_300_800_000_i64),
        json!(u64::MAX),
        json!(i64::MIN),
    ]);
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        texts.prop_map(Value::from),
        numbers,
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(json!([])),
        Just(json!({"a": [1]})),
    ]
}

#[derive(Debug, Clone)]
enum Change {
    Missing(prop::sample::Index),
    Holds(prop::sample::Index, Value),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<prop::sample::Index>;
    let change = prop_oneof![
        1 => at().prop_map(Change::Missing),
        9 => (at(), other()).prop_map(|(at, value)| Change::Holds(at, value)),
    ];
    prop::collection::vec(change, 0..4)
}

fn changed(mut row: Value, changes: &[Change]) -> String {
    let Value::Object(columns) = &mut row else {
        panic!("{row} is no row");
    };
    let names: Vec<String> = columns.keys().cloned().collect();
    for change in changes {
        match change {
            Change::Missing(at) => {
                columns.remove(at.get(&names));
            }
            Change::Holds(at, value) => {
                columns.insert(at.get(&names).clone(), value.clone());
            }
        }
    }
    json!([row]).to_string()
}

fn decoded<R: Row, T>(json: &str, decode: impl Fn(R) -> Result<T, Unfit>) -> Result<T, Unfit> {
    let mut rows = read::<R>(json)?;
    assert_eq!(rows.len(), 1, "{json}");
    decode(rows.remove(0))
}

fn of_user(json: &str) -> Result<StoredUser, Unfit> {
    decoded(json, |row: UserRow| row.decode(Grace::default()))
}

/// The last whole number of which a double knows its neighbours.
const MOST: u64 = 1 << 53;

#[test]
fn rows_that_are_right_are_read() {
    let whole = |row: Value| json!([row]).to_string();
    of_user(&whole(user())).unwrap();
    decoded(&whole(payer()), PayerRow::decode).unwrap();
    decoded(&whole(customer()), CustomerRow::decode).unwrap();
    decoded(&whole(snapshot()), SnapshotRow::decode).unwrap();
    decoded(&whole(payment()), PaymentRow::decode).unwrap();
    decoded(&whole(reversal()), ReversalRow::decode).unwrap();
    decoded(&whole(auth_config()), |row: AuthConfigRow| row.decode()).unwrap();
    read::<StoredPlan>(&whole(plan())).unwrap();
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_user_that_is_read_has_counts_and_moments_that_are_known(changes in changes()) {
        if let Ok(stored) = of_user(&changed(user(), &changes)) {
            prop_assert!(stored.user.id >= 1);
            prop_assert!(!stored.user.sub.is_empty());
            let counters = stored.counters;
            for count in [counters.used, counters.mcp, counters.lifetime_used, counters.lifetime_mcp, stored.entitlement.version] {
                prop_assert!(count <= MOST, "{count}");
            }
            // What is read can be answered and told.
            let account = stored.account();
            let written = serde_json::to_string(&account).unwrap();
            prop_assert_eq!(legis_core::json::read::<legis_core::account::Account>(written.as_bytes()).unwrap(), account);
        }
    }

    #[test]
    fn a_payer_that_is_read_has_counts_that_are_known(changes in changes()) {
        if let Ok(payer) = decoded(&changed(payer(), &changes), PayerRow::decode) {
            prop_assert!(payer.version <= MOST);
        }
    }

    #[test]
    fn a_customer_that_is_read_has_a_link_or_none(changes in changes()) {
        let json = changed(customer(), &changes);
        if let Ok(customer) = decoded(&json, CustomerRow::decode) {
            let row: Value = serde_json::from_str(&json).unwrap();
            let parts = ["sub", "linked_kind", "linked_at", "linked_by"];
            let are_there = parts.iter().filter(|part| !row[0][**part].is_null()).count();
            prop_assert_eq!(are_there, if customer.link.is_some() { 4 } else { 0 });
            prop_assert!(customer.version <= MOST);
        }
    }

    #[test]
    fn a_snapshot_is_read_or_refused(changes in changes()) {
        let _read = decoded(&changed(snapshot(), &changes), SnapshotRow::decode);
    }

    #[test]
    fn money_that_is_read_is_whole_and_never_negative(changes in changes()) {
        if let Ok(payment) = decoded(&changed(payment(), &changes), PaymentRow::decode) {
            prop_assert!(payment.amount <= MOST);
        }
        if let Ok(reversal) = decoded(&changed(reversal(), &changes), ReversalRow::decode) {
            prop_assert!(reversal.amount <= MOST);
        }
    }

    #[test]
    fn an_issuer_that_is_read_is_one_that_the_package_takes(changes in changes()) {
        if let Ok(config) = decoded(&changed(auth_config(), &changes), |row: AuthConfigRow| row.decode()) {
            let text = serde_json::to_vec(&config).unwrap();
            let schema = legis_core::schema::by_name("authConfig").unwrap();
            prop_assert!(schema.read(&text, legis_core::schema::Origin::Text).is_ok());
        }
    }

    #[test]
    fn a_plan_is_read_or_refused(changes in changes()) {
        if let Ok(plans) = read::<StoredPlan>(&changed(plan(), &changes)) {
            let _readable: Vec<bool> = plans.iter().map(StoredPlan::has_readable_features).collect();
        }
    }

    #[test]
    fn whatever_the_database_answers_is_rows_or_refused(answer in ".{0,200}", json in other()) {
        let _rows = read::<UserRow>(&answer);
        let _rows = read::<UserRow>(&json.to_string());
        let _rows = read::<UserRow>(&json!([json]).to_string());
    }
}

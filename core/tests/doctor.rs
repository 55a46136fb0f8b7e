//! A deployment that is right, and each thing that can be wrong with it, planted alone: the check sees it, no other does,
//! and it says what to do.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails should stop"
)]

use legis_core::doctor::deployment::{Backlog, Issuer, Run, Settings, Snapshot, Task, examine};
use legis_core::doctor::outside::{self, Answered};
use legis_core::doctor::sales::{KeyKind, Listed, ModeFound, Sales, SecretFound, StripePrice};
use legis_core::doctor::{Check, Code, Outcome};
use legis_core::evaluate;
use legis_core::payload::AuthConfig;
use legis_core::plan::{PlanRow, rows};
use legis_core::schema::Origin;
use legis_core::stripe::event::Mode;
use legis_core::time::Timestamp;

const HOUR: i64 = 3_600_000;

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn client(name: &str, origin: &str) -> AuthConfig {
    let row = serde_json::json!({
        "config_name": name,
        "auth0_domain": "tenant.auth0.com",
        "auth0_client_id": name,
        "auth0_audience": "urn:legis-api",
        "auth0_scope": "openid",
        "allowed_callback_urls": [],
        "allowed_logout_urls": [],
        "allowed_origins": [origin],
        "is_active": true,
    });
    evaluate::decode("authConfig", row.to_string().as_bytes(), Origin::Text).unwrap()
}

fn price_id(row: &PlanRow) -> Option<String> {
    row.amount
        .is_some_and(|amount| amount.get() > 0)
        .then(|| format!("price_{}", row.id))
}

fn as_listed(row: &PlanRow) -> Listed {
    Listed::Is(StripePrice {
        active: true,
        amount: row.amount.map(|amount| u64::from(amount.get())),
        currency: "usd".to_owned(),
        interval: match row.billing_frequency.as_str() {
            "yearly" => "year".to_owned(),
            _ => "month".to_owned(),
        },
    })
}

fn right() -> Snapshot {
    let rows: Vec<_> = rows()
        .into_iter()
        .map(|row| (row.clone(), price_id(&row)))
        .collect();
    Snapshot {
        now: now(),
        origin: "https://api.example.com".to_owned(),
        meter: Ok(()),
        bursts: Ok(()),
        schema: "0005_operations.sql".to_owned(),
        migrated_at: Some(now().plus_millis(-48 * HOUR)),
        differing_plans: Vec::new(),
        settings: Settings {
            upstream: Ok(()),
            grace: Ok(()),
            retention: Ok(()),
            mcp: Ok(true),
        },
        clients: vec![
            client("frontend", "https://app.example.com"),
            client("mcp_server", "https://app.example.com"),
        ],
        issuers: vec![Issuer {
            domain: "tenant.auth0.com".to_owned(),
            keys: Ok(2),
        }],
        audiences: vec!["urn:legis-api".to_owned()],
        tasks: vec![Task {
            name: "close_periods".to_owned(),
            last: Some(Run {
                started_at: now().plus_millis(-HOUR),
                outcome: "succeeded".to_owned(),
            }),
        }],
        backlog: Backlog::default(),
        sales: Sales {
            webhook_secret: SecretFound::WellFormed,
            mode: ModeFound::Is(Mode::Live),
            key: Some(KeyKind::Restricted(Mode::Live)),
            strays: Vec::new(),
            further: r#"{"price_old":"starter"}"#.to_owned(),
            listed: rows
                .iter()
                .filter_map(|(row, price)| Some((price.clone()?, as_listed(row))))
                .collect(),
            rows,
        },
    }
}

/// What is not fine when one thing is planted.
fn planted(plant: impl FnOnce(&mut Snapshot)) -> Vec<Check> {
    let mut found = right();
    plant(&mut found);
    examine(&found)
        .into_iter()
        .filter(|check| check.outcome != Outcome::Fine)
        .collect()
}

#[track_caller]
fn only(checks: &[Check], code: Code, outcome: Outcome, what: &str) {
    let [check] = checks else {
        panic!("not one check: {checks:?}");
    };
    assert_eq!((check.code, check.outcome), (code, outcome), "{check:?}");
    assert!(check.what.contains(what), "{check:?}");
    assert!(check.todo.as_ref().is_some_and(|todo| todo.len() > 10));
}

#[test]
fn nothing_is_wrong_with_a_deployment_that_is_right() {
    assert_eq!(planted(|_| {}), []);
    let codes: Vec<Code> = examine(&right())
        .into_iter()
        .map(|check| check.code)
        .collect();
    for code in [
        Code::Schema,
        Code::Plans,
        Code::Meter,
        Code::Bursts,
        Code::Upstream,
        Code::Grace,
        Code::Retention,
        Code::McpGateway,
        Code::Clients,
        Code::IssuerKeys,
        Code::Audience,
        Code::Origins,
        Code::Cron,
        Code::Backlog,
        Code::WebhookSecret,
        Code::StripeMode,
        Code::StripeKey,
        Code::PricesOfPlans,
        Code::PlansOfPrices,
        Code::StripePrices,
    ] {
        assert!(codes.contains(&code), "{code:?}");
    }
}

#[test]
fn what_is_wrong_with_the_deployment_is_seen_alone() {
    use Outcome::{Failure, Warning};
    fn text<T>(text: &str) -> Result<T, String> {
        Err(text.to_owned())
    }
    only(
        &planted(|found| found.differing_plans = vec![20, 21]),
        Code::Plans,
        Failure,
        "20, 21",
    );
    only(
        &planted(|found| found.bursts = text("no binding")),
        Code::Bursts,
        Warning,
        "no binding",
    );
    only(
        &planted(|found| found.meter = text("gone")),
        Code::Meter,
        Failure,
        "gone",
    );
    only(
        &planted(|found| found.settings.upstream = text("UPSTREAM_URL is missing")),
        Code::Upstream,
        Failure,
        "UPSTREAM_URL",
    );
    only(
        &planted(|found| found.settings.grace = text("GRACE_DAYS is 3")),
        Code::Grace,
        Failure,
        "GRACE_DAYS",
    );
    only(
        &planted(|found| found.settings.retention = text("RETENTION_DAYS is 0")),
        Code::Retention,
        Failure,
        "RETENTION_DAYS",
    );
    only(
        &planted(|found| found.settings.mcp = text("MCP_SIGNING_SECRET")),
        Code::McpGateway,
        Failure,
        "MCP_SIGNING_SECRET",
    );
    only(
        &planted(|found| found.clients[1].is_active = false),
        Code::Clients,
        Warning,
        "mcp_server",
    );
    only(
        &planted(|found| found.issuers[0].keys = text("status 404")),
        Code::IssuerKeys,
        Failure,
        "tenant.auth0.com",
    );
    only(
        &planted(|found| found.audiences = vec!["urn:other".to_owned()]),
        Code::Audience,
        Warning,
        "urn:legis-api",
    );
    only(
        &planted(|found| found.backlog.failed = 1),
        Code::Backlog,
        Warning,
        "1 events",
    );
    only(
        &planted(|found| found.backlog.alerting = 2),
        Code::Backlog,
        Warning,
        "2 users",
    );
    assert_eq!(planted(|found| found.backlog.pending = 2), []);
    let nobody = planted(|found| {
        for client in &mut found.clients {
            client.is_active = false;
        }
    });
    assert_eq!(nobody[0].code, Code::Clients);
    assert_eq!(nobody[0].outcome, Failure);
}

#[test]
fn a_page_of_a_users_own_machine_is_no_page_of_a_live_deployment() {
    let local =
        |found: &mut Snapshot| found.clients[0] = client("frontend", "http://localhost:5173");
    only(
        &planted(local),
        Code::Origins,
        Outcome::Warning,
        "this machine",
    );
    assert_eq!(
        planted(|found| {
            local(found);
            found.sales.mode = ModeFound::Is(Mode::Test);
            found.sales.key = Some(KeyKind::Restricted(Mode::Test));
        }),
        []
    );
    only(
        &planted(|found| {
            for client in &mut found.clients {
                client.allowed_origins.clear();
            }
        }),
        Code::Origins,
        Outcome::Warning,
        "empty",
    );
}

#[test]
fn a_cron_that_does_not_run_is_a_failure_from_two_hours_on() {
    use Outcome::{Failure, Warning};
    let last = |ago: i64, outcome: &str| {
        Some(Run {
            started_at: now().plus_millis(-ago),
            outcome: outcome.to_owned(),
        })
    };
    let run = |last: Option<Run>| planted(|found| found.tasks[0].last = last);
    assert_eq!(run(last(2 * HOUR - 1, "succeeded")), []);
    only(
        &run(last(2 * HOUR, "succeeded")),
        Code::Cron,
        Failure,
        "has not run since",
    );
    only(&run(last(HOUR, "failed")), Code::Cron, Failure, "failed");
    only(&run(None), Code::Cron, Failure, "never");
    let new = planted(|found| {
        found.tasks[0].last = None;
        found.migrated_at = Some(now().plus_millis(-HOUR));
    });
    only(&new, Code::Cron, Warning, "not run yet");
    // Nothing rings on a developer's machine.
    let local = planted(|found| {
        found.tasks[0].last = None;
        found.origin = "http://localhost:8787".to_owned();
    });
    only(&local, Code::Cron, Warning, "last two hours");
}

#[test]
fn what_is_sold_is_in_the_catalog_and_the_other_way_round() {
    use Outcome::{Failure, Warning};
    let sales = |plant: fn(&mut Sales)| planted(|found| plant(&mut found.sales));
    only(
        &sales(|found| found.webhook_secret = SecretFound::Missing),
        Code::WebhookSecret,
        Failure,
        "missing",
    );
    only(
        &sales(|found| found.webhook_secret = SecretFound::Odd),
        Code::WebhookSecret,
        Failure,
        "whsec_",
    );
    only(
        &sales(|found| found.key = Some(KeyKind::Secret(Mode::Live))),
        Code::StripeKey,
        Warning,
        "everything",
    );
    only(
        &sales(|found| found.key = Some(KeyKind::Restricted(Mode::Test))),
        Code::StripeKey,
        Failure,
        "test mode",
    );
    only(
        &sales(|found| found.key = Some(KeyKind::Publishable)),
        Code::StripeKey,
        Failure,
        "publishable",
    );
    only(
        &sales(|found| found.key = Some(KeyKind::Unknown)),
        Code::StripeKey,
        Failure,
        "begin",
    );
    let mode = sales(|found| found.mode = ModeFound::Odd("prod".to_owned()));
    assert_eq!(mode[0].code, Code::StripeMode);
    let mode = sales(|found| found.mode = ModeFound::Missing);
    assert_eq!(mode[0].code, Code::StripeMode);
    only(
        &sales(|found| found.rows[1].1 = None),
        Code::PricesOfPlans,
        Failure,
        "starter monthly",
    );
    only(
        &sales(|found| found.strays = vec![77]),
        Code::PlansOfPrices,
        Failure,
        "77",
    );
    only(
        &sales(|found| found.further = r#"{"price_x":"gold"}"#.to_owned()),
        Code::PlansOfPrices,
        Failure,
        "price_x",
    );
    only(
        &sales(|found| found.further = "no JSON".to_owned()),
        Code::PlansOfPrices,
        Failure,
        "STRIPE_PRICES",
    );
    only(
        &sales(|found| {
            found.webhook_secret = SecretFound::Missing;
            found.key = None;
            found.listed.clear();
            for (_, price) in &mut found.rows {
                *price = None;
            }
        }),
        Code::Payments,
        Warning,
        "nothing is sold",
    );
    assert_eq!(
        sales(|found| {
            found.key = None;
            found.listed.clear();
        }),
        []
    );
}

#[test]
fn a_price_at_stripe_is_the_catalogs() {
    use Outcome::{Failure, Warning};
    let listed = |change: fn(&mut StripePrice)| {
        planted(|found| {
            let Listed::Is(price) = &mut found.sales.listed[0].1 else {
                panic!("a price");
            };
            change(price);
        })
    };
    only(
        &listed(|price| price.amount = Some(1900)),
        Code::StripePrices,
        Failure,
        "1900 usd",
    );
    let (_, of_the_catalog) = right().sales.listed.swap_remove(0);
    let Listed::Is(StripePrice {
        amount: Some(amount),
        ..
    }) = of_the_catalog
    else {
        panic!("a price");
    };
    only(
        &listed(|price| price.currency = "eur".to_owned()),
        Code::StripePrices,
        Failure,
        &format!("{amount} eur"),
    );
    only(
        &listed(|price| price.interval = "3 month".to_owned()),
        Code::StripePrices,
        Failure,
        "3 month",
    );
    only(
        &listed(|price| price.active = false),
        Code::StripePrices,
        Failure,
        "archived",
    );
    let all = |said: Listed| {
        planted(|found| {
            for (_, listed) in &mut found.sales.listed {
                *listed = said.clone();
            }
        })
    };
    assert_eq!(all(Listed::Missing).len(), right().sales.listed.len());
    only(
        &all(Listed::Forbidden),
        Code::StripePrices,
        Warning,
        "may not read",
    );
    only(
        &all(Listed::KeyRefused),
        Code::StripeKey,
        Failure,
        "does not accept",
    );
    only(
        &all(Listed::Silent("status 500".to_owned())),
        Code::StripeKey,
        Failure,
        "status 500",
    );
}

#[test]
fn what_an_outsider_sees() {
    use Outcome::{Failure, Fine, Warning};
    let said = |status: u16| Answered {
        status,
        detail: "why".to_owned(),
    };
    let ends = |check: Check, code: Code, outcome: Outcome| {
        assert_eq!((check.code, check.outcome), (code, outcome), "{check:?}");
        assert_eq!(check.todo.is_some(), outcome != Fine);
    };
    ends(
        outside::reachable("u", &Ok(said(200))),
        Code::Reachable,
        Fine,
    );
    ends(
        outside::reachable("u", &Ok(said(404))),
        Code::Reachable,
        Failure,
    );
    ends(
        outside::reachable("u", &Err("refused".to_owned())),
        Code::Reachable,
        Failure,
    );
    ends(outside::ready(&said(200)), Code::Ready, Fine);
    ends(outside::ready(&said(503)), Code::Ready, Failure);
    for status in [401, 403, 404, 503] {
        ends(
            outside::administrator(&said(status)),
            Code::Administrator,
            Failure,
        );
    }
    ends(
        outside::administrator(&said(200)),
        Code::Administrator,
        Fine,
    );
    ends(outside::nobody("LEGIS_TOKEN"), Code::Administrator, Failure);
    ends(
        outside::page(200, "text/html; charset=utf-8"),
        Code::Page,
        Fine,
    );
    ends(outside::page(404, "text/plain"), Code::Page, Warning);
    for (ahead, outcome) in [
        (9_999, Fine),
        (-10_000, Warning),
        (59_999, Warning),
        (60_000, Failure),
        (-60_000, Failure),
    ] {
        ends(outside::clock(ahead), Code::Clock, outcome);
    }
    let header = "0.1.0; fingerprint=\"aa\"";
    ends(
        outside::contract(Some(header), &Ok("aa".to_owned())),
        Code::Contract,
        Fine,
    );
    ends(
        outside::contract(Some(header), &Ok("bb".to_owned())),
        Code::Contract,
        Failure,
    );
    ends(
        outside::contract(None, &Ok("aa".to_owned())),
        Code::Contract,
        Failure,
    );
    ends(
        outside::contract(Some(header), &Err("not built".to_owned())),
        Code::Contract,
        Warning,
    );
    ends(
        outside::origin("https://a.example", Some("https://a.example")),
        Code::Cors,
        Fine,
    );
    ends(
        outside::origin("https://a.example", None),
        Code::Cors,
        Failure,
    );
    ends(outside::foreign(None), Code::Cors, Fine);
    ends(outside::foreign(Some("*")), Code::Cors, Failure);
    ends(
        outside::webhook(&said(200), &said(400)),
        Code::Webhook,
        Fine,
    );
    // Whoever examines it may have asked too much just before.
    ends(
        outside::webhook(&said(200), &said(429)),
        Code::Webhook,
        Fine,
    );
    ends(outside::ready(&said(429)), Code::Ready, Failure);
    ends(
        outside::webhook(&said(200), &said(200)),
        Code::Webhook,
        Failure,
    );
    ends(
        outside::webhook(&said(400), &said(400)),
        Code::Webhook,
        Failure,
    );
    ends(
        outside::webhook(&said(500), &said(400)),
        Code::Webhook,
        Failure,
    );
    ends(outside::webhook_untried(), Code::Webhook, Warning);
}

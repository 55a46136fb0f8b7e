//! One structured line for each request. Ids are hashed; nothing personal and no secret is in it.

use crate::failure::Failure;
use crate::meter::message::{Charging, Decided};
use crate::stripe::Report;
use legis_core::fnv::Fnv;
use legis_core::quota::Decision;
use legis_core::time::Timestamp;
use serde::Serialize;

/// What an operator needs to answer "why was this call refused?".
#[derive(Debug, Default, Serialize)]
pub(crate) struct Line {
    pub(crate) request: String,
    pub(crate) method: String,
    pub(crate) route: &'static str,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// The client the token was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) call: Option<CallLine>,
    /// What became of an event of Stripe's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<Report>,
    pub(crate) milliseconds: i64,
}

/// What was decided about a metered call, and on what grounds.
#[derive(Debug, Serialize)]
pub(crate) struct CallLine {
    pub(crate) id: String,
    /// `admit`, `refuse` or `repeat`.
    pub(crate) decision: &'static str,
    pub(crate) plan: &'static str,
    pub(crate) cost: u32,
    pub(crate) used: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) period_end: Option<Timestamp>,
    pub(crate) entitlement_version: u64,
    /// When the database was last asked about the entitlement.
    pub(crate) entitlement_asked: Timestamp,
    pub(crate) meter_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream_ms: Option<u32>,
}

impl CallLine {
    pub(crate) fn new(decided: &Decided, meter_ms: i64) -> Self {
        let (decision, plan, cost, used, limit, period_end) = match &decided.decision {
            Decision::Admit(admission) => (
                match decided.charging {
                    Charging::Now => "admit",
                    Charging::NotNow => "repeat",
                },
                admission.plan,
                admission.cost,
                admission.used,
                admission.limit,
                admission.period_end,
            ),
            Decision::Refuse(refusal) => (
                "refuse",
                refusal.plan,
                refusal.cost,
                refusal.used,
                Some(refusal.limit),
                refusal.period_end,
            ),
        };
        Self {
            id: decided.call.clone(),
            decision,
            plan: plan.as_str(),
            cost,
            used,
            limit,
            period_end,
            entitlement_version: decided.version,
            entitlement_asked: decided.asked_at,
            meter_ms,
            upstream_status: None,
            upstream_ms: None,
        }
    }
}

impl Line {
    pub(crate) fn write(&self) {
        if let Ok(text) = serde_json::to_string(self) {
            if self.status >= 500 {
                worker::console_error!("{text}");
            } else {
                worker::console_log!("{text}");
            }
        }
    }
}

/// A short name for a subject: it groups the lines of one user without naming them.
pub(crate) fn pseudonym(sub: &str) -> String {
    Fnv::default().with(sub.as_bytes()).hex()
}

/// A line about something that failed outside of a request.
pub(crate) fn event(name: &str, failure: &Failure) {
    let line = serde_json::json!({
        "event": name,
        "problem": failure.problem.code(),
        "reason": failure.reason,
    });
    worker::console_error!("{line}");
}

/// A line about an audit that is finished.
pub(crate) fn audited<T: Serialize>(run: &str, counts: &T) {
    let line = serde_json::json!({ "event": "audited", "run": run, "counts": counts });
    worker::console_log!("{line}");
}

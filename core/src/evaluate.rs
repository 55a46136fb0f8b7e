//! The questions that both sides answer, from bytes to bytes. The npm package and the worker's `/api/evaluate/*`
//! call these very functions, so their answers cannot differ.

use crate::account::Account;
use crate::change::{self, ChangePreview, ChangeRequest};
use crate::json;
use crate::plan::{PlanId, UnknownPlan};
use crate::quota::{Cost, Decision};
use crate::schema::{self, Origin, Schema, Violations};
use crate::time::Moment;
use crate::violation::{Code, Path, Violation, refused};
use serde::{Deserialize, Serialize};

/// A question about an account at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DecisionRequest {
    /// The account, as `GET /api/account` returns it.
    pub account: Account,
    /// The moment.
    pub now: Moment,
    /// What the call costs; 1 when absent.
    #[serde(default, deserialize_with = "crate::whole::optional")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = Cost::MAX)))]
    pub cost: Option<u32>,
}

/// Reads a [`DecisionRequest`].
///
/// # Errors
/// What is wrong with it.
pub fn decision_request(text: &[u8], origin: Origin) -> Result<DecisionRequest, Violations> {
    decode("decisionRequest", text, origin)
}

/// The decision that `request` asks for.
#[must_use]
pub fn decision(request: &DecisionRequest) -> Decision {
    let cost = request.cost.and_then(Cost::new).unwrap_or(Cost::ONE);
    let account = &request.account;
    crate::quota::decide(&account.entitlement, &account.usage, cost, request.now.0)
}

/// What the change that `request` asks about does.
///
/// # Errors
/// [`UnknownPlan`] when no plan has that name, which the schema refuses before.
pub fn change(request: &ChangeRequest) -> Result<ChangePreview, UnknownPlan> {
    let plan = PlanId::resolve(request.to.plan.as_str())?;
    let account = &request.account;
    Ok(change::preview(
        &account.entitlement,
        &account.usage,
        plan,
        request.to.interval,
        request.now.0,
    ))
}

/// Reads a payload of a known schema into its type.
///
/// # Errors
/// What is wrong with it.
pub fn decode<T: for<'de> Deserialize<'de>>(
    name: &str,
    text: &[u8],
    origin: Origin,
) -> Result<T, Violations> {
    // serde gets only what the schema knows, so members that are ignored cannot trouble it. Reader and serde agree on
    // the rest (tests/reader.rs); if they ever did not, the document would be refused rather than half understood.
    let malformed = || {
        let code = Code::Malformed { offset: 0 };
        vec![Violation::new(Path::default(), code)]
    };
    let schema = schema::by_name(name).ok_or_else(malformed)?;
    let tape = schema.read(text, origin)?;
    let known = schema::write(text, &tape).ok_or_else(malformed)?;
    json::read(&known).map_err(|_| malformed())
}

/// The answer about a payload: `{"ok":true,"value":…}` or `{"ok":false,"issues":[…]}`.
#[must_use]
pub fn payload(schema: &Schema, text: &[u8], origin: Origin) -> Vec<u8> {
    match schema.read(text, origin) {
        Ok(tape) => {
            let value = schema::write(text, &tape).unwrap_or_default();
            [br#"{"ok":true,"value":"#, value.as_slice(), b"}"].concat()
        }
        Err(violations) => refused(&violations),
    }
}

/// A value as JSON. Serializing our own plain types cannot fail.
#[must_use]
pub fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// The same as a text.
#[must_use]
pub fn json_text<T: Serialize>(value: &T) -> String {
    String::from_utf8(json(value)).unwrap_or_default()
}

//! Who the identity issuer knows against who is registered.

use super::repair::Repair;
use super::{Code, Finding};
use serde_json::json;

/// A user whom a finished listing does not have.
#[must_use]
pub fn unlisted(user_id: u64, sub: &str) -> Finding {
    Finding::new(Code::UserWithoutIdentity, sub, json!({ "userId": user_id }))
}

/// Somebody whom a finished listing has, and who is not registered.
#[must_use]
pub fn unregistered(sub: &str) -> Finding {
    Finding::new(Code::IdentityWithoutUser, sub, json!({ "sub": sub })).repaired_by(
        Repair::RegisterUser {
            sub: sub.to_owned(),
        },
    )
}

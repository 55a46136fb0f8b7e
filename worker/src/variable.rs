//! What a deployment is told by its variables and secrets.

use worker::Env;

/// The text of a variable or a secret, without space around it; nothing when it is empty.
pub(crate) fn text(env: &Env, name: &str) -> Option<String> {
    let value = env.var(name).ok()?.to_string();
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

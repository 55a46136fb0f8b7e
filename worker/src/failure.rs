//! What goes wrong: what the caller hears of it, and what the operator reads.

use crate::answer::Headers;
use legis_core::problem::{Dependency, Problem};

/// A problem, and the reason that only the log has.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) problem: Problem,
    /// Why, in words that may name what is inside. Never a secret, a token or an e-mail address.
    pub(crate) reason: String,
    /// Headers that belong to the answer beside the problem's own.
    pub(crate) headers: Headers,
}

impl Failure {
    pub(crate) fn new(problem: Problem, reason: impl Into<String>) -> Self {
        Self {
            problem,
            reason: reason.into(),
            headers: Vec::new(),
        }
    }

    /// A row or a message that does not decode.
    pub(crate) fn corrupt(what: &str, error: impl std::fmt::Display) -> Self {
        Self::new(Problem::Internal, format!("corrupt {what}: {error}"))
    }

    /// Something we need does not answer.
    pub(crate) fn unavailable(dependency: Dependency, error: impl std::fmt::Display) -> Self {
        Self::new(Problem::Unavailable(dependency), error.to_string())
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let reason = match &problem {
            Problem::Unauthenticated(reason) => reason.name(),
            _ => "",
        };
        Self::new(problem, reason)
    }
}

impl From<worker::Error> for Failure {
    /// The platform refused something that it never should.
    fn from(error: worker::Error) -> Self {
        Self::new(Problem::Internal, error.to_string())
    }
}

pub(crate) type Outcome<T> = Result<T, Failure>;

//! What goes wrong: what the caller hears of it, and what the operator reads.

use crate::answer::Headers;
use legis_core::problem::{Dependency, Problem};
use legis_core::row::Unfit;
use std::ops::{Deref, DerefMut};

/// A problem, and the reason that only the log has.
///
/// One pointer wide: nearly every call of the worker can fail, and what it answers is moved through all of its callers.
#[derive(Debug)]
pub(crate) struct Failure(Box<Told>);

/// What a failure tells, and to whom.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) problem: Problem,
    /// Why, in words that may name what is inside. Never a secret, a token or an e-mail address.
    pub(crate) reason: String,
    /// Headers that belong to the answer beside the problem's own.
    pub(crate) headers: Headers,
}

impl Deref for Failure {
    type Target = Told;
    fn deref(&self) -> &Told {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Told {
        &mut self.0
    }
}

impl Failure {
    pub(crate) fn new(problem: Problem, reason: impl Into<String>) -> Self {
        Self(Box::new(Told {
            problem,
            reason: reason.into(),
            headers: Vec::new(),
        }))
    }

    /// The same, with these headers beside the problem's own.
    pub(crate) fn with(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// All of it, to take apart.
    pub(crate) fn told(self) -> Told {
        *self.0
    }

    /// A row or a message that does not decode.
    pub(crate) fn corrupt(what: &str, error: impl std::fmt::Display) -> Self {
        Self::new(Problem::Internal, format!("corrupt {what}: {error}"))
    }

    /// Whether the database does not answer.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self.problem,
            Problem::Unavailable(Dependency::Database) | Problem::TimedOut(Dependency::Database)
        )
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

impl From<Unfit> for Failure {
    fn from(unfit: Unfit) -> Self {
        Self::new(Problem::Internal, format!("corrupt {unfit}"))
    }
}

pub(crate) type Outcome<T> = Result<T, Failure>;

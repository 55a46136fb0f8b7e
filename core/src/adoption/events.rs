//! The old `stripe_webhook_logs`: events that came, and were hardly ever applied.

use super::{Carried, OldRow, OldValue, Reason, Refused};
use crate::payload::text::StripeId;
use crate::time::Timestamp;

/// Whether an event had been dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processing {
    /// It had.
    Processed,
    /// It had not. It is not applied here as if it had just come, because the columns of its user are what the old services
    /// made of later ones; an operator sees it and can have Stripe send it again.
    Failed,
}

impl Processing {
    /// The value of the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }
}

/// What stands where an event that was not dealt with has no error.
const NOT_DEALT_WITH: &str =
    "It was not processed before the database was adopted. Have Stripe send it again.";

/// A row of the old `stripe_webhook_logs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldEvent<'r> {
    /// Stripe's id of it.
    pub id: &'r str,
    /// What happened.
    pub event_type: &'r str,
    /// Whether it had been dealt with.
    pub processing: Processing,
    /// What went wrong.
    pub error_message: Option<&'r str>,
    /// As it came.
    pub raw_payload: &'r str,
    /// When it was dealt with.
    pub processed_at: Option<Timestamp>,
    /// When it came.
    pub created_at: Timestamp,
}

/// Reads a row of `stripe_webhook_logs`.
///
/// # Errors
/// When it lacks its id, its type, its payload or its moment.
pub fn read(row: &OldRow) -> Result<Carried<OldEvent<'_>>, Refused> {
    let mut reading = row.read();
    reading.place("id", true);
    let lacks = |column: &str| Refused::new(Reason::MissingValue, column);
    let id = reading
        .text_that("stripe_event_id", |text| text.len() <= StripeId::MAX)
        .ok_or_else(|| lacks("stripe_event_id"))?;
    let event_type = reading
        .text("event_type")
        .ok_or_else(|| lacks("event_type"))?;
    let raw_payload = reading.json("raw_payload").ok_or_else(|| {
        match reading.peek("raw_payload").is_empty() {
            true => lacks("raw_payload"),
            false => Refused::new(Reason::InvalidValue, "raw_payload is not JSON"),
        }
    })?;
    let created_at = reading
        .moment("created_at")
        .ok_or_else(|| Refused::new(Reason::UnreadableTimestamp, "created_at"))?;
    let processing = reading.value("processing_status", |value| match value {
        OldValue::Text(word) => match word.trim().to_ascii_lowercase().as_str() {
            "processed" => Some(Processing::Processed),
            "failed" => Some(Processing::Failed),
            _ => None,
        },
        _ => None,
    });
    let processing = processing.unwrap_or(Processing::Failed);
    let said = reading.text("error_message");
    let row = OldEvent {
        id,
        event_type,
        processing,
        error_message: match processing {
            Processing::Processed => said,
            Processing::Failed => said.or(Some(NOT_DEALT_WITH)),
        },
        raw_payload,
        processed_at: reading.moment("processed_at"),
        created_at,
    };
    Ok(Carried {
        row,
        aside: reading.aside(),
    })
}

//! The old `payment_history`.

use super::{Carried, OldRow, Reason, Refused};
use crate::payload::text::StripeId;
use crate::time::Timestamp;

/// A row of the old `payment_history`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldPayment<'r> {
    /// The invoice that was paid.
    pub invoice: &'r str,
    /// In cents.
    pub amount: i64,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// `succeeded`, `failed` or `pending`.
    pub status: &'static str,
    /// When.
    pub created_at: Timestamp,
}

/// Reads a row of `payment_history`. Of money nothing is guessed.
///
/// # Errors
/// When it lacks something, or says what cannot be.
pub fn read(row: &OldRow) -> Result<Carried<OldPayment<'_>>, Refused> {
    let mut reading = row.read();
    for column in ["id", "user_id"] {
        reading.place(column, true);
    }
    let wrong = |column: &str, is_missing: bool| match is_missing {
        true => Refused::new(Reason::MissingValue, column),
        false => Refused::new(Reason::InvalidValue, column),
    };
    let is_empty = |column| row.read().peek(column).is_empty();
    let invoice = reading
        .text_that("stripe_invoice_id", StripeId::holds)
        .ok_or_else(|| wrong("stripe_invoice_id", is_empty("stripe_invoice_id")))?;
    let amount = reading
        .whole("amount", crate::whole::MAX)
        .and_then(|cents| i64::try_from(cents).ok())
        .ok_or_else(|| wrong("amount", is_empty("amount")))?;
    let currency = reading
        .text_that("currency", |text| {
            let code = text.trim();
            code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic())
        })
        .map(|text| text.trim().to_ascii_lowercase())
        .ok_or_else(|| wrong("currency", is_empty("currency")))?;
    let status = reading
        .text("status")
        .and_then(|word| {
            let word = word.trim().to_ascii_lowercase();
            ["succeeded", "failed", "pending"]
                .into_iter()
                .find(|known| *known == word)
        })
        .ok_or_else(|| wrong("status", is_empty("status")))?;
    let created_at = reading
        .moment("created_at")
        .ok_or_else(|| Refused::new(Reason::UnreadableTimestamp, "created_at"))?;
    Ok(Carried {
        row: OldPayment {
            invoice,
            amount,
            currency,
            status,
            created_at,
        },
        aside: reading.aside(),
    })
}

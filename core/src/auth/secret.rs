//! Secrets that two sides share.

/// Whether somebody has the secret. How long that takes tells nothing of it but its length.
///
/// ```
/// use legis_core::auth::secret::is_same;
/// assert!(is_same("0123456789", "0123456789"));
/// assert!(!is_same("0123456780", "0123456789"));
/// assert!(!is_same("", "0123456789"));
/// ```
#[must_use]
pub fn is_same(said: &str, secret: &str) -> bool {
    let pairs = said.bytes().zip(secret.bytes());
    let differing = pairs.fold(0, |differing, (one, other)| differing | (one ^ other));
    said.len() == secret.len() && std::hint::black_box(differing) == 0
}

//! Numbers in texts that people read.

/// A whole number with thousands separated, as American English writes it.
///
/// ```
/// use legis_core::digits::group;
/// assert_eq!(group(0), "0");
/// assert_eq!(group(999), "999");
/// assert_eq!(group(1_000), "1,000");
/// assert_eq!(group(1_234_567), "1,234,567");
/// assert_eq!(group(20_003_040), "20,003,040");
/// assert_eq!(group(u64::MAX), "18,446,744,073,709,551,615");
/// ```
#[must_use]
pub fn group(number: u64) -> String {
    let mut text = String::new();
    push_group(&mut text, number);
    text
}

/// As [`group`], at the end of a text: what is refused is told often, and a text for each of its numbers cost more than
/// the decision. So would a division of 64 bits for each digit, for which WebAssembly has no multiplication.
pub(crate) fn push_group(text: &mut String, number: u64) {
    if let Ok(number) = u32::try_from(number) {
        push_small(text, number);
        return;
    }
    push_group(text, number / 1000);
    text.push(',');
    push_digits(text, u32::try_from(number % 1000).unwrap_or(0), 3);
}

fn push_small(text: &mut String, number: u32) {
    if number < 1000 {
        push_digits(text, number, 1);
        return;
    }
    push_small(text, number / 1000);
    text.push(',');
    push_digits(text, number % 1000, 3);
}

/// A number of so many digits at least.
pub(crate) fn push_digits(text: &mut String, number: u32, digits: u32) {
    if number >= 10 || digits > 1 {
        push_digits(text, number / 10, digits.saturating_sub(1));
    }
    text.push(char::from_digit(number % 10, 10).unwrap_or('0'));
}

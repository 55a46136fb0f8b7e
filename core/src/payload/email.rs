//! E-mail addresses: the practical part of RFC 5321.

use super::format::name;

/// An atom or dotted atoms, then a domain of at least two labels.
pub(super) fn holds(text: &str) -> bool {
    let Some((local, domain)) = parts(text) else {
        return false;
    };
    local.len() <= 64
        && local
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(is_atom))
        && domain.contains('.')
        && name(domain)
        && domain
            .rsplit('.')
            .next()
            .is_some_and(|tld| tld.len() >= 2 && !tld.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What is before the last `@`, and what is after it.
fn parts(text: &str) -> Option<(&str, &str)> {
    let at = text.bytes().rposition(|byte| byte == b'@')?;
    let (local, rest) = text.split_at_checked(at)?;
    Some((local, rest.strip_prefix('@')?))
}

/// What the local part of an e-mail address may have between its dots.
const fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~'
        )
}

/// Whether a text of ASCII plainly is one. A "no" may be wrong, and is for few that people have.
///
/// Letters and digits are passed over eight at a time; only what stands between them is looked at.
pub(super) fn holds_plainly(text: &[u8]) -> bool {
    let mut address = Address::new(text);
    let (words, rest) = text.as_chunks::<8>();
    let mut from = 0_usize;
    for word in words {
        if !address.passes(others(*word), from) {
            return false;
        }
        from = from.wrapping_add(8);
    }
    if rest.is_empty() {
        return address.ends();
    }
    // The last word once more, as far as it was not looked at.
    let Some(last) = text.last_chunk::<8>() else {
        return false;
    };
    let seen = 8_usize.wrapping_sub(rest.len());
    let unseen = u64::MAX.wrapping_shl(u32::try_from(seen).unwrap_or(0).wrapping_mul(8));
    address.passes(others(*last) & unseen, from.wrapping_sub(seen)) && address.ends()
}

/// A byte in every place of a word.
const fn repeated(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

const HIGH: u64 = repeated(0x80);

/// In the highest bit of each byte of ASCII: whether it is neither a letter nor a digit.
#[inline]
fn others(word: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(word);
    // The highest bit after the sum says whether a byte is at least as large; no sum reaches the next byte.
    let from = |word: u64, first: u8| word.wrapping_add(repeated(0x80_u8.wrapping_sub(first)));
    let lower = word | repeated(0x20);
    let letter = from(lower, b'a') & !from(lower, b'z'.wrapping_add(1));
    let digit = from(word, b'0') & !from(word, b'9'.wrapping_add(1));
    !(letter | digit) & HIGH
}

/// An address, as far as it was looked at.
struct Address<'t> {
    text: &'t [u8],
    /// Where the atom or the label begins.
    part: usize,
    /// Where the domain begins.
    domain: Option<usize>,
    /// After the last hyphen of the domain.
    hyphen: usize,
    /// How many labels of the domain ended with a dot.
    labels: u32,
}

impl<'t> Address<'t> {
    fn new(text: &'t [u8]) -> Self {
        Self {
            text,
            part: 0,
            domain: None,
            hyphen: 0,
            labels: 0,
        }
    }

    /// Past a word that begins at `from`.
    #[inline]
    fn passes(&mut self, others: u64, from: usize) -> bool {
        let mut left = others;
        while left != 0 {
            let at = usize::try_from(left.trailing_zeros() / 8).unwrap_or(0);
            if !self.takes(from.wrapping_add(at)) {
                return false;
            }
            left &= left.wrapping_sub(1);
        }
        true
    }

    /// Past what is neither a letter nor a digit.
    #[inline]
    fn takes(&mut self, at: usize) -> bool {
        let byte = self.text.get(at).copied().unwrap_or_default();
        match (self.domain, byte) {
            (None, b'.') => at > self.part && self.begins(at),
            (None, b'@') => {
                self.domain = Some(at.wrapping_add(1));
                at > self.part && at <= 64 && self.begins(at)
            }
            (None, other) => is_atom(other),
            (Some(_), b'.') => {
                self.labels = self.labels.wrapping_add(1);
                self.has_label(at) && self.begins(at)
            }
            (Some(_), b'-') => {
                self.hyphen = at.wrapping_add(1);
                at > self.part
            }
            (Some(_), _) => false,
        }
    }

    /// The next part begins after `at`.
    #[inline]
    fn begins(&mut self, at: usize) -> bool {
        self.part = at.wrapping_add(1);
        true
    }

    /// Whether a label ends before `end`.
    #[inline]
    fn has_label(&self, end: usize) -> bool {
        matches!(end.wrapping_sub(self.part), 1..=63) && self.hyphen != end
    }

    fn ends(&self) -> bool {
        let length = self.text.len();
        let first = self.text.get(self.part);
        self.domain
            .is_some_and(|domain| length.wrapping_sub(domain) <= 253)
            && self.labels > 0
            && self.has_label(length)
            && length.wrapping_sub(self.part) > 1
            && first.is_some_and(u8::is_ascii_alphabetic)
    }
}

#[cfg(test)]
mod tests {
    use super::{holds, holds_plainly};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_plainly_is_one_is_one_and_the_usual_ones_are_plain(text in "[a-cXYZ0189._@+~!-]{0,6}(@[a-cZ09.-]{1,12})?(\\.[a-zA-Z0-9]{1,4})?") {
            let last = text.rsplit('.').next().unwrap_or_default();
            let usual = text.len() >= 8 && last.starts_with(|first: char| first.is_ascii_alphabetic());
            prop_assert_eq!(holds_plainly(text.as_bytes()), holds(&text) && usual, "{}", text);
        }
    }

    #[test]
    fn lengths_have_their_limits() {
        let of = |local: usize, label: usize| {
            let address = format!("{}@{}.example", "a".repeat(local), "b".repeat(label));
            (holds(&address), holds_plainly(address.as_bytes()))
        };
        assert_eq!(of(64, 63), (true, true));
        assert_eq!(of(65, 63), (false, false));
        assert_eq!(of(64, 64), (false, false));
        let labels = |count: usize| {
            let address = format!("a@{}example", "bbbbbbb.".repeat(count));
            (holds(&address), holds_plainly(address.as_bytes()))
        };
        assert_eq!(labels(30), (true, true));
        assert_eq!(labels(31), (false, false));
    }
}

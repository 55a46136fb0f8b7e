//! Objects of a schema: which members they have, and which of them a name is.

use super::Node;

/// What an object must be.
#[derive(Debug)]
pub(super) struct Object {
    /// The members, at most 64.
    pub(super) fields: &'static [Field],
    /// A bit for each field that is required.
    pub(super) required: u64,
    pub(super) unknown: Unknown,
    /// Where each name is, by its [`hash`] times `factor`: the generator looks for one with which no two names meet.
    pub(super) factor: u32,
    /// Positions of fields; [`NONE`] where there is none. As many as a power of two.
    pub(super) places: &'static [u8],
}

/// A member of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Position of the name in [`super::NAMES`].
    pub(super) index: u32,
    pub(super) presence: Presence,
    pub(super) node: &'static Node,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    /// May be absent or `null`, which mean the same.
    Optional,
}

/// What happens to members nobody knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    Refused,
    /// Left out of the value: whoever answers may add members later.
    Ignored,
}

/// Where no name is.
pub const NONE: u8 = u8::MAX;

impl Object {
    /// The member at a position.
    #[inline(always)]
    pub(super) fn at(&self, position: u32) -> Option<&'static Field> {
        self.fields.get(usize::try_from(position).ok()?)
    }

    /// The member of that name, and its position.
    #[inline(always)]
    pub(super) fn find(&self, name: &[u8]) -> Option<(u32, &'static Field)> {
        let place = place(name, self.factor, self.places.len());
        let position = *self.places.get(place)?;
        let field = self.fields.get(usize::from(position))?;
        same(field.name.as_bytes(), name).then_some((u32::from(position), field))
    }
}

/// Where a name is among so many places.
#[must_use]
#[inline(always)]
pub fn place(name: &[u8], factor: u32, places: usize) -> usize {
    let hash = hash(name).wrapping_mul(factor).wrapping_shr(16);
    usize::try_from(hash).unwrap_or(0) & places.wrapping_sub(1)
}

/// The first four bytes, the last four and the length: enough to tell names apart.
#[inline(always)]
fn hash(name: &[u8]) -> u32 {
    let length = u32::try_from(name.len()).unwrap_or(0);
    match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (Some(first), Some(last)) => u32::from_le_bytes(*first)
            .wrapping_mul(31)
            .wrapping_add(u32::from_le_bytes(*last))
            .wrapping_add(length),
        _ => name.iter().fold(length, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(u32::from(*byte))
        }),
    }
}

/// Whether two texts are the same. Shorter than what the library calls for any length. What is left of whole words is
/// compared with the last word, which may overlap them.
#[inline(always)]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    match (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        (Some(last), Some(other_last)) => {
            eight(last) == eight(other_last)
                && words
                    .iter()
                    .zip(other_words)
                    .all(|(one, other)| eight(one) == eight(other))
        }
        _ => match (four(one), four(other)) {
            (Some(ends), Some(other_ends)) => ends == other_ends,
            _ => rest.iter().zip(other_rest).all(|(one, other)| one == other),
        },
    }
}

#[inline(always)]
fn eight(word: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*word)
}

/// The first and the last four bytes: all there are of four to eight.
#[inline(always)]
fn four(text: &[u8]) -> Option<(u32, u32)> {
    let (first, last) = (text.first_chunk::<4>()?, text.last_chunk::<4>()?);
    Some((u32::from_le_bytes(*first), u32::from_le_bytes(*last)))
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn texts_are_the_same_where_every_byte_is() {
        let text = b"subscription.updated";
        for length in 0..=text.len() {
            let (one, _) = text.split_at(length);
            assert!(same(one, one), "{length}");
            for at in 0..length {
                let mut other = one.to_vec();
                if let Some(byte) = other.get_mut(at) {
                    *byte ^= 1;
                }
                assert!(!same(one, &other), "{at} of {length}");
            }
            let longer = [one, b"x"].concat();
            assert!(!same(one, &longer) && !same(&longer, one), "{length}");
        }
    }
}

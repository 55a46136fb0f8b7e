//! Where JavaScript writes texts.

/// Where in a page (of 4 KiB) a text begins. Processors tell what is read from what was just written by its place in a page
/// alone: a copy to a place up to 31 bytes beyond its source's waits for itself at every step and takes 18 times as
/// long (measured in Chromium with 3 KB). A browser's arrays lie at multiples of 64 and, when they are large, of 512.
const PLACE: usize = 2048 + 40;
const PAGE: usize = 4096;

/// The text that JavaScript wrote last.
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
}

impl Input {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
        }
    }

    /// How large a text may be for which there is room.
    pub(crate) const fn room(&self) -> usize {
        self.bytes.len().saturating_sub(PAGE)
    }

    /// Makes room for `length` bytes; where it is, or null where there is none.
    pub(crate) fn make_room(&mut self, length: usize) -> *const u8 {
        if length > self.room() {
            let size = length.saturating_add(PAGE);
            let more = size.saturating_sub(self.bytes.len());
            if self.bytes.try_reserve_exact(more).is_err() {
                return std::ptr::null();
            }
            self.bytes.resize(size, 0);
            self.start = PLACE.wrapping_sub(self.bytes.as_ptr().addr()) % PAGE;
        }
        self.bytes.as_ptr().wrapping_add(self.start)
    }

    /// The first `length` bytes of it.
    pub(crate) fn text(&self, length: usize) -> &[u8] {
        let end = self.start.saturating_add(length);
        self.bytes.get(self.start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Input, PAGE, PLACE};

    #[test]
    fn a_text_lies_where_there_was_made_room_for_it_in_its_place_of_a_page() {
        let mut input = Input::new();
        for length in [1, 90, 16_384, 16_000, 1 << 20] {
            let at = input.make_room(length);
            assert_eq!(at.addr() % PAGE, PLACE, "{length}");
            assert_eq!(input.text(length).as_ptr(), at, "{length}");
            assert_eq!(input.text(length).len(), length);
            assert!(input.room() >= length);
        }
        let room = input.room();
        assert!(input.text(room.saturating_add(PAGE)).is_empty());
    }
}

//! The refusals that were told lately: a form says the same with every key that is pressed, and to compare what is wrong
//! costs a tenth of saying it.

use legis_core::schema::Violations;
use legis_core::violation::Segment;

/// How many are remembered.
const PLACES: usize = 8;
/// Longer lists are not, nor those of places with longer names: a stranger chose them.
const MOST: usize = 8;
const LONGEST: usize = 1_000;

/// What was told, and where the next one will be.
pub(crate) struct Told {
    places: [Violations; PLACES],
    next: usize,
}

/// Whether a refusal was told before.
pub(crate) enum Telling {
    /// In this place.
    Again(usize),
    /// No; from now on it is remembered in this place.
    New(usize),
    /// No, nor will it be remembered.
    Once,
}

impl Told {
    pub(crate) const fn new() -> Self {
        Self {
            places: [const { Violations::new() }; PLACES],
            next: 0,
        }
    }

    pub(crate) fn tell(&mut self, violations: &Violations) -> Telling {
        if let Some(place) = self.places.iter().position(|told| told == violations) {
            return Telling::Again(place);
        }
        let names = violations.iter().flat_map(|violation| &*violation.path);
        let length: usize = names
            .map(|segment| match segment {
                Segment::Key(name) => name.len(),
                Segment::Index(_) => 0,
            })
            .sum();
        if violations.len() > MOST || length > LONGEST {
            return Telling::Once;
        }
        let place = self.next;
        self.next = self.next.wrapping_add(1) % PLACES;
        if let Some(told) = self.places.get_mut(place) {
            told.clone_from(violations);
        }
        Telling::New(place)
    }
}

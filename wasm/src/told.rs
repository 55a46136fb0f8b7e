//! The refusals that were told lately: a form says the same with every key that is pressed, and to compare what is wrong
//! costs a tenth of saying it.

use legis_core::schema::Violations;

/// How many are remembered.
const PLACES: usize = 8;
/// Longer lists are not.
const MOST: usize = 8;

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
        if violations.len() > MOST {
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

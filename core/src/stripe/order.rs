//! The order in which a subscription's snapshots came to be, whatever order they arrived in.
//!
//! Stripe dates events to the second and promises no order. Between seconds the date decides. Within one, an update
//! says what was before it, so the states form a chain. What neither tells is said to be a guess: then Stripe has to be
//! asked, or the ids decide, so that at least everybody guesses the same.

use super::snapshot::{Facts, Snapshot, SnapshotKind};

/// Snapshots in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The earliest first.
    pub snapshots: Vec<Snapshot>,
    /// Whether the last one is known to be the last.
    pub certainty: Certainty,
}

/// How sure an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// The events say so.
    Known,
    /// They allow another state to be the last.
    Guessed,
}

/// As many events in one second are put in order by trying; more than that are a machine gone wrong, and their ids decide.
const MOST_TRIED: usize = 6;

/// Puts the snapshots of one subscription in order. The same set yields the same order.
#[must_use]
pub fn order(mut snapshots: Vec<Snapshot>) -> Ordered {
    // Nothing comes after the end, whatever its date.
    let key = |snapshot: &Snapshot| (snapshot.facts.is_final(), snapshot.at, snapshot.id.clone());
    snapshots.sort_by_key(key);
    snapshots.dedup_by(|one, other| one.id == other.id);
    let mut ordered: Vec<Snapshot> = Vec::with_capacity(snapshots.len());
    let mut certainty = Certainty::Known;
    let mut rest = snapshots.into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut second = vec![first];
        while let Some(next) = rest.next_if(|next| second.iter().all(|one| is_same(one, next))) {
            second.push(next);
        }
        certainty = match second.len() {
            1 => Certainty::Known,
            _ => arrange(ordered.last().map(|last| &last.facts), &mut second),
        };
        ordered.append(&mut second);
    }
    Ordered {
        snapshots: ordered,
        certainty,
    }
}

fn is_same(one: &Snapshot, other: &Snapshot) -> bool {
    one.at == other.at && one.facts.is_final() == other.facts.is_final()
}

/// Arranges the snapshots of one second so that the chain breaks as rarely as it can.
fn arrange(before: Option<&Facts>, second: &mut Vec<Snapshot>) -> Certainty {
    let has_seen = |fetched: &Snapshot| {
        let mut others = second.iter().filter(|other| other.id != fetched.id);
        fetched.kind == SnapshotKind::Fetched
            && others.all(|other| fetched.seen.contains(&other.id))
    };
    if let Some(index) = second.iter().position(has_seen) {
        let last = second.remove(index);
        arrange(before, second);
        second.push(last);
        return Certainty::Known;
    }
    if second.len() > MOST_TRIED {
        return Certainty::Guessed;
    }
    let mut search = Search {
        snapshots: second,
        path: Vec::new(),
        fewest: usize::MAX,
        best: Vec::new(),
        last: Vec::new(),
    };
    search.go_on(before, 0);
    let (best, last) = (search.best, search.last);
    let arranged: Vec<Snapshot> = best
        .iter()
        .filter_map(|index| second.get(*index).cloned())
        .collect();
    let certain = last.windows(2).all(|pair| match pair {
        [one, other] => {
            second.get(*one).map(|one| &one.facts) == second.get(*other).map(|other| &other.facts)
        }
        _ => true,
    });
    *second = arranged;
    match certain {
        true => Certainty::Known,
        false => Certainty::Guessed,
    }
}

/// Every order is tried, in the order of the ids; of the best ones the first is taken, and the ends of all are kept.
struct Search<'s> {
    snapshots: &'s [Snapshot],
    path: Vec<usize>,
    fewest: usize,
    best: Vec<usize>,
    last: Vec<usize>,
}

impl Search<'_> {
    fn go_on(&mut self, current: Option<&Facts>, breaks: usize) {
        if breaks > self.fewest {
            return;
        }
        if self.path.len() == self.snapshots.len() {
            if breaks < self.fewest {
                self.fewest = breaks;
                self.best.clone_from(&self.path);
                self.last.clear();
            }
            self.last.extend(self.path.last());
            return;
        }
        let snapshots = self.snapshots;
        for (index, snapshot) in snapshots.iter().enumerate() {
            if self.path.contains(&index) {
                continue;
            }
            let follows = |id: &String| {
                let mut path = self.path.iter().filter_map(|index| snapshots.get(*index));
                !snapshots.iter().any(|known| known.id == *id) || path.any(|known| known.id == *id)
            };
            // To come before what was known already is worse than any broken chain.
            let broken = match snapshot.seen.iter().all(follows) {
                true => usize::from(breaks_chain(current, self.path.is_empty(), snapshot)),
                false => snapshots.len(),
            };
            self.path.push(index);
            self.go_on(Some(&snapshot.facts), breaks.saturating_add(broken));
            self.path.pop();
        }
    }
}

/// Whether `snapshot` cannot have followed `current`.
fn breaks_chain(current: Option<&Facts>, is_first: bool, snapshot: &Snapshot) -> bool {
    match (snapshot.kind, current, &snapshot.before) {
        (SnapshotKind::Created, current, _) => !is_first || current.is_some(),
        (_, Some(current), Some(before)) => current != before,
        // Announcements and other events without a before change nothing that is looked at.
        (SnapshotKind::Updated, Some(current), None) => *current != snapshot.facts,
        (_, None, _) | (SnapshotKind::Deleted | SnapshotKind::Fetched, _, None) => false,
    }
}

//! What is due at some time, the next first; what is due at the same time in the order in which it was added.

use std::collections::BTreeMap;

use crate::sync::Instant;

pub(super) struct DueQueue<T> {
    /// By when they are due, and a number.
    entries: BTreeMap<(Instant, u64), T>,
    added: u64,
}

impl<T> DueQueue<T> {
    pub(super) fn new() -> Self {
        Self { entries: BTreeMap::new(), added: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|((due, _), _)| *due)
    }

    /// True if it is the next one.
    pub(super) fn add(&mut self, what: T, due: Instant) -> bool {
        let is_next = self.next_due().is_none_or(|next| due < next);
        self.entries.insert((due, self.added), what);
        self.added += 1;
        is_next
    }

    pub(super) fn take_next(&mut self) -> Option<T> {
        self.entries.pop_first().map(|(_, what)| what)
    }

    /// Takes out those that are to go.
    pub(super) fn take(&mut self, goes: impl Fn(&T) -> bool) -> Vec<T> {
        let all = std::mem::take(&mut self.entries);
        let (gone, kept): (BTreeMap<_, _>, _) = all.into_iter().partition(|(_, what)| goes(what));
        self.entries = kept;
        gone.into_values().collect()
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_next_first_and_equals_in_their_order() {
        let (mut queue, now) = (DueQueue::new(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        let is_next = [(3, "a"), (1, "b"), (3, "c"), (1, "d"), (2, "e")].map(|(due, what)| queue.add(what, at(due)));
        assert_eq!(is_next, [true, true, false, false, false]);
        assert_eq!(queue.take(|what| *what == "e" || *what == "x"), ["e"]);
        assert_eq!((queue.len(), queue.next_due(), queue.is_empty()), (4, Some(at(1)), false));
        let order: Vec<_> = std::iter::from_fn(|| queue.take_next()).collect();
        assert_eq!(order, ["b", "d", "a", "c"]);
        assert!(queue.is_empty() && queue.next_due().is_none());
    }
}

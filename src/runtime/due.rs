//! What is due at some time, the next first; what is due at the same time in the order in which it was added.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::sync::Instant;

pub(super) struct DueQueue<T> {
    entries: BinaryHeap<Entry<T>>,
    added: u64,
}

struct Entry<T> {
    /// When it is due, and its number.
    order: Reverse<(Instant, u64)>,
    what: T,
}

impl<T> DueQueue<T> {
    pub(super) fn new() -> Self {
        Self { entries: BinaryHeap::new(), added: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.entries.peek().map(|entry| entry.order.0.0)
    }

    /// True if it is the next one.
    pub(super) fn add(&mut self, what: T, due: Instant) -> bool {
        let is_next = self.next_due().is_none_or(|next| due < next);
        self.entries.push(Entry { order: Reverse((due, self.added)), what });
        self.added += 1;
        is_next
    }

    pub(super) fn take_next(&mut self) -> Option<T> {
        self.entries.pop().map(|entry| entry.what)
    }

    /// Takes out those that are to go.
    pub(super) fn take(&mut self, goes: impl Fn(&T) -> bool) -> Vec<T> {
        let all = std::mem::take(&mut self.entries);
        let (gone, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|entry| goes(&entry.what));
        self.entries = kept.into();
        gone.into_iter().map(|entry| entry.what).collect()
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order.cmp(&other.order)
    }
}

#[cfg(all(test, not(any(lockgrain_loom, lockgrain_shuttle))))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn equal_is_what_neither_comes_before() {
        let now = Instant::now();
        let entries = [(now, 1), (now, 2)].map(|order| Entry { order: Reverse(order), what: () });
        let equal = |a: &Entry<()>, b: &Entry<()>| (a == b, a.cmp(b).is_eq());
        assert_eq!(equal(&entries[0], &entries[0]), (true, true));
        assert_eq!(equal(&entries[0], &entries[1]), (false, false));
    }

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
        (0..100).for_each(|what| assert_eq!(queue.add(["x", "y"][what % 2], at(7)), what == 0));
        (0..100).for_each(|what| assert_eq!(queue.take_next(), Some(["x", "y"][what % 2])));
    }
}

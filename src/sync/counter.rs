//! A counter for statistics: it orders nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// std's atomic in every build, so that counting adds no executions to a model: nothing may depend on a count.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Where one thread alone counts: no read-modify-write.
    #[inline]
    pub(crate) fn add_owned(&self, n: u64) {
        self.0.store(self.0.load(Relaxed) + n, Relaxed);
    }

    pub(crate) fn add_shared(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts() {
        let counter = Counter::new();
        counter.add_owned(3);
        counter.add_shared(4);
        counter.add_owned(5);
        assert_eq!(counter.get(), 12);
    }
}

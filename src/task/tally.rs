//! What a worker has run.

use crate::sync::Counter;

/// Counts of one worker, who is the only one to write them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) started: Counter,
    pub(crate) finished: Counter,
    pub(crate) panicked: Counter,
}

impl Tally {
    /// A closure is about to be called.
    #[inline]
    pub(super) fn begins(&self) {
        self.started.add_owned(1);
    }

    /// It has ended; nobody can see the result yet.
    #[inline]
    pub(super) fn ended(&self, panicked: bool) {
        self.finished.add_owned(1);
        if panicked {
            self.panicked.add_owned(1);
        }
    }
}

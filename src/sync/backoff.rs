//! A wait for a step that another thread is just about to make: in a model, at once that thread's turn.

use super::hint;

#[derive(Debug)]
pub(crate) struct Backoff;

impl Backoff {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn snooze(&self) {
        hint::yield_now();
    }
}

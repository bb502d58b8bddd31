//! Numbers that are given out once.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A number that this process has not been given before, and not 0. std's atomic in every build: it orders nothing, and a model may count on
/// from where the last one stopped.
pub(crate) fn unique_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_update(Relaxed, Relaxed, |number| number.checked_add(1))
        .expect("fewer than 2^32 pools and threads in one process")
}

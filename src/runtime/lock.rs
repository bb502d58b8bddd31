//! The gate of a pool, which several pools may have in common.

use crate::policy::gate::Gate;
use crate::sync::{Arc, Mutex};

/// A gate, and who stands behind it.
pub(crate) struct Lock<G> {
    pub(crate) gate: G,
    /// The numbers of the pools.
    pools: Mutex<Vec<u32>>,
}

/// What a frame knows of the lock that code in it may hold, whatever its policy.
pub(crate) trait Covers {
    /// Whether the tasks of that pool need it to run.
    fn covers(&self, pool: u32) -> bool;
}

impl<G: Gate> Lock<G> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { gate: G::new(), pools: Mutex::new(Vec::new()) })
    }

    pub(super) fn add(&self, pool: u32) {
        self.pools.lock().push(pool);
    }

    pub(super) fn remove(&self, pool: u32) {
        self.pools.lock().retain(|other| *other != pool);
    }

    /// For frames: none if it excludes nobody.
    pub(crate) fn as_covers(&self) -> Option<*const dyn Covers> {
        G::EXCLUSIVE.then_some(self as *const dyn Covers)
    }
}

impl<G: Gate> Covers for Lock<G> {
    fn covers(&self, pool: u32) -> bool {
        self.pools.lock().contains(&pool)
    }
}

//! No gate.

use super::{Entrant, Gate, GateCounts};

/// Everybody may run: the gate of [`FineGrained`](crate::FineGrained) and [`LockFree`](crate::LockFree). Costs nothing.
#[derive(Debug)]
pub struct OpenGate;

// SAFETY: not exclusive, so nothing is promised.
unsafe impl Gate for OpenGate {
    const EXCLUSIVE: bool = false;

    fn new() -> Self {
        Self
    }

    #[inline]
    fn enter(&self, _who: Entrant) {}

    #[inline]
    fn leave(&self) {}

    #[inline]
    fn is_wanted_back(&self) -> bool {
        false
    }

    #[inline]
    fn is_wanted(&self) -> bool {
        false
    }

    fn counts(&self) -> GateCounts {
        GateCounts::default()
    }
}

//! The one place that names the primitives of std, parking_lot, loom and shuttle.
//!
//! Everything above this module is written against these names, so the code that ships is the code that the model checkers
//! run. A plain build maps them to std and parking_lot; `--cfg lockgrain_loom` maps the same names to loom, which explores
//! all executions of small models, and `--cfg lockgrain_shuttle` to shuttle, which runs larger ones under random schedules.
//! Imports nothing of this crate.

#[cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]
mod plain;
#[cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]
pub use plain::*;

#[cfg(lockgrain_loom)]
mod loom;
#[cfg(lockgrain_loom)]
pub use self::loom::*;

#[cfg(all(lockgrain_shuttle, not(lockgrain_loom)))]
mod shuttle;
#[cfg(all(lockgrain_shuttle, not(lockgrain_loom)))]
pub use self::shuttle::*;

#[cfg(any(lockgrain_loom, lockgrain_shuttle))]
mod backoff;
#[cfg(any(lockgrain_loom, lockgrain_shuttle))]
pub(crate) mod clock;
#[cfg(any(lockgrain_loom, lockgrain_shuttle))]
mod locks;
#[cfg(any(lockgrain_loom, lockgrain_shuttle))]
pub(crate) mod thread;
#[cfg(any(lockgrain_loom, lockgrain_shuttle))]
pub(crate) use backoff::Backoff;

#[cfg(all(lockgrain_soak, not(any(lockgrain_loom, lockgrain_shuttle))))]
pub(crate) mod soak;

/// A place between a set and its notification, where a soak lets others run; nothing in any other build.
#[cfg(all(lockgrain_soak, not(any(lockgrain_loom, lockgrain_shuttle))))]
pub(crate) use soak::gap;

/// A place between a set and its notification, where a soak lets others run; nothing in any other build.
#[cfg(not(all(lockgrain_soak, not(any(lockgrain_loom, lockgrain_shuttle)))))]
#[inline(always)]
pub(crate) fn gap() {}

/// Whether this is a model build. Spins are no use there, and sizes are small.
pub(crate) const MODEL: bool = cfg!(any(lockgrain_loom, lockgrain_shuttle));

/// The size of a model: `small` where every execution is explored, `large` where schedules are drawn at random.
#[cfg(all(test, any(lockgrain_loom, lockgrain_shuttle)))]
pub(crate) const fn size(small: usize, large: usize) -> usize {
    if cfg!(lockgrain_loom) { small } else { large }
}

mod counter;
mod explore;
pub(crate) mod isolated;
mod line;
mod mutant;
mod parker;
mod retire;
pub(crate) mod trace;
mod unique;
pub(crate) use counter::Counter;
pub(crate) use explore::{Bounds, Explored, Model};
pub(crate) use line::{LINE, prefetch};
pub(crate) use mutant::mutant;
pub(crate) use parker::Parker;
pub(crate) use retire::Retire;
pub(crate) use unique::unique_number;

/// A panic that nobody hears of fails a check.
pub(crate) fn unobserved_panic() {
    if MODEL {
        isolated::fail("a task panicked that nobody waits for".to_owned());
    }
}

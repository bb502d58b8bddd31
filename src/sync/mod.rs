//! The one place that names the primitives of std, parking_lot and loom.
//!
//! Everything above this module is written against these names, so the code that ships is the code that
//! the model checker explores. A plain build maps them to std and parking_lot; `--cfg lockgrain_loom` maps the same
//! names to loom. Imports nothing of this crate.

#[cfg(not(lockgrain_loom))]
mod plain;
#[cfg(not(lockgrain_loom))]
pub(crate) use plain::*;

#[cfg(lockgrain_loom)]
mod loom;
#[cfg(lockgrain_loom)]
pub(crate) use self::loom::*;

mod counter;
mod mutant;
mod parker;
pub(crate) use counter::Counter;
pub(crate) use mutant::mutant;
pub(crate) use parker::Parker;

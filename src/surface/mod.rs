//! What users touch. Imports everything below; nothing below imports it.

mod blocking;
mod builder;
mod context;
mod error;
mod guarded;
mod handle;
mod keyed;
mod pool;
mod values;

pub use blocking::blocking;
pub use builder::Builder;
pub use context::Context;
pub use error::{BuildError, CancelRequested, Refused, Rejected};
pub use guarded::{Guarded, Shared};
pub use handle::TaskHandle;
pub use keyed::{Key, Keyed, Strand};
pub use pool::ThreadPool;
pub use values::{Lent, Values};

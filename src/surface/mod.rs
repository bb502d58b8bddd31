//! What users touch. Imports everything below; nothing below imports it.

mod as_completed;
mod batch;
mod blocking;
mod builder;
mod bulk;
mod context;
mod error;
mod gathered;
mod guarded;
mod handle;
mod invoke;
mod keyed;
mod map;
mod pool;
mod promise;
mod scope;
mod then;
mod values;
mod wait;
mod waitable;

pub use as_completed::{AsCompleted, CompletionQueue, Unfinished, as_completed};
pub use blocking::blocking;
pub use builder::Builder;
pub use bulk::{Bulk, ChunkSize};
pub use context::Context;
pub use error::{AlreadyEnded, BuildError, CancelRequested, Failure, Refused, Rejected};
pub use guarded::{Guarded, Shared};
pub use handle::TaskHandle;
pub use keyed::{Key, Keyed, Strand};
pub use map::{Map, MapUnordered};
pub use pool::ThreadPool;
pub use promise::{Promise, promise};
pub use scope::Scope;
pub use values::{Lent, Values};
pub use wait::{ReturnWhen, Waited, join_all, wait};
pub use waitable::Waitable;

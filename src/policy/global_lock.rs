use super::LockPolicy;
use super::gate::GlobalGate;
use super::run_queue::Shared;
use super::value_lock::Covered;

/// One task runs at a time, as under CPython's global interpreter lock, and the lock is let go around blocking work.
///
/// For code that must not run in parallel: an embedded interpreter, a library that is not thread-safe. A task lets
/// others run with [`Context::blocking`](crate::Context::blocking) or [`blocking`](crate::blocking) and, when it comes
/// back, goes before queued tasks.
///
/// ```
/// use lockgrain::{GlobalLock, ThreadPool};
///
/// let pool = ThreadPool::builder().policy::<GlobalLock>().build()?;
/// let size = pool.submit_with(|cx| {
///     let text = cx.blocking(|| std::fs::read_to_string("Cargo.toml")); // others run meanwhile
///     text.map(|text| text.len()) // alone again
/// });
/// assert!(size.result()?.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GlobalLock;

impl LockPolicy for GlobalLock {
    const NAME: &'static str = "global";
    type Queue = Shared;
    type Gate = GlobalGate;
    type Lock = Covered;
}

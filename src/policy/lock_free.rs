use super::LockPolicy;
use super::gate::OpenGate;
use super::run_queue::Stealing;
use super::value_lock::McsQueue;

/// Tasks run in parallel over lock-free work-stealing deques; nothing excludes anything. The default.
///
/// ```
/// let pool = lockgrain::ThreadPool::new()?;
/// assert_eq!(pool.submit(|| 1 + 1).result()?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LockFree;

impl LockPolicy for LockFree {
    const NAME: &'static str = "lock-free";
    type Queue = Stealing;
    type Gate = OpenGate;
    type Lock = McsQueue;
}

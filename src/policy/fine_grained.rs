use super::LockPolicy;
use super::gate::OpenGate;
use super::run_queue::Sharded;
use super::value_lock::WaitList;

/// Tasks run in parallel; each worker's queue has a small lock of its own.
///
/// ```
/// use lockgrain::{FineGrained, ThreadPool};
///
/// let pool = ThreadPool::builder().policy::<FineGrained>().max_workers(2).build()?;
/// assert_eq!(pool.submit(|| "done").result()?, "done");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FineGrained;

impl LockPolicy for FineGrained {
    const NAME: &'static str = "fine";
    type Queue = Sharded;
    type Gate = OpenGate;
    type Lock = WaitList;
}

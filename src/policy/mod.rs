//! What a lock policy is: which queue ready tasks wait in, what a worker must hold to run one, and what a task must hold to touch
//! a guarded value.
//!
//! Each piece has its trait and a small file an answer: [`run_queue`] (one mutex, a mutex a worker, lock-free deques), [`gate`]
//! (the global lock, no lock) and [`value_lock`] (nothing more than the gate, a line a value). [`deque`] and [`injectors`] are
//! what the lock-free queue is made of. Imports `task` and `sync`.

pub(crate) mod deque;
pub(crate) mod gate;
mod injector;
mod injectors;
pub(crate) mod run_queue;
pub(crate) mod value_lock;

mod fine_grained;
mod global_lock;
mod lock_free;
#[cfg(all(test, any(lockgrain_loom, lockgrain_shuttle)))]
mod models;

pub use fine_grained::FineGrained;
pub use global_lock::GlobalLock;
pub use lock_free::LockFree;

use gate::Gate;
use run_queue::RunQueue;
use value_lock::ValueLock;

/// How coarse the locks of a pool are: the type parameter of [`ThreadPool`](crate::ThreadPool).
///
/// The same program gives the same results under every policy; what changes is what can overlap and what it costs.
/// Three come with the crate: [`GlobalLock`], [`FineGrained`] and [`LockFree`]. A policy of your own names its pieces,
/// which may be the crate's:
///
/// ```
/// use lockgrain::{LockPolicy, ThreadPool, gate, run_queue, value_lock};
///
/// /// One task at a time, but over lock-free deques.
/// struct Mixed;
///
/// impl LockPolicy for Mixed {
///     const NAME: &'static str = "mixed";
///     type Queue = run_queue::Stealing;
///     type Gate = gate::GlobalGate;
///     type Lock = value_lock::WaitList;
/// }
///
/// let pool = ThreadPool::builder().policy::<Mixed>().max_workers(2).build()?;
/// assert_eq!(pool.submit(|| 6 * 7).result()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait LockPolicy: Sized + 'static {
    /// The name in thread names, metrics and tables.
    const NAME: &'static str;
    /// Where ready tasks wait, and how a worker gets the next.
    type Queue: RunQueue;
    /// What a worker must hold to run any task.
    type Gate: Gate;
    /// What a task must hold to touch a [`Guarded`](crate::Guarded) value.
    type Lock: ValueLock<Self::Gate>;
}

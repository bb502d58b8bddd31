//! Keys that tasks name, and strands: tasks that run one after another without a value of their own.

use std::fmt;
use std::hash::Hash;

use super::guarded::{self, Guarded};
use super::values::sealed;
use super::{Refused, TaskHandle, ThreadPool};
use crate::policy::value_lock::{Access, ValueLock};
use crate::policy::{LockFree, LockPolicy};
use crate::runtime::keys::{Keys, Named};
use crate::runtime::request::Request;
use crate::runtime::wants::{One, Wants};
use crate::sync::Arc;
use crate::task;

/// Tasks by key: made by [`ThreadPool::keyed`]. Those with a key in common run one after another, in the order in which they were submitted;
/// others run at once.
///
/// Keys are compared by equality, never by their hash alone: different keys are never in each other's way. A key takes memory
/// only as long as tasks name it. Clones refer to the same keys; two `Keyed` made by two calls have nothing in common. Each is a
/// handle of the pool, which lives as long as its last handle.
///
/// What holds for guarded values holds here: no worker waits for a key, a reader that comes after a waiting writer waits behind it, a panic
/// gives the keys back, a cancelled task is passed over. While it has its keys, a task can wait for others, under
/// [`GlobalLock`](crate::GlobalLock) only for tasks of other pools; a wait for one that waits for one of these keys is an error,
/// [`WouldDeadlock`](crate::TaskError::WouldDeadlock).
///
/// The keys' `Hash` and `Eq` run in the submitter; `Eq` runs while a part of the table is locked, so it must not submit tasks by key.
/// A panic of either is the submitter's, whose task is not accepted. A panic of a key's `Drop` is swallowed, after the process's panic
/// hook has reported it.
///
/// ```
/// use lockgrain::{Access, ThreadPool};
///
/// let pool = ThreadPool::new()?;
/// let accounts = pool.keyed::<&str>();
/// let deposit = accounts.submit("alice", || "deposited");
/// let close = accounts.submit("alice", || "closed"); // after the deposit
/// let other = accounts.submit("bob", || "meanwhile");
/// let report = accounts.submit_all([("alice", Access::Shared), ("bob", Access::Shared)], || "balanced");
/// assert_eq!(close.result()?, "closed");
/// assert_eq!(deposit.result()?, "deposited");
/// assert_eq!((other.result()?, report.result()?), ("meanwhile", "balanced"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "striped")]
#[doc(alias = "partition")]
pub struct Keyed<K: Hash + Eq + Send + Sync + 'static, P: LockPolicy = LockFree> {
    keys: Arc<Handles<K, P>>,
    pool: ThreadPool<P>,
}

/// What the handles share; the table itself stays until the last of its tasks has ended.
struct Handles<K: Hash + Eq + Send + Sync + 'static, P: LockPolicy>(Arc<Keys<K, P>>);

impl<K: Hash + Eq + Send + Sync, P: LockPolicy> Drop for Handles<K, P> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<K: Hash + Eq + Send + Sync, P: LockPolicy> Keyed<K, P> {
    /// Has `f` run by a worker while no other task with this key runs.
    ///
    /// Never fails: a refused task is a handle that has ended with [`TaskError::Refused`](crate::TaskError::Refused).
    /// [`shutdown_now`](ThreadPool::shutdown_now) cancels a task that waits for a key when its turn comes.
    pub fn submit<T: Send + 'static>(&self, key: K, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
        self.submit_one(key, Access::Exclusive, f)
    }

    /// As [`submit`](Self::submit), together with other tasks that share the key.
    pub fn submit_shared<T: Send + 'static>(&self, key: K, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
        self.submit_one(key, Access::Shared, f)
    }

    /// As [`submit`](Self::submit), with all of these keys, taken in one step: keys alone can't deadlock. One that is named more than
    /// once is taken once, exclusively if it is once named so. Without a key the task conflicts with none.
    pub fn submit_all<T: Send + 'static>(
        &self,
        keys: impl IntoIterator<Item = (K, Access)>,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> TaskHandle<T> {
        let (names, accesses): (Vec<_>, Vec<_>) =
            keys.into_iter().map(|(key, access)| (self.name(key), access)).unzip();
        let wants = names.iter().zip(accesses).filter_map(|(name, access)| Some(name.as_ref()?.want(access)));
        let core = self.pool.core();
        guarded::submit(core, Request::merged(wants.collect(), core.id), (), |()| f())
    }

    /// The key as something that [`ThreadPool::when`] can name, together with values and keys of other spaces; the closure gets `()` for
    /// it. To be shared with other readers, say [`shared`](Key::shared). As long as it is there, the key counts as named.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let (files, log) = (pool.keyed::<&str>(), pool.guarded(Vec::new()));
    /// let copy = pool.when((files.key("from").shared(), files.key("to"), &log), |(_, _, log)| log.push("copied"));
    /// copy.result()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(&self, key: K) -> Key<K, P> {
        Key { name: self.name(key), access: Access::Exclusive }
    }

    /// As [`submit`](Self::submit), with nobody to hear of the end. A panic goes to the pool's panic handler.
    ///
    /// # Errors
    /// [`Refused`] once the pool is shutting down; `f` has been dropped.
    pub fn spawn(&self, key: K, f: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        let (name, core) = (self.name(key), self.pool.core());
        let want = name.as_ref().map(|name| name.want(Access::Exclusive));
        guarded::spawn(core, Request::one(want, core.id), (), |()| f())
    }

    fn submit_one<T: Send + 'static>(
        &self,
        key: K,
        access: Access,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> TaskHandle<T> {
        let (name, core) = (self.name(key), self.pool.core());
        let want = name.as_ref().map(|name| name.want(access));
        guarded::submit(core, Request::one(want, core.id), (), |()| f())
    }

    /// None if the gate covers all keys.
    fn name(&self, key: K) -> Option<Named<K, P>> {
        if !P::Lock::LINES {
            task::drop_quietly(key);
            return None;
        }
        Some(self.keys.0.name(key))
    }

    /// How many keys tasks name at the moment; a task that has just ended may still count. Always none under a policy whose gate
    /// covers every value, like [`GlobalLock`](crate::GlobalLock).
    pub fn len(&self) -> usize {
        self.keys.0.len()
    }

    /// Whether no task names a key at the moment, as [`len`](Self::len) counts them.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One key, for [`ThreadPool::when`]: made by [`Keyed::key`].
pub struct Key<K: Send + Sync + 'static, P: LockPolicy = LockFree> {
    /// None if the gate covers all keys.
    name: Option<Named<K, P>>,
    access: Access,
}

impl<K: Send + Sync, P: LockPolicy> Key<K, P> {
    /// To be shared with other tasks that say so.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { access: Access::Shared, ..self }
    }
}

impl<K: Send + Sync, P: LockPolicy> sealed::Want<P> for Key<K, P> {
    type Places = ();
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) {
        if let Some(name) = &self.name {
            wants.add(name.want(self.access));
        }
    }
}

impl<K: Send + Sync, P: LockPolicy> fmt::Debug for Key<K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("policy", &P::NAME).field("access", &self.access).finish_non_exhaustive()
    }
}

/// Tasks that run one after another, in the order in which they were submitted: made by [`ThreadPool::strand`]. Clones are the same strand,
/// and each is a handle of the pool, which lives as long as its last handle.
///
/// Other names for it are serial executor, serial queue, and the mailbox of an actor. No thread is its own.
///
/// ```
/// let pool = lockgrain::ThreadPool::new()?;
/// let log = pool.strand();
/// let first = log.submit(|| 1);
/// let second = log.submit(|| 2); // after the first
/// assert_eq!(second.result()?, 2);
/// assert_eq!(first.result()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "SerialExecutor")]
#[doc(alias = "actor")]
pub struct Strand<P: LockPolicy = LockFree> {
    turn: Guarded<(), P>,
    pool: ThreadPool<P>,
}

impl<P: LockPolicy> Strand<P> {
    /// Has `f` run by a worker once all tasks that were submitted before have ended. As [`Keyed::submit`] with one key.
    pub fn submit<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
        self.pool.when(&self.turn, move |()| f())
    }

    /// As [`submit`](Self::submit), with nobody to hear of the end. A panic goes to the pool's panic handler.
    ///
    /// # Errors
    /// [`Refused`] once the pool is shutting down; `f` has been dropped.
    pub fn spawn(&self, f: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        // Not refused as an alias: it is one value.
        self.pool.spawn_when(&self.turn, move |()| f()).map_err(|_| Refused)
    }
}

impl<P: LockPolicy> ThreadPool<P> {
    /// Tasks by key, of a space of keys of its own.
    pub fn keyed<K: Hash + Eq + Send + Sync + 'static>(&self) -> Keyed<K, P> {
        Keyed { keys: Arc::new(Handles(Keys::new(self.core().clone()))), pool: self.clone() }
    }

    /// Tasks that run one after another.
    pub fn strand(&self) -> Strand<P> {
        Strand { turn: self.guarded(()), pool: self.clone() }
    }
}

impl<K: Hash + Eq + Send + Sync, P: LockPolicy> Clone for Keyed<K, P> {
    fn clone(&self) -> Self {
        Self { keys: self.keys.clone(), pool: self.pool.clone() }
    }
}

impl<P: LockPolicy> Clone for Strand<P> {
    fn clone(&self) -> Self {
        Self { turn: self.turn.clone(), pool: self.pool.clone() }
    }
}

impl<K: Hash + Eq + Send + Sync, P: LockPolicy> fmt::Debug for Keyed<K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("policy", &P::NAME).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<P: LockPolicy> fmt::Debug for Strand<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strand").field("policy", &P::NAME).finish_non_exhaustive()
    }
}

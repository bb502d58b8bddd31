//! Keys that tasks name, and strands: tasks that run one after another without a value of their own.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use super::guarded::Guarded;
use super::key_hash::KeyHashBuilder;
use super::values::sealed;
use super::when;
use super::{Refused, TaskHandle, ThreadPool, entry};
use crate::policy::value_lock::{Access, ValueLock};
use crate::policy::{LockFree, LockPolicy};
use crate::runtime::keys::{Held, Keys, Named};
use crate::runtime::request::Request;
use crate::runtime::wants::{Many, Wants};
use crate::sync::Arc;
use crate::task;

/// Tasks by key: made by [`ThreadPool::keyed`]. Those with a key in common run one after another, in the order in which they were submitted;
/// others run at once.
///
/// Keys are compared by equality, never by their hash alone: different keys are never in each other's way. The hash is a fast one, which does not keep
/// off somebody who picks keys so that their hashes meet, and look-ups take long; [`ThreadPool::keyed_with_hasher`] takes one that does. A key takes memory
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
pub struct Keyed<K, P = LockFree, S = KeyHashBuilder>
where
    K: Hash + Eq + Send + Sync + 'static,
    P: LockPolicy,
    S: BuildHasher + Send + Sync + 'static,
{
    handles: Arc<Handles<K, P, S>>,
    pool: ThreadPool<P>,
}

/// What the handles share; the table itself stays until the last of its tasks has ended.
struct Handles<K: Eq + Send + Sync + 'static, P: LockPolicy, S> {
    keys: Arc<Keys<K, P>>,
    hasher: S,
}

impl<K: Eq + Send + Sync, P: LockPolicy, S> Drop for Handles<K, P, S> {
    fn drop(&mut self) {
        self.keys.close();
    }
}

impl<K, P, S> Keyed<K, P, S>
where
    K: Hash + Eq + Send + Sync,
    P: LockPolicy,
    S: BuildHasher + Send + Sync,
{
    /// Has `f` run by a worker while no other task with this key runs.
    ///
    /// Never fails: a refused task is a handle that has ended with [`TaskError::Refused`](crate::TaskError::Refused).
    /// [`shutdown_now`](ThreadPool::shutdown_now) cancels a task that waits for a key at once.
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
        let names: Vec<_> = keys
            .into_iter()
            .filter_map(|(key, access)| Some(Key { access, ..self.named(self.hold_alone(key)?) }))
            .collect();
        let mut wants = Many::new();
        names.iter().for_each(|name| name.add_to(&mut wants));
        self.submit_merged(wants, f)
    }

    /// Has `f` run by a worker while no other task of this `Keyed` runs, whatever its key: after those that were submitted before, and
    /// before those that come later.
    ///
    /// It names each key that is in use, so it takes time and memory in proportion to their number.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let accounts = pool.keyed::<&str>();
    /// let deposit = accounts.submit("alice", || "deposited");
    /// let audit = accounts.exclusive_all(|| "audited"); // after the deposit, and before everything else
    /// let other = accounts.submit("bob", || "afterwards");
    /// assert_eq!((audit.result()?, deposit.result()?, other.result()?), ("audited", "deposited", "afterwards"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn exclusive_all<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
        if !self.has_lines() {
            return self.submit_merged(Many::new(), f);
        }
        let (alone, names) = self.handles.keys.name_all();
        let mut wants: Many<P> = names.iter().map(|name| name.want(Access::Exclusive)).collect();
        wants.push(self.handles.keys.all(Access::Exclusive));
        self.submit_merged(wants, move || {
            let _alone = alone;
            f()
        })
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
        self.named(self.hold(key))
    }

    fn hold(&self, key: K) -> Held<'_, K, P> {
        let Handles { keys, hasher } = &*self.handles;
        let hash = hasher.hash_one(&key);
        keys.hold(key, hash)
    }

    fn named(&self, held: Held<'_, K, P>) -> Key<K, P> {
        let all = held.is_crowded().then(|| self.handles.keys.clone());
        Key { name: held.named(), all, access: Access::Exclusive }
    }

    /// As `hold`, for a task that wants nothing but keys; none if the gate covers them.
    #[inline]
    fn hold_alone(&self, key: K) -> Option<Held<'_, K, P>> {
        if self.has_lines() {
            return Some(self.hold(key));
        }
        task::drop_quietly(key);
        None
    }

    /// Whether tasks stand in line for keys. If not, the gate covers them all, and the queue keeps the order.
    fn has_lines(&self) -> bool {
        P::Lock::LINES || self.pool.core().has_limits()
    }

    /// As [`submit`](Self::submit), with nobody to hear of the end. A panic goes to the pool's panic handler.
    ///
    /// # Errors
    /// [`Refused`] once the pool is shutting down; `f` has been dropped.
    pub fn spawn(&self, key: K, f: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        let core = self.pool.core();
        let f = when::accepted(core, (), |()| f())?;
        match self.hold_alone(key) {
            Some(held) if held.is_crowded() => {
                let key = self.named(held);
                when::spawn(core, Request::merged(key.wants(), core), (), f);
            }
            held => {
                let want = held.as_ref().map(|held| held.want(Access::Exclusive));
                when::spawn(core, Request::one(want, core), held, f);
            }
        }
        Ok(())
    }

    fn submit_one<T: Send + 'static>(
        &self,
        key: K,
        access: Access,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> TaskHandle<T> {
        let core = self.pool.core();
        let f = match when::accepted(core, (), |()| f()) {
            Ok(f) => f,
            Err(why) => return entry::refused(core, why),
        };
        match self.hold_alone(key) {
            Some(held) if held.is_crowded() => {
                let key = Key { access, ..self.named(held) };
                when::submit(core, Request::merged(key.wants(), core), (), f)
            }
            held => {
                let want = held.as_ref().map(|held| held.want(access));
                when::submit(core, Request::one(want, core), held, f)
            }
        }
    }

    /// Whoever calls this has references to all of it.
    fn submit_merged<T: Send + 'static>(
        &self,
        wants: Many<P>,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> TaskHandle<T> {
        let core = self.pool.core();
        match when::accepted(core, (), |()| f()) {
            Ok(f) => when::submit(core, Request::merged(wants, core), (), f),
            Err(why) => entry::refused(core, why),
        }
    }

    /// How many keys tasks name at the moment; a task that has just ended may still count. Under a policy whose gate covers
    /// every value, like [`GlobalLock`](crate::GlobalLock), only those that were named by [`key`](Self::key), or in a pool with a [`Limit`](super::Limit).
    pub fn len(&self) -> usize {
        self.handles.keys.len()
    }

    /// Whether no task names a key at the moment, as [`len`](Self::len) counts them.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One key, for [`ThreadPool::when`]: made by [`Keyed::key`].
pub struct Key<K: Send + Sync + 'static, P: LockPolicy = LockFree> {
    name: Named<K, P>,
    /// The table, if a task of it is to run alone.
    all: Option<Arc<Keys<K, P>>>,
    access: Access,
}

impl<K: Send + Sync, P: LockPolicy> Key<K, P> {
    /// To be shared with other tasks that say so.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { access: Access::Shared, ..self }
    }

    fn wants(&self) -> Many<P> {
        let mut wants = Many::new();
        self.add_to(&mut wants);
        wants
    }

    fn add_to(&self, wants: &mut Many<P>) {
        wants.push(self.name.want(self.access));
        wants.extend(self.all.as_ref().map(|all| all.all(Access::Shared)));
    }
}

impl<K: Send + Sync, P: LockPolicy> sealed::Want<P> for Key<K, P> {
    type Places = ();
    type Wants = Many<P>;

    fn want(&self, wants: &mut impl Wants<P>) {
        self.wants().into_iter().for_each(|want| wants.add(want));
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
        self.pool.spawn_when(&self.turn, move |()| f()).map_err(|_| Refused::by(self.pool.core()))
    }
}

impl<P: LockPolicy> ThreadPool<P> {
    /// Tasks by key, of a space of keys of its own.
    pub fn keyed<K: Hash + Eq + Send + Sync + 'static>(&self) -> Keyed<K, P> {
        self.keyed_with_hasher(KeyHashBuilder::default())
    }

    /// As [`keyed`](Self::keyed), with a hash of one's own: such as the standard library's, which is slower, and keeps off who picks keys whose hashes meet.
    /// Equal keys must have equal hashes, as in a [`HashMap`](std::collections::HashMap): else their tasks may overlap. It runs in the submitter, and so does its panic.
    ///
    /// ```
    /// use std::hash::RandomState;
    /// use lockgrain::{Keyed, LockFree, ThreadPool};
    ///
    /// let pool = ThreadPool::new()?;
    /// let users: Keyed<String, LockFree, RandomState> = pool.keyed_with_hasher(RandomState::new());
    /// assert_eq!(users.submit("alice".to_owned(), || 1).result()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keyed_with_hasher<K, S>(&self, hasher: S) -> Keyed<K, P, S>
    where
        K: Hash + Eq + Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        let keys = Keys::new(self.core().clone());
        Keyed { handles: Arc::new(Handles { keys, hasher }), pool: self.clone() }
    }

    /// Tasks that run one after another.
    pub fn strand(&self) -> Strand<P> {
        Strand { turn: self.guarded(()), pool: self.clone() }
    }
}

impl<K, P, S> Clone for Keyed<K, P, S>
where
    K: Hash + Eq + Send + Sync,
    P: LockPolicy,
    S: BuildHasher + Send + Sync,
{
    fn clone(&self) -> Self {
        Self { handles: self.handles.clone(), pool: self.pool.clone() }
    }
}

impl<P: LockPolicy> Clone for Strand<P> {
    fn clone(&self) -> Self {
        Self { turn: self.turn.clone(), pool: self.pool.clone() }
    }
}

impl<K, P, S> fmt::Debug for Keyed<K, P, S>
where
    K: Hash + Eq + Send + Sync,
    P: LockPolicy,
    S: BuildHasher + Send + Sync,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed").field("policy", &P::NAME).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<P: LockPolicy> fmt::Debug for Strand<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strand").field("policy", &P::NAME).finish_non_exhaustive()
    }
}

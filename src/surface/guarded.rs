//! Values that tasks name, and that only the tasks that named them touch.

use std::fmt;
use std::mem::{ManuallyDrop, needs_drop};
use std::ptr;

use super::{Context, ThreadPool};
use crate::policy::value_lock::{Covered, ValueLock};
use crate::policy::{LockFree, LockPolicy};
use crate::runtime::Core;
use crate::runtime::request::FOREIGN;
use crate::runtime::wants::{Line, Lockable, References};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, LINE, UnsafeCell};
use crate::task;

/// A value of a pool that tasks ask for by name: made by [`ThreadPool::guarded`], used with [`ThreadPool::when`].
///
/// Clones are handles to the same value, which is dropped with the last of them and the last task that named it. A panic of its `Drop` is
/// swallowed, after the process's panic hook has reported it.
///
/// ```
/// let pool = lockgrain::ThreadPool::new()?;
/// let (alice, bob) = (pool.guarded(70), pool.guarded(30));
/// let transfer = pool.when((&alice, &bob), |(alice, bob)| {
///     *alice -= 20;
///     *bob += 20;
/// });
/// let total = pool.when((alice.shared(), bob.shared()), |(alice, bob)| *alice + *bob); // after the transfer
/// transfer.result()?;
/// assert_eq!(total.result()?, 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "Mutex")]
#[doc(alias = "cown")]
#[doc(alias = "synchronized")]
pub struct Guarded<T: Send + 'static, P: LockPolicy = LockFree> {
    pub(super) value: Arc<Value<T, P>>,
}

/// The wish to read a [`Guarded`] value together with other readers: made by [`Guarded::shared`].
pub struct Shared<T: Send + Sync + 'static, P: LockPolicy = LockFree> {
    pub(super) value: Arc<Value<T, P>>,
}

/// What the handles share.
#[repr(C)]
pub(super) struct Value<T: Send + 'static, P: LockPolicy> {
    lock: P::Lock,
    core: Arc<Core<P>>,
    /// Who submits tasks uses what is above, and who runs them what is below: in another cache line.
    apart: [u8; LINE],
    pub(super) poison: Poison,
    pub(super) data: UnsafeCell<ManuallyDrop<T>>,
}

// SAFETY: the data is only touched by a task that was granted it, one at a time or, if it is `Sync`, several that read it; or with the
// context of the gate that covers it, by one at a time; or by the last handle.
unsafe impl<T: Send, P: LockPolicy> Sync for Value<T, P> {}

impl<T: Send, P: LockPolicy> Lockable<P> for Value<T, P> {
    fn line(&self) -> Line<'_, P> {
        Line::Value(&self.lock)
    }

    fn core(&self) -> &Arc<Core<P>> {
        &self.core
    }

    fn references(&self) -> &'static References {
        // Made in an `Arc`, by `ThreadPool::guarded`.
        const { &References::of_arc::<Self>(needs_drop::<T>()) }
    }
}

impl<T: Send, P: LockPolicy> Drop for Value<T, P> {
    fn drop(&mut self) {
        // SAFETY: nobody else refers to it.
        let data = self.data.with_mut(|data| unsafe { &mut *data });
        // SAFETY: it is not used again.
        task::quietly(|| unsafe { ManuallyDrop::drop(data) });
    }
}

impl<T: Send, P: LockPolicy> Guarded<T, P> {
    /// To be read only, together with other readers.
    ///
    /// These read at once in several threads, so the value must be `Sync`:
    ///
    /// ```compile_fail
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let cell = pool.guarded(std::cell::Cell::new(1));
    /// let handle = pool.when(cell.shared(), |cell| cell.get());
    /// ```
    pub fn shared(&self) -> Shared<T, P>
    where
        T: Sync,
    {
        Shared { value: self.value.clone() }
    }

    /// From now on a task that panics while it may change the value poisons it, as with [`Mutex`](std::sync::Mutex): tasks that name it
    /// then end with [`TaskError::Poisoned`](crate::TaskError::Poisoned), unrun, until [`clear_poison`](Self::clear_poison). Without this a panic just gives it back.
    ///
    /// It is [`ThreadPool::when`] that knows what a task may change; a panic in a task that used [`get_mut`](Self::get_mut) poisons nothing.
    ///
    /// ```
    /// use lockgrain::TaskError;
    ///
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let ledger = pool.guarded(vec![70, 30]).poisoning();
    /// let broken = pool.when(&ledger, |ledger| {
    ///     ledger[0] -= 20;
    ///     panic!("before the other side is booked");
    /// });
    /// broken.wait()?;
    /// assert!(ledger.is_poisoned());
    /// assert!(matches!(pool.when(&ledger, |ledger| ledger[0]).result(), Err(TaskError::Poisoned)));
    /// ledger.clear_poison();
    /// assert_eq!(pool.when(&ledger, |ledger| ledger[0]).result()?, 50);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn poisoning(self) -> Self {
        self.value.poison.turn_on();
        self
    }

    /// Whether a task has panicked that might have changed the value, see [`poisoning`](Self::poisoning). Exact for who knows that no
    /// task with it runs.
    pub fn is_poisoned(&self) -> bool {
        self.value.poison.is_set()
    }

    /// The value is good again. A task that runs at the moment may still poison it.
    pub fn clear_poison(&self) {
        self.value.poison.clear();
    }

    /// The value, if this is the only handle and no task that names it is left; else the handle comes back.
    ///
    /// # Errors
    /// The handle, if there are others or tasks.
    pub fn try_unwrap(self) -> Result<T, Self> {
        let value = ManuallyDrop::new(Arc::try_unwrap(self.value).map_err(|value| Self { value })?);
        // SAFETY: nobody else refers to it, and its drop, which would read it again, is not run.
        let data = value.data.with(|data| unsafe { ptr::read(data) });
        // SAFETY: not used again.
        drop(unsafe { ptr::read(&raw const value.core) });
        // SAFETY: as above.
        drop(unsafe { ptr::read(&raw const value.lock) });
        Ok(ManuallyDrop::into_inner(data))
    }

    /// Where it is, for models: of two values a task gets into line for the one with the lower address first.
    #[cfg(all(test, any(lockgrain_loom, lockgrain_shuttle)))]
    pub(crate) fn address(&self) -> *const () {
        Arc::as_ptr(&self.value).cast()
    }
}

/// In a task that holds the lock which covers all values.
impl<T: Send, P: LockPolicy<Lock = Covered>> Guarded<T, P>
where
    Covered: ValueLock<P::Gate>,
{
    /// The value, as long as the context is not used to let go of the lock.
    ///
    /// # Panics
    /// If the context is of another pool.
    ///
    /// ```
    /// use lockgrain::{GlobalLock, ThreadPool};
    ///
    /// let pool = ThreadPool::builder().policy::<GlobalLock>().build()?;
    /// let log = pool.guarded(Vec::new());
    /// let mine = log.clone();
    /// let lines = pool.submit_with(move |cx| {
    ///     mine.get_mut(cx).push("began");
    ///     cx.blocking(|| ()); // others may have the value meanwhile
    ///     mine.get_mut(cx).push("ended");
    ///     mine.get(cx).len()
    /// });
    /// assert_eq!(lines.result()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// So nothing of the value can be kept across that:
    ///
    /// ```compile_fail
    /// # use lockgrain::{GlobalLock, ThreadPool};
    /// # let pool = ThreadPool::builder().policy::<GlobalLock>().build().unwrap();
    /// # let log = pool.guarded(vec![1]);
    /// let handle = pool.submit_with(move |cx| {
    ///     let first = &mut log.get_mut(cx)[0];
    ///     cx.blocking(|| ());
    ///     *first += 1;
    /// });
    /// ```
    pub fn get<'c>(&'c self, cx: &'c Context<P>) -> &'c T {
        self.check(cx);
        // SAFETY: the context stands for the lock, which one thread holds at a time; it has one context, here borrowed, so nobody
        // changes the value meanwhile.
        self.value.data.with(|data| unsafe { &*data })
    }

    /// As [`get`](Self::get), to change it.
    ///
    /// # Panics
    /// If the context is of another pool.
    pub fn get_mut<'c>(&'c self, cx: &'c mut Context<P>) -> &'c mut T {
        self.check(cx);
        // SAFETY: as in `get`, and the context is borrowed by this reference alone.
        self.value.data.with_mut(|data| unsafe { &mut *data })
    }

    fn check(&self, cx: &Context<P>) {
        assert!(cx.core().has_lock_of(&self.value.core), "{FOREIGN}: it needs a context of its own pool");
    }
}

impl<P: LockPolicy> ThreadPool<P> {
    /// A value that tasks of this pool can name.
    pub fn guarded<T: Send + 'static>(&self, value: T) -> Guarded<T, P> {
        let data = UnsafeCell::new(ManuallyDrop::new(value));
        Guarded {
            value: Arc::new(Value {
                lock: P::Lock::new(),
                core: self.core().clone(),
                apart: [0; LINE],
                poison: Poison::new(),
                data,
            }),
        }
    }
}

/// Whether a value is poisoned, if it can be.
pub(super) struct Poison(AtomicU32);

const NEVER: u32 = 0;
const GOOD: u32 = 1;
const POISONED: u32 = 2;

/// Relaxed throughout: who holds the value orders it.
impl Poison {
    fn new() -> Self {
        Self(AtomicU32::new(NEVER))
    }

    fn turn_on(&self) {
        let _on = self.0.compare_exchange(NEVER, GOOD, Relaxed, Relaxed);
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Relaxed) == POISONED
    }

    pub(super) fn set(&self) {
        let _set = self.0.compare_exchange(GOOD, POISONED, Relaxed, Relaxed);
    }

    fn clear(&self) {
        let _cleared = self.0.compare_exchange(POISONED, GOOD, Relaxed, Relaxed);
    }
}

impl<T: Send, P: LockPolicy> Clone for Guarded<T, P> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone() }
    }
}

impl<T: Send + Sync, P: LockPolicy> Clone for Shared<T, P> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone() }
    }
}

impl<T: Send, P: LockPolicy> fmt::Debug for Guarded<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("policy", &P::NAME).finish_non_exhaustive()
    }
}

impl<T: Send + Sync, P: LockPolicy> fmt::Debug for Shared<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("policy", &P::NAME).finish_non_exhaustive()
    }
}

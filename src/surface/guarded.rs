//! Values that tasks name, and that only the tasks that named them touch.

use std::fmt;
use std::mem::{ManuallyDrop, needs_drop};
use std::ptr;

use super::values::{Lent, Values, sealed};
use super::{Context, Refused, TaskHandle, ThreadPool};
use crate::policy::value_lock::{Covered, ValueLock};
use crate::policy::{LockFree, LockPolicy};
use crate::runtime::Core;
use crate::runtime::current;
use crate::runtime::propagation::carried;
use crate::runtime::request::{FOREIGN, Lender, Request};
use crate::runtime::wants::{Line, Lockable, References, Wants};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, LINE, UnsafeCell};
use crate::task::{self, TaskError};

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
    /// then end with [`TaskError::Poisoned`], unrun, until [`clear_poison`](Self::clear_poison). Without this a panic just gives it back.
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

    /// Has `f` run by a worker once the values are its own: `&guarded` to change, [`guarded.shared()`](Guarded::shared) to read; one, a
    /// tuple of up to eight, or an array, slice or `Vec` of them. [Keys](super::Keyed::key) and permits of a [limit](super::Limit) may be among them.
    ///
    /// Tasks that share a value, at least one of them to change it, never overlap, and run in the order in which they were submitted. A
    /// reader that comes after a waiting writer waits behind it. No worker waits for a value: the task is queued to run when
    /// it has them all, and as it gets into line for all of them at once, values alone can't deadlock. A panic gives the values back.
    ///
    /// While it has the values, `f` can wait for other tasks, under [`GlobalLock`](crate::GlobalLock) only for tasks of other pools. A wait
    /// for a task that, in whatever way, waits for one of these values is an error, [`WouldDeadlock`](TaskError::WouldDeadlock).
    ///
    /// Never fails: a refused task is a handle that has ended with [`TaskError::Refused`], one that names a value twice with
    /// [`TaskError::Aliased`], and one that wants more permits than there are with [`TaskError::TooManyPermits`]. [`shutdown_now`](Self::shutdown_now) cancels a task that waits for a value at
    /// once.
    ///
    /// # Panics
    /// If a value is of another pool.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let words = pool.guarded(String::from("lock"));
    /// let append = pool.when(&words, |words| words.push_str("grain"));
    /// let length = pool.when(words.shared(), |words| words.len());
    /// append.result()?;
    /// assert_eq!(length.result()?, 9);
    ///
    /// let accounts = [pool.guarded(100), pool.guarded(0)];
    /// let transfer = pool.when(&accounts, |[from, to]| (*from, *to) = (*from - 40, *to + 40));
    /// transfer.result()?;
    ///
    /// let cells: Vec<_> = (0..100).map(|n| pool.guarded(n)).collect();
    /// let sum = pool.when(&cells, |cells| cells.into_iter().map(|cell| *cell).sum::<i32>());
    /// assert_eq!(sum.result()?, 4950);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The references end with the task:
    ///
    /// ```compile_fail
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let words = pool.guarded(String::new());
    /// let handle = pool.when(&words, |words| words);
    /// ```
    ///
    /// Nor can they be kept elsewhere:
    ///
    /// ```compile_fail,E0521
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let words = pool.guarded(String::new());
    /// let (send, receive) = std::sync::mpsc::channel::<&'static mut String>();
    /// let handle = pool.when(&words, move |words| send.send(words).unwrap());
    /// ```
    ///
    /// And the task borrows nothing of its submitter's, as it may outlive it:
    ///
    /// ```compile_fail,E0373
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let words = pool.guarded(String::new());
    /// let local = String::from("grain");
    /// let handle = pool.when(&words, |words| words.push_str(&local));
    /// ```
    ///
    /// Not even what a scope would let its tasks borrow:
    ///
    /// ```compile_fail,E0597
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let words = pool.guarded(String::new());
    /// let local = String::from("grain");
    /// let borrowed = &local;
    /// pool.scope(|_| {
    ///     let handle = pool.when(&words, move |words| words.push_str(borrowed));
    /// });
    /// ```
    #[doc(alias = "synchronized")]
    pub fn when<V, T, F>(&self, values: V, f: F) -> TaskHandle<T>
    where
        V: Values<P>,
        T: Send + 'static,
        F: for<'a> FnOnce(Lent<'a, P, V>) -> T + Send + 'static,
    {
        let core = self.core();
        match ask(core, &values) {
            Ok((request, places)) => submit(core, request, (), places, f),
            Err(error) => {
                task::drop_quietly(f);
                TaskHandle::new(task::refused(core.id, error))
            }
        }
    }

    /// As [`when`](Self::when), with nobody to hear of the end. A panic goes to the pool's panic handler; a task whose value is poisoned is
    /// dropped without a word.
    ///
    /// # Errors
    /// [`TaskError::Refused`] once the pool is shutting down, [`TaskError::Aliased`] if a value is named twice, and
    /// [`TaskError::TooManyPermits`] if more permits are wanted than there are; `f` has been dropped.
    ///
    /// # Panics
    /// If a value is of another pool.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let log = pool.guarded(Vec::new());
    /// pool.spawn_when(&log, |log| log.push("began"))?;
    /// pool.spawn_when(&log, |log| log.push("ended"))?;
    /// assert_eq!(pool.when(&log, |log| log.join(" ")).result()?, "began ended");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_when<V, F>(&self, values: V, f: F) -> Result<(), TaskError>
    where
        V: Values<P>,
        F: for<'a> FnOnce(Lent<'a, P, V>) + Send + 'static,
    {
        let core = self.core();
        match ask(core, &values) {
            Ok((request, places)) => spawn(core, request, (), places, f).map_err(TaskError::from),
            Err(error) => {
                task::drop_quietly(f);
                Err(error)
            }
        }
    }
}

type Asked<P, V> = (Request<P, <V as sealed::Want<P>>::Wants>, <V as sealed::Want<P>>::Places);

/// What to ask for, and where it is. It is `values` that keep it alive until the task stands in line.
fn ask<P: LockPolicy, V: Values<P>>(core: &Core<P>, values: &V) -> Result<Asked<P, V>, TaskError> {
    let mut wants = V::Wants::default();
    let places = values.want(&mut wants);
    Ok((Request::new(wants, core)?, places))
}

/// Has `f` run once the request has all that it wants. The caller has a reference to each of these, or `lender` has.
pub(super) fn submit<P, W, L, T, F>(
    core: &Arc<Core<P>>,
    request: Request<P, W>,
    lender: impl Lender,
    places: L,
    f: F,
) -> TaskHandle<T>
where
    P: LockPolicy,
    W: Wants<P>,
    L: sealed::Places,
    T: Send + 'static,
    F: for<'a> FnOnce(L::Lent<'a>) -> T + Send + 'static,
{
    if core.is_draining() {
        task::drop_quietly(f);
        return TaskHandle::new(task::refused(core.id, core.refused()));
    }
    let queue = |request: &Request<P, W>, task| request.queue(core, task, lender);
    TaskHandle::new(task::needing(core.id, request, carried(core, lend(places, f)), queue))
}

/// As `submit`, without a handle.
#[inline]
pub(super) fn spawn<P, W, L, F>(
    core: &Arc<Core<P>>,
    request: Request<P, W>,
    lender: impl Lender,
    places: L,
    f: F,
) -> Result<(), Refused>
where
    P: LockPolicy,
    W: Wants<P>,
    L: sealed::Places,
    F: for<'a> FnOnce(L::Lent<'a>) + Send + 'static,
{
    if core.is_draining() {
        task::drop_quietly(f);
        return Err(Refused::by(core));
    }
    task::detached_needing(request, carried(core, lend(places, f)), |request, task| request.queue(core, task, lender));
    Ok(())
}

/// The closure of a task that is run once it has the values.
fn lend<L, T, F>(places: L, f: F) -> impl FnOnce() -> T + Send + 'static
where
    L: sealed::Places,
    T: 'static,
    F: for<'a> FnOnce(L::Lent<'a>) -> T + Send + 'static,
{
    move || {
        current::frames(|mut frames| {
            let own = frames.next().and_then(|frame| Some((frame, frame.own_task()?)));
            let (frame, task) =
                own.expect("a task with guarded values only runs on a worker of the pool it was submitted to");
            current::holding(frame, task, || {
                // Permits keep nobody from using what the task uses: then the gate may be let go of.
                let _lent = L::LENDS.then(|| current::Lent::enter(frame, true));
                // SAFETY: granted, see below.
                if unsafe { places.is_poisoned() } {
                    task::end_as_poisoned();
                }
                let on_panic = Poisons(&places);
                // SAFETY: the task is run because all accesses have been granted, and they and the values are kept until the closure has ended;
                // what it returns can't contain the references, as it is the same type for every lifetime.
                let result = f(unsafe { places.lend() });
                std::mem::forget(on_panic);
                result
            })
        })
    }
}

/// Poisons what a task might have changed that panics.
struct Poisons<'a, L: sealed::Places>(&'a L);

impl<L: sealed::Places> Drop for Poisons<'_, L> {
    fn drop(&mut self) {
        // SAFETY: the accesses end after the task's code.
        unsafe { self.0.poison() };
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

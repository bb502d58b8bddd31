//! Values that tasks name, and that only the tasks that named them touch.

use std::fmt;
use std::mem::{ManuallyDrop, needs_drop};
use std::ptr::{self, NonNull};

use super::error::Refused;
use super::{Context, TaskHandle, ThreadPool};
use crate::policy::value_lock::{Access, Covered, ValueLock};
use crate::policy::{LockFree, LockPolicy};
use crate::runtime::Core;
use crate::runtime::current;
use crate::runtime::request::{FOREIGN, Request};
use crate::runtime::wants::{Lockable, Many, One, Want, Wants};
use crate::sync::{Arc, UnsafeCell};
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
    value: Arc<Value<T, P>>,
}

/// The wish to read a [`Guarded`] value together with other readers: made by [`Guarded::shared`].
pub struct Shared<T: Send + Sync + 'static, P: LockPolicy = LockFree> {
    value: Arc<Value<T, P>>,
}

/// What the handles share.
struct Value<T: Send + 'static, P: LockPolicy> {
    lock: P::Lock,
    core: Arc<Core<P>>,
    data: UnsafeCell<ManuallyDrop<T>>,
}

// SAFETY: the data is only touched by a task that was granted it, one at a time or, if it is `Sync`, several that read it; or with the
// context of the gate that covers it, by one at a time; or by the last handle.
unsafe impl<T: Send, P: LockPolicy> Sync for Value<T, P> {}

impl<T: Send, P: LockPolicy> Lockable<P> for Value<T, P> {
    fn lock(&self) -> &P::Lock {
        &self.lock
    }

    fn core(&self) -> &Arc<Core<P>> {
        &self.core
    }

    fn retain(&self) {
        // SAFETY: every value is made in an `Arc`, by `ThreadPool::guarded`.
        unsafe { Arc::increment_strong_count(self) };
    }

    fn release(&self) -> unsafe fn(NonNull<()>) {
        // SAFETY: as above, and the reference is the caller's.
        |this| unsafe { Arc::decrement_strong_count(this.cast::<Self>().as_ptr()) }
    }

    fn is_last(&self) -> bool {
        if !needs_drop::<T>() {
            return false;
        }
        // SAFETY: as above, and not dropped here.
        let this = ManuallyDrop::new(unsafe { Arc::from_raw(self) });
        Arc::strong_count(&this) == 1
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
        assert!(cx.core().id == self.value.core.id, "{FOREIGN}: it needs a context of its own pool");
    }
}

impl<P: LockPolicy> ThreadPool<P> {
    /// A value that tasks of this pool can name.
    pub fn guarded<T: Send + 'static>(&self, value: T) -> Guarded<T, P> {
        let data = UnsafeCell::new(ManuallyDrop::new(value));
        Guarded { value: Arc::new(Value { lock: P::Lock::new(), core: self.core().clone(), data }) }
    }

    /// Has `f` run by a worker once the values are its own: `&guarded` to change, [`guarded.shared()`](Guarded::shared) to read; one, a
    /// tuple of up to eight, or a slice or `Vec` of them.
    ///
    /// Tasks that share a value, at least one of them to change it, never overlap, and run in the order in which they were submitted. A
    /// reader that comes after a waiting writer waits behind it. No worker waits for a value: the task is queued to run when
    /// it has them all, and as it gets into line for all of them at once, values alone can't deadlock. A panic gives the values back.
    ///
    /// While it has the values, `f` can wait for other tasks, under [`GlobalLock`](crate::GlobalLock) only for tasks of other pools. A wait
    /// for a task that, in whatever way, waits for one of these values is an error, [`WouldDeadlock`](TaskError::WouldDeadlock).
    ///
    /// Never fails: a refused task is a handle that has ended with [`TaskError::Refused`], and one that names a value twice with
    /// [`TaskError::Aliased`]. [`shutdown_now`](Self::shutdown_now) cancels a task that waits for a value when its turn comes.
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
    #[doc(alias = "synchronized")]
    pub fn when<V, T, F>(&self, values: V, f: F) -> TaskHandle<T>
    where
        V: Values<P>,
        T: Send + 'static,
        F: for<'a> FnOnce(Lent<'a, P, V>) -> T + Send + 'static,
    {
        let core = self.core();
        match ask(core.id, &values) {
            Some((request, places)) => submit(core, request, places, f),
            None => {
                task::drop_quietly(f);
                TaskHandle::new(task::refused(core.id, TaskError::Aliased))
            }
        }
    }

    /// As [`when`](Self::when), with nobody to hear of the end. A panic goes to the pool's panic handler.
    ///
    /// # Errors
    /// [`TaskError::Refused`] once the pool is shutting down, and [`TaskError::Aliased`] if a value is named twice; `f` has been dropped.
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
        let Some((request, places)) = ask(core.id, &values) else {
            task::drop_quietly(f);
            return Err(TaskError::Aliased);
        };
        spawn(core, request, places, f).map_err(|Refused| TaskError::Refused)
    }
}

type Asked<P, V> = (Request<P, <V as sealed::Want<P>>::Wants>, <V as sealed::Want<P>>::Places);

/// What to ask for, and where it is; none if a value is named twice. It is `values` that keep it alive until the task stands in line.
fn ask<P: LockPolicy, V: Values<P>>(pool: u32, values: &V) -> Option<Asked<P, V>> {
    let mut wants = V::Wants::default();
    let places = values.want(&mut wants);
    Some((Request::new(wants, pool)?, places))
}

/// Has `f` run once the request has all that it wants. The caller has a reference to each of these.
pub(super) fn submit<P, W, L, T, F>(core: &Arc<Core<P>>, request: Request<P, W>, places: L, f: F) -> TaskHandle<T>
where
    P: LockPolicy,
    W: Wants<P>,
    L: sealed::Places,
    T: Send + 'static,
    F: for<'a> FnOnce(L::Lent<'a>) -> T + Send + 'static,
{
    if core.is_draining() {
        task::drop_quietly(f);
        return TaskHandle::new(task::refused(core.id, TaskError::Refused));
    }
    let queue = |request: &Request<P, W>, task| request.queue(core, task);
    TaskHandle::new(task::needing(core.id, request, lend(places, f), queue))
}

/// As `submit`, without a handle.
pub(super) fn spawn<P, W, L, F>(core: &Arc<Core<P>>, request: Request<P, W>, places: L, f: F) -> Result<(), Refused>
where
    P: LockPolicy,
    W: Wants<P>,
    L: sealed::Places,
    F: for<'a> FnOnce(L::Lent<'a>) + Send + 'static,
{
    if core.is_draining() {
        task::drop_quietly(f);
        return Err(Refused);
    }
    task::detached_needing(request, lend(places, f), |request, task| request.queue(core, task));
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
            let frame = frames.next().filter(|frame| frame.runs_own_task());
            let frame =
                frame.expect("a task with guarded values only runs on a worker of the pool it was submitted to");
            let _lent = current::Lent::enter(frame, true);
            // SAFETY: the task is run because all accesses have been granted, and they and the values are kept until the closure has ended;
            // what it returns can't contain the references, as it is the same type for every lifetime.
            f(unsafe { places.lend() })
        })
    }
}

/// What a task can name in [`ThreadPool::when`]: `&`[`Guarded`], [`Shared`], tuples of up to eight, slices and `Vec`s of them.
pub trait Values<P: LockPolicy>: sealed::Want<P> {}

impl<P: LockPolicy, V: sealed::Want<P>> Values<P> for V {}

/// What the closure of [`ThreadPool::when`] gets for `V`: `&mut T` for a `&Guarded<T>`, `&T` for a `Shared<T>`, a tuple for a tuple, and a
/// `Vec` for a slice or a `Vec`.
pub type Lent<'a, P, V> = <<V as sealed::Want<P>>::Places as sealed::Places>::Lent<'a>;

mod sealed {
    use super::{LockPolicy, Wants};

    pub trait Want<P: LockPolicy> {
        type Places: Places;
        /// Has room for them.
        type Wants: Wants<P>;

        /// Adds the values to the list.
        fn want(&self, wants: &mut impl Wants<P>) -> Self::Places;
    }

    /// Where the values are.
    pub trait Places: Send + 'static {
        type Lent<'a>;

        /// # Safety
        /// The accesses have been granted, and are kept and used by nobody else for `'a`.
        unsafe fn lend<'a>(self) -> Self::Lent<'a>;
    }
}

/// Points at a value that the task's request keeps alive, to be changed.
#[allow(missing_debug_implementations, reason = "nobody outside can have one")]
pub struct Place<T: Send + 'static, P: LockPolicy>(*const Value<T, P>);

/// The same, to be read.
#[allow(missing_debug_implementations, reason = "nobody outside can have one")]
pub struct ReadPlace<T: Send + Sync + 'static, P: LockPolicy>(Place<T, P>);

// SAFETY: it is only followed where the value may be touched.
unsafe impl<T: Send, P: LockPolicy> Send for Place<T, P> {}

impl<T: Send, P: LockPolicy> Place<T, P> {
    fn of(value: &Arc<Value<T, P>>, access: Access, wants: &mut impl Wants<P>) -> Self {
        let thing: &dyn Lockable<P> = &**value;
        wants.add(Want::new(thing.into(), access));
        Self(Arc::as_ptr(value))
    }

    /// # Safety
    /// The request is alive.
    unsafe fn data(&self) -> *mut ManuallyDrop<T> {
        // SAFETY: the request keeps the value.
        unsafe { &*self.0 }.data.with_mut(|data| data)
    }
}

/// Nothing is lent: a key has no value.
impl sealed::Places for () {
    type Lent<'a> = ();

    unsafe fn lend<'a>(self) -> Self::Lent<'a> {}
}

impl<T: Send, P: LockPolicy> sealed::Places for Place<T, P> {
    type Lent<'a> = &'a mut T;

    unsafe fn lend<'a>(self) -> &'a mut T {
        // SAFETY: whoever was granted the access has the request.
        let data = unsafe { self.data() };
        // SAFETY: the access was asked for exclusively.
        unsafe { &mut *data }
    }
}

impl<T: Send + Sync, P: LockPolicy> sealed::Places for ReadPlace<T, P> {
    type Lent<'a> = &'a T;

    unsafe fn lend<'a>(self) -> &'a T {
        // SAFETY: whoever was granted the access has the request.
        let data = unsafe { self.0.data() };
        // SAFETY: a shared access has been granted.
        unsafe { &*data }
    }
}

impl<L: sealed::Places> sealed::Places for Vec<L> {
    type Lent<'a> = Vec<L::Lent<'a>>;

    unsafe fn lend<'a>(self) -> Self::Lent<'a> {
        // SAFETY: the same promise, for each.
        self.into_iter().map(|place| unsafe { place.lend() }).collect()
    }
}

impl<T: Send, P: LockPolicy> sealed::Want<P> for &Guarded<T, P> {
    type Places = Place<T, P>;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Place<T, P> {
        Place::of(&self.value, Access::Exclusive, wants)
    }
}

impl<T: Send + Sync, P: LockPolicy> sealed::Want<P> for &Shared<T, P> {
    type Places = ReadPlace<T, P>;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> ReadPlace<T, P> {
        ReadPlace(Place::of(&self.value, Access::Shared, wants))
    }
}

impl<T: Send + Sync, P: LockPolicy> sealed::Want<P> for Shared<T, P> {
    type Places = ReadPlace<T, P>;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> ReadPlace<T, P> {
        ReadPlace(Place::of(&self.value, Access::Shared, wants))
    }
}

impl<'v, V, P: LockPolicy> sealed::Want<P> for &'v [V]
where
    &'v V: sealed::Want<P>,
{
    type Places = Vec<<&'v V as sealed::Want<P>>::Places>;
    type Wants = Many<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        self.iter().map(|value| value.want(wants)).collect()
    }
}

impl<'v, V, P: LockPolicy> sealed::Want<P> for &'v Vec<V>
where
    &'v V: sealed::Want<P>,
{
    type Places = Vec<<&'v V as sealed::Want<P>>::Places>;
    type Wants = Many<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        self.as_slice().want(wants)
    }
}

macro_rules! tuple {
    ($($value:ident $at:tt),+) => {
        impl<P: LockPolicy, $($value: sealed::Want<P>),+> sealed::Want<P> for ($($value,)+) {
            type Places = ($($value::Places,)+);
            type Wants = Many<P>;

            fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
                ($(self.$at.want(wants),)+)
            }
        }

        impl<$($value: sealed::Places),+> sealed::Places for ($($value,)+) {
            type Lent<'a> = ($($value::Lent<'a>,)+);

            unsafe fn lend<'a>(self) -> Self::Lent<'a> {
                // SAFETY: the same promise, for each.
                ($(unsafe { self.$at.lend() },)+)
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

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

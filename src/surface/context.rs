//! What a task may do about its own running.

use std::any::{Any, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use super::{CancelRequested, Refused, TaskHandle, ThreadPool};
use crate::policy::LockPolicy;
use crate::policy::gate::{Entrant, Gate};
use crate::runtime::Core;
use crate::runtime::current::{self, Blocked, Frame, Kind, Lends, Lent};
use crate::sync::{Arc, Instant};

/// Handed to a task by [`ThreadPool::submit_with`], and to a locked section by [`ThreadPool::lock`].
///
/// Under [`GlobalLock`](crate::GlobalLock) it stands for holding the lock, and is the only way to let go of it meanwhile.
/// Neither `Send` nor `Sync`:
///
/// ```compile_fail
/// let pool = lockgrain::ThreadPool::new().unwrap();
/// pool.submit_with(|cx| std::thread::scope(|s| { s.spawn(|| cx.checkpoint()); }));
/// ```
///
/// It is good for as long as the call lasts that it was handed to, and can't be taken out of it, nor be exchanged for another:
///
/// ```compile_fail,E0521
/// use lockgrain::{GlobalLock, ThreadPool};
///
/// let one = ThreadPool::builder().policy::<GlobalLock>().build().unwrap();
/// let other = ThreadPool::builder().policy::<GlobalLock>().build().unwrap();
/// one.lock(|outer| other.lock(|inner| std::mem::swap(outer, inner)));
/// ```
pub struct Context<'cx, P: LockPolicy> {
    /// The worker's, or that of the pool whose `lock` was called.
    core: &'cx Arc<Core<P>>,
    frame: &'cx Frame,
    /// Since when this task knowingly kept queued tasks waiting.
    waited_for: Option<Instant>,
    /// The worker's value, from its first use until others on this thread may want it.
    own: Option<Box<dyn Any>>,
    not_send: PhantomData<*mut ()>,
}

impl<P: LockPolicy> Drop for Context<'_, P> {
    fn drop(&mut self) {
        self.put_own_back();
    }
}

impl<'cx, P: LockPolicy> Context<'cx, P> {
    fn new(core: &'cx Arc<Core<P>>, frame: &'cx Frame) -> Self {
        Self { core, frame, waited_for: None, own: None, not_send: PhantomData }
    }

    /// Runs `f` with a context for the task that runs on this worker of `pool`, which is a pool of policy `P`.
    ///
    /// # Panics
    /// If this is no worker of that pool: a run queue has handed a task to another pool.
    pub(super) fn within<R>(pool: u32, f: impl FnOnce(&mut Context<P>) -> R) -> R {
        current::frames(|mut frames| {
            let served = frames.find_map(|frame| Some((frame, Core::served_by(frame, pool)?)));
            let (frame, core) =
                served.expect("a task with a context only runs on a worker of the pool it was submitted to");
            Context::lent(core, frame, f)
        })
    }

    /// Runs `f` with a context in a frame whose worker holds the lock of `core`.
    fn lent<R>(core: &Arc<Core<P>>, frame: &Frame, f: impl FnOnce(&mut Context<P>) -> R) -> R {
        let _lent = Lent::enter(frame, false);
        f(&mut Context::new(core, frame))
    }

    /// Enters the gate on a thread from outside, and leaves it at the end, also by a panic.
    fn locked<R>(core: &Arc<Core<P>>, f: impl FnOnce(&mut Context<P>) -> R) -> R {
        struct Leave<'a, G: Gate>(&'a G);
        impl<G: Gate> Drop for Leave<'_, G> {
            fn drop(&mut self) {
                self.0.leave();
            }
        }
        core.gate().enter(Entrant::Ordinary);
        let _leave = Leave(core.gate());
        Frame::enter(core.id, core.lock.as_covers(), Kind::Context, ptr::null(), ptr::null(), None, |frame| {
            frame.has_context.set(true);
            f(&mut Context::new(core, frame))
        })
    }

    pub(super) fn core(&self) -> &'cx Arc<Core<P>> {
        self.core
    }

    fn frame(&self) -> &'cx Frame {
        self.frame
    }

    /// Runs `f`, which may block, with the global lock let go and a spare worker in this one's place; then takes the lock
    /// again, before queued tasks. Inside `f` other handles can be waited for.
    ///
    /// It borrows the context, so that nothing the lock guards can be held across it, and the context can't be used inside:
    ///
    /// ```compile_fail
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let handle = pool.submit_with(|cx| cx.blocking(|| cx.checkpoint()));
    /// ```
    #[doc(alias = "allow_threads")]
    #[doc(alias = "detach")]
    pub fn blocking<R>(&mut self, f: impl FnOnce() -> R) -> R {
        struct Outside<'a, G: Gate>(Option<&'a G>);
        impl<G: Gate> Drop for Outside<'_, G> {
            fn drop(&mut self) {
                if let Some(gate) = self.0 {
                    gate.enter(Entrant::Returner);
                }
            }
        }
        self.put_own_back();
        let this = &*self;
        let outside = this.frame().worker.is_none().then(|| this.core().gate());
        if let Some(gate) = outside {
            gate.leave();
        }
        let _outside = Outside(outside);
        let _blocked = Blocked::enter(this.frame());
        f()
    }

    /// Runs `f`, which may call code that calls back: inside it [`ThreadPool::lock`] gives a context again, on this thread and without letting go of
    /// the lock. For foreign code that takes callbacks without room for a context.
    ///
    /// As with [`blocking`](Self::blocking), nothing that the lock guards can be held across it, as a callback may change it. A wait in `f` that
    /// is not inside a callback's `blocking` is refused as before.
    ///
    /// ```
    /// use lockgrain::{GlobalLock, ThreadPool};
    ///
    /// /// As a library's, in C.
    /// fn for_each(items: [i32; 3], callback: &dyn Fn(i32)) {
    ///     items.into_iter().for_each(callback);
    /// }
    ///
    /// let pool = ThreadPool::builder().policy::<GlobalLock>().build()?;
    /// let sum = pool.guarded(0);
    /// let (lock, mine) = (pool.clone(), sum.clone());
    /// let task = pool.submit_with(move |cx| {
    ///     cx.reentrant(|| for_each([1, 2, 3], &|item| lock.lock(|cx| *mine.get_mut(cx) += item)));
    ///     *mine.get(cx)
    /// });
    /// assert_eq!(task.result()?, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// ```compile_fail
    /// # use lockgrain::{GlobalLock, ThreadPool};
    /// # let pool = ThreadPool::builder().policy::<GlobalLock>().build().unwrap();
    /// # let log = pool.guarded(vec![1]);
    /// let handle = pool.submit_with(move |cx| {
    ///     let first = &mut log.get_mut(cx)[0];
    ///     cx.reentrant(|| ());
    ///     *first += 1;
    /// });
    /// ```
    #[doc(alias = "with_gil")]
    #[doc(alias = "attach")]
    pub fn reentrant<R>(&mut self, f: impl FnOnce() -> R) -> R {
        self.put_own_back();
        let _lends = Lends::enter(self.frame(), true);
        f()
    }

    /// A point at which this task can be stopped, and at which it lets others run who wait for the global lock: whoever comes
    /// back from blocking at once, everybody else after the [switch interval](crate::Builder::switch_interval). Call it every few µs; it takes some
    /// 2 ns if nobody asks for anything.
    ///
    /// # Errors
    /// [`CancelRequested`] once somebody has called [`TaskHandle::request_cancel`].
    #[inline]
    pub fn checkpoint(&mut self) -> Result<(), CancelRequested> {
        if self.is_cancel_requested() {
            return Err(CancelRequested);
        }
        if P::Gate::EXCLUSIVE && (self.core().gate().is_wanted() || self.core().has_queued()) {
            self.let_others_run();
        }
        Ok(())
    }

    #[cold]
    fn let_others_run(&mut self) {
        let core = self.core();
        if core.gate().is_wanted_back() {
            self.pass_gate(Entrant::Interrupted);
            return;
        }
        let now = Instant::now();
        let since = self.waited_for.unwrap_or(now);
        if now.duration_since(since) < core.config.switch_interval {
            self.waited_for = Some(since);
            return;
        }
        if core.has_queued() {
            // Comes to stand in line; if nobody else does, this task keeps the lock until then.
            core.notify_extra();
        }
        if core.gate().is_wanted() {
            self.pass_gate(Entrant::Ordinary);
        }
        self.waited_for = None;
    }

    fn pass_gate(&self, who: Entrant) {
        match self.frame().worker {
            // SAFETY: the worker of a frame is below it on this thread's stack.
            Some(worker) => unsafe { &*worker }.pass_gate(who),
            None => {
                self.core().gate().leave();
                self.core().gate().enter(who);
            }
        }
    }

    /// Whether somebody asked this task to stop.
    #[inline]
    pub fn is_cancel_requested(&self) -> bool {
        // SAFETY: the task is running, so its allocation is alive.
        unsafe { self.frame().state.get().as_ref() }.is_some_and(|state| state.cancel_requested())
    }

    /// The value that the pool's [initializer](crate::Builder::initializer) made for the worker that runs this task, which no other thread
    /// uses. It borrows the context, as what the global lock guards does, so no reference is held while the task blocks.
    ///
    /// # Panics
    /// If the initializer makes another type, or there is none; in a locked section, or where a
    /// [submitter](crate::WhenFull::CallerRuns) runs the task, if the thread is no worker of the pool; and if a task further down the same
    /// stack uses the value.
    ///
    /// ```
    /// use std::cell::RefCell;
    /// use std::rc::Rc;
    ///
    /// // A cache for each worker, which could not be sent to another thread.
    /// let pool = lockgrain::ThreadPool::builder()
    ///     .max_workers(1)
    ///     .initializer(|_index| Ok::<_, std::io::Error>(Rc::new(RefCell::new(Vec::<u32>::new()))))
    ///     .build()?;
    /// for n in 0..3 {
    ///     pool.submit_with(move |cx| cx.local::<Rc<RefCell<Vec<u32>>>>().borrow_mut().push(n)).result()?;
    /// }
    /// let seen = pool.submit_with(|cx| cx.local::<Rc<RefCell<Vec<u32>>>>().take());
    /// assert_eq!(seen.result()?, [0, 1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// ```compile_fail,E0499
    /// # let pool = lockgrain::ThreadPool::builder().initializer(|_| Ok::<_, String>(1_u32)).build().unwrap();
    /// let handle = pool.submit_with(|cx| {
    ///     let mine = cx.local::<u32>();
    ///     cx.blocking(|| ());
    ///     *mine += 1;
    /// });
    /// ```
    #[doc(alias = "thread_local")]
    pub fn local<L: 'static>(&mut self) -> &mut L {
        if self.own.is_none() {
            self.own = Some(self.take_own());
        }
        let initializer = self.core().hooks.initializer.as_ref();
        let makes = initializer.map_or("nothing", |initializer| initializer.makes().name());
        match self.own.as_deref_mut().and_then(|own| own.downcast_mut()) {
            Some(own) => own,
            None => panic!("the pool's initializer makes `{makes}`, no `{}`: ask for that", type_name::<L>()),
        }
    }

    fn take_own(&self) -> Box<dyn Any> {
        let core = self.core();
        assert!(core.hooks.initializer.is_some(), "the pool has no value for each worker: set an `initializer`");
        // A context of a lock that pools share may be in a frame of another one's worker.
        let worker = self.frame().worker.filter(|_| self.frame().pool == core.id);
        let worker =
            worker.expect("this thread is no worker of the pool: use the worker's value in a task that a worker runs");
        // SAFETY: the worker of a frame is below it on this thread's stack.
        let own = unsafe { &*worker }.take_own();
        own.expect("a task further down this stack uses the worker's value: let the two not be on one stack")
    }

    /// The borrow of whoever used the worker's value is over.
    fn put_own_back(&mut self) {
        if let (Some(own), Some(worker)) = (self.own.take(), self.frame().worker) {
            // SAFETY: as in `take_own`.
            unsafe { &*worker }.put_own(own);
        }
    }

    /// As [`ThreadPool::submit`], to the pool that this context is of.
    pub fn submit<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> TaskHandle<T> {
        super::entry::submit(self.core(), f)
    }

    /// As [`ThreadPool::spawn`], to the pool that this context is of.
    ///
    /// # Errors
    /// As there.
    pub fn spawn(&self, f: impl FnOnce() + Send + 'static) -> Result<(), Refused> {
        super::entry::spawn(self.core(), 0, f)
    }
}

impl<P: LockPolicy> ThreadPool<P> {
    /// As [`submit`](Self::submit) for a closure that wants a [`Context`]: to let go of the global lock around blocking work, or to be
    /// stopped.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let (started, starts) = std::sync::mpsc::channel();
    /// let endless = pool.submit_with(move |cx| {
    ///     started.send(()).unwrap();
    ///     let mut rounds = 0_u64;
    ///     while cx.checkpoint().is_ok() {
    ///         rounds += 1;
    ///     }
    ///     rounds
    /// });
    /// starts.recv()?;
    /// endless.request_cancel();
    /// endless.result()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit_with<T, F>(&self, f: F) -> TaskHandle<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Context<P>) -> T + Send + 'static,
    {
        let pool = self.core().id;
        self.submit(move || Context::within(pool, f))
    }
}

impl<P: LockPolicy> ThreadPool<P>
where
    P::Gate: crate::gate::ExclusiveGate,
{
    /// Runs `f` on this thread while it holds the global lock: no task of the pool runs meanwhile.
    ///
    /// # Panics
    /// If this thread has a context of this lock already: inside `lock`, or inside a task with a context.
    ///
    /// ```
    /// use lockgrain::{GlobalLock, ThreadPool};
    ///
    /// let pool = ThreadPool::builder().policy::<GlobalLock>().build()?;
    /// assert_eq!(pool.lock(|_cx| 7), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lock<R>(&self, f: impl FnOnce(&mut Context<P>) -> R) -> R {
        let core = self.core();
        current::frames(|frames| {
            let mut mine = frames.filter(|frame| frame.covers(core.id));
            let refused = mine.clone().any(|frame| frame.has_context.get());
            assert!(!refused, "this thread has a context of this lock already: use that one");
            match mine.next() {
                Some(frame) if frame.lends.get() => {
                    let _lent = Lends::enter(frame, false);
                    f(&mut Context::new(core, frame))
                }
                Some(frame) if frame.kind.get() == Kind::Plain => Context::lent(core, frame, f),
                _ => Context::locked(core, f),
            }
        })
    }
}

impl<P: LockPolicy> fmt::Debug for Context<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("policy", &P::NAME).finish_non_exhaustive()
    }
}

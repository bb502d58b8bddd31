//! Tasks that borrow.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Refused, TaskHandle, ThreadPool};
use crate::policy::LockPolicy;
use crate::runtime::current::{self, Origin};
use crate::runtime::propagation::carried;
use crate::runtime::{Core, join, scope};
use crate::sync::{Arc, Mutex};
use crate::task::{self, Countdown, PanicPayload, Scoped, TaskError};

/// Where tasks are submitted that borrow; made by [`ThreadPool::scope`].
pub struct Scope<'scope, 'env: 'scope, P: LockPolicy> {
    core: Arc<Core<P>>,
    tasks: Countdown,
    origin: Origin,
    /// The first panic of a spawned task.
    panic: Mutex<Option<PanicPayload>>,
    // Neither lifetime may be made shorter or longer, as with `std::thread::Scope`.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope, P: LockPolicy> Scope<'scope, '_, P> {
    /// As [`ThreadPool::submit`], for a closure that may borrow what outlives the scope.
    ///
    /// A panic is the handle's; without one it goes to the pool's panic handler.
    pub fn submit<T, F>(&'scope self, f: F) -> TaskHandle<T>
    where
        T: Send + 'scope,
        F: FnOnce() -> T + Send + 'scope,
    {
        if self.core.is_draining() {
            task::drop_quietly(f);
            return TaskHandle::new(task::refused(self.core.id, self.core.refused()));
        }
        let origin = self.origin.reference();
        let f = carried(&*self.core, f);
        let closure = move || origin.enter(f);
        // SAFETY: what is borrowed outlives the scope, which does not end before the task has counted down.
        let (task, join) = unsafe { task::joinable_in(self.core.id, Scoped::one_of(&self.tasks), closure) };
        self.core.push(task);
        TaskHandle::new(join)
    }

    /// As [`ThreadPool::spawn`], for a closure that may borrow what outlives the scope. A panic is passed on by the scope.
    ///
    /// # Errors
    /// [`Refused::Shutdown`] once the pool is shutting down; `f` has been dropped.
    pub fn spawn<F>(&'scope self, f: F) -> Result<(), Refused>
    where
        F: FnOnce() + Send + 'scope,
    {
        if self.core.is_draining() {
            task::drop_quietly(f);
            return Err(Refused::by(&self.core));
        }
        let f = carried(&*self.core, f);
        let closure = move || {
            let run = || self.origin.reference().enter(f);
            if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
                let mut first = self.panic.lock();
                let second = if first.is_none() { first.replace(payload) } else { Some(payload) };
                drop(first);
                task::drop_quietly(second);
            }
        };
        // SAFETY: as in `submit`.
        let task = unsafe { task::detached_in(Scoped::one_of(&self.tasks), closure) };
        self.core.push(task);
        Ok(())
    }
}

impl<P: LockPolicy> ThreadPool<P> {
    /// Runs `f` here, with a [`Scope`] in which tasks are submitted that may borrow from the caller. When it returns, all of them have ended.
    ///
    /// On a worker, tasks of the scope that nobody else has begun are run by the one that waits for them; a spare worker takes its place while
    /// others do. The handles are the usual ones, and may leave the scope if their values may.
    ///
    /// # Panics
    /// With the panic of `f`, or else the first one of a spawned task, when all have ended. In a task or section that holds the global lock
    /// through a context or for a guarded value, as no task could run: use it inside [`Context::blocking`](crate::Context::blocking).
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let words = ["to", "be", "or", "not"];
    /// let mut longest = "";
    /// let letters = pool.scope(|s| {
    ///     let letters = s.submit(|| words.iter().map(|word| word.len()).sum::<usize>());
    ///     longest = words.iter().max_by_key(|word| word.len()).unwrap();
    ///     letters.result()
    /// });
    /// assert_eq!((letters?, longest), (9, "not"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// What lives in the scope can't be borrowed by its tasks, and what they borrow can't leave it:
    ///
    /// ```compile_fail,E0373
    /// # let pool = lockgrain::ThreadPool::new().unwrap();
    /// pool.scope(|s| {
    ///     let local = 1;
    ///     let _handle = s.submit(|| local + 1);
    /// });
    /// ```
    ///
    /// ```compile_fail,E0597
    /// # let pool = lockgrain::ThreadPool::new().unwrap();
    /// let handle = {
    ///     let text = String::from("gone");
    ///     pool.scope(|s| s.submit(|| text.as_str()))
    /// };
    /// println!("{:?}", handle.result());
    /// ```
    ///
    /// ```compile_fail,E0499
    /// # let pool = lockgrain::ThreadPool::new().unwrap();
    /// let mut sum = 0;
    /// pool.scope(|s| {
    ///     let _both = (s.submit(|| sum += 1), s.submit(|| sum += 2));
    /// });
    /// ```
    pub fn scope<'env, R>(&self, f: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env, P>) -> R) -> R {
        let core = self.core().clone();
        assert!(!core.is_held_by_context(), "{WOULD_DEADLOCK}");
        let scope = Scope {
            core,
            tasks: Countdown::new(),
            origin: Origin::here(),
            panic: Mutex::new(None),
            scope: PhantomData,
            env: PhantomData,
        };
        let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
        scope::wait_for_all(&scope.tasks, scope.core.id);
        let panic = scope.panic.lock().take();
        match (result, panic) {
            (Err(payload), second) => {
                task::drop_quietly(second);
                resume_unwind(payload)
            }
            (Ok(_), Some(payload)) => resume_unwind(payload),
            (Ok(result), None) => result,
        }
    }

    /// Runs `f`, which may borrow, on the pool, and waits for it.
    ///
    /// # Panics
    /// With the panic of `f`; if the pool is shut down, or has no worker; if its task is cancelled, as [`cancel_queued`](Self::cancel_queued) does while
    /// it waits for a worker; and as [`scope`](Self::scope).
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let text = String::from("borrowed");
    /// assert_eq!(pool.install(|| text.len()), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        match self.scope(|s| s.submit(f).result()) {
            Ok(result) => result,
            Err(TaskError::Panicked(panic)) => resume_unwind(panic.into_payload()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs both closures, which may borrow, and returns both results. The second one may run on another worker meanwhile.
    ///
    /// For recursion that divides and conquers: it takes no allocation and no queue, and a few nanoseconds if nobody comes for the second one. That one is offered to
    /// other workers when one of them has nothing to do: at once if there is one, else when the first one begins or ends a join of its own, or waits
    /// or blocks as the pool knows it. So the first one must not wait for the second one in another way; and if it runs for long without a join,
    /// the second one may stay behind it although workers have become idle.
    ///
    /// A worker that waits for a second one which another worker has runs, on its own stack meanwhile, second ones of joins inside that, and no other task: so
    /// a recursion that leans to one side, as `join(leaf, rest)` does, keeps both workers busy.
    ///
    /// Inside a task, where the pool can't run anything meanwhile (code that holds the global lock through a context or for a guarded value, or
    /// that blocks), they run one after the other. On a thread that is not the pool's both run on the pool.
    ///
    /// # Panics
    /// With the panic of the first one, or else of the second one, when none of them runs any more. On a thread that is not the pool's, as
    /// [`install`](Self::install).
    ///
    /// ```
    /// use lockgrain::{LockFree, ThreadPool};
    ///
    /// fn sum(pool: &ThreadPool, numbers: &[u64]) -> u64 {
    ///     if numbers.len() <= 1_000 {
    ///         return numbers.iter().sum();
    ///     }
    ///     let (left, right) = numbers.split_at(numbers.len() / 2);
    ///     let (left, right) = pool.join(|| sum(pool, left), || sum(pool, right));
    ///     left + right
    /// }
    ///
    /// let pool = ThreadPool::new()?;
    /// let numbers: Vec<u64> = (0..10_000).collect();
    /// assert_eq!(sum(&pool, &numbers), 49_995_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        join::join(self.core(), a, b, |a, b| self.join_elsewhere(a, b))
    }

    #[cold]
    fn join_elsewhere<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        let core = self.core();
        let alone = current::frames(|mut frames| {
            frames.next().is_some_and(|frame| frame.pool == core.id && frame.worker.is_some())
        });
        if alone || core.is_held_by_context() {
            return (a(), b());
        }
        self.install(|| self.join(a, b))
    }
}

const WOULD_DEADLOCK: &str = "a scope in code that holds the global lock would deadlock: open it inside `cx.blocking`";

impl<P: LockPolicy> fmt::Debug for Scope<'_, '_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("policy", &P::NAME).finish_non_exhaustive()
    }
}

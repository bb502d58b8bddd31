//! Checks of your own code on this pool, and of your own policies.
//!
//! A test that runs a program once has seen one way in which its threads take turns. [`check`] runs it in all of them, within a bound: built with
//! `RUSTFLAGS="--cfg lockgrain_loom"`, the pool and everything in this module run on [loom](https://docs.rs/loom), which explores the executions
//! of a small program one by one. Built with `--cfg lockgrain_shuttle` the same tests run on [shuttle](https://docs.rs/shuttle), which draws
//! schedules at random, for programs too large to explore. In a plain build they run a number of times on real threads, so that a test is
//! written once and compiles everywhere.
//!
//! ```
//! use lockgrain::model::atomic::{AtomicUsize, Ordering::Relaxed};
//! use lockgrain::model::sync::Arc;
//! use lockgrain::{ThreadPool, model};
//!
//! // In a `#[test]`:
//! model::check(|| {
//!     let pool = ThreadPool::builder().max_workers(1).build().unwrap();
//!     let hits = Arc::new(AtomicUsize::new(0));
//!     let counter = hits.clone();
//!     let task = pool.submit(move || drop(counter.fetch_add(1, Relaxed)));
//!     model::note("main counts, too");
//!     hits.fetch_add(1, Relaxed);
//!     task.result().unwrap();
//!     assert_eq!(hits.load(Relaxed), 2);
//! });
//! ```
//!
//! With `hits.store(hits.load(Relaxed) + 1, Relaxed)` in both places a plain run would hardly ever fail. loom says that it can, and how:
//!
//! ```text
//! assertion `left == right` failed
//!   left: 1
//!  right: 2 (tests/model.rs:20:5)
//!   in execution 153, with at most 1 preemptions
//!   what happened in it:
//!     main                   main counts, too
//!     lockgrain-lock-free_0  a task starts
//!     lockgrain-lock-free_0  the task has ended
//!     lockgrain-lock-free_0  parks
//!     main                   wakes lockgrain-lock-free_0
//!     lockgrain-lock-free_0  wakes up
//! ```
//!
//! # What a checker sees
//!
//! It switches threads at the operations of this pool, and at those of the types here: [`atomic`], [`sync`], [`cell`], [`thread`]. Use them in
//! the code under test; in a plain build they are those of the standard library and `parking_lot`. What `std`'s own types do is not seen, and a
//! thread that blocks in one of them, or spins without [`hint::spin_loop`], stops everything. Let the model make everything anew in each execution,
//! `static`s included, and let it do the same thing each time: no clock but a [`Clock`], no random numbers, no order of a `HashMap`.
//!
//! # What is small
//!
//! In a model build a pool has two workers if not told otherwise, and no spare threads unless asked for; its queues begin tiny, so that they grow; it looks for
//! work once where it would look several times before it sleeps. Loom has at most 5 threads, the one that runs the model among them. Time
//! stands still, and a wait with a time-out does not time out, unless the model has a [`Clock`] that it moves.
//!
//! # What fails
//!
//! A panic of the model outside of a task, also one that is caught; a panic of a task that nobody hears of, by a handle or a
//! [panic handler](crate::Builder::panic_handler); a deadlock, which is what a lost wake-up looks like; two accesses to a [`cell`] at once; with
//! loom, what one thread might not see of another's writes. [`check`] then panics with the [`Failure`]. Its thread, and what the model
//! held, are left behind. A panic inside a task goes to its handle as ever.
//!
//! A check that explored one execution only fails, too: where nothing runs at once there is nothing to check.
//!
//! `docs/checking.md` says how to read a failure, what the bounds mean, and what is not proven.

mod clock;
mod failure;
mod options;
mod policy;

pub use clock::Clock;
pub use failure::{Failure, Trace};
pub use options::{Checked, Options};
pub use policy::{Finding, Promise, Verdict, check_policy};

/// Threads that the checker schedules.
pub mod thread {
    pub use crate::sync::thread::{Builder, JoinHandle, Thread, current, spawn, yield_now};
}

/// Atomics that the checker sees; those of the standard library in a plain build. Not `const` to make in a model build.
pub mod atomic {
    pub use crate::sync::atomic::{
        AtomicBool, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
        Ordering, fence,
    };
}

/// Locks that the checker sees. They are not poisoned.
pub mod sync {
    pub use crate::sync::{Arc, Weak};
    pub use crate::sync::{Condvar, Mutex, MutexGuard};
}

/// A cell whose accesses the checker sees: two at once, one of them to write, are a failure.
pub mod cell {
    pub use crate::sync::UnsafeCell;
}

/// What to do in a loop that waits for another thread.
pub mod hint {
    pub use crate::sync::hint::spin_loop;
}

/// Runs `model` in every execution that the [default options](Options) reach: all with at most two preemptions under loom, 2,000 random schedules
/// under shuttle, as far as it gets in a minute. In a plain build it runs it 100 times.
///
/// Says `COMPLETE` with the number of executions, or `CAPPED` if the time was up, with the bound that was explored to the end.
///
/// # Panics
/// With the [`Failure`] if an execution fails, or if there was only one. In a plain build, where the model does.
#[track_caller]
pub fn check(model: impl Fn() + Send + Sync + 'static) {
    Options::new().check(model);
}

/// Adds a line to the [trace](Trace) of this execution, in the name of the thread that calls it. Does nothing in a plain build, or outside of a check.
pub fn note(line: impl Into<String>) {
    #[cfg(any(lockgrain_loom, lockgrain_shuttle))]
    crate::sync::trace::note(crate::sync::trace::Event::Says(line.into()));
    #[cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]
    let _unused = line;
}

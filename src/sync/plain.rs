//! The primitives of an ordinary build.

pub use std::sync::{Arc, Weak};

use super::{Bounds, Explored, Model};
pub(crate) use clock::Instant;

pub(crate) use crossbeam_utils::Backoff;

/// A thread's own value, with an initial one that is known at compile time.
macro_rules! local {
    (static $name:ident: $type:ty = $value:expr;) => {
        std::thread_local! { static $name: $type = const { $value }; }
    };
}
pub(crate) use local;

pub(crate) mod atomic {
    pub use std::sync::atomic::{
        AtomicBool, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    };

    /// Stands between what a thread has set and its look at what others have.
    #[inline(always)]
    pub fn fence(order: Ordering) {
        crate::sync::gap();
        std::sync::atomic::fence(order);
        crate::sync::gap();
    }
}

/// The deque of another crate, which has no counterpart in a model build.
pub(crate) mod deque {
    pub(crate) use crossbeam_deque::{Steal, Stealer, Worker};
}

/// The system's, which nobody moves.
pub(crate) mod clock {
    pub(crate) use std::thread::sleep as advance;
    pub(crate) use std::time::Instant;

    pub(crate) fn start() {}
}

pub(crate) mod hint {
    pub use std::hint::spin_loop;
    pub(crate) use std::thread::yield_now;
}

pub(crate) mod thread {
    #[cfg(lockgrain_soak)]
    pub use crate::sync::soak::Builder;
    #[cfg(not(lockgrain_soak))]
    pub use std::thread::Builder;
    pub use std::thread::{JoinHandle, Thread, current, spawn, yield_now};
}

/// A cell whose accesses a model checker can see: loom's shape, so that it can be loom's.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell with this in it. Not `const` in a model build.
    pub const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Gives `f` a pointer to read through. The caller answers for the absence of writers.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Gives `f` a pointer to write through. The caller answers for exclusive access.
    #[inline]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// A mutex without poisoning: a panic lets go of it.
#[derive(Debug, Default)]
pub struct Mutex<T>(parking_lot::Mutex<T>);

/// Has the mutex until it is dropped.
pub type MutexGuard<'a, T> = parking_lot::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    /// One that is free. Not `const` in a model build.
    pub const fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    /// Waits until it is free, and takes it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock()
    }

    #[inline]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock()
    }
}

/// One that can be tried; another type under loom only.
pub(crate) type TryMutex<T> = Mutex<T>;

/// A condition variable: where threads wait that let go of a mutex meanwhile.
#[derive(Debug, Default)]
pub struct Condvar(parking_lot::Condvar);

impl Condvar {
    /// One at which nobody waits. Not `const` in a model build.
    pub const fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    /// Lets go of the mutex, waits for a notification, and takes it again. It may also return without one.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.0.wait(guard);
    }

    /// Waits until notified or until `deadline`; true if the deadline passed.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> bool {
        self.0.wait_until(guard, deadline).timed_out()
    }

    /// Wakes one of those who wait.
    pub fn notify_one(&self) {
        crate::sync::gap();
        self.0.notify_one();
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        crate::sync::gap();
        self.0.notify_all();
    }
}

/// Nothing is to be done before a panic hook is put in place.
pub(crate) fn before_hook() {}

/// Runs, if nobody says how many.
const RUNS: usize = 100;

/// Runs `model` again and again, as the machine schedules it.
pub(crate) fn explore(bounds: &Bounds, model: Model) -> Explored {
    let start = Instant::now();
    let runs = bounds.executions.unwrap_or(RUNS);
    let in_time = |_: &usize| bounds.limit.is_none_or(|limit| start.elapsed() < limit);
    let executions = (0..runs).take_while(in_time).map(|_| model()).count();
    Explored { executions, complete: executions == runs }
}

//! The primitives of an ordinary build.

pub(crate) use std::sync::{Arc, Weak};
pub(crate) use std::time::Instant;

pub(crate) use crossbeam_utils::Backoff;

/// A thread's own value, with an initial one that is known at compile time.
macro_rules! local {
    (static $name:ident: $type:ty = $value:expr;) => {
        std::thread_local! { static $name: $type = const { $value }; }
    };
}
pub(crate) use local;

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    };

    /// Stands between what a thread has set and its look at what others have.
    #[inline(always)]
    pub(crate) fn fence(order: Ordering) {
        crate::sync::gap();
        std::sync::atomic::fence(order);
        crate::sync::gap();
    }
}

/// The deque of another crate, which has no counterpart in a model build.
pub(crate) mod deque {
    pub(crate) use crossbeam_deque::{Steal, Stealer, Worker};
}

pub(crate) mod hint {
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::thread::yield_now;
}

pub(crate) mod thread {
    #[cfg(lockgrain_soak)]
    pub(crate) use crate::sync::soak::Builder;
    #[cfg(not(lockgrain_soak))]
    pub(crate) use std::thread::Builder;
    pub(crate) use std::thread::JoinHandle;
}

/// A cell whose accesses a model checker can see: loom's shape, so that it can be loom's.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Gives `f` a pointer to read through. The caller answers for the absence of writers.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Gives `f` a pointer to write through. The caller answers for exclusive access.
    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// A mutex without poisoning.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

pub(crate) type MutexGuard<'a, T> = parking_lot::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock()
    }

    #[inline]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock()
    }
}

/// One that can be tried; another type under loom only.
pub(crate) type TryMutex<T> = Mutex<T>;

#[derive(Debug, Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.0.wait(guard);
    }

    /// Waits until notified or until `deadline`; true if the deadline passed.
    pub(crate) fn wait_until<T>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> bool {
        self.0.wait_until(guard, deadline).timed_out()
    }

    pub(crate) fn notify_one(&self) {
        crate::sync::gap();
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        crate::sync::gap();
        self.0.notify_all();
    }
}

//! The primitives of a model build: loom's, its atomics repaired (`atomic.rs` says how).

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

// Not loom's, which can't be a method's `self`. What loom does not see thereby is that the last drop comes after the others;
// nothing here relies on that but the freeing of memory. Models that look for leaks use loom's by its own name.
pub use std::sync::{Arc, Weak};

pub(crate) use super::clock::{self, Instant};
use super::isolated::halt_if_failed;
pub use super::locks::{Condvar, Mutex, MutexGuard};
use super::{Bounds, Explored, Model, trace};

/// A thread's own value.
macro_rules! local {
    (static $name:ident: $type:ty = $value:expr;) => {
        ::loom::thread_local! { static $name: $type = $value; }
    };
}
pub(crate) use local;

pub(crate) mod hint {
    /// Lets the others go on: a spin that did not would never end in a model.
    pub fn spin_loop() {
        ::loom::thread::yield_now();
    }

    pub(crate) use ::loom::thread::yield_now;
}

pub(crate) mod atomic;
#[cfg(test)]
mod models;

#[derive(Debug)]
pub struct UnsafeCell<T>(::loom::cell::UnsafeCell<T>);

impl<T: Default> Default for UnsafeCell<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> UnsafeCell<T> {
    pub fn new(value: T) -> Self {
        Self(::loom::cell::UnsafeCell::new(value))
    }

    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        halt_if_failed();
        self.0.with(f)
    }

    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        halt_if_failed();
        self.0.with_mut(f)
    }
}

/// A mutex that can be tried, which others need not pay for: loom's own `try_lock` hardly ever finds it locked, so a flag says
/// whether it is, and is looked at.
#[derive(Debug)]
pub(crate) struct TryMutex<T> {
    mutex: Mutex<T>,
    held: atomic::AtomicBool,
}

#[derive(Debug)]
pub(crate) struct TryMutexGuard<'a, T> {
    guard: MutexGuard<'a, T>,
    held: &'a atomic::AtomicBool,
}

impl<T> TryMutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { mutex: Mutex::new(value), held: atomic::AtomicBool::new(false) }
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> TryMutexGuard<'_, T> {
        let guard = self.mutex.lock();
        self.held.store(true, atomic::Ordering::Relaxed);
        TryMutexGuard { guard, held: &self.held }
    }

    #[track_caller]
    pub(crate) fn try_lock(&self) -> Option<TryMutexGuard<'_, T>> {
        (!self.held.load(atomic::Ordering::Relaxed)).then(|| self.lock())
    }
}

impl<T> Deref for TryMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for TryMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T> Drop for TryMutexGuard<'_, T> {
    fn drop(&mut self) {
        self.held.store(false, atomic::Ordering::Relaxed);
    }
}

/// Nothing is to be done before a panic hook is put in place.
pub(crate) fn before_hook() {}

/// Explores the executions of `model`.
pub(crate) fn explore(bounds: &Bounds, model: Model) -> Explored {
    let start = std::time::Instant::now();
    let executions = Arc::new(AtomicUsize::new(0));
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = bounds.preemptions;
    builder.max_branches = 20_000;
    // Without a file to write to, the interval is that at which loom looks at its limits.
    if builder.checkpoint_file.is_none() {
        builder.checkpoint_interval = 1;
        builder.max_permutations = bounds.executions.map(|most| most + 1);
        builder.max_duration = bounds.limit;
    }
    let count = executions.clone();
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        trace::begin();
        clock::stop();
        model();
    });
    let executions = executions.load(Relaxed);
    // loom does not say whether it came to the end.
    let capped = bounds.executions.is_some_and(|most| executions >= most)
        || bounds.limit.is_some_and(|limit| start.elapsed() >= limit);
    Explored { executions, complete: !capped }
}

/// Explores the executions of `model` with at most `preemptions` forced switches (all, if none is given), and fails if there
/// was only one: a concurrent model that did not branch has shown nothing.
#[cfg(test)]
pub(crate) fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    check_any(preemptions, Arc::new(model));
}

#[cfg(test)]
fn check_any(preemptions: Option<usize>, model: Model) {
    let bounds = Bounds { preemptions, ..Bounds::default() }.or_environment();
    let bound = bounds.preemptions.map_or("any".to_owned(), |most| most.to_string());
    let Explored { executions, complete } = explore(&Bounds { executions: None, ..bounds }, model);
    println!("{} {executions} executions, {bound} preemptions", if complete { "COMPLETE" } else { "CAPPED" });
    assert!(executions > 1, "the model explored one execution only");
}

//! The locks of a model build: the checker's, without poisoning, and with waits that the model's clock ends.

use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

#[cfg(lockgrain_loom)]
use ::loom::sync as checked;
#[cfg(not(lockgrain_loom))]
use ::shuttle::sync as checked;

use super::Arc;
use super::clock::{self, Instant};
use super::isolated::halt_if_failed;

/// Without poisoning, as that of an ordinary build: a guard may be dropped while a panic of user code unwinds. To the standard library all threads of a model are
/// one, so any thread's panic would poison it.
#[derive(Debug)]
pub struct Mutex<T>(
    /// So that the clock can pass through it.
    Arc<checked::Mutex<T>>,
);

#[derive(Debug)]
pub struct MutexGuard<'a, T> {
    /// None while a condition variable has it.
    guard: Option<checked::MutexGuard<'a, T>>,
    mutex: &'a Arc<checked::Mutex<T>>,
}

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new(checked::Mutex::new(value)))
    }

    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        halt_if_failed();
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        MutexGuard { guard: Some(guard), mutex: &self.0 }
    }

    /// Under loom there is a mutex of its own that can be tried.
    #[cfg(not(lockgrain_loom))]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        use std::sync::TryLockError;

        let guard = match self.0.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(MutexGuard { guard: Some(guard), mutex: &self.0 })
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect("only taken during a wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("only taken during a wait")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        halt_if_failed();
    }
}

#[derive(Debug)]
pub struct Condvar(Arc<checked::Condvar>);

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl Condvar {
    pub fn new() -> Self {
        Self(Arc::new(checked::Condvar::new()))
    }

    #[track_caller]
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        halt_if_failed();
        let inner = guard.guard.take().expect("only taken during a wait");
        guard.guard = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
    }

    #[track_caller]
    pub(crate) fn wait_until<T: 'static>(&self, guard: &mut MutexGuard<'_, T>, deadline: Instant) -> bool {
        let (mutex, condvar) = (guard.mutex.clone(), self.0.clone());
        let wake = move || {
            drop(mutex.lock());
            condvar.notify_all();
        };
        clock::wait_until(deadline, wake, || self.wait(guard))
    }

    #[track_caller]
    pub fn notify_one(&self) {
        halt_if_failed();
        self.0.notify_one();
    }

    #[track_caller]
    pub fn notify_all(&self) {
        halt_if_failed();
        self.0.notify_all();
    }
}

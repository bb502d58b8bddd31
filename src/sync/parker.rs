//! A one-permit parking place for a thread.

use super::atomic::{AtomicU32, Ordering};
use super::trace::{Event, note};
use super::{Condvar, Instant, Mutex, gap, mutant};

const EMPTY: u32 = 0;
const PARKED: u32 = 1;
const PERMIT: u32 = 2;

/// One thread parks; any thread unparks. A permit given before the park makes the park return at once; permits do
/// not add up. Everything before an `unpark` happens-before the return of the `park` that takes its permit.
///
/// Mutex and condition variable rather than `std::thread::park`, whose token is shared with user code.
#[derive(Debug)]
pub(crate) struct Parker {
    state: AtomicU32,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Default for Parker {
    fn default() -> Self {
        Self::new()
    }
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self { state: AtomicU32::new(EMPTY), lock: Mutex::new(()), wake: Condvar::new() }
    }

    /// Takes the permit if there is one; never waits.
    pub(crate) fn try_take(&self) -> bool {
        // Acquire pairs with the swap in `unpark`.
        self.state.compare_exchange(PERMIT, EMPTY, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    pub(crate) fn park(&self) {
        self.park_until(None);
    }

    /// Waits for a permit, at most until `deadline`; true if it got one.
    pub(crate) fn park_until(&self, deadline: Option<Instant>) -> bool {
        if self.try_take() {
            return true;
        }
        gap();
        let mut guard = self.lock.lock();
        if self.state.compare_exchange(EMPTY, PARKED, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            // Acquire pairs with the swap in `unpark`.
            self.state.swap(EMPTY, Ordering::Acquire);
            return true;
        }
        note(Event::Parks(self.address()));
        loop {
            let timed_out = match deadline {
                Some(deadline) => self.wake.wait_until(&mut guard, deadline),
                None => {
                    self.wake.wait(&mut guard);
                    false
                }
            };
            if self.try_take() {
                note(Event::Resumes);
                return true;
            }
            if timed_out {
                // Acquire: an `unpark` may have come between the time-out and here, and then this takes its permit.
                let has_permit = self.state.swap(EMPTY, Ordering::Acquire) == PERMIT;
                return has_permit && !mutant("parker_time_out_loses_the_permit");
            }
        }
    }

    /// Tells parkers apart in a trace.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(crate) fn unpark(&self) {
        gap();
        note(Event::Unparks(self.address()));
        // Release pairs with the acquire of whoever takes the permit.
        if self.state.swap(PERMIT, Ordering::Release) == PARKED {
            // The parking thread goes from "PARKED" to its wait under the lock: passing through it here means that the
            // notification can't fall between the two. Notified after unlocking, so that it wakes to a free lock.
            if !mutant("parker_notify_without_lock") {
                drop(self.lock.lock());
            }
            self.wake.notify_one();
        }
    }
}

//! The few primitives that block a thread of a program: std's, or shuttle's where that chooses who runs.

#[cfg(not(lockgrain_shuttle))]
pub(crate) use std::{
    sync::{Condvar, Mutex},
    thread::{spawn, yield_now},
};

#[cfg(lockgrain_shuttle)]
pub(crate) use shuttle::{
    sync::{Condvar, Mutex},
    thread::{spawn, yield_now},
};

use std::sync::PoisonError;

/// Whether shuttle chooses who runs.
pub(crate) const MODEL: bool = cfg!(lockgrain_shuttle);

/// Has time pass as long as `run` goes on.
#[cfg(not(lockgrain_shuttle))]
pub(crate) fn with_time<R>(run: impl FnOnce() -> R) -> R {
    run()
}

/// Has time pass as long as `run` goes on.
#[cfg(lockgrain_shuttle)]
pub(crate) fn with_time<R>(run: impl FnOnce() -> R) -> R {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    let clock = lockgrain::model::Clock::start();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    let time = spawn(move || {
        while !is_over.load(SeqCst) {
            clock.advance(std::time::Duration::from_micros(200));
            yield_now();
        }
    });
    let result = run();
    over.store(true, SeqCst);
    time.join().expect("it does not panic");
    result
}

/// Holds tasks until it is opened. Poisoning says nothing: shuttle's threads are one to the standard library, which takes all for panicking if one is.
#[derive(Debug)]
pub(crate) struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn new(open: bool) -> Self {
        Self { open: Mutex::new(open), opened: Condvar::new() }
    }

    pub(crate) fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    pub(crate) fn pass(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            open = self.opened.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Waits until it is so, but not for ever: what is amiss then is to be said.
pub(crate) fn settle(is_so: impl Fn() -> bool) {
    for round in 0..100_000 {
        if is_so() {
            return;
        }
        yield_now();
        if round > 1000 && !MODEL {
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
    }
}

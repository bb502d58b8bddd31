//! loom's atomics, with the races that loom 0.7 overlooks.
//!
//! loom keeps one last access an atomic. `T: load; store` against `M: load`: by the time that T's store is due, T's own load has
//! taken the place of M's, which the search then never sees to be in a race with the store (tokio-rs/loom#166). Here each
//! thread's last load since the last write is kept beside the atomic, as a condition variable of its own that nobody waits for: the
//! load notifies it, and so does the next write of another thread. loom orders no memory by that, but sees two accesses in a
//! race, and tries the writer first.
//!
//! Nothing else needs to be added. loom keeps the last write, and joins its version at each load and write: what a hidden load
//! or write has overwritten is either one of the loads kept here, or has happened before.
//!
//! The notifications are no places to switch threads at: loom goes back from one to the nearest place before, which is the load
//! itself. So a load and its notification are one step, and a write and its.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize as Number, Ordering::Relaxed as Unordered};

use ::loom::sync::Condvar;
use ::loom::sync::atomic as inner;
pub use ::loom::sync::atomic::{Ordering, fence};

use crate::sync::isolated::halt_if_failed;
use crate::sync::{Retire, mutant};

/// The loads of one atomic since its last write, each thread's last.
#[derive(Default)]
struct Loads(Mutex<Vec<(usize, Condvar)>>);

/// No thread's number.
const UNKNOWN: usize = 0;

fn touch(load: &Condvar) {
    ::loom::stop_exploring();
    load.notify_one();
    ::loom::explore();
}

/// The caller's number; unknown in the destructor of a thread's local.
fn thread() -> usize {
    static NEXT: Number = Number::new(UNKNOWN + 1);
    ::loom::thread_local! { static NUMBER: usize = NEXT.fetch_add(1, Unordered); }
    NUMBER.try_with(|number| *number).unwrap_or(UNKNOWN)
}

impl Loads {
    fn take(&self) -> Vec<(usize, Condvar)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// To be called after a load.
    fn loaded(&self) {
        let own = thread();
        let mut loads = self.take();
        let at = loads.iter().position(|(thread, _)| *thread == own && own != UNKNOWN).unwrap_or_else(|| {
            loads.push((own, Condvar::new()));
            loads.len() - 1
        });
        touch(&loads[at].1);
        *self.0.lock().unwrap() = loads;
    }

    /// To be called after a store or a read-modify-write. One that fails is a write for loom, too.
    fn written(&self) {
        let own = thread();
        for (thread, load) in self.take() {
            if (thread != own || own == UNKNOWN) && !mutant("facade_forgets_loads") {
                touch(&load);
            }
        }
    }
}

macro_rules! atomic {
    ($name:ident $(<$t:ident>)?, $value:ty $(, $($operation:ident),+)?) => {
        pub struct $name $(<$t>)? {
            inner: inner::$name $(<$t>)?,
            loads: Loads,
        }

        #[allow(dead_code, reason = "not every width is used in every way")]
        impl $(<$t>)? $name $(<$t>)? {
            pub fn new(value: $value) -> Self {
                Self { inner: inner::$name::new(value), loads: Loads::default() }
            }

            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                halt_if_failed();
                let value = self.inner.load(order);
                self.loads.loaded();
                value
            }

            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                halt_if_failed();
                self.inner.store(value, order);
                self.loads.written();
            }

            $($(#[track_caller]
            pub fn $operation(&self, value: $value, order: Ordering) -> $value {
                halt_if_failed();
                let before = self.inner.$operation(value, order);
                self.loads.written();
                before
            })+)?

            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                halt_if_failed();
                let result = self.inner.compare_exchange(current, new, success, failure);
                self.loads.written();
                result
            }

            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }

            #[track_caller]
            pub fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut f: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut seen = self.load(failure);
                while let Some(next) = f(seen) {
                    match self.compare_exchange(seen, next, success, failure) {
                        Ok(before) => return Ok(before),
                        Err(now) => seen = now,
                    }
                }
                Err(seen)
            }
        }

        impl $(<$t>)? std::fmt::Debug for $name $(<$t>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

macro_rules! number {
    ($($name:ident $value:ty),+ $(,)?) => {
        $(atomic!($name, $value, swap, fetch_add, fetch_sub, fetch_and, fetch_nand, fetch_or, fetch_xor, fetch_max, fetch_min);

        impl Default for $name {
            fn default() -> Self {
                Self::new(0)
            }
        })+
    };
}

atomic!(AtomicBool, bool, swap, fetch_and, fetch_nand, fetch_or, fetch_xor);
atomic!(AtomicPtr<T>, *mut T, swap);
number!(
    AtomicI32 i32, AtomicI64 i64, AtomicIsize isize, AtomicU8 u8, AtomicU32 u32, AtomicU64 u64, AtomicUsize usize,
);

impl<T> Retire for AtomicPtr<T> {
    #[track_caller]
    fn retire(&mut self) {
        halt_if_failed();
        self.inner.with_mut(|_| ());
    }
}

impl Retire for AtomicU32 {
    #[track_caller]
    fn retire(&mut self) {
        halt_if_failed();
        self.inner.with_mut(|_| ());
    }
}

impl Default for AtomicBool {
    fn default() -> Self {
        Self::new(false)
    }
}

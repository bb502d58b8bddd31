//! The primitives of a randomized model build: shuttle's. Sequentially consistent only, so blind to a missing fence, but without
//! loom's blind spots, and for models too large to explore.

use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::SeqCst};

pub use std::sync::{Arc, Weak};

use ::shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

pub(crate) use super::clock::{self, Instant};
use super::isolated::halt_if_failed;
pub use super::locks::{Condvar, Mutex, MutexGuard};
use super::{Bounds, Explored, Model, trace};

/// A thread's own value.
macro_rules! local {
    (static $name:ident: $type:ty = $value:expr;) => {
        ::shuttle::thread_local! { static $name: $type = $value; }
    };
}
pub(crate) use local;

/// Has no scheduling points: its operations are atomic here.
pub(crate) mod deque {
    pub(crate) use crossbeam_deque::{Steal, Stealer, Worker};
}

pub(crate) mod hint {
    pub(crate) use ::shuttle::thread::yield_now;
    pub use ::shuttle::thread::yield_now as spin_loop;
}

pub(crate) mod atomic {
    pub use ::shuttle::sync::atomic::{
        AtomicBool, AtomicI32, AtomicI64, AtomicIsize, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize,
        Ordering, fence,
    };
}

/// A cell that notices accesses that overlap.
#[derive(Debug)]
pub struct UnsafeCell<T> {
    value: std::cell::UnsafeCell<T>,
    /// Readers inside, or -1 for a writer. Not shuttle's: it takes part in nothing.
    inside: AtomicIsize,
}

impl<T: Default> Default for UnsafeCell<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> UnsafeCell<T> {
    pub fn new(value: T) -> Self {
        Self { value: std::cell::UnsafeCell::new(value), inside: AtomicIsize::new(0) }
    }

    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        halt_if_failed();
        assert!(self.inside.fetch_add(1, SeqCst) >= 0, "a read overlaps a write");
        // So that an access that could overlap does.
        ::shuttle::thread::yield_now();
        let result = f(self.value.get());
        self.inside.fetch_sub(1, SeqCst);
        result
    }

    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        halt_if_failed();
        assert_eq!(self.inside.swap(-1, SeqCst), 0, "a write overlaps another access");
        ::shuttle::thread::yield_now();
        let result = f(self.value.get());
        assert_eq!(self.inside.swap(0, SeqCst), -1, "an access overlaps a write");
        result
    }
}

/// One that can be tried; another type under loom only.
pub(crate) type TryMutex<T> = Mutex<T>;

/// Has shuttle put its panic hook in place, which it does when it first runs something.
pub(crate) fn before_hook() {
    use ::shuttle::scheduler::RandomScheduler;

    let _one = ::shuttle::Runner::new(RandomScheduler::new_from_seed(0, 1), ::shuttle::Config::new()).run(|| ());
}

/// Random schedules, if nobody says how many.
const SCHEDULES: usize = 2_000;

/// Runs `model` under random schedules, half of them with few priority changes (PCT: S. Burckhardt and others, "A randomized
/// scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010); or under one that a failure has printed.
pub(crate) fn explore(bounds: &Bounds, model: Model) -> Explored {
    use ::shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler};
    use ::shuttle::{Config, Runner};

    let mut config = Config::new();
    config.max_time = bounds.limit.map(|limit| limit / 2);
    let run = || {
        let model = model.clone();
        move || {
            trace::begin();
            clock::stop();
            model();
        }
    };
    if let Some(schedule) = &bounds.schedule {
        let executions = Runner::new(ReplayScheduler::new_from_encoded(schedule), config).run(run());
        return Explored { executions, complete: true };
    }
    let (seed, schedules) = (bounds.seed.unwrap_or(1), bounds.executions.unwrap_or(SCHEDULES));
    let half = schedules.div_ceil(2);
    let has_choice = Arc::new(AtomicBool::new(false));
    let random = Choices { of: RandomScheduler::new_from_seed(seed, half), any: has_choice.clone() };
    let mut executions = Runner::new(random, config.clone()).run(run());
    if !has_choice.load(SeqCst) {
        // All schedules are one, and the other scheduler would not have it.
        return Explored { executions: executions.min(1), complete: true };
    }
    executions += Runner::new(PctScheduler::new_from_seed(seed, 3, half), config).run(run());
    Explored { executions, complete: executions >= schedules }
}

/// A scheduler of which is known whether it ever had a choice.
struct Choices<S> {
    of: S,
    any: Arc<AtomicBool>,
}

impl<S: Scheduler> Scheduler for Choices<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.of.new_execution()
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        if runnable.len() > 1 {
            self.any.store(true, SeqCst);
        }
        self.of.next_task(runnable, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.of.next_u64()
    }
}

/// As `explore`; `LOCKGRAIN_SCHEDULES` and `LOCKGRAIN_SEED` choose how many schedules and which. A failure prints its schedule.
#[cfg(test)]
pub(crate) fn check(_preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    check_any(Arc::new(model));
}

#[cfg(test)]
fn check_any(model: Model) {
    let Explored { executions, .. } = explore(&Bounds::default().or_environment(), model);
    println!("COMPLETE {executions} executions");
    assert!(executions > 1, "the model ran under one schedule only");
}

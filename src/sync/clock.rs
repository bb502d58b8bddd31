//! The clock of a model build: it stands still, until the model starts one that it moves itself.

use std::cell::RefCell;
use std::mem;
use std::ops::Add;
use std::rc::Rc;
use std::time::Duration;

use super::Mutex;

/// A timed wait does not end by itself, unless its time is up when it begins, or the model's clock is moved so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(running().map_or(Duration::ZERO, |clock| clock.hands.lock().now))
    }

    pub(crate) fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    pub(crate) fn duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

// All threads of a model are one thread of the system.
std::thread_local! { static RUNNING: RefCell<Option<Rc<Clock>>> = const { RefCell::new(None) }; }

fn running() -> Option<Rc<Clock>> {
    RUNNING.with_borrow(Clone::clone)
}

/// Behind a lock that the checker sees: to look at the time is something that can come before or after its change.
struct Clock {
    hands: Mutex<Hands>,
}

struct Hands {
    now: Duration,
    waiting: Vec<Sleeper>,
    /// How many have waited, to tell them apart.
    waits: u64,
}

struct Sleeper {
    number: u64,
    until: Instant,
    wake: Rc<dyn Fn()>,
}

/// From now on this execution's time is what `advance` makes of it.
pub(crate) fn start() {
    let hands = Mutex::new(Hands { now: Duration::ZERO, waiting: Vec::new(), waits: 0 });
    RUNNING.set(Some(Rc::new(Clock { hands })));
}

/// A new execution begins.
pub(super) fn stop() {
    RUNNING.set(None);
}

/// Whether time moves.
pub(crate) fn is_running() -> bool {
    RUNNING.with_borrow(Option::is_some)
}

/// Moves the clock, and wakes everybody whose time is up.
pub(crate) fn advance(by: Duration) {
    let clock = running().expect("the clock was started");
    let mut hands = clock.hands.lock();
    hands.now = hands.now.saturating_add(by);
    let now = Instant(hands.now);
    let (due, waiting) = mem::take(&mut hands.waiting).into_iter().partition(|sleeper| sleeper.until <= now);
    hands.waiting = waiting;
    drop(hands);
    let due: Vec<Sleeper> = due;
    due.iter().for_each(|sleeper| (sleeper.wake)());
}

/// Waits with `wait`, which `wake` ends, and says whether `deadline` has passed. The caller holds a lock that `wait` lets go of and `wake` passes through: so
/// `wake` comes after `wait` has begun.
pub(super) fn wait_until(deadline: Instant, wake: impl Fn() + 'static, wait: impl FnOnce()) -> bool {
    let Some(clock) = running() else {
        let over = deadline <= Instant::now();
        if !over {
            wait();
        }
        return over;
    };
    let mut hands = clock.hands.lock();
    if deadline.0 <= hands.now {
        return true;
    }
    hands.waits += 1;
    let number = hands.waits;
    hands.waiting.push(Sleeper { number, until: deadline, wake: Rc::new(wake) });
    drop(hands);
    wait();
    let mut hands = clock.hands.lock();
    hands.waiting.retain(|sleeper| sleeper.number != number);
    deadline.0 <= hands.now
}

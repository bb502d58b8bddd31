//! Faults for a soak, with `--cfg lockgrain_soak`: pauses where a thread has set something and not yet told of it, and threads that can't be started.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use std::{env, io, thread};

/// What has been injected, for the report: pauses, and threads that were not started.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Injected {
    /// How often a thread paused in a gap.
    pub gaps: u64,
    /// How many threads were not started.
    pub unstarted: u64,
}

static GAPS: AtomicU64 = AtomicU64::new(0);
static UNSTARTED: AtomicU64 = AtomicU64::new(0);

/// What has been injected so far.
pub fn injected() -> Injected {
    Injected { gaps: GAPS.load(Relaxed), unstarted: UNSTARTED.load(Relaxed) }
}

/// One number from the environment, read once.
fn setting(cell: &OnceLock<u64>, name: &str) -> u64 {
    *cell.get_or_init(|| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// The next number of this thread's series, which goes by `LOCKGRAIN_SOAK_SEED` and by how many threads came before.
fn draw() -> u64 {
    static THREADS: AtomicU64 = AtomicU64::new(1);
    static SEED: OnceLock<u64> = OnceLock::new();
    std::thread_local! { static STATE: Cell<u64> = const { Cell::new(0) }; }
    let next = STATE.try_with(|state| {
        let mut now = state.get();
        if now == 0 {
            let thread = THREADS.fetch_add(1, Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            now = (setting(&SEED, "LOCKGRAIN_SOAK_SEED") ^ thread) | 1;
        }
        now ^= now << 13;
        now ^= now >> 7;
        now ^= now << 17;
        state.set(now);
        now
    });
    next.unwrap_or(1)
}

/// Between a set and its notification: mostly nothing, sometimes the others get the processor, rarely for long.
pub(crate) fn gap() {
    let drawn = draw() >> 32;
    if !drawn.is_multiple_of(32) {
        return;
    }
    GAPS.fetch_add(1, Relaxed);
    match drawn / 32 % 64 {
        0 => thread::sleep(Duration::from_micros(drawn % 300)),
        _ => thread::yield_now(),
    }
}

/// As std's, but one of so many starts fails as `LOCKGRAIN_SOAK_UNSTARTED` says; 0 for none.
#[derive(Debug)]
pub struct Builder(thread::Builder);

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// As std's.
    pub fn new() -> Self {
        Self(thread::Builder::new())
    }

    /// As std's.
    #[must_use]
    pub fn name(self, name: String) -> Self {
        Self(self.0.name(name))
    }

    /// As std's.
    #[must_use]
    pub fn stack_size(self, bytes: usize) -> Self {
        Self(self.0.stack_size(bytes))
    }

    /// As std's.
    ///
    /// # Errors
    /// As std's, and as if there were too many threads.
    pub fn spawn<T, F>(self, f: F) -> io::Result<thread::JoinHandle<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        static ONE_OF: OnceLock<u64> = OnceLock::new();
        let one_of = setting(&ONE_OF, "LOCKGRAIN_SOAK_UNSTARTED");
        if one_of > 0 && (draw() >> 32).is_multiple_of(one_of) {
            UNSTARTED.fetch_add(1, Relaxed);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        gap();
        self.0.spawn(f)
    }
}

//! Who does what since when, and the watchdog that tells if somebody does it for too long.

use std::fmt::Write as _;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Shows a pool as it is now.
type Show = Box<dyn Fn() -> String + Send>;

/// What one driver does, and how its pools can be shown.
#[derive(Default)]
struct Doing {
    operation: &'static str,
    since: Option<Instant>,
    pools: Vec<(&'static str, Show)>,
}

/// A driver's place on the board.
#[derive(Clone)]
pub(crate) struct Slot(Arc<Mutex<Doing>>);

impl Slot {
    pub(crate) fn begin(&self, operation: &'static str) {
        let mut doing = self.0.lock().unwrap();
        (doing.operation, doing.since) = (operation, Some(Instant::now()));
    }

    /// Has the watchdog show this pool, until the end of the operation.
    pub(crate) fn shows(&self, name: &'static str, show: impl Fn() -> String + Send + 'static) {
        self.0.lock().unwrap().pools.push((name, Box::new(show)));
    }

    pub(crate) fn end(&self) {
        let mut doing = self.0.lock().unwrap();
        doing.since = None;
        let pools = std::mem::take(&mut doing.pools);
        drop(doing);
        // A pool's drop may wait.
        drop(pools);
    }
}

/// All drivers.
pub(crate) struct Board {
    slots: Vec<Slot>,
    over: AtomicBool,
    /// The longest that an operation took, in microseconds.
    longest: AtomicU64,
}

impl Board {
    pub(crate) fn new(drivers: usize) -> Arc<Self> {
        let slots = (0..drivers).map(|_| Slot(Arc::default())).collect();
        Arc::new(Self { slots, over: AtomicBool::new(false), longest: AtomicU64::new(0) })
    }

    pub(crate) fn slot(&self, driver: usize) -> Slot {
        self.slots[driver].clone()
    }

    pub(crate) fn took(&self, time: Duration) {
        self.longest.fetch_max(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Relaxed))
    }

    pub(crate) fn close(&self) {
        self.over.store(true, Relaxed);
    }

    /// Ends the process with a dump if an operation takes longer than `limit`. `shared` shows the pool that all have.
    pub(crate) fn watch(
        self: &Arc<Self>,
        limit: Duration,
        shared: impl Fn() -> String + Send + 'static,
    ) -> thread::JoinHandle<()> {
        let board = self.clone();
        thread::spawn(move || {
            while !board.over.load(Relaxed) {
                thread::sleep(Duration::from_millis(200));
                let stuck = |slot: &Slot| slot.0.lock().unwrap().since.is_some_and(|since| since.elapsed() > limit);
                if board.slots.iter().any(stuck) {
                    eprintln!("{}", board.dump(&shared()));
                    process::exit(3);
                }
            }
        })
    }

    fn dump(&self, shared: &str) -> String {
        let mut text = format!("SOMETHING STANDS STILL\n\nthe shared pool:\n{shared}\n");
        for (driver, slot) in self.slots.iter().enumerate() {
            let doing = slot.0.lock().unwrap();
            let since = doing.since.map_or(Duration::ZERO, |since| since.elapsed());
            let _ = writeln!(text, "driver {driver}: {} for {since:.1?}", doing.operation);
            for (name, show) in &doing.pools {
                let _ = writeln!(text, "its pool, {name}:\n{}", show());
            }
        }
        text
    }
}

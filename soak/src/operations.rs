//! What a driver does next to the pool that all share, and what may come of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use lockgrain::{
    Builder, Guarded, Keyed, LockPolicy, ReturnWhen, Strand, TaskError, TaskHandle, ThreadPool, as_completed, block_on,
    blocking, promise, wait,
};

use crate::ON_PURPOSE;
use crate::watch::Slot;

const WORKERS: usize = 4;
/// More guarded values than most tasks find free.
const VALUES: usize = 5;

/// Whether a panic with this text is one of ours, or tells of an injected fault.
pub(crate) fn is_expected(text: &str) -> bool {
    text.contains(ON_PURPOSE) || text.contains("no worker thread could be started")
}

/// A driver's panic is passed on if it is not expected.
fn contained(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f))
        && !is_expected(crate::text(&*payload))
    {
        resume_unwind(payload);
    }
}

/// Panics when it is dropped.
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("{ON_PURPOSE}: a drop");
        }
    }
}

/// The pool that all share, its guarded values, and the books.
pub(crate) struct World<P: LockPolicy> {
    pool: ThreadPool<P>,
    values: Vec<Guarded<u64, P>>,
    keyed: Keyed<u8, P>,
    strand: Strand<P>,
    books: Books,
    /// How often a task has added one to a guarded value.
    added: std::sync::Arc<AtomicU64>,
}

/// How often what was done, and what came of the tasks.
#[derive(Default)]
pub(crate) struct Books {
    operations: Mutex<BTreeMap<&'static str, u64>>,
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    wrong: AtomicU64,
}

impl Books {
    fn did(&self, operation: &'static str) {
        *self.operations.lock().unwrap().entry(operation).or_default() += 1;
    }

    fn came(&self, outcome: &'static str) {
        *self.outcomes.lock().unwrap().entry(outcome).or_default() += 1;
    }

    pub(crate) fn expect(&self, holds: bool, what: &str) {
        if !holds {
            self.wrong.fetch_add(1, Relaxed);
            eprintln!("WRONG: {what}");
        }
    }

    /// Writes down the outcome of a task; its value if it has one.
    pub(crate) fn take<T>(&self, result: Result<T, TaskError>) -> Option<T> {
        let outcome = match result {
            Ok(value) => {
                self.came("value");
                return Some(value);
            }
            Err(TaskError::Panicked(panic)) => {
                self.expect(is_expected(panic.message()), panic.message());
                "panic"
            }
            Err(TaskError::Cancelled) => "cancelled",
            Err(TaskError::Refused) => "refused",
            Err(TaskError::QueueFull) => "queue full",
            Err(TaskError::Broken(_)) => "broken pool",
            Err(TaskError::NoWorker(_)) => "no thread",
            Err(TaskError::TimedOut) => "timed out",
            Err(TaskError::WouldDeadlock) => "would deadlock",
            Err(TaskError::Abandoned) => "abandoned promise",
            Err(error) => {
                self.expect(false, &error.to_string());
                "else"
            }
        };
        self.came(outcome);
        None
    }

    /// As `take`, of a task that gives this value if any.
    pub(crate) fn gives(&self, handle: TaskHandle<u64>, value: u64) {
        if let Some(got) = self.take(handle.result()) {
            self.expect(got == value, "another task's value");
        }
    }
}

fn fib<P: LockPolicy>(pool: &ThreadPool<P>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = pool.join(|| fib(pool, n - 1), || fib(pool, n - 2));
    a + b
}

fn sleep(random: &mut Rng) {
    // Slow, and now and then as good as frozen.
    let most = if random.u32(0..200) == 0 { 400_000 } else { 2_000 };
    thread::sleep(Duration::from_micros(random.u64(0..most)));
}

impl<P: LockPolicy> World<P> {
    pub(crate) fn new() -> Self {
        let settings = Builder::new().max_workers(WORKERS).keep_alive(Duration::from_millis(2)).min_workers(1);
        let hook = |every: u32, what: &'static str| {
            move |_: usize| assert!(fastrand::u32(0..every) > 0, "{ON_PURPOSE}: {what}")
        };
        let settings = settings.on_thread_start(hook(5, "a start")).on_thread_stop(hook(5, "a stop"));
        let settings = settings.before_task(hook(5_000, "before")).after_task(hook(5_000, "after"));
        let handler = |_| assert!(fastrand::bool(), "{ON_PURPOSE}: a panic handler");
        let pool = settings.panic_handler(handler).build().expect("no thread is needed for that");
        Self {
            values: (0..VALUES).map(|_| pool.guarded(0)).collect(),
            keyed: pool.keyed(),
            strand: pool.strand(),
            pool,
            books: Books::default(),
            added: std::sync::Arc::default(),
        }
    }

    pub(crate) fn show(&self) -> String {
        format!("{:?}, paused: {}\n{}", self.pool, self.pool.is_paused(), self.pool.metrics())
    }

    pub(crate) fn wrong(&self) -> u64 {
        self.books.wrong.load(Relaxed)
    }

    /// One operation, drawn at random.
    pub(crate) fn operate(&self, random: &mut Rng, slot: &Slot) {
        type Operation<P> = fn(&World<P>, &mut Rng, &Slot);
        let operations: [(&str, Operation<P>); 30] = [
            ("submit", Self::submit),
            ("submit many", Self::submit_many),
            ("submit, panicking", Self::submit_panicking),
            ("spawn", Self::spawn),
            ("cancel", Self::cancel),
            ("request_cancel", Self::request_cancel),
            ("drop a handle", Self::drop_handle),
            ("timed wait", Self::timed_wait),
            ("callback", Self::callback),
            ("nested", Self::nested),
            ("blocking", Self::blocking),
            ("slow task", Self::slow),
            ("when", Self::when),
            ("key", Self::key),
            ("strand", Self::strand),
            ("scope", Self::scope),
            ("join", Self::join),
            ("map", Self::map),
            ("for_each", Self::for_each),
            ("as_completed", Self::as_completed),
            ("wait", Self::wait),
            ("shared, then", Self::shared_then),
            ("promise", Self::promise),
            ("future", Self::future),
            ("schedule", Self::schedule),
            ("series", Self::series),
            ("context", Self::context),
            ("broadcast", Self::broadcast),
            ("resize, pause", Self::change),
            ("pool that comes and goes", |world, random, slot| crate::pools::one::<P>(&world.books, random, slot)),
        ];
        let (name, operation) = operations[random.usize(..operations.len())];
        slot.begin(name);
        self.books.did(name);
        contained(|| operation(self, random, slot));
    }

    fn submit(&self, random: &mut Rng, _: &Slot) {
        let n = random.u64(..);
        self.books.gives(self.pool.submit(move || n), n);
    }

    fn submit_many(&self, random: &mut Rng, _: &Slot) {
        let handles: Vec<_> = (0..random.u64(1..200)).map(|n| (n, self.pool.submit(move || n))).collect();
        handles.into_iter().for_each(|(n, handle)| self.books.gives(handle, n));
    }

    fn submit_panicking(&self, random: &mut Rng, _: &Slot) {
        let handle: TaskHandle<()> = match random.u32(0..3) {
            0 => self.pool.submit(|| panic!("{ON_PURPOSE}")),
            1 => self.pool.submit(|| std::panic::panic_any(ON_PURPOSE.to_owned())),
            _ => {
                let bomb = Bomb;
                self.pool.submit(move || drop(bomb))
            }
        };
        let got = self.books.take(handle.result());
        self.books.expect(got.is_none(), "a value of a task that panics");
    }

    fn spawn(&self, random: &mut Rng, _: &Slot) {
        for _ in 0..random.u32(1..50) {
            let panics = random.u32(0..20) == 0;
            let spawned = self.pool.spawn(move || assert!(!panics, "{ON_PURPOSE}"));
            self.books.expect(spawned.is_ok(), "a spawn is refused");
        }
    }

    fn cancel(&self, random: &mut Rng, _: &Slot) {
        let bomb = (random.u32(0..4) == 0).then_some(Bomb);
        let handle = self.pool.submit(move || std::mem::forget(bomb));
        if random.bool() {
            thread::yield_now();
        }
        let cancelled = handle.cancel();
        let got = self.books.take(handle.result());
        self.books.expect(!(cancelled && got.is_some()), "a value of a task that was cancelled");
    }

    fn request_cancel(&self, _: &mut Rng, _: &Slot) {
        let handle = self.pool.submit_with(|cx| while cx.checkpoint().is_ok() {});
        thread::yield_now();
        let asked = handle.request_cancel();
        // Ended already, or there is no thread for it.
        if !asked {
            self.books.expect(handle.is_finished(), "a task can't be asked to stop");
        }
        self.books.take(handle.result());
    }

    fn drop_handle(&self, random: &mut Rng, _: &Slot) {
        let bomb = (random.u32(0..4) == 0).then_some(Bomb);
        drop(self.pool.submit(move || bomb));
    }

    fn timed_wait(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let mut handle = self.pool.submit(move || sleep(&mut own));
        if self.books.take(handle.result_timeout(Duration::from_micros(random.u64(0..500)))).is_none()
            && !handle.is_finished()
        {
            self.books.take(handle.result());
        }
    }

    fn callback(&self, random: &mut Rng, _: &Slot) {
        let (send, receive) = std::sync::mpsc::channel();
        let mut handle = self.pool.submit(|| 7);
        for n in 0..3 {
            let (send, panics) = (send.clone(), random.u32(0..4) == 0);
            handle.on_done(move |_| {
                let _nobody_waits = send.send(n);
                assert!(!panics, "{ON_PURPOSE}: a callback");
            });
        }
        drop(send);
        self.books.gives(handle, 7);
        self.books.expect(receive.iter().eq(0..3), "callbacks out of order, or missing");
    }

    fn nested(&self, random: &mut Rng, _: &Slot) {
        let (pool, n) = (self.pool.clone(), random.u64(1..20));
        let outer = self.pool.submit(move || {
            let inner: Vec<_> = (0..n).map(|n| pool.submit(move || n)).collect();
            inner
                .into_iter()
                .map(|handle| handle.result().unwrap_or_else(|error| panic!("{ON_PURPOSE}: {error}")))
                .sum()
        });
        self.books.gives(outer, n * (n - 1) / 2);
    }

    fn blocking(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let handle = self.pool.submit(move || {
            blocking(|| sleep(&mut own));
            blocking(|| assert!(own.u32(0..4) > 0, "{ON_PURPOSE}"));
            3
        });
        self.books.gives(handle, 3);
    }

    fn slow(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let handle = self.pool.submit(move || sleep(&mut own));
        if random.bool() {
            self.books.take(handle.result());
        }
    }

    fn when(&self, random: &mut Rng, _: &Slot) {
        let mut handles = Vec::new();
        for _ in 0..random.u32(1..30) {
            let (a, b) = (random.usize(..VALUES), random.usize(..VALUES));
            let (added, panics) = (self.added.clone(), random.u32(0..20) == 0);
            let one_more = move |value: &mut u64| {
                *value += 1;
                added.fetch_add(1, Relaxed);
                assert!(!panics, "{ON_PURPOSE}");
            };
            let handle = if a == b {
                self.pool.when(&self.values[a], move |a| one_more(a))
            } else {
                let read = self.values[b].shared();
                self.pool.when((&self.values[a], read), move |(a, b)| {
                    let before = *b;
                    one_more(a);
                    assert_eq!(before, *b, "a writer beside a reader");
                })
            };
            if random.u32(0..5) == 0 {
                handle.cancel();
            }
            handles.push(handle);
        }
        for handle in handles {
            self.books.take(handle.result());
        }
    }

    fn key(&self, random: &mut Rng, _: &Slot) {
        let handles: Vec<_> = (0..random.u64(1..30))
            .map(|n| {
                let panics = random.u32(0..20) == 0;
                let f = move || {
                    assert!(!panics, "{ON_PURPOSE}");
                    n
                };
                let handle = match random.u32(0..3) {
                    0 => self.keyed.submit(random.u8(0..8), f),
                    1 => self.keyed.submit_shared(random.u8(0..8), f),
                    _ => self.keyed.exclusive_all(f),
                };
                (n, handle)
            })
            .collect();
        handles.into_iter().for_each(|(n, handle)| self.books.gives(handle, n));
    }

    fn strand(&self, random: &mut Rng, _: &Slot) {
        let handles: Vec<_> = (0..random.u64(1..20)).map(|n| self.strand.submit(move || n)).collect();
        (0..).zip(handles).for_each(|(n, handle)| self.books.gives(handle, n));
    }

    fn scope(&self, random: &mut Rng, _: &Slot) {
        let (mut numbers, panics) = (vec![0_u64; random.usize(1..30)], random.u32(0..5) == 0);
        self.pool.scope(|s| {
            for number in &mut numbers {
                let _not_draining = s.spawn(move || *number = 1);
            }
            if panics {
                let _not_draining = s.spawn(|| panic!("{ON_PURPOSE}"));
            }
            let inner = s.submit(|| 5);
            self.books.gives(inner, 5);
        });
    }

    fn join(&self, random: &mut Rng, _: &Slot) {
        let n = random.u64(5..16);
        let got = self.pool.install(|| fib(&self.pool, n));
        self.books.expect(got == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610][n as usize], "fib");
        if random.bool() {
            self.pool.join(thread::yield_now, || panic!("{ON_PURPOSE}"));
        }
    }

    fn map(&self, random: &mut Rng, _: &Slot) {
        let (items, bad) = (random.u64(1..300), random.u64(0..600));
        let map = self.pool.bulk().buffer_size(random.usize(1..400)).map(0..items, move |n| {
            assert!(n != bad, "{ON_PURPOSE}");
            n
        });
        let most = if random.u32(0..4) == 0 { random.usize(..=items as usize) } else { usize::MAX };
        for (n, result) in (0..).zip(map.take(most)) {
            if let Some(got) = self.books.take(result) {
                self.books.expect(got == n, "map out of order");
            }
        }
    }

    fn for_each(&self, random: &mut Rng, _: &Slot) {
        let bad = random.u64(0..600);
        let done = self.pool.for_each(0..300, move |n: u64| assert!(n != bad, "{ON_PURPOSE}"));
        self.books.take(done);
    }

    fn as_completed(&self, random: &mut Rng, _: &Slot) {
        let items = random.u64(1..50);
        let mut all: Vec<_> = as_completed((0..items).map(|n| self.pool.submit(move || n)))
            .filter_map(|handle| self.books.take(handle.map_or(Err(TaskError::TimedOut), TaskHandle::result)))
            .collect();
        all.dedup();
        self.books.expect(all.len() <= items as usize, "a result twice");
    }

    fn wait(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let handles = (0..20).map(|_| {
            let mut own = own.fork();
            self.pool.submit(move || sleep(&mut own))
        });
        let when =
            [ReturnWhen::FirstCompleted, ReturnWhen::FirstException, ReturnWhen::AllCompleted][random.usize(..3)];
        let waited = wait(handles.collect::<Vec<_>>(), when, Duration::from_micros(random.u64(0..3_000)));
        self.books.expect(waited.done.len() + waited.not_done.len() == 20, "a handle is lost");
    }

    fn shared_then(&self, random: &mut Rng, _: &Slot) {
        let panics = random.u32(0..4) == 0;
        let shared = self.pool.submit(|| 4_u64).shared();
        let others: Vec<_> = (0..3).map(|_| shared.clone()).collect();
        let same = others.iter().all(|other| other.result().ok() == shared.result().ok());
        self.books.expect(same, "two readers see two results");
        let then = self.pool.submit(|| 5_u64).then(&self.pool, move |before| {
            assert!(!panics, "{ON_PURPOSE}");
            before.map_or(6, |before| before + 1)
        });
        self.books.gives(then, 6);
    }

    fn promise(&self, random: &mut Rng, _: &Slot) {
        let (promise, handle) = promise::<u64>();
        let keeps = random.u32(0..4) > 0;
        let _runs = self.pool.spawn(move || {
            if keeps {
                let _late = promise.set_result(8);
            }
        });
        self.books.gives(handle, 8);
    }

    fn future(&self, random: &mut Rng, _: &Slot) {
        let (mut polls, panics) = (random.u32(1..8), random.u32(0..6) == 0);
        let inner = self.pool.submit(|| 2_u64);
        let handle = self.pool.spawn_future(async move {
            std::future::poll_fn(|cx| {
                polls -= 1;
                if polls == 0 {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            assert!(!panics, "{ON_PURPOSE}");
            inner.await.map_or(9, |_| 9)
        });
        if random.u32(0..6) == 0 {
            handle.cancel();
        }
        let result = if random.bool() { block_on(handle) } else { handle.result() };
        if let Some(got) = self.books.take(result) {
            self.books.expect(got == 9, "a future's output");
        }
    }

    fn schedule(&self, random: &mut Rng, _: &Slot) {
        let handles: Vec<_> = (0..random.u64(1..10))
            .map(|n| (n, self.pool.schedule(Duration::from_micros(random.u64(0..3_000)), move || n)))
            .collect();
        for (n, handle) in handles {
            if random.u32(0..4) == 0 {
                handle.cancel();
            }
            self.books.gives(handle, n);
        }
    }

    fn series(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let f = move || assert!(own.u32(0..20) > 0, "{ON_PURPOSE}");
        let (delay, period) = (Duration::ZERO, Duration::from_micros(random.u64(1..500)));
        let handle = if random.bool() {
            self.pool.schedule_at_fixed_rate(delay, period, f)
        } else {
            self.pool.schedule_with_fixed_delay(delay, period, f)
        };
        thread::sleep(Duration::from_micros(random.u64(0..3_000)));
        handle.cancel();
        self.books.take(handle.result());
    }

    fn context(&self, random: &mut Rng, _: &Slot) {
        let mut own = random.fork();
        let handle = self.pool.submit_with(move |cx| {
            let _asked = cx.checkpoint();
            cx.blocking(|| sleep(&mut own));
            6
        });
        self.books.gives(handle, 6);
    }

    fn broadcast(&self, random: &mut Rng, _: &Slot) {
        let panics = random.u32(0..4) == 0;
        let f = move |worker| {
            assert!(!panics || worker > 0, "{ON_PURPOSE}");
            worker
        };
        match random.u32(0..3) {
            0 => {
                let _not_draining = self.pool.spawn_broadcast(move |worker| {
                    f(worker);
                });
            }
            1 => {
                let inner = self.pool.clone();
                let handle = self.pool.submit(move || inner.broadcast(f));
                self.in_order(self.books.take(handle.result()).unwrap_or_default());
            }
            _ => self.in_order(self.pool.broadcast(f)),
        }
    }

    fn in_order(&self, workers: Vec<usize>) {
        self.books.expect(workers.iter().copied().eq(0..workers.len()), "a broadcast out of order");
    }

    fn change(&self, random: &mut Rng, _: &Slot) {
        match random.u32(0..3) {
            0 => {
                let resized = self.pool.resize(random.usize(1..=2 * WORKERS));
                self.books.expect(resized.is_ok(), "a resize fails");
            }
            1 => {
                let _missing = self.pool.prestart_all();
            }
            _ => {
                self.pool.pause();
                thread::sleep(Duration::from_micros(random.u64(0..500)));
                self.pool.resume();
            }
        }
    }

    /// Ends the pool, and looks at its books and ours.
    pub(crate) fn end(&self) {
        let last = |value: &Guarded<u64, P>| {
            // Until it has a thread to run on.
            (0..100).find_map(|_| self.pool.when(value, |value| *value).result().ok())
        };
        let added = self.values.iter().map(last).sum::<Option<u64>>();
        self.books.expect(added == Some(self.added.load(Relaxed)), "an update of a guarded value is lost");
        self.pool.shutdown();
        let metrics = self.pool.metrics();
        self.books.expect(metrics.started == metrics.finished, "a task began and did not end");
        self.books.expect(metrics.submitted == metrics.started + metrics.cancelled, "a task is lost");
        self.books.expect(metrics.threads == 0, "a thread is left");
        self.books.expect(self.keyed.is_empty(), "a key is left");
    }

    pub(crate) fn report(&self) -> String {
        let mut text = format!("{}\n{}\n| operation | times |\n|---|---|\n", P::NAME, self.pool.metrics());
        for (operation, times) in &*self.books.operations.lock().unwrap() {
            let _ = writeln!(text, "| {operation} | {times} |");
        }
        text.push_str("\n| outcomes of tasks, and totals | |\n|---|---|\n");
        for (outcome, times) in &*self.books.outcomes.lock().unwrap() {
            let _ = writeln!(text, "| {outcome} | {times} |");
        }
        text
    }
}

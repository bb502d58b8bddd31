//! A pool that comes and goes, with settings drawn at random, and ended in one of all ways.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use lockgrain::{Builder, LockPolicy, TaskHandle, ThreadPool, WhenFull};

use crate::ON_PURPOSE;
use crate::books::{Bomb, Books};
use crate::watch::Slot;

thread_local! {
    /// What a submitter has around it.
    static MARK: Cell<u64> = const { Cell::new(u64::MAX) };
}

struct Restore(u64);

impl Drop for Restore {
    fn drop(&mut self) {
        MARK.set(self.0);
    }
}

fn settings<P: LockPolicy>(random: &mut Rng) -> Builder<P> {
    let mut settings = Builder::new().max_workers(random.usize(1..5)).max_spares(random.usize(0..4));
    settings = settings.keep_alive(Duration::from_micros(random.u64(0..500))).min_workers(random.usize(0..3));
    settings = settings.run_delayed_after_shutdown(random.bool());
    if random.u32(0..3) == 0 {
        let when_full = match random.u32(0..5) {
            0 => WhenFull::Reject,
            1 => WhenFull::Block,
            2 => WhenFull::CallerRuns,
            3 => WhenFull::DiscardOldest,
            _ => WhenFull::DiscardNewest,
        };
        settings = settings.queue_capacity(random.usize(1..20)).when_full(when_full);
    }
    settings = match random.u32(0..12) {
        0 => settings.initializer(|_| Err::<(), _>(ON_PURPOSE)),
        1 => settings.initializer(|_| -> Result<(), String> { panic!("{ON_PURPOSE}: an initializer") }),
        2 => settings.worker_main(|_| panic!("{ON_PURPOSE}: a worker's life")),
        3 => settings.initializer(Ok::<_, String>).finalizer(|_: usize| panic!("{ON_PURPOSE}: a finalizer")),
        4 => settings.on_terminated(|| panic!("{ON_PURPOSE}: the end")),
        5 => settings.on_thread_start(|_| panic!("{ON_PURPOSE}: a start")),
        _ => settings,
    };
    settings.prestart(random.u32(0..4) == 0)
}

/// With marks that its tasks find.
fn marking<P: LockPolicy>(settings: Builder<P>) -> Builder<P> {
    settings.propagate(|| {
        assert!(fastrand::u32(0..1_000) > 0, "{ON_PURPOSE}: a capture");
        let mark = MARK.get();
        move || {
            assert!(fastrand::u32(0..1_000) > 0, "{ON_PURPOSE}: what is carried along");
            Restore(MARK.replace(mark))
        }
    })
}

pub(crate) fn one<P: LockPolicy>(books: &Books, random: &mut Rng, slot: &Slot) {
    let (mut settings, marks) = (settings::<P>(random), random.u32(0..3) == 0);
    if marks {
        settings = marking(settings);
    }
    // It is broken, or a thread can't be started.
    let Ok(pool) = settings.build() else { return };
    let mut handles = Vec::new();
    let bomb = random.u32(0..8) == 0;
    for n in 0..random.u64(0..60) {
        let bomb = bomb.then_some(Bomb);
        let _before = Restore(MARK.replace(n));
        let marked = move || {
            assert!(!marks || MARK.get() == n, "a task without what its submitter had around it");
            n
        };
        handles.push(match random.u32(0..9) {
            0 => pool.schedule(Duration::from_micros(random.u64(0..2_000)), move || n),
            1 => pool.spawn_future(async move { n }),
            2 => {
                let inner = pool.clone();
                pool.submit(move || inner.submit(move || n).result().unwrap_or(n))
            }
            3 => pool.submit(move || {
                std::mem::forget(bomb);
                n
            }),
            4 => pool.submit(move || panic!("{ON_PURPOSE}")),
            5 => pool.task().priority(random.i8(-1..2)).submit(marked),
            6 => pool.task().start_within(Duration::from_micros(random.u64(0..500))).submit(marked),
            7 => {
                let mut many = pool.submit_many((0..random.u64(1..80)).map(|_| marked));
                many.pop().expect("there is one at least")
            }
            _ => pool.submit(move || lockgrain::blocking(|| n)),
        });
        if random.u32(0..10) == 0 {
            let _refused = pool.spawn_broadcast(|_| ());
        }
    }
    if random.u32(0..8) == 0 {
        let _there_was = pool.await_quiescence(Duration::from_millis(1));
    }
    if random.u32(0..8) == 0 {
        let _cancelled = pool.cancel_queued();
    }
    if end(pool, random, slot) {
        books.expect(handles.iter().all(TaskHandle::is_finished), "a task has not ended, but its pool has");
    }
    // Whatever came of them, all have an end: who drops the pool in a task does not wait for that, but the handles do.
    for handle in handles {
        books.take(handle.result());
    }
}

/// Whether it has stopped when this returns.
fn end<P: LockPolicy>(pool: ThreadPool<P>, random: &mut Rng, slot: &Slot) -> bool {
    let shown = pool.clone();
    let shows = || slot.shows("a pool that comes and goes", move || format!("{shown:?}\n{}", shown.metrics()));
    match random.u32(0..6) {
        0 => {
            shows();
            pool.shutdown();
            true
        }
        1 => {
            shows();
            pool.shutdown_now();
            true
        }
        2 => {
            shows();
            pool.shutdown_now_timeout(Duration::from_micros(random.u64(0..500))).1
        }
        3 => {
            shows();
            let other = pool.clone();
            thread::scope(|scope| {
                scope.spawn(move || other.shutdown());
                let _late = pool.submit(|| ());
                pool.shutdown_now();
            });
            true
        }
        4 => {
            let last = pool.clone();
            drop(shows);
            let _refused = pool.spawn(move || drop(last));
            drop(pool);
            false
        }
        _ => {
            // Tasks may have handles of it, too.
            drop(shows);
            drop(pool);
            false
        }
    }
}

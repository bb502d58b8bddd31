//! Scopes where no spare worker can take a waiting one's place.

mod suite;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use lockgrain::{Builder, FineGrained, GlobalLock, LocalOrder, LockFree, LockPolicy, ThreadPool, blocking};

fn without_spares<P: LockPolicy>(workers: usize, order: LocalOrder) -> ThreadPool<P> {
    Builder::new().max_workers(workers).max_spares(0).local_order(order).build().unwrap()
}

fn each<P: LockPolicy>(case: fn(&ThreadPool<P>)) {
    for order in [LocalOrder::Lifo, LocalOrder::Fifo] {
        for workers in [1, 2] {
            suite::within_a_minute(move || case(&without_spares(workers, order)));
        }
    }
}

macro_rules! under_each_policy {
    ($($case:ident),+) => {
        $(#[test]
        fn $case() {
            each::<GlobalLock>(cases::$case);
            each::<FineGrained>(cases::$case);
            each::<LockFree>(cases::$case);
        })+
    };
}

under_each_policy! {
    a_scope_runs_its_tasks_itself,
    a_scope_in_blocking_runs_its_tasks_itself,
    joins_end,
    scopes_that_wait_for_one_another_end
}

/// The innermost of three joins waits until the other worker, which has got the outermost half, has nothing to do again. Its second half waits
/// for the one between, which nobody joins any more.
fn halves_are_shared_on_the_way_back<P: LockPolicy>() {
    let pool: ThreadPool<P> = Builder::new().max_workers(2).max_spares(0).prestart(true).build().unwrap();
    let (parked, between) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
    let has_parked = || until(|| pool.metrics().parked > parked.load(SeqCst));
    let innermost = || pool.join(has_parked, || until(|| between.load(SeqCst)));
    let middle = || pool.join(innermost, || between.store(true, SeqCst));
    pool.install(|| pool.join(middle, || parked.store(pool.metrics().parked, SeqCst)));
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn a_worker_shares_halves_on_its_way_back() {
    suite::within_a_minute(halves_are_shared_on_the_way_back::<FineGrained>);
    suite::within_a_minute(halves_are_shared_on_the_way_back::<LockFree>);
}

mod cases {
    use super::suite::count;
    use super::*;

    pub(super) fn a_scope_runs_its_tasks_itself<P: LockPolicy>(pool: &ThreadPool<P>) {
        let runs = AtomicUsize::new(0);
        pool.install(|| {
            pool.scope(|s| {
                (0..10).for_each(|_| s.spawn(|| count(&runs)).unwrap());
                // On top of them, a task of nobody's.
                pool.spawn(|| ()).unwrap();
            });
        });
        assert_eq!(runs.load(SeqCst), 10);
    }

    pub(super) fn a_scope_in_blocking_runs_its_tasks_itself<P: LockPolicy>(pool: &ThreadPool<P>) {
        let runs = AtomicUsize::new(0);
        let count = || count(&runs);
        pool.install(|| blocking(|| pool.scope(|s| (0..10).for_each(|_| s.spawn(count).unwrap()))));
        assert_eq!(runs.load(SeqCst), 10);
    }

    pub(super) fn joins_end<P: LockPolicy>(pool: &ThreadPool<P>) {
        fn sum<P: LockPolicy>(pool: &ThreadPool<P>, numbers: std::ops::Range<u32>) -> u32 {
            if numbers.len() < 2 {
                return numbers.sum();
            }
            let middle = numbers.start + numbers.len() as u32 / 2;
            let (a, b) = pool.join(|| sum(pool, numbers.start..middle), || sum(pool, middle..numbers.end));
            a + b
        }
        assert_eq!(pool.install(|| sum(pool, 0..200)), 199 * 100);
    }

    /// Each task opens a scope; with as many of them as workers, all wait.
    pub(super) fn scopes_that_wait_for_one_another_end<P: LockPolicy>(pool: &ThreadPool<P>) {
        let runs = AtomicUsize::new(0);
        pool.scope(|s| {
            for _ in 0..8 {
                let open = || {
                    pool.scope(|inner| {
                        for _ in 0..4 {
                            inner.spawn(|| pool.scope(|last| last.spawn(|| count(&runs)).unwrap())).unwrap();
                        }
                    });
                };
                s.spawn(open).unwrap();
            }
        });
        assert_eq!(runs.load(SeqCst), 32);
    }
}

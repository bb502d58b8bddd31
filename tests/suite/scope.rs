//! Tasks that borrow: `scope`, `install`, `join`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;

use lockgrain::{LockPolicy, TaskError, TaskHandle, ThreadPool, WaitError, as_completed, blocking, gate::Gate};

use super::{Occupied, count};

fn message(payload: Box<dyn std::any::Any + Send>) -> &'static str {
    payload.downcast_ref::<&str>().copied().unwrap_or("another payload")
}

pub(crate) fn tasks_borrow_and_give_results<P: LockPolicy>(pool: &ThreadPool<P>) {
    let words = ["a", "bc", "def"];
    let mut total = 0;
    let runs = AtomicUsize::new(0);
    let lengths = pool.scope(|s| {
        let handles: Vec<_> = words.iter().map(|word| s.submit(|| word.len())).collect();
        s.spawn(|| total = 7).unwrap();
        for _ in 0..100 {
            s.spawn(|| {
                // A task of the scope submits to it.
                s.spawn(|| count(&runs)).unwrap();
            })
            .unwrap();
        }
        as_completed(handles).map(|handle| handle.unwrap().result().unwrap()).sum::<usize>()
    });
    assert_eq!((lengths, total, runs.load(SeqCst)), (6, 7, 100));
}

// Contract: 74.
pub(crate) fn a_scope_ends_after_its_tasks<P: LockPolicy>(pool: &ThreadPool<P>) {
    let ended = AtomicUsize::new(0);
    pool.scope(|s| {
        for _ in 0..20 {
            drop(s.submit(|| {
                blocking(|| std::thread::sleep(Duration::from_millis(1)));
                ended.fetch_add(1, SeqCst);
            }));
        }
    });
    assert_eq!(ended.load(SeqCst), 20);
}

/// What a task returns may borrow, and is gone when the scope is, whoever dropped it.
pub(crate) fn results_do_not_outlive_the_scope<P: LockPolicy>(pool: &ThreadPool<P>) {
    struct Counts<'a>(&'a AtomicUsize);
    impl Drop for Counts<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    for _ in 0..20 {
        let drops = AtomicUsize::new(0);
        pool.scope(|s| {
            let kept: Vec<_> = (0..5).map(|_| s.submit(|| Counts(&drops))).collect();
            (0..5).for_each(|_| drop(s.submit(|| Counts(&drops))));
            let cancelled = s.submit({
                let captured = Counts(&drops);
                move || captured
            });
            cancelled.cancel();
            kept[0].wait().unwrap();
        });
        assert_eq!(drops.load(SeqCst), 11);
    }
}

pub(crate) fn a_scope_passes_panics_on_when_all_have_ended<P: LockPolicy>(pool: &ThreadPool<P>) {
    let ended = AtomicUsize::new(0);
    let count = || count(&ended);
    let spawned = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|s| {
            s.spawn(|| panic!("of a task")).unwrap();
            (0..20).for_each(|_| s.spawn(count).unwrap());
        });
    }));
    assert_eq!((message(spawned.unwrap_err()), ended.load(SeqCst)), ("of a task", 20));
    let body = catch_unwind(AssertUnwindSafe(|| {
        pool.scope(|s| {
            (0..20).for_each(|_| s.spawn(count).unwrap());
            panic!("of the body");
        });
    }));
    assert_eq!((message(body.unwrap_err()), ended.load(SeqCst)), ("of the body", 40));
    let submitted = pool.scope(|s| s.submit(|| panic!("for the handle")).result());
    assert!(matches!(submitted, Err::<(), _>(TaskError::Panicked(_))));
    assert_eq!(message(catch_unwind(AssertUnwindSafe(|| pool.install(|| panic!("of it")))).unwrap_err()), "of it");
}

pub(crate) fn scopes_nest_inside_tasks<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn count<P: LockPolicy>(pool: &ThreadPool<P>, depth: u32, leaves: &AtomicUsize) {
        if depth == 0 {
            leaves.fetch_add(1, SeqCst);
            return;
        }
        pool.scope(|s| (0..3).for_each(|_| s.spawn(|| count(pool, depth - 1, leaves)).unwrap()));
    }
    let leaves = AtomicUsize::new(0);
    pool.install(|| count(pool, 5, &leaves));
    assert_eq!(leaves.load(SeqCst), 243);
}

// Contract: 99.
pub(crate) fn join_recurses<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn fib<P: LockPolicy>(pool: &ThreadPool<P>, n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let (a, b) = pool.join(|| fib(pool, n - 1), || fib(pool, n - 2));
        a + b
    }
    assert_eq!(fib(pool, 15), 610, "from outside each join goes to the pool");
    assert_eq!(pool.install(|| fib(pool, 20)), 6765);
}

/// Who waits for the long half runs parts of it meanwhile, ever deeper.
pub(crate) fn joins_that_lean_to_one_side<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn leaf(runs: &AtomicUsize, n: usize) -> usize {
        count(runs);
        (0..1000).fold(n, |hash, _| (hash ^ (hash >> 13)).wrapping_mul(0x9E37_79B9)) & 1
    }
    fn left<P: LockPolicy>(pool: &ThreadPool<P>, runs: &AtomicUsize, n: usize) -> usize {
        let rest = || if n > 1 { left(pool, runs, n - 1) } else { 0 };
        let (a, b) = pool.join(|| leaf(runs, n), rest);
        a + b
    }
    fn right<P: LockPolicy>(pool: &ThreadPool<P>, runs: &AtomicUsize, n: usize) -> usize {
        assert!(n != 700 || runs.load(SeqCst) < 1000, "the second time");
        let rest = || if n > 1 { right(pool, runs, n - 1) } else { 0 };
        let (a, b) = pool.join(rest, || leaf(runs, n));
        a + b
    }
    let runs = AtomicUsize::new(0);
    assert_eq!(
        pool.install(|| left(pool, &runs, 800)),
        (1..=800).map(|n| leaf(&AtomicUsize::new(0), n)).sum::<usize>()
    );
    assert_eq!(runs.load(SeqCst), 800);
    let sum = pool.install(|| right(pool, &AtomicUsize::new(0), 800));
    assert_eq!(sum, (1..=800).map(|n| leaf(&AtomicUsize::new(0), n)).sum::<usize>());
    // Deep inside one panics.
    let panics = catch_unwind(AssertUnwindSafe(|| pool.install(|| right(pool, &AtomicUsize::new(1000), 800))));
    assert_eq!(message(panics.unwrap_err()), "the second time");
}

/// Tasks that the first half leaves in the queue are in the way of the second.
pub(crate) fn join_gets_its_second_half_back_from_under_others<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = AtomicUsize::new(0);
    let total = pool.scope(|s| {
        s.submit(|| {
            let spawns = || (0..10).for_each(|_| s.spawn(|| count(&runs)).unwrap());
            let (_, b) = pool.join(spawns, || 7);
            b
        })
        .result()
    });
    assert_eq!((total.unwrap(), runs.load(SeqCst)), (7, 10));
}

pub(crate) fn join_runs_the_second_half_elsewhere_while_the_first_blocks<P: LockPolicy>(pool: &ThreadPool<P>) {
    let both = pool.install(|| {
        let (send, receive) = mpsc::channel();
        pool.join(move || blocking(|| receive.recv().unwrap()), move || send.send(5).is_ok())
    });
    assert_eq!(both, (5, true));
}

pub(crate) fn join_passes_panics_on_when_both_have_ended<P: LockPolicy>(pool: &ThreadPool<P>) {
    let ended = AtomicUsize::new(0);
    let both = catch_unwind(AssertUnwindSafe(|| {
        pool.install(|| pool.join(|| panic!("first"), || ended.fetch_add(1, SeqCst)));
    }));
    assert_eq!(message(both.unwrap_err()), "first");
    let both = catch_unwind(AssertUnwindSafe(|| {
        pool.install(|| pool.join(|| ended.fetch_add(10, SeqCst), || panic!("second")));
    }));
    assert_eq!((message(both.unwrap_err()), ended.load(SeqCst) / 10), ("second", 1));
    // Begun elsewhere, the second one ends before the first one's panic goes on.
    let both = catch_unwind(AssertUnwindSafe(|| {
        pool.install(|| {
            let (begun, begins) = mpsc::channel();
            let first = move || {
                blocking(|| begins.recv().unwrap());
                panic!("first")
            };
            let second = || {
                begun.send(()).unwrap();
                blocking(|| std::thread::sleep(Duration::from_millis(5)));
                ended.fetch_add(100, SeqCst);
            };
            pool.join(first, second);
        });
    }));
    assert_eq!((message(both.unwrap_err()), ended.load(SeqCst) / 100), ("first", 1));
}

/// A task of the scope can't wait for the task that opened it, which waits for it.
pub(crate) fn waiting_for_who_opened_the_scope_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (to_inner, for_inner) = mpsc::channel::<TaskHandle<WaitError>>();
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let wait = move || blocking(|| for_inner.recv()).unwrap().wait().unwrap_err();
        inner.scope(|s| s.submit(wait).result().unwrap())
    });
    let (outcome, outcomes) = mpsc::channel();
    let mut outer = outer;
    outer.on_done(move |result| outcome.send(*result.as_ref().unwrap()).unwrap());
    to_inner.send(outer).unwrap();
    assert_eq!(outcomes.recv().unwrap(), WaitError::WouldDeadlock);
}

/// Nor can the second half of a join, begun by another worker, wait for the task that joins.
pub(crate) fn waiting_for_who_joins_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (to_inner, for_inner) = mpsc::channel::<TaskHandle<WaitError>>();
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let (begun, begins) = mpsc::channel();
        let second = move || {
            begun.send(()).unwrap();
            blocking(|| for_inner.recv()).unwrap().wait().unwrap_err()
        };
        inner.join(move || blocking(|| begins.recv()).unwrap(), second).1
    });
    let (outcome, outcomes) = mpsc::channel();
    let mut outer = outer;
    outer.on_done(move |result| outcome.send(*result.as_ref().unwrap()).unwrap());
    to_inner.send(outer).unwrap();
    assert_eq!(outcomes.recv().unwrap(), WaitError::WouldDeadlock);
}

/// The innermost of a hundred joins waits for what only the second halves say.
pub(crate) fn who_blocks_shares_the_second_halves_of_all_its_joins<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn nest<P: LockPolicy>(
        pool: &ThreadPool<P>,
        depth: u32,
        to: &mpsc::Sender<u32>,
        all: mpsc::Receiver<u32>,
    ) -> Vec<u32> {
        if depth == 0 {
            return blocking(|| all.iter().take(100).collect());
        }
        let said = to.clone();
        pool.join(|| nest(pool, depth - 1, to, all), move || said.send(depth).unwrap()).0
    }
    let (to, all) = mpsc::channel();
    let mut depths = pool.install(|| nest(pool, 100, &to, all));
    depths.sort_unstable();
    assert!(depths.into_iter().eq(1..=100));
}

/// A task that a half waits for, and that runs on its stack, joins too.
pub(crate) fn join_in_a_task_that_a_half_waits_for<P: LockPolicy>(pool: &ThreadPool<P>) {
    let sum = pool.install(|| {
        let child = || {
            let inner = pool.clone();
            pool.submit(move || inner.join(|| inner.join(|| 1, || 2), || 4)).result().unwrap()
        };
        let (((a, b), c), (d, e)) = pool.join(child, || pool.join(|| 8, || 16));
        a + b + c + d + e
    });
    assert_eq!(sum, 31);
}

/// The first half of a join panics while halves further out are still with their worker.
pub(crate) fn a_panic_leaves_the_joins_around_it_whole<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = AtomicUsize::new(0);
    let (inner, outer) = pool.install(|| {
        let caught = || {
            let both = || pool.join(|| pool.join(|| panic!("inner"), || count(&runs)), || count(&runs));
            catch_unwind(AssertUnwindSafe(both)).is_err()
        };
        pool.join(caught, || 7)
    });
    assert_eq!((inner, outer), (true, 7));
    assert_eq!(pool.install(|| pool.join(|| 1, || 2)), (1, 2));
}

pub(crate) fn a_scope_on_a_pool_that_is_shut_down_refuses<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let (down, downs) = mpsc::channel();
    let task = pool.submit(move || {
        blocking(|| downs.recv()).unwrap();
        let refused = inner.scope(|s| (s.submit(|| 1).result().is_err(), s.spawn(|| ()).is_err()));
        (refused, inner.join(|| 1, || 2))
    });
    assert!(!pool.shutdown_timeout(Duration::from_millis(1)));
    down.send(()).unwrap();
    assert_eq!(task.result().unwrap(), ((true, true), (1, 2)));
}

/// What is taken out of the queue unrun comes back to who joins.
pub(crate) fn shutdown_now_leaves_joins_whole<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    drop(occupied);
    let inner = pool.clone();
    let (begun, begins) = mpsc::channel();
    let task = pool.submit(move || {
        let first = || {
            begun.send(()).unwrap();
            while !inner.is_shutdown() {
                std::hint::spin_loop();
            }
            inner.shutdown_now();
            1
        };
        inner.join(first, || 2)
    });
    begins.recv().unwrap();
    pool.shutdown_now();
    assert_eq!(task.result().unwrap(), (1, 2));
}

/// Where only a context may let go of the lock, nothing of the pool can run.
pub(crate) fn with_a_context_join_is_serial_and_a_scope_is_refused<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let (joined, inside, scoped) = pool
        .submit_with(move |cx| {
            let joined = inner.join(|| 1, || 2);
            let inside = cx.blocking(|| inner.scope(|s| s.submit(|| 3).result().unwrap()));
            let scoped = catch_unwind(AssertUnwindSafe(|| inner.scope(|s| s.submit(|| 4).result())));
            (joined, inside, scoped.is_ok())
        })
        .result()
        .unwrap();
    assert_eq!((joined, inside), ((1, 2), 3));
    assert_eq!(scoped, !<P::Gate as Gate>::EXCLUSIVE);
}

//! Submitting and running. Contract 1–14, 36, 99.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use lockgrain::{LockPolicy, TaskError, ThreadPool};

use super::Bomb;

// Contract: 1, 2.
pub(crate) fn result_is_the_closures_value<P: LockPolicy>(pool: &ThreadPool<P>) {
    assert_eq!(pool.submit(|| 256).result().unwrap(), 256);
    let unit = pool.submit(|| ());
    unit.wait().unwrap();
    assert!(unit.is_finished() && !unit.is_cancelled());
    unit.result().unwrap();
}

// Contract: 3.
pub(crate) fn captures_arrive<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (number, text, list) = (7_u8, String::from("seven"), vec![1, 2, 3]);
    let (n, t, l) = pool.submit(move || (number, text, list)).result().unwrap();
    assert_eq!((n, t.as_str(), l.as_slice()), (7, "seven", &[1, 2, 3][..]));
}

// Contract: 4.
pub(crate) fn a_panic_reaches_the_handle<P: LockPolicy>(pool: &ThreadPool<P>) {
    let error = pool.submit(|| -> u8 { std::panic::panic_any(404_u32) }).result().unwrap_err();
    let TaskError::Panicked(panic) = error else { panic!("{error}") };
    assert_eq!(panic.into_payload().downcast_ref::<u32>(), Some(&404));
}

// Contract: 7.
pub(crate) fn a_detached_task_runs<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let second = sender.clone();
    pool.spawn(move || sender.send(1).unwrap()).unwrap();
    drop(pool.submit(move || second.send(2).unwrap()));
    assert_eq!(receiver.iter().take(2).sum::<i32>(), 3);
}

// Contract: 8.
pub(crate) fn captures_are_dropped_when_the_task_has_run<P: LockPolicy>(pool: &ThreadPool<P>) {
    let owned = Arc::new(());
    let weak = Arc::downgrade(&owned);
    pool.submit(move || drop(owned)).result().unwrap();
    assert_eq!(weak.strong_count(), 0);
    let owned = Arc::new(());
    let weak = Arc::downgrade(&owned);
    pool.submit(move || {
        let _kept = &owned;
    })
    .result()
    .unwrap();
    assert_eq!(weak.strong_count(), 0);
}

pub(crate) fn a_thousand_tasks_run_once_each<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs: Arc<Vec<AtomicUsize>> = Arc::new((0..1000).map(|_| AtomicUsize::new(0)).collect());
    let handles: Vec<_> = (0..1000)
        .map(|n| {
            let runs = runs.clone();
            pool.submit(move || runs[n].fetch_add(1, SeqCst))
        })
        .collect();
    for handle in handles {
        assert_eq!(handle.result().unwrap(), 0);
    }
    assert!(runs.iter().all(|runs| runs.load(SeqCst) == 1));
    let metrics = pool.metrics();
    assert_eq!((metrics.submitted, metrics.started, metrics.finished), (1000, 1000, 1000));
    assert!(metrics.threads <= pool.max_workers());
}

pub(crate) fn tasks_spawned_by_tasks_run<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn tree<P: LockPolicy>(pool: &ThreadPool<P>, depth: u32, leaves: &Arc<AtomicUsize>) {
        if depth == 0 {
            leaves.fetch_add(1, SeqCst);
            return;
        }
        for _ in 0..2 {
            let (inner, leaves) = (pool.clone(), leaves.clone());
            pool.spawn(move || tree(&inner, depth - 1, &leaves)).unwrap();
        }
    }
    let leaves = Arc::new(AtomicUsize::new(0));
    tree(pool, 10, &leaves);
    while leaves.load(SeqCst) < 1024 {
        std::thread::yield_now();
    }
}

// Contract: 99.
pub(crate) fn recursion_with_waits_gives_fib<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn fib<P: LockPolicy>(pool: ThreadPool<P>, n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        let inner = pool.clone();
        let left = pool.submit(move || fib(inner, n - 1));
        let right = fib(pool, n - 2);
        left.result().unwrap() + right
    }
    let inner = pool.clone();
    assert_eq!(pool.submit(move || fib(inner, 20)).result().unwrap(), 6765);
}

pub(crate) fn a_chain_a_thousand_deep_ends<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn chain<P: LockPolicy>(pool: ThreadPool<P>, depth: u32) -> u32 {
        if depth == 0 {
            return 0;
        }
        let inner = pool.clone();
        pool.submit(move || chain(inner, depth - 1)).result().unwrap() + 1
    }
    let inner = pool.clone();
    assert_eq!(pool.submit(move || chain(inner, 1000)).result().unwrap(), 1000);
}

pub(crate) fn a_panicking_task_leaves_the_worker_alive<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..8 {
        pool.spawn(|| panic!("on purpose")).unwrap();
        assert!(pool.submit(|| panic!("on purpose")).result().unwrap_err().is_panic());
    }
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
    assert!(pool.metrics().threads <= pool.max_workers());
}

pub(crate) fn panicking_drops_are_survived<P: LockPolicy>(pool: &ThreadPool<P>) {
    // Of the closure, of a result that nobody takes, of a payload that nobody takes.
    let bomb = Bomb;
    let dropped = pool.submit(move || {
        let _kept = &bomb;
    });
    assert!(dropped.result().unwrap_err().is_panic());
    drop(pool.submit(|| Bomb));
    drop(pool.submit(|| std::panic::panic_any(Bomb)));
    pool.spawn(|| std::panic::panic_any(Bomb)).unwrap();
    let occupied = super::Occupied::all(pool);
    let bomb = Bomb;
    let cancelled = pool.submit(move || {
        let _kept = &bomb;
    });
    assert!(cancelled.cancel());
    drop(occupied);
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
}

// Contract: 12.
pub(crate) fn three_tasks_one_after_another_use_one_thread<P: LockPolicy>(pool: &ThreadPool<P>) {
    assert_eq!(pool.metrics().threads, 0);
    let mut threads = Vec::new();
    for _ in 0..3 {
        let parked = pool.metrics().parked;
        threads.push(pool.submit(|| std::thread::current().id()).result().unwrap());
        // The next one finds it idle.
        while pool.metrics().parked == parked {
            std::thread::yield_now();
        }
    }
    assert_eq!(pool.metrics().threads, 1);
    assert!(threads.iter().all(|thread| *thread == threads[0] && *thread != std::thread::current().id()));
}

// Contract: 6.
pub(crate) fn a_failure_that_looks_like_nothing_is_one<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn fails_with<P: LockPolicy, T: PartialEq + Clone + Send + std::fmt::Debug + 'static>(
        pool: &ThreadPool<P>,
        payload: T,
    ) {
        let thrown = payload.clone();
        let error = pool.submit(move || -> u8 { std::panic::resume_unwind(Box::new(thrown)) }).result().unwrap_err();
        assert_eq!(error.into_panic().unwrap().downcast_ref::<T>(), Some(&payload));
    }
    fails_with(pool, ());
    fails_with(pool, false);
    fails_with(pool, 0_u8);
    fails_with(pool, "");
    fails_with(pool, None::<u8>);
    fails_with(pool, Vec::<u8>::new());
    // And an error that is a value stays one.
    assert_eq!(pool.submit(|| Err::<u8, _>(())).result().unwrap(), Err(()));
}

// Contract: 8.
pub(crate) fn what_nobody_takes_is_dropped<P: LockPolicy>(pool: &ThreadPool<P>) {
    let owned = Arc::new(());
    let [captured, returned, spawned] = [(); 3].map(|()| owned.clone());
    drop(pool.submit(move || {
        let _kept = &captured;
    }));
    drop(pool.submit(move || returned));
    pool.spawn(move || {
        let _kept = &spawned;
    })
    .unwrap();
    while Arc::strong_count(&owned) > 1 {
        std::thread::yield_now();
    }
}

// Contract: 13.
pub(crate) fn one_closure_runs_as_often_as_it_is_accepted<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = runs.clone();
    let closure = move || {
        counts.fetch_add(1, SeqCst);
    };
    for _ in 0..1000 {
        let mut closure = closure.clone();
        while let Err(lockgrain::Rejected { closure: back, .. }) = pool.try_submit(closure).map(drop) {
            closure = back;
            std::thread::yield_now();
        }
    }
    pool.shutdown();
    assert_eq!(runs.load(SeqCst), 1000);
}

// Contract: 11.
pub(crate) fn sixty_tasks_make_no_more_threads_than_workers<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = super::Occupied::all(pool);
    let running = occupied.handles().len();
    let queued: Vec<_> = (running..60).map(|n| pool.submit(move || n)).collect();
    let metrics = pool.metrics();
    assert_eq!((metrics.started, metrics.queue_depth), (running as u64, 60 - running as u64));
    // Behind an exclusive gate as many as can do something, and some that stand in line.
    assert!((running..=pool.max_workers()).contains(&metrics.threads), "{}", metrics.threads);
    let running = occupied.release();
    running.into_iter().for_each(|handle| handle.result().unwrap());
    assert!(queued.into_iter().all(|handle| handle.result().is_ok()));
    assert!(pool.metrics().threads <= pool.max_workers());
    pool.shutdown();
    assert_eq!(pool.metrics().finished, 60);
}

// Contract: 97.
pub(crate) fn a_pool_is_quiet_after_its_tasks<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn leaves<P: LockPolicy>(pool: ThreadPool<P>, depth: u32) -> u32 {
        if depth == 0 {
            return 1;
        }
        let halves = [(); 2].map(|()| {
            let inner = pool.clone();
            pool.submit(move || leaves(inner, depth - 1))
        });
        halves.into_iter().map(|half| half.result().unwrap()).sum()
    }
    let inner = pool.clone();
    let task = pool.submit(move || leaves(inner, 8));
    task.wait().unwrap();
    // Also its worker has put it away, and sleeps.
    loop {
        let metrics = pool.metrics();
        assert!(task.is_finished());
        if metrics.queue_depth == 0 && metrics.started == metrics.finished && metrics.parked >= 1 {
            assert_eq!((metrics.finished, metrics.cancelled, metrics.panicked), (511, 0, 0));
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(task.result().unwrap(), 256);
}

//! Many tasks in one call: `spawn_many`, `submit_many`.

mod suite;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, Refused, TaskError, ThreadPool, join_all};

fn builder<P: LockPolicy>(workers: usize) -> Builder<P> {
    Builder::new().max_workers(workers)
}

macro_rules! under_each_policy {
    ($($case:ident),+) => {
        $(#[test]
        fn $case() {
            for workers in [1, 2] {
                suite::within_a_minute(move || cases::$case(builder::<GlobalLock>(workers)));
                suite::within_a_minute(move || cases::$case(builder::<FineGrained>(workers)));
                suite::within_a_minute(move || cases::$case(builder::<LockFree>(workers)));
            }
        })+
    };
}

under_each_policy! {
    each_runs_once,
    one_worker_keeps_the_order,
    handles_are_in_order,
    a_task_spawns_many,
    what_a_panicking_iterator_gave_runs,
    a_pool_that_shuts_down_takes_no_more,
    a_shutdown_by_the_iterator_leaves_no_task_without_an_end,
    a_bounded_queue_takes_what_it_has_room_for,
    a_paused_pool_takes_them
}

mod cases {
    use super::suite::count;
    use super::*;

    pub(super) fn each_runs_once<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.build().unwrap();
        let runs: Arc<Vec<AtomicUsize>> = Arc::new((0..1_000).map(|_| AtomicUsize::new(0)).collect());
        pool.spawn_many((0..1_000).map(|at| {
            let runs = runs.clone();
            move || count(&runs[at])
        }))
        .unwrap();
        pool.spawn_many(std::iter::empty::<fn()>()).unwrap();
        assert!(pool.await_quiescence(Duration::from_secs(30)));
        assert!(runs.iter().all(|runs| runs.load(SeqCst) == 1));
        assert_eq!(pool.metrics().submitted, 1_000);
    }

    pub(super) fn one_worker_keeps_the_order<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.max_workers(1).build().unwrap();
        let (to, order) = mpsc::channel();
        let tell = |number: usize| {
            let to = to.clone();
            move || to.send(number).unwrap()
        };
        pool.spawn(tell(0)).unwrap();
        pool.spawn_many((1..100).map(tell)).unwrap();
        pool.spawn(tell(100)).unwrap();
        let handles = pool.submit_many((101..300).map(tell));
        assert!(order.iter().take(300).eq(0..300));
        drop(handles);
    }

    pub(super) fn handles_are_in_order<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.build().unwrap();
        let squares = join_all(pool.submit_many((0..200).map(|n| move || n * n)));
        assert!(squares.into_iter().map(Result::unwrap).eq((0..200).map(|n| n * n)));
    }

    pub(super) fn a_task_spawns_many<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.build().unwrap();
        let inner = pool.clone();
        let all = pool.submit(move || join_all(inner.submit_many((0..200).map(|n| move || n))));
        assert!(all.result().unwrap().into_iter().map(Result::unwrap).eq(0..200));
    }

    pub(super) fn what_a_panicking_iterator_gave_runs<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.build().unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let give = |n| {
            assert!(n < 70, "it gives no more");
            let runs = runs.clone();
            move || count(&runs)
        };
        catch_unwind(AssertUnwindSafe(|| pool.spawn_many((0..100).map(give)))).unwrap_err();
        catch_unwind(AssertUnwindSafe(|| pool.submit_many((0..100).map(give)))).unwrap_err();
        assert!(pool.await_quiescence(Duration::from_secs(30)));
        assert_eq!(runs.load(SeqCst), 140);
    }

    pub(super) fn a_pool_that_shuts_down_takes_no_more<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.build().unwrap();
        pool.shutdown();
        let mut tasks = (0..10).map(|_| || ());
        assert_eq!(pool.spawn_many(tasks.by_ref()), Err(Refused::Shutdown));
        assert_eq!(tasks.len(), 9, "no more have been asked for");
        let handles = pool.submit_many(tasks);
        assert_eq!(handles.len(), 9);
        assert!(handles.into_iter().all(|handle| matches!(handle.result(), Err(TaskError::Refused))));
    }

    pub(super) fn a_shutdown_by_the_iterator_leaves_no_task_without_an_end<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.build().unwrap();
        let give = |n| {
            if n == 100 {
                pool.shutdown();
            }
            move || n
        };
        let ends = join_all(pool.submit_many((0..200).map(give)));
        for (n, end) in ends.into_iter().enumerate() {
            match end {
                Ok(result) => assert_eq!(result, n),
                Err(error) => assert!(n >= 64 && matches!(error, TaskError::Refused), "{n}: {error}"),
            }
        }
    }

    pub(super) fn a_bounded_queue_takes_what_it_has_room_for<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.queue_capacity(10).build().unwrap();
        pool.pause();
        let mut tasks = (0..20).map(|_| || ());
        assert_eq!(pool.spawn_many(tasks.by_ref()), Err(Refused::Full));
        assert_eq!(tasks.len(), 9, "ten were accepted, and one was refused");
        pool.resume();
        assert!(pool.await_quiescence(Duration::from_secs(30)));
        assert_eq!(pool.metrics().finished, 10);
    }

    pub(super) fn a_paused_pool_takes_them<P: LockPolicy>(builder: Builder<P>) {
        let pool: ThreadPool<P> = builder.build().unwrap();
        pool.pause();
        let handles = pool.submit_many((0..100).map(|n| move || n));
        assert_eq!(pool.metrics().queue_depth, 100);
        pool.resume();
        assert!(join_all(handles).into_iter().map(Result::unwrap).eq(0..100));
    }
}

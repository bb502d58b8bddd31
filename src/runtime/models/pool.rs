//! Models of the whole pool under each policy: the scheduler that ships. No spare threads unless a model asks for them.

use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, check, size, thread};
use crate::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool, blocking};

fn pool<P: LockPolicy>(workers: usize) -> ThreadPool<P> {
    Builder::new().max_workers(workers).build().unwrap()
}

/// A counter, and tasks that count.
#[derive(Clone)]
struct Runs(Arc<AtomicU32>);

impl Runs {
    fn new() -> Self {
        Self(Arc::new(AtomicU32::new(0)))
    }

    fn one(&self) -> impl FnOnce() + Send + 'static {
        let runs = self.0.clone();
        move || {
            runs.fetch_add(1, Relaxed);
        }
    }

    fn count(&self) -> usize {
        self.0.load(Relaxed) as usize
    }
}

fn results_reach_their_waiter<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(2);
        let handles: Vec<_> = (0..size(2, 5)).map(|n| pool.submit(move || n)).collect();
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.result().unwrap(), n);
        }
        pool.shutdown();
    });
}

fn a_task_is_found_by_a_worker_that_slept<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(1);
        assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
        assert_eq!(pool.submit(|| 2).result().unwrap(), 2);
        pool.shutdown();
    });
}

fn a_task_spawned_by_a_task_runs<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(2);
        let inner = pool.clone();
        let outer = pool.submit(move || (0..size(1, 4)).map(|n| inner.submit(move || n)).collect::<Vec<_>>());
        for (n, child) in outer.result().unwrap().into_iter().enumerate() {
            assert_eq!(child.result().unwrap(), n);
        }
        pool.shutdown();
    });
}

fn tasks_wait_for_their_children<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(2);
        let outer: Vec<_> = (0..size(1, 3))
            .map(|n| {
                let inner = pool.clone();
                pool.submit(move || inner.submit(move || n).result().unwrap() + 1)
            })
            .collect();
        for (n, outer) in outer.into_iter().enumerate() {
            assert_eq!(outer.result().unwrap(), n + 1);
        }
        pool.shutdown();
    });
}

fn a_spare_worker_runs_the_child_of_a_blocking_task<P: LockPolicy>() {
    check(Some(1), || {
        let pool = Builder::<P>::new().max_workers(1).max_spares(1).build().unwrap();
        let inner = pool.clone();
        let outer = pool.submit(move || blocking(|| inner.submit(|| 5).result().unwrap()));
        assert_eq!(outer.result().unwrap(), 5);
        pool.shutdown();
    });
}

fn shutdown_runs_what_is_queued<P: LockPolicy>() {
    check(Some(2), || {
        let (pool, runs) = (pool::<P>(2), Runs::new());
        (0..size(2, 6)).for_each(|_| pool.spawn(runs.one()).unwrap());
        pool.shutdown();
        assert_eq!(runs.count(), size(2, 6));
    });
}

fn three_workers_run_each_task_once<P: LockPolicy>() {
    check(Some(1), || {
        let (pool, runs) = (pool::<P>(3), Runs::new());
        (0..size(3, 8)).for_each(|_| pool.spawn(runs.one()).unwrap());
        pool.shutdown();
        assert_eq!(runs.count(), size(3, 8));
    });
}

fn shutdown_now_cancels_what_has_not_started<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(2);
        let handles: Vec<_> = (0..size(2, 5)).map(|n| pool.submit(move || n)).collect();
        let cancelled = pool.shutdown_now();
        let unrun = handles.into_iter().map(|handle| handle.result()).filter(Result::is_err).count();
        assert_eq!(unrun, cancelled);
    });
}

fn shutdown_against_submit<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(2);
        let submitter = pool.clone();
        let thread = thread::spawn(move || submitter.submit(|| 4));
        pool.shutdown();
        match thread.join().unwrap().result() {
            Ok(value) => assert_eq!(value, 4),
            Err(error) => assert!(matches!(error, TaskError::Refused)),
        }
    });
}

fn the_last_handle_is_dropped_in_a_task<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(2);
        let last = pool.clone();
        let handle = pool.submit(move || drop(last));
        drop(pool);
        handle.result().unwrap();
    });
}

fn a_dropped_pool_runs_what_is_queued<P: LockPolicy>() {
    check(Some(2), || {
        let (pool, runs) = (pool::<P>(2), Runs::new());
        (0..size(1, 4)).for_each(|_| pool.spawn(runs.one()).unwrap());
        drop(pool);
        assert_eq!(runs.count(), size(1, 4));
    });
}

fn a_panicking_task_leaves_the_next_one_its_turn<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(1);
        // Without the panic hook's message.
        let panics = pool.submit(|| std::panic::resume_unwind(Box::new(())));
        let next = pool.submit(|| 3);
        assert!(matches!(panics.result(), Err::<(), _>(TaskError::Panicked(_))));
        assert_eq!(next.result().unwrap(), 3);
        pool.shutdown();
    });
}

/// Half a minute: under one policy only, as it is the idle protocol's affair.
#[test]
fn the_last_worker_ends_against_submit() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1);
        pool.submit(|| ()).result().unwrap();
        let submitter = pool.clone();
        let thread = thread::spawn(move || submitter.submit(|| 4).result());
        pool.shutdown();
        assert!(matches!(thread.join().unwrap(), Ok(4) | Err(TaskError::Refused)));
    });
}

macro_rules! stamp {
    ($($model:ident),+ $(,)?) => {
        stamp!(@policy global GlobalLock; $($model),+);
        stamp!(@policy fine FineGrained; $($model),+);
        stamp!(@policy lock_free LockFree; $($model),+);
    };
    (@policy $name:ident $policy:ty; $($model:ident),+) => {
        mod $name {
            use super::*;
            $(#[test] fn $model() { super::$model::<$policy>(); })+
        }
    };
}

stamp! {
    results_reach_their_waiter,
    a_task_is_found_by_a_worker_that_slept,
    a_task_spawned_by_a_task_runs,
    tasks_wait_for_their_children,
    a_spare_worker_runs_the_child_of_a_blocking_task,
    shutdown_runs_what_is_queued,
    three_workers_run_each_task_once,
    shutdown_now_cancels_what_has_not_started,
    shutdown_against_submit,
    the_last_handle_is_dropped_in_a_task,
    a_dropped_pool_runs_what_is_queued,
    a_panicking_task_leaves_the_next_one_its_turn,
}

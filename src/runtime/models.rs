//! Models of the whole pool: the scheduler that ships, 2 workers and no spare ones.

use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, check};
use crate::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool};

fn pool<P: LockPolicy>(workers: usize) -> ThreadPool<P> {
    Builder::new().max_workers(workers).build().unwrap()
}

fn submit_and_wait<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(1);
        assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
        pool.shutdown();
    });
}

fn two_tasks_run_once_each<P: LockPolicy>() {
    check(Some(1), || {
        let pool = pool::<P>(2);
        let runs = Arc::new(AtomicU32::new(0));
        for _ in 0..2 {
            let runs = runs.clone();
            pool.spawn(move || {
                runs.fetch_add(1, Relaxed);
            })
            .unwrap();
        }
        pool.shutdown();
        assert_eq!(runs.load(Relaxed), 2);
    });
}

fn a_task_waits_for_its_child<P: LockPolicy>() {
    check(Some(1), || {
        let pool = pool::<P>(1);
        let inner = pool.clone();
        let outer = pool.submit(move || inner.submit(|| 2).result().unwrap() + 1);
        assert_eq!(outer.result().unwrap(), 3);
        pool.shutdown();
    });
}

fn shutdown_against_submit<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(1);
        let submitter = pool.clone();
        let thread = loom::thread::spawn(move || submitter.submit(|| 4));
        pool.shutdown();
        match thread.join().unwrap().result() {
            Ok(value) => assert_eq!(value, 4),
            Err(error) => assert!(matches!(error, TaskError::Refused)),
        }
    });
}

fn a_second_task_after_the_worker_slept<P: LockPolicy>() {
    check(Some(1), || {
        let pool = pool::<P>(1);
        let first = pool.submit(|| 1);
        assert_eq!(first.result().unwrap(), 1);
        assert_eq!(pool.submit(|| 2).result().unwrap(), 2);
        pool.shutdown();
    });
}

macro_rules! under {
    ($($name:ident: $policy:ty;)+) => { $(
        mod $name {
            use super::*;
            #[test]
            fn submit_and_wait() { super::submit_and_wait::<$policy>(); }
            #[test]
            fn two_tasks_run_once_each() { super::two_tasks_run_once_each::<$policy>(); }
            #[test]
            fn a_task_waits_for_its_child() { super::a_task_waits_for_its_child::<$policy>(); }
            #[test]
            fn shutdown_against_submit() { super::shutdown_against_submit::<$policy>(); }
            #[test]
            fn a_second_task_after_the_worker_slept() { super::a_second_task_after_the_worker_slept::<$policy>(); }
        }
    )+ };
}

under! {
    global: GlobalLock;
    fine: FineGrained;
    lock_free: LockFree;
}

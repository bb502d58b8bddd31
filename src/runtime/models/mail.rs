//! Models of tasks for one worker each, on the whole pool.

use super::pool::pool;
use crate::runtime::broadcast::{broadcast, spawn_broadcast};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, check, thread};
use crate::{FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool};

/// The first finds no thread, the second a worker that sleeps, or is about to.
fn every_worker_runs_its_share<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..2 {
        let shares = broadcast(pool.core(), |worker| worker).unwrap();
        for (n, share) in shares.into_iter().enumerate() {
            assert_eq!(share.unwrap(), n);
        }
    }
    pool.shutdown();
}

/// The worker ends, and the place is free, or about to be.
fn a_broadcast_against_the_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    let other = pool.clone();
    let thread = thread::spawn(move || broadcast(other.core(), |worker| worker).unwrap());
    pool.submit(|| ()).result().unwrap();
    pool.shutdown();
    for (n, share) in thread.join().unwrap().into_iter().enumerate() {
        match share {
            Ok(worker) => assert_eq!(worker, n),
            Err(error) => assert!(matches!(error, TaskError::Refused)),
        }
    }
}

fn a_task_broadcasts<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let shares = pool.submit(move || broadcast(inner.core(), |worker| worker).unwrap()).result().unwrap();
    for (n, share) in shares.into_iter().enumerate() {
        assert_eq!(share.unwrap(), n);
    }
    pool.shutdown();
}

fn shutdown_runs_what_was_posted<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = Arc::new(AtomicU32::new(0));
    let counts = runs.clone();
    spawn_broadcast(pool.core(), move |_| {
        counts.fetch_add(1, Relaxed);
    });
    pool.shutdown();
    assert_eq!(runs.load(Relaxed) as usize, pool.max_workers());
}

macro_rules! stamp {
    ($($name:ident $policy:ty: $($model:ident $size:ident ($workers:literal, $preemptions:literal)),+;)+) => {
        $(mod $name {
            use super::*;
            $(mod $model {
                use super::*;
                #[test]
                fn $size() {
                    check(Some($preemptions), || super::super::$model(&pool::<$policy>($workers, 0)));
                }
            })+
        })+
    };
}

stamp! {
    global GlobalLock:
        every_worker_runs_its_share one (1, 2),
        a_broadcast_against_the_end one (1, 1),
        a_task_broadcasts two (2, 1),
        shutdown_runs_what_was_posted two (2, 1);
    fine FineGrained:
        every_worker_runs_its_share one (1, 2),
        a_broadcast_against_the_end one (1, 1),
        a_task_broadcasts two (2, 1),
        shutdown_runs_what_was_posted two (2, 1);
    lock_free LockFree:
        every_worker_runs_its_share one (1, 2),
        a_broadcast_against_the_end one (1, 1),
        a_task_broadcasts two (2, 1),
        shutdown_runs_what_was_posted two (2, 1);
}

//! Models of tasks that have to start in time, which in a model is up at once, or never if it is far. `docs/timer.md` has the argument.

use std::time::Duration;

use super::pool::pool;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, Parker, check, thread};
use crate::{FineGrained, LockFree, TaskError, TaskHandle};

const SOON: Duration = Duration::from_secs(1);

fn counts(runs: &Arc<AtomicU32>) -> impl FnOnce() + Send + 'static + use<> {
    let runs = runs.clone();
    move || {
        runs.fetch_add(1, Relaxed);
    }
}

/// The one way in which it has ended.
fn ended(handle: TaskHandle<()>, runs: &AtomicU32, cancelled: bool) {
    match handle.result() {
        Ok(()) => assert!(runs.load(Relaxed) == 1 && !cancelled),
        Err(TaskError::Cancelled) => assert!(runs.load(Relaxed) == 0 && cancelled),
        // To cancel what has expired changes nothing, and says that it will not run.
        Err(TaskError::Expired) => assert_eq!(runs.load(Relaxed), 0),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_start_against_the_time() {
    check(Some(1), || {
        let (pool, runs) = (pool::<FineGrained>(1, 0), Arc::new(AtomicU32::new(0)));
        let handle = pool.task().start_within(SOON).submit(counts(&runs));
        ended(handle, &runs, false);
        pool.shutdown();
    });
}

#[test]
fn a_cancel_against_the_time() {
    check(Some(1), || {
        let (pool, runs) = (pool::<FineGrained>(1, 0), Arc::new(AtomicU32::new(0)));
        let handle = pool.task().start_within(SOON).submit(counts(&runs));
        let cancelled = handle.cancel();
        ended(handle, &runs, cancelled);
        pool.shutdown();
    });
}

/// Nobody is left to free it but the worker and the timer.
#[test]
fn without_a_handle() {
    check(Some(1), || {
        let (pool, runs) = (pool::<LockFree>(1, 0), Arc::new(AtomicU32::new(0)));
        pool.task().start_within(SOON).spawn(counts(&runs)).unwrap();
        pool.shutdown();
        assert!(runs.load(Relaxed) <= 1 && Arc::strong_count(&runs) == 1);
    });
}

/// A time that is not up keeps no pool from stopping.
#[test]
fn a_shutdown_waits_for_no_time() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        let other = pool.clone();
        let thread = thread::spawn(move || other.task().start_within(Duration::MAX).submit(|| 4).result());
        pool.shutdown();
        assert!(matches!(thread.join().unwrap(), Ok(4) | Err(TaskError::Refused)));
    });
}

/// The only worker is busy until the time of the other one is up.
#[test]
fn the_time_is_up_while_the_worker_is_busy() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        let (inner, expired) = (pool.clone(), Arc::new(Parker::new()));
        let tells = expired.clone();
        let outer = pool.submit(move || {
            let mut late = inner.task().start_within(SOON).submit(|| ());
            late.on_done(move |_| tells.unpark());
            expired.park();
            late
        });
        assert!(matches!(outer.result().unwrap().result(), Err(TaskError::Expired)));
        pool.shutdown();
    });
}

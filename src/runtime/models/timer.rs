//! Models of tasks that wait for their time, which in a model comes at once, or never if it is far. `docs/timer.md` has the argument.

use std::panic::resume_unwind;
use std::time::Duration;

use super::pool::pool;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, check, thread};
use crate::{Builder, FineGrained, LockFree, TaskError, TaskHandle, ThreadPool};

const SOON: Duration = Duration::from_secs(1);

/// A series that ends by itself with so many runs. `f` is called in each.
fn series(pool: &ThreadPool<FineGrained>, runs: u32, f: impl Fn() + Send + 'static) -> TaskHandle<()> {
    let mut run = 0;
    pool.schedule_at_fixed_rate(SOON, SOON, move || {
        run += 1;
        f();
        if run == runs {
            // Without the panic hook's message.
            resume_unwind(Box::new(run));
        }
    })
}

#[test]
fn a_delayed_task_runs() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        assert_eq!(pool.schedule(SOON, || 4).result().unwrap(), 4);
        pool.shutdown();
    });
}

/// Nobody waits for its time: the pool must not stop before.
#[test]
fn shutdown_runs_what_is_delayed() {
    check(Some(2), || {
        let pool = pool::<LockFree>(1, 0);
        let runs = Arc::new(AtomicU32::new(0));
        let counts = runs.clone();
        drop(pool.schedule(SOON, move || counts.fetch_add(1, Relaxed)));
        pool.shutdown();
        assert_eq!(runs.load(Relaxed), 1);
    });
}

/// As the last worker ends, the task's time comes.
#[test]
fn a_worker_ends_against_the_time() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        pool.spawn(|| ()).unwrap();
        let delayed = pool.schedule(SOON, || 4);
        pool.shutdown();
        assert_eq!(delayed.result().unwrap(), 4);
    });
}

#[test]
fn shutdown_against_schedule() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let scheduler = pool.clone();
        let thread = thread::spawn(move || scheduler.schedule(SOON, || 4).result());
        pool.shutdown();
        assert!(matches!(thread.join().unwrap(), Ok(4) | Err(TaskError::Refused)));
    });
}

#[test]
fn shutdown_now_against_the_time() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        let delayed = pool.schedule(SOON, || 4);
        let cancelled = pool.shutdown_now();
        match delayed.result() {
            Ok(value) => assert_eq!((value, cancelled), (4, 0)),
            Err(error) => assert!(error.is_cancelled() && cancelled == 1),
        }
    });
}

#[test]
fn cancel_against_the_time() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let delayed = pool.schedule(SOON, || 4);
        let cancelled = delayed.cancel();
        pool.shutdown();
        assert_eq!(delayed.result().is_err(), cancelled);
    });
}

/// With nobody to take its place, it runs the task itself.
#[test]
fn a_worker_waits_for_a_delayed_task_and_runs_it() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        let inner = pool.clone();
        let outer = pool.submit(move || inner.schedule(SOON, || 4).result().unwrap());
        assert_eq!(outer.result().unwrap(), 4);
        pool.shutdown();
    });
}

#[test]
fn a_series_runs_until_it_panics() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        let runs = Arc::new(AtomicU32::new(0));
        let counts = runs.clone();
        let count = move || counts.store(counts.load(Relaxed) + 1, Relaxed);
        assert!(series(&pool, 2, count).result().unwrap_err().is_panic());
        assert_eq!(runs.load(Relaxed), 2);
        pool.shutdown();
    });
}

#[test]
fn shutdown_ends_a_series() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        let series = series(&pool, 2, || ());
        pool.shutdown();
        assert!(matches!(series.result(), Err(TaskError::Cancelled | TaskError::Panicked(_))));
    });
}

#[test]
fn shutdown_lets_a_series_go_on_if_asked_to() {
    check(Some(1), || {
        let builder = Builder::new().max_workers(1).max_spares(0).run_periodic_after_shutdown(true);
        let pool = builder.build().unwrap();
        let series = series(&pool, 2, || ());
        pool.shutdown();
        assert!(series.result().unwrap_err().is_panic());
    });
}

/// A cancel that comes during the first run, or between the two, keeps the second from coming.
#[test]
fn cancel_against_a_series() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let series = series(&pool, 2, || ());
        let cancelled = series.cancel();
        pool.shutdown();
        let error = series.result().unwrap_err();
        assert!(cancelled || error.is_panic());
    });
}

/// What is cancelled does not keep a draining pool open, though its time never comes.
#[test]
fn cancel_lets_the_pool_stop() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let never = pool.schedule(Duration::MAX, || ());
        let canceller = thread::spawn(move || assert!(never.cancel()));
        pool.shutdown();
        canceller.join().unwrap();
    });
}

/// The same for a series, before, during and after its only run.
#[test]
fn cancel_of_a_series_lets_the_pool_stop() {
    check(Some(1), || {
        let builder = Builder::<FineGrained>::new().max_workers(1).max_spares(0).run_periodic_after_shutdown(true);
        let pool = builder.build().unwrap();
        let series = pool.schedule_at_fixed_rate(SOON, Duration::MAX, || ());
        let canceller = thread::spawn(move || {
            assert!(series.cancel());
            assert!(series.result().unwrap_err().is_cancelled());
        });
        pool.shutdown();
        canceller.join().unwrap();
    });
}

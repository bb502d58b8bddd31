//! Models of time that passes: what a thread waits for comes before, after or just when its time is up.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::pool::pool;
use crate::model::Clock;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, Instant, Parker, check, hint, size, thread};
use crate::{
    Builder, FineGrained, GlobalLock, LockFree, LockPolicy, ReturnWhen, TaskError, ThreadPool, WhenFull, promise, wait,
};

const MOMENT: Duration = Duration::from_secs(1);

/// A model of which there are executions that say true, and such that say false.
fn check_both(preemptions: usize, model: impl Fn() -> bool + Send + Sync + 'static) {
    let seen = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
    let notes = seen.clone();
    check(Some(preemptions), move || notes[usize::from(model())].store(true, Relaxed));
    assert!(seen.iter().all(|seen| seen.load(Relaxed)), "no execution goes the other way");
}

/// Time passes while others do something.
fn passes(clock: Clock, moments: u32) -> thread::JoinHandle<()> {
    thread::spawn(move || (0..moments).for_each(|_| clock.advance(MOMENT)))
}

/// Who is told nothing in time is told later.
#[test]
fn a_permit_against_the_time() {
    check_both(3, || {
        let clock = Clock::start();
        let parker = Arc::new(Parker::new());
        let other = parker.clone();
        let unparks = thread::spawn(move || other.unpark());
        let time = passes(clock, 1);
        let in_time = parker.park_until(Some(Instant::now() + MOMENT));
        if !in_time {
            parker.park();
        }
        assert!(!parker.try_take(), "one permit is taken once");
        unparks.join().unwrap();
        time.join().unwrap();
        in_time
    });
}

/// The time-out leaves the task and its handle as they are.
fn a_result_against_its_time<P: LockPolicy>(pool: fn() -> ThreadPool<P>) -> bool {
    let (clock, pool) = (Clock::start(), pool());
    let mut task = pool.submit(|| 4);
    let time = passes(clock, 1);
    let in_time = task.result_timeout(MOMENT);
    match &in_time {
        Ok(value) => assert_eq!(*value, 4),
        Err(error) => {
            assert!(matches!(error, TaskError::TimedOut));
            assert_eq!(task.result().unwrap(), 4);
        }
    }
    time.join().unwrap();
    pool.shutdown();
    in_time.is_ok()
}

#[test]
fn a_result_against_its_time_global() {
    check_both(2, || a_result_against_its_time(|| pool::<GlobalLock>(1, 0)));
}

#[test]
fn a_result_against_its_time_fine() {
    check_both(2, || a_result_against_its_time(|| pool::<FineGrained>(1, 0)));
}

#[test]
fn a_result_against_its_time_lock_free() {
    check_both(2, || a_result_against_its_time(|| pool::<LockFree>(1, 0)));
}

/// A task waits for what comes from outside, and its worker goes back to work when its time is up.
#[test]
fn a_task_waits_so_long() {
    check_both(1, || {
        let clock = Clock::start();
        let pool = pool::<FineGrained>(1, 0);
        let (promise, mut promised) = promise();
        let waits = pool.submit(move || {
            let in_time = promised.result_timeout(MOMENT).is_ok();
            (in_time, promised)
        });
        let after = pool.submit(|| 4);
        let time = thread::spawn(move || {
            clock.advance(MOMENT);
            promise.set_result(3).unwrap();
        });
        let (in_time, promised) = waits.result().unwrap();
        if !in_time {
            assert_eq!(promised.result().unwrap(), 3);
        }
        assert_eq!(after.result().unwrap(), 4);
        time.join().unwrap();
        pool.shutdown();
        in_time
    });
}

/// The first of them, or none.
#[test]
fn the_first_of_some_against_the_time() {
    check_both(1, || {
        let clock = Clock::start();
        let pool = pool::<FineGrained>(1, 0);
        let handles: Vec<_> = (0..size(1, 3)).map(|n| pool.submit(move || n)).collect();
        let tasks = handles.len();
        let time = passes(clock, 1);
        let waited = wait(handles, ReturnWhen::FirstCompleted, MOMENT);
        let in_time = waited.cut_short.is_none();
        assert!(!in_time || !waited.done.is_empty());
        let results = waited.done.into_iter().chain(waited.not_done).map(|handle| handle.result().unwrap());
        assert_eq!(results.sum::<usize>(), (0..tasks).sum::<usize>());
        time.join().unwrap();
        pool.shutdown();
        in_time
    });
}

/// The worker's time to be idle is up as the task comes. True if another thread runs it.
fn a_worker_leaves_against_a_task<P: LockPolicy>() -> bool {
    let clock = Clock::start();
    let pool = Builder::<P>::new().max_workers(1).max_spares(0).min_workers(0).keep_alive(MOMENT).build().unwrap();
    let first = pool.submit(|| thread::current().id()).result().unwrap();
    let time = passes(clock, 1);
    hint::yield_now();
    let second = pool.submit(|| thread::current().id()).result().unwrap();
    time.join().unwrap();
    pool.shutdown();
    first != second
}

#[test]
fn a_worker_leaves_against_a_task_global() {
    check_both(1, a_worker_leaves_against_a_task::<GlobalLock>);
}

#[test]
fn a_worker_leaves_against_a_task_fine() {
    check_both(1, a_worker_leaves_against_a_task::<FineGrained>);
}

#[test]
fn a_worker_leaves_against_a_task_lock_free() {
    check_both(1, a_worker_leaves_against_a_task::<LockFree>);
}

/// Neither early nor never.
#[test]
fn delayed_tasks_come_in_their_time() {
    check(Some(1), || {
        let clock = Clock::start();
        let pool = pool::<FineGrained>(1, 0);
        let later = pool.schedule(2 * MOMENT, move || clock.elapsed());
        let soon = pool.schedule(MOMENT, move || clock.elapsed());
        let time = passes(clock, 2);
        assert!(soon.result().unwrap() >= MOMENT);
        assert!(later.result().unwrap() >= 2 * MOMENT);
        time.join().unwrap();
        pool.shutdown();
    });
}

/// A task for an earlier time than the one that the timer sleeps for.
#[test]
fn an_earlier_task_does_not_wait_for_a_later_one() {
    check(Some(2), || {
        let clock = Clock::start();
        let pool = pool::<FineGrained>(1, 0);
        let later = pool.schedule(2 * MOMENT, || ());
        let soon = pool.schedule(MOMENT, || 4);
        clock.advance(MOMENT);
        assert_eq!(soon.result().unwrap(), 4);
        assert!(later.cancel());
        pool.shutdown();
    });
}

/// No run comes early: one that did would end the series, which could not be cancelled then.
#[test]
fn a_series_keeps_its_period() {
    check(Some(1), || {
        let clock = Clock::start();
        let pool = pool::<FineGrained>(1, 0);
        let runs = Arc::new(AtomicU32::new(0));
        let counts = runs.clone();
        let series = pool.schedule_at_fixed_rate(MOMENT, MOMENT, move || {
            let run = counts.fetch_add(1, Relaxed) + 1;
            assert!(clock.elapsed() >= run * MOMENT, "run {run} is early");
        });
        let time = passes(clock, 2);
        time.join().unwrap();
        assert!(series.cancel());
        pool.shutdown();
        assert!(runs.load(Relaxed) <= 2);
    });
}

/// It has started, or it has expired and never does.
#[test]
fn a_start_against_its_time() {
    check_both(1, || {
        let clock = Clock::start();
        let pool = pool::<FineGrained>(1, 0);
        let runs = Arc::new(AtomicU32::new(0));
        let counts = runs.clone();
        let task = pool.task().start_within(MOMENT).submit(move || counts.fetch_add(1, Relaxed));
        let time = passes(clock, 1);
        let ended = task.result();
        assert!(matches!(ended, Ok(0) | Err(TaskError::Expired)));
        time.join().unwrap();
        pool.shutdown();
        assert_eq!(runs.load(Relaxed), u32::from(ended.is_ok()));
        ended.is_ok()
    });
}

/// A place that becomes free just then is not lost. True if the task got one.
#[test]
fn a_place_against_the_time() {
    check_both(1, || {
        let clock = Clock::start();
        let full = WhenFull::BlockTimeout(MOMENT);
        let builder = Builder::<FineGrained>::new().max_workers(1).max_spares(0);
        let pool = builder.queue_capacity(1).when_full(full).build().unwrap();
        let first = pool.submit(|| 1);
        let time = passes(clock, 1);
        let second = pool.submit(|| 2).result();
        assert_eq!(first.result().unwrap(), 1);
        time.join().unwrap();
        assert_eq!(pool.submit(|| 3).result().unwrap(), 3, "there is a place again");
        pool.shutdown();
        second.is_ok()
    });
}

#[test]
fn quiescence_against_the_time() {
    check_both(1, || {
        let clock = Clock::start();
        let pool = pool::<FineGrained>(1, 0);
        let mut task = pool.submit(|| 4);
        let time = passes(clock, 1);
        let quiescent = pool.await_quiescence(MOMENT);
        if quiescent {
            assert_eq!(task.try_result().expect("nothing is left to do").unwrap(), 4);
        } else {
            assert_eq!(task.result().unwrap(), 4);
        }
        time.join().unwrap();
        pool.shutdown();
        quiescent
    });
}

/// Whoever does not wait for it any longer finds it done later.
#[test]
fn a_shutdown_against_the_time() {
    check_both(1, || {
        let clock = Clock::start();
        let pool = pool::<FineGrained>(1, 0);
        let task = pool.submit(|| 4);
        let time = passes(clock, 1);
        let terminated = pool.shutdown_timeout(MOMENT);
        time.join().unwrap();
        pool.shutdown();
        assert_eq!(task.result().unwrap(), 4);
        terminated
    });
}

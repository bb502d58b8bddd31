//! The checks that users can run. The same tests run on loom and on shuttle, with `RUSTFLAGS="--cfg lockgrain_loom"` or `lockgrain_shuttle`.

use std::time::Duration;

use lockgrain::model::atomic::{AtomicUsize, Ordering::Relaxed};
use lockgrain::model::cell::UnsafeCell;
use lockgrain::model::sync::{Arc, Condvar, Mutex};
use lockgrain::model::{self, Clock, Options, Promise};
use lockgrain::{FineGrained, GlobalLock, LockFree, TaskError, ThreadPool};

const MODEL: bool = cfg!(any(lockgrain_loom, lockgrain_shuttle));

fn count_with_a_pool(count: impl Fn(&AtomicUsize) + Copy + Send + 'static) {
    let pool = ThreadPool::builder().max_workers(1).build().unwrap();
    let hits = Arc::new(AtomicUsize::new(0));
    let counter = hits.clone();
    let task = pool.submit(move || count(&counter));
    model::note("main counts, too");
    count(&hits);
    task.result().unwrap();
    pool.shutdown();
    assert_eq!(hits.load(Relaxed), 2);
}

fn counts(hits: &AtomicUsize) {
    hits.fetch_add(1, Relaxed);
}

fn counts_in_two_steps(hits: &AtomicUsize) {
    hits.store(hits.load(Relaxed) + 1, Relaxed);
}

#[test]
fn what_is_right_passes() {
    let checked = Options::new().preemptions(1).explore(|| count_with_a_pool(counts)).unwrap();
    assert!(checked.complete && checked.executions > 1, "{checked}");
}

#[test]
#[cfg_attr(not(any(lockgrain_loom, lockgrain_shuttle)), ignore = "hardly ever fails on real threads")]
fn a_lost_update_is_found_with_its_trace() {
    let failure = Options::new().explore(|| count_with_a_pool(counts_in_two_steps)).unwrap_err();
    println!("{failure}");
    assert!(failure.message.contains("left: 1"), "{failure}");
    assert!(failure.trace.lines().any(|line| line == "main                   main counts, too"), "{failure}");
    assert!(failure.trace.lines().any(|line| line.ends_with("a task starts")), "{failure}");
}

#[test]
#[cfg_attr(not(any(lockgrain_loom, lockgrain_shuttle)), ignore = "would hang")]
fn a_lost_wake_up_is_found() {
    let forgets_to_look = || {
        let pool = ThreadPool::builder().max_workers(1).build().unwrap();
        let flag = Arc::new((Mutex::new(false), Condvar::new()));
        let waits = flag.clone();
        let task = pool.submit(move || waits.1.wait(&mut waits.0.lock()));
        *flag.0.lock() = true;
        flag.1.notify_one();
        task.result().unwrap();
    };
    let failure = Options::new().explore(forgets_to_look).unwrap_err();
    assert!(failure.message.contains("deadlock"), "{failure}");
}

#[test]
#[cfg_attr(not(any(lockgrain_loom, lockgrain_shuttle)), ignore = "hardly ever fails on real threads")]
fn what_a_time_out_does_not_undo_is_found() {
    let does_it_again = || {
        let clock = Clock::start();
        let pool = ThreadPool::builder().max_workers(1).build().unwrap();
        let hits = Arc::new(AtomicUsize::new(0));
        let counter = hits.clone();
        let mut task = pool.submit(move || counts(&counter));
        let time = model::thread::spawn(move || clock.advance(Duration::from_millis(1)));
        // As if the task had not run, and would not.
        if task.result_timeout(Duration::from_millis(1)).is_err() {
            counts(&hits);
        }
        time.join().unwrap();
        pool.shutdown();
        assert_eq!(hits.load(Relaxed), 1);
    };
    let failure = Options::new().explore(does_it_again).unwrap_err();
    assert!(failure.message.contains("left: 2"), "{failure}");
}

struct Number(UnsafeCell<u32>);

// SAFETY: that two threads use it at once is what the test wants to see found.
unsafe impl Send for Number {}
// SAFETY: as above.
unsafe impl Sync for Number {}

impl Number {
    fn add(&self) {
        self.0.with_mut(|number| {
            // SAFETY: in a model build, threads run one at a time.
            unsafe { *number += 1 }
        });
    }
}

#[test]
#[cfg_attr(not(any(lockgrain_loom, lockgrain_shuttle)), ignore = "undefined behaviour on real threads")]
fn a_data_race_is_found() {
    let races = || {
        let pool = ThreadPool::builder().max_workers(1).build().unwrap();
        let number = Arc::new(Number(UnsafeCell::new(0)));
        let other = number.clone();
        pool.spawn(move || other.add()).unwrap();
        number.add();
        pool.shutdown();
    };
    assert!(Options::new().explore(races).is_err());
}

#[test]
#[cfg_attr(any(lockgrain_loom, lockgrain_shuttle), should_panic(expected = "nobody waits for"))]
fn a_panic_that_nobody_hears_of_fails_a_check() {
    Options::new().preemptions(0).executions(10).check(|| {
        let pool = ThreadPool::builder().max_workers(1).build().unwrap();
        pool.spawn(|| std::panic::resume_unwind(Box::new(()))).unwrap();
        pool.shutdown();
    });
}

#[test]
fn a_panic_that_a_handle_hears_of_is_none_of_the_checkers() {
    Options::new().preemptions(1).executions(10_000).check(|| {
        let pool = ThreadPool::builder().policy::<GlobalLock>().max_workers(1).build().unwrap();
        let task = pool.submit(|| std::panic::resume_unwind(Box::new(())));
        assert!(matches!(task.result(), Err::<(), _>(TaskError::Panicked(_))));
        pool.shutdown();
    });
}

#[test]
fn nothing_at_once_is_nothing_to_check() {
    let explored = Options::new().executions(100).explore(|| ());
    assert_eq!(explored.is_err(), MODEL);
}

fn keeps<P: lockgrain::LockPolicy>() {
    let verdict = Options::new()
        .time_limit(std::time::Duration::from_secs(1))
        .executions(if cfg!(lockgrain_loom) { usize::MAX - 1 } else { 20 })
        .check_policy::<P>();
    verdict.assert_kept();
    assert_eq!(verdict.findings.iter().map(|finding| finding.promise).collect::<Vec<_>>(), Promise::ALL);
}

#[test]
fn the_global_lock_keeps_its_promises() {
    keeps::<GlobalLock>();
}

#[test]
fn fine_grained_locks_keep_theirs() {
    keeps::<FineGrained>();
}

#[test]
fn lock_free_keeps_its() {
    keeps::<LockFree>();
}

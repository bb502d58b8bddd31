//! What `GlobalLock` promises beyond the common contract. Contract 116–121.

mod suite;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lockgrain::{Builder, GlobalLock, TaskError, ThreadPool, WaitError, blocking};
use suite::within_a_minute;

fn pool(workers: usize) -> ThreadPool<GlobalLock> {
    Builder::new().max_workers(workers).switch_interval(Duration::from_millis(1)).build().unwrap()
}

// Contract: 116.
#[test]
fn no_two_bodies_overlap_outside_blocking() {
    let pool = pool(4);
    let inside = Arc::new(AtomicBool::new(false));
    let handles: Vec<_> = (0..200)
        .map(|n| {
            let inside = inside.clone();
            let section = move || {
                assert!(!inside.swap(true, SeqCst));
                thread::yield_now();
                inside.store(false, SeqCst);
            };
            pool.submit_with(move |cx| {
                section();
                cx.blocking(|| {
                    if n % 8 == 0 {
                        thread::sleep(Duration::from_millis(1))
                    }
                });
                section();
                cx.checkpoint().unwrap();
                section();
            })
        })
        .collect();
    for handle in handles {
        handle.result().unwrap();
    }
}

#[test]
fn a_thread_from_outside_excludes_tasks() {
    let pool = pool(2);
    let (mut open, gate) = (None, mpsc::channel());
    let queued = pool.lock(|_cx| {
        open = Some(gate.0);
        let queued = pool.submit(move || gate.1.recv().unwrap());
        assert_eq!(queued.wait_timeout(Duration::from_millis(20)), Err(WaitError::WouldDeadlock));
        assert!(!queued.is_running());
        queued
    });
    open.unwrap().send(3).unwrap();
    assert_eq!(queued.result().unwrap(), 3);
}

#[test]
fn a_bare_wait_with_a_context_would_deadlock_and_one_in_blocking_does_not() {
    let pool = pool(2);
    let inner = pool.clone();
    let outer = pool.submit_with(move |cx| {
        let refused = inner.submit(|| 1).result();
        (refused, cx.blocking(|| inner.submit(|| 2).result()))
    });
    let (refused, waited) = outer.result().unwrap();
    assert!(matches!(refused, Err(TaskError::WouldDeadlock)));
    assert_eq!(waited.unwrap(), 2);
}

#[test]
fn a_checkpoint_lets_a_queued_task_run_after_the_switch_interval() {
    let pool = pool(2);
    let ran = Arc::new(AtomicBool::new(false));
    let seen = ran.clone();
    let busy = pool.submit_with(move |cx| {
        while !seen.load(SeqCst) {
            cx.checkpoint().unwrap();
        }
    });
    pool.spawn(move || ran.store(true, SeqCst)).unwrap();
    busy.result().unwrap();
}

#[test]
fn tasks_that_take_turns_keep_no_queued_one_out() {
    let pool = pool(3);
    let turns: Vec<_> = (0..2)
        .map(|_| {
            pool.submit_with(|cx| {
                let mut turns = 0_u64;
                while cx.checkpoint().is_ok() {
                    turns += 1;
                }
                turns
            })
        })
        .collect();
    // Started while both of them are in the middle, and comes back from blocking beside them.
    let third = pool.submit_with(|cx| {
        for _ in 0..100 {
            cx.blocking(thread::yield_now);
        }
    });
    third.result().unwrap();
    turns.iter().for_each(|task| assert!(task.request_cancel()));
    for task in turns {
        assert!(task.result().unwrap() > 0);
    }
}

#[test]
fn a_returner_goes_before_queued_tasks() {
    let pool = pool(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let (open, gate) = mpsc::channel::<()>();
    let (away, is_away) = mpsc::channel();
    let noted = order.clone();
    let returner = pool.submit_with(move |cx| {
        cx.blocking(|| {
            away.send(()).unwrap();
            gate.recv().unwrap();
        });
        noted.lock().unwrap().push("returner");
    });
    is_away.recv().unwrap();
    let waits_before = pool.metrics().lock_waits;
    let (release, hold) = mpsc::channel::<()>();
    let holder = pool.submit(move || hold.recv().unwrap());
    let noted = order.clone();
    let queued = pool.submit(move || noted.lock().unwrap().push("queued"));
    while !holder.is_running() {
        thread::yield_now();
    }
    open.send(()).unwrap();
    // The returner stands in line once it is counted.
    while pool.metrics().lock_waits == waits_before {
        thread::yield_now();
    }
    release.send(()).unwrap();
    returner.result().unwrap();
    queued.result().unwrap();
    assert_eq!(*order.lock().unwrap(), ["returner", "queued"]);
}

// Contract: 119.
#[test]
fn a_panic_in_a_body_or_in_blocking_leaves_the_lock_usable() {
    let pool = pool(2);
    assert!(pool.submit(|| panic!("on purpose")).result().unwrap_err().is_panic());
    assert!(pool.submit_with(|cx| cx.blocking(|| panic!("on purpose"))).result().unwrap_err().is_panic());
    assert!(pool.submit(|| blocking(|| panic!("on purpose"))).result().unwrap_err().is_panic());
    let outside = std::panic::catch_unwind(|| pool.lock(|_cx| panic!("on purpose")));
    assert!(outside.is_err());
    assert_eq!(pool.lock(|cx| cx.blocking(|| 5)), 5);
    assert_eq!(pool.submit(|| 6).result().unwrap(), 6);
}

#[test]
fn a_second_context_on_a_thread_is_refused() {
    let pool = pool(1);
    let again = std::panic::catch_unwind(|| pool.lock(|_cx| pool.lock(|_cx| ())));
    assert!(again.is_err());
    let inner = pool.clone();
    let nested = pool.submit_with(move |cx| cx.blocking(|| inner.lock(|_cx| ())));
    assert!(nested.result().unwrap_err().is_panic());
    let inner = pool.clone();
    assert_eq!(pool.submit(move || inner.lock(|_cx| 4)).result().unwrap(), 4, "a plain task has none yet");
}

#[test]
fn tasks_that_wait_for_the_lock_can_be_cancelled() {
    let pool = pool(2);
    let runs = Arc::new(AtomicUsize::new(0));
    pool.lock(|_cx| {
        let counter = runs.clone();
        assert!(pool.submit(move || counter.fetch_add(1, SeqCst)).cancel());
    });
    pool.shutdown();
    assert_eq!(runs.load(SeqCst), 0);
}

#[test]
fn holds_and_waits_are_counted_and_timed() {
    const SHORT: Duration = Duration::from_millis(5);
    let pool = pool(1);
    assert_eq!((pool.metrics().lock_holds, pool.metrics().lock_waits), (0, 0));
    let waits = pool.lock(|_cx| {
        let waits = pool.submit(|| ());
        while pool.metrics().lock_waits == 0 {
            thread::yield_now();
        }
        thread::sleep(SHORT);
        waits
    });
    waits.result().unwrap();
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.lock_holds, metrics.lock_waits), (2, 1));
    assert!(metrics.lock_hold_time >= SHORT && metrics.lock_wait_time >= SHORT, "{metrics:?}");
}

#[test]
fn a_pinned_pool_runs_all_on_one_thread() {
    let threads = Arc::new(Mutex::new(HashSet::new()));
    let pool = Builder::<GlobalLock>::new().pinned().build().unwrap();
    for _ in 0..50 {
        let (threads, inner) = (threads.clone(), pool.clone());
        let nested = pool.submit(move || {
            threads.lock().unwrap().insert(thread::current().id());
            let mine = threads.clone();
            inner.submit(move || mine.lock().unwrap().insert(thread::current().id())).result().unwrap();
        });
        nested.result().unwrap();
    }
    assert_eq!(threads.lock().unwrap().len(), 1);
    // Nobody stands in for a thread that blocks.
    let blocks = pool.submit_with(|cx| cx.blocking(|| thread::current().id()));
    assert!(threads.lock().unwrap().contains(&blocks.result().unwrap()));
    assert_eq!(pool.metrics().threads, 1);
}

#[test]
fn callbacks_get_a_context_again() {
    let pool = pool(2);
    let value = pool.guarded(Vec::new());
    let (lock, mine) = (pool.clone(), value.clone());
    let task = pool.submit_with(move |cx| {
        mine.get_mut(cx).push("before");
        cx.reentrant(|| {
            lock.lock(|cx| {
                mine.get_mut(cx).push("in a callback");
                // A callback's callback, and blocking in one.
                cx.reentrant(|| lock.lock(|cx| cx.blocking(|| lock.submit(|| 7).result().unwrap())));
                let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lock.lock(|_| ())));
                assert!(again.is_err(), "there is a context here");
            });
            // The lock is held, so this can't be waited for.
            assert!(matches!(lock.submit(|| ()).result(), Err(TaskError::WouldDeadlock)));
            // A panic in a callback takes nothing with it.
            let panics = || lock.lock(|_| std::panic::resume_unwind(Box::new("a callback's own")));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).unwrap_or(());
            lock.lock(|cx| mine.get_mut(cx).push("after a panic"));
        });
        let again = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lock.lock(|_| ())));
        assert!(again.is_err(), "the context is here again");
        mine.get(cx).clone()
    });
    assert_eq!(task.result().unwrap(), ["before", "in a callback", "after a panic"]);
    // The same from a thread outside.
    pool.lock(|cx| cx.reentrant(|| pool.lock(|cx| value.get_mut(cx).push("outside"))));
    assert_eq!(pool.lock(|cx| value.get(cx).len()), 4);
}

#[test]
fn waits_and_holds_are_in_the_histograms() {
    let pool = pool(2);
    let (started, starts) = mpsc::channel();
    let holder = pool.submit_with(move |_| {
        started.send(()).unwrap();
        thread::sleep(Duration::from_millis(5));
    });
    starts.recv().unwrap();
    pool.lock(|_| ());
    holder.result().unwrap();
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!(metrics.lock_hold_times.count(), metrics.lock_holds);
    assert_eq!(metrics.lock_wait_times.count(), metrics.lock_waits);
    assert!(metrics.lock_hold_times.quantile(1.).unwrap() >= Duration::from_millis(5));
    assert!(metrics.lock_wait_times.quantile(1.).unwrap() <= 2 * metrics.lock_wait_time.max(Duration::from_nanos(1)));
}

#[test]
fn a_task_that_holds_the_lock_for_too_long_is_named() {
    const LONG: Duration = Duration::from_millis(60);
    let (send, events) = mpsc::channel();
    let hook = move |event: &lockgrain::HeldTooLong| {
        send.send(event.clone()).unwrap();
        panic!("a panicking hook is survived");
    };
    let pool: ThreadPool<GlobalLock> = Builder::new().max_workers(2).on_held_too_long(LONG / 2, hook).build().unwrap();
    fn considerate(cx: &mut lockgrain::Context<GlobalLock>) {
        cx.blocking(|| thread::sleep(LONG));
    }
    fn selfish(_: &mut lockgrain::Context<GlobalLock>) {
        thread::sleep(LONG);
    }
    fn selfish_at_last(cx: &mut lockgrain::Context<GlobalLock>) {
        cx.blocking(|| ());
        thread::sleep(LONG);
        cx.blocking(|| ());
    }
    fn child() {
        thread::sleep(LONG);
    }
    pool.submit_with(considerate).result().unwrap();
    pool.submit_with(selfish).result().unwrap();
    pool.submit_with(selfish_at_last).result().unwrap();
    pool.spawn(child).unwrap();
    pool.shutdown();
    let events: Vec<_> = events.try_iter().collect();
    // An overloaded machine may add others, but not take these away.
    for name in ["::selfish", "::selfish_at_last", "::child"] {
        let found = events.iter().find(|event| event.task.contains(&format!("{name}>")) || event.task.ends_with(name));
        assert!(found.unwrap_or_else(|| panic!("{name} in {events:?}")).held >= LONG / 2);
    }
    assert!(events.len() < 6, "{events:?}");
}

// Contract: 117.
#[test]
fn two_tasks_overlap_in_blocking_and_nowhere_else() {
    within_a_minute(|| {
        const NAP: Duration = Duration::from_millis(20);
        let pool = pool(2);
        // They meet only if both have let go of the lock.
        let both = Arc::new(Barrier::new(2));
        let with_context = [(); 2].map(|()| {
            let both = both.clone();
            pool.submit_with(move |cx| cx.blocking(|| both.wait()).is_leader())
        });
        let leads = |handle: lockgrain::TaskHandle<bool>| handle.result().unwrap();
        assert_eq!(with_context.map(leads).into_iter().filter(|leads| *leads).count(), 1);
        let plain = [(); 2].map(|()| {
            let both = both.clone();
            pool.submit(move || blocking(|| both.wait()).is_leader())
        });
        assert_eq!(plain.map(leads).into_iter().filter(|leads| *leads).count(), 1);
        // Without it one sleeps after the other.
        let start = Instant::now();
        let sleepers = [(); 2].map(|()| pool.submit(|| thread::sleep(NAP)));
        sleepers.into_iter().for_each(|handle| handle.result().unwrap());
        assert!(start.elapsed() >= 2 * NAP);
    });
}

// Contract: 118.
#[test]
fn the_checkpoint_after_the_switch_interval_lets_in_who_stands_in_line() {
    within_a_minute(|| {
        const INTERVAL: Duration = Duration::from_millis(5);
        let pool = Builder::<GlobalLock>::new().max_workers(2).switch_interval(INTERVAL).build().unwrap();
        let (started, starts) = mpsc::channel();
        let had_it = Arc::new(AtomicBool::new(false));
        let (seen, lock) = (had_it.clone(), pool.clone());
        let busy = pool.submit_with(move |cx| {
            started.send(()).unwrap();
            // Somebody stands in line once it is counted.
            while lock.metrics().lock_waits == 0 {
                thread::yield_now();
            }
            // The first that sees it starts the clock.
            cx.checkpoint().unwrap();
            assert!(!seen.load(SeqCst), "nobody has the lock beside this task");
            thread::sleep(INTERVAL);
            assert!(!seen.load(SeqCst), "it is let go of at a checkpoint only");
            cx.checkpoint().unwrap();
            seen.load(SeqCst)
        });
        starts.recv().unwrap();
        pool.lock(|_cx| had_it.store(true, SeqCst));
        assert!(busy.result().unwrap(), "who waited goes before the task goes on");
    });
}

// Contract: 120.
#[test]
fn a_wait_in_a_task_lets_go_of_the_lock() {
    within_a_minute(|| {
        let pool = pool(2);
        let (open, gate) = mpsc::channel::<()>();
        let (started, starts) = mpsc::channel();
        let third = Arc::new(pool.submit(move || blocking(|| gate.recv()).is_ok()));
        let waiting = [(); 2].map(|()| {
            let (third, started) = (third.clone(), started.clone());
            pool.submit(move || {
                started.send(()).unwrap();
                third.wait()
            })
        });
        // The second can start, and another run, only if those that wait have let go.
        starts.iter().take(2).for_each(drop);
        assert_eq!(pool.submit(|| 4).result().unwrap(), 4);
        assert!(waiting.iter().all(lockgrain::TaskHandle::is_running));
        open.send(()).unwrap();
        waiting.into_iter().for_each(|handle| assert_eq!(handle.result().unwrap(), Ok(())));
        // The tasks that had it are gone, or about to be.
        third.wait().unwrap();
    });
}

// Contract: 121.
#[test]
fn a_task_whose_worker_stands_in_line_can_be_cancelled() {
    within_a_minute(|| {
        let pool = pool(2);
        let runs = Arc::new(AtomicUsize::new(0));
        let counter = runs.clone();
        let cancelled = pool.lock(|_cx| {
            let task = pool.submit(move || counter.fetch_add(1, SeqCst));
            while pool.metrics().lock_waits == 0 {
                thread::yield_now();
            }
            assert!(!task.is_running());
            assert!(task.cancel());
            task
        });
        assert!(matches!(cancelled.result(), Err(TaskError::Cancelled)));
        pool.shutdown();
        assert_eq!(runs.load(SeqCst), 0);
    });
}

//! Tasks that wait for their time. Contract 102.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lockgrain::{Builder, LockPolicy, TaskError, TaskHandle, TaskState, ThreadPool, WaitError, blocking};

use super::{Occupied, pool as another};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// One worker, and nobody to take its place.
fn alone<P: LockPolicy>() -> ThreadPool<P> {
    Builder::<P>::new().pinned().build().unwrap()
}

/// What a closure owns, to see when that is dropped.
fn owned() -> (Arc<()>, impl Fn() -> bool) {
    let owned = Arc::new(());
    let weak = Arc::downgrade(&owned);
    (owned, move || weak.strong_count() == 0)
}

fn is_cancelled<T>(handle: TaskHandle<T>) -> bool {
    handle.result().is_err_and(|error| error.is_cancelled())
}

// Contract: 1, 102.
pub(crate) fn a_task_runs_after_its_delay_at_least<P: LockPolicy>(pool: &ThreadPool<P>) {
    for delay in [ms(0), ms(1), ms(20)] {
        let begin = Instant::now();
        let ran = pool.schedule(delay, Instant::now);
        assert!(ran.result().unwrap().duration_since(begin) >= delay);
    }
    let inner = pool.clone();
    let nested = pool.schedule(ms(1), move || inner.schedule(ms(1), || 7).result().unwrap());
    assert_eq!(nested.result().unwrap(), 7);
}

// Contract: 102.
pub(crate) fn tasks_run_in_the_order_of_their_times<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let pool = another::<P>(1);
    let ran = Arc::new(Mutex::new(Vec::new()));
    let handles: Vec<_> = [60, 10, 40, 10]
        .into_iter()
        .enumerate()
        .map(|(n, delay)| {
            let ran = ran.clone();
            pool.schedule(ms(delay), move || ran.lock().unwrap().push(n))
        })
        .collect();
    handles.into_iter().for_each(|handle| handle.result().unwrap());
    let ran = ran.lock().unwrap().clone();
    let place = |n: usize| ran.iter().position(|&other| other == n).unwrap();
    assert!(place(1) < place(3), "{ran:?}");
    assert_eq!(ran.len(), 4);
}

// Contract: 15, 20, 102.
pub(crate) fn cancel_before_the_time_drops_the_closure_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (closure, is_dropped) = owned();
    let handle = pool.schedule(HOUR, move || drop(closure));
    assert_eq!((handle.state(), pool.metrics().queue_depth), (TaskState::Queued, 1));
    assert!(handle.cancel());
    assert!(is_dropped());
    assert!(handle.is_cancelled() && is_cancelled(handle));
    let never = pool.schedule(Duration::MAX, || ());
    assert!(never.request_cancel() && is_cancelled(never));
    let metrics = pool.metrics();
    assert_eq!((metrics.queue_depth, metrics.cancelled, metrics.submitted), (0, 2, 2));
}

// Contract: 90, 102.
pub(crate) fn cancelled_tasks_do_not_pile_up<P: LockPolicy>(pool: &ThreadPool<P>) {
    let kept: Vec<_> = (0..10).map(|_| pool.schedule(HOUR, || ())).collect();
    for _ in 0..1000 {
        assert!(pool.schedule(HOUR, || ()).cancel());
        assert!(pool.metrics().queue_depth <= 21, "{}", pool.metrics().queue_depth);
    }
    assert!(kept.iter().all(|handle| handle.cancel()));
    assert_eq!(pool.metrics().queue_depth, 0);
}

// Contract: 17, 26, 102.
pub(crate) fn a_timed_wait_ends_before_the_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let mut later = inner.schedule(HOUR, || 1);
        let timed_out = matches!(later.result_timeout(ms(5)), Err(TaskError::TimedOut));
        timed_out && later.cancel()
    });
    assert!(outer.result().unwrap());
    let mut later = pool.schedule(ms(30), || 1);
    assert!(matches!(later.result_timeout(ms(1)), Err(TaskError::TimedOut) | Ok(1)));
}

// Contract: 102, 113.
pub(crate) fn a_worker_waits_for_a_delayed_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    for pool in [pool.clone(), alone()] {
        let inner = pool.clone();
        let outer = pool.submit(move || {
            let next = inner.submit(|| 3);
            // With another task queued and nobody to run it, this still is no deadlock.
            let sum = inner.schedule(ms(10), || 2).result().unwrap();
            sum + next.result().unwrap()
        });
        assert_eq!(outer.result().unwrap(), 5);
        pool.shutdown();
        let metrics = pool.metrics();
        assert_eq!((metrics.finished, metrics.queue_depth), (3, 0));
    }
}

// Contract: 102, 114.
pub(crate) fn a_wait_for_what_nobody_can_run_is_an_error<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let pool = alone::<P>();
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let later = inner.schedule(ms(5), || ());
        // Inside `blocking` nothing runs here.
        let waited = blocking(|| later.wait());
        let series = inner.schedule_at_fixed_rate(ms(5), ms(5), || ());
        let waited_for_series = series.wait();
        (waited, waited_for_series, series.cancel(), later)
    });
    let (waited, waited_for_series, cancelled, later) = outer.result().unwrap();
    assert_eq!(waited, Err(WaitError::WouldDeadlock));
    assert_eq!(waited_for_series, Err(WaitError::WouldDeadlock));
    assert!(cancelled);
    later.result().unwrap();
}

// Contract: 102.
pub(crate) fn fixed_rate_never_overlaps_nor_runs_early<P: LockPolicy>(pool: &ThreadPool<P>) {
    const PERIOD: Duration = Duration::from_millis(2);
    let (send, runs) = mpsc::channel();
    let inside = AtomicBool::new(false);
    let begin = Instant::now();
    let mut run = 0;
    let series = pool.schedule_at_fixed_rate(PERIOD, PERIOD, move || {
        assert!(!inside.swap(true, SeqCst), "two at once");
        run += 1;
        let early = begin.elapsed() < PERIOD * run;
        // The third makes the next ones late.
        thread::sleep(if run == 3 { PERIOD * 5 } else { Duration::ZERO });
        inside.store(false, SeqCst);
        let _nobody_listens = send.send((run, early));
    });
    for (expected, (run, early)) in (1..=30).zip(&runs) {
        assert_eq!((run, early), (expected, false));
    }
    assert!(series.cancel());
    assert!(is_cancelled(series));
}

// Contract: 102.
pub(crate) fn fixed_delay_rests_between_runs<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (send, gaps) = mpsc::channel();
    let mut ended: Option<Instant> = None;
    let series = pool.schedule_with_fixed_delay(ms(0), ms(3), move || {
        let gap = ended.map(|ended| ended.elapsed());
        thread::sleep(ms(2));
        let _nobody_listens = send.send(gap);
        ended = Some(Instant::now());
    });
    assert!(gaps.iter().flatten().take(10).all(|gap| gap >= ms(3)));
    assert!(series.cancel());
    assert!(is_cancelled(series));
}

// Contract: 4, 102.
pub(crate) fn a_panic_ends_a_series<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (closure, is_dropped) = owned();
    let mut left = 3;
    let mut series = pool.schedule_at_fixed_rate(ms(1), ms(1), move || {
        let _kept = &closure;
        left -= 1;
        if left == 0 {
            std::panic::panic_any(404_u32);
        }
    });
    let (send, outcome) = mpsc::channel();
    series.on_done(move |result| send.send(result.as_ref().is_err_and(TaskError::is_panic)).unwrap());
    let payload = series.result().unwrap_err().into_panic().unwrap();
    assert_eq!(payload.downcast_ref::<u32>(), Some(&404));
    assert!(outcome.recv().unwrap() && is_dropped());
    pool.shutdown();
    let metrics = pool.metrics();
    assert_eq!((metrics.finished, metrics.panicked, metrics.queue_depth), (3, 1, 0));
}

// Contract: 22, 102.
pub(crate) fn cancel_between_runs_ends_a_series_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (closure, is_dropped) = owned();
    let (send, runs) = mpsc::channel();
    let series = pool.schedule_with_fixed_delay(ms(0), HOUR, move || {
        let _kept = &closure;
        send.send(()).unwrap();
    });
    runs.recv().unwrap();
    while series.is_running() {
        thread::yield_now();
    }
    assert_eq!(series.state(), TaskState::Queued);
    assert!(series.cancel() && is_dropped());
    assert!(runs.recv().is_err(), "its closure is gone");
    assert!(is_cancelled(series));
}

// Contract: 28, 102.
pub(crate) fn cancel_during_a_run_ends_a_series_after_it<P: LockPolicy>(pool: &ThreadPool<P>) {
    for request in [false, true] {
        let (closure, is_dropped) = owned();
        let (started, starts) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let series = pool.schedule_at_fixed_rate(ms(0), ms(1), move || {
            let _kept = &closure;
            started.send(()).unwrap();
            let _closed = gate.recv();
        });
        starts.recv().unwrap();
        assert!(if request { series.request_cancel() } else { series.cancel() });
        assert_eq!(series.state(), TaskState::Running);
        drop(open);
        assert!(matches!(series.wait(), Ok(())));
        assert!(series.is_cancelled() && is_dropped() && series.cancel());
        assert!(starts.recv().is_err(), "one run only");
    }
}

// Contract: 15, 102.
pub(crate) fn cancel_against_the_time<P: LockPolicy>(pool: &ThreadPool<P>) {
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = |delay: u64| {
        let ran = ran.clone();
        pool.schedule(Duration::from_micros(delay), move || {
            ran.fetch_add(1, SeqCst);
        })
    };
    let handles: Vec<_> = (0..500).map(|n| runs(n * 7 % 500)).collect();
    let cancelled = handles.iter().filter(|handle| handle.cancel()).count();
    let count = handles.into_iter().map(|handle| handle.result()).filter(Result::is_err).count();
    assert_eq!((count, ran.load(SeqCst)), (cancelled, 500 - cancelled));
    for n in 0..50 {
        let inside = AtomicBool::new(false);
        let series = pool.schedule_at_fixed_rate(ms(0), Duration::from_micros(1), move || {
            assert!(!inside.swap(true, SeqCst));
            inside.store(false, SeqCst);
        });
        thread::sleep(Duration::from_micros(n * 5));
        assert!(series.cancel());
        assert!(is_cancelled(series));
    }
}

// Contract: 75, 102.
pub(crate) fn shutdown_runs_what_is_delayed_and_ends_series<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (closure, is_dropped) = owned();
    let begin = Instant::now();
    let delayed: Vec<_> = (0..3).map(|_| pool.schedule(ms(30), move || begin.elapsed())).collect();
    let series = pool.schedule_at_fixed_rate(HOUR, HOUR, move || {
        let _kept = &closure;
    });
    assert!(!pool.shutdown_timeout(Duration::ZERO));
    assert!(is_dropped() && is_cancelled(series), "at once");
    pool.shutdown();
    assert!(pool.is_terminated());
    for handle in delayed {
        assert!(handle.is_finished() && handle.result().unwrap() >= ms(30));
    }
    // By dropping the last handle, too, and with nobody to hear of it.
    let other = another::<P>(pool.max_workers());
    let (send, ran) = mpsc::channel();
    drop(other.schedule(ms(10), move || send.send(()).unwrap()));
    drop(other.schedule_at_fixed_rate(ms(1), ms(1), || ()));
    drop(other);
    ran.try_recv().unwrap();
}

// Contract: 102.
pub(crate) fn shutdown_cancels_what_is_delayed_if_asked_to<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers();
    let pool = Builder::<P>::new().max_workers(workers).run_delayed_after_shutdown(false).build().unwrap();
    let delayed = pool.schedule(HOUR, || ());
    pool.shutdown();
    assert!(is_cancelled(delayed));
}

// Contract: 102.
pub(crate) fn shutdown_lets_series_go_on_if_asked_to<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers();
    let pool = Builder::<P>::new().max_workers(workers).run_periodic_after_shutdown(true).build().unwrap();
    let (send, runs) = mpsc::channel();
    let series = pool.schedule_at_fixed_rate(ms(0), ms(1), move || {
        let _nobody_listens = send.send(());
    });
    runs.recv().unwrap();
    assert!(!pool.shutdown_timeout(ms(1)));
    // What comes after these has been run after the shutdown.
    let before = runs.try_iter().count();
    assert_eq!(runs.iter().take(20).count(), 20, "{before} came before");
    assert!(!pool.is_terminated());
    assert!(series.cancel());
    pool.shutdown();
    assert!(is_cancelled(series));
    // `shutdown_now` ends them all the same.
    let pool = Builder::<P>::new().max_workers(workers).run_periodic_after_shutdown(true).build().unwrap();
    let series: Vec<_> = (0..3).map(|_| pool.schedule_with_fixed_delay(HOUR, HOUR, || ())).collect();
    assert!(!pool.shutdown_timeout(ms(1)));
    assert_eq!(pool.shutdown_now(), 3);
    assert!(series.into_iter().all(is_cancelled));
}

// Contract: 79, 102.
pub(crate) fn shutdown_now_cancels_what_waits_for_its_time<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let delayed: Vec<_> = (0..3).map(|_| pool.schedule(HOUR, || ())).collect();
    let series: Vec<_> = (0..2).map(|_| pool.schedule_at_fixed_rate(HOUR, HOUR, || ())).collect();
    assert!(delayed[0].cancel());
    let queued = pool.submit(|| ());
    let (cancelled, stopped) = pool.shutdown_now_timeout(Duration::ZERO);
    assert_eq!((cancelled, stopped), (2 + 2 + 1, false));
    assert!(delayed.into_iter().chain(series).chain([queued]).all(is_cancelled));
    drop(occupied);
    assert_eq!(pool.shutdown_now(), 0);
    assert!(pool.is_terminated());
}

// Contract: 68, 102.
pub(crate) fn scheduling_after_shutdown_is_refused<P: LockPolicy>(pool: &ThreadPool<P>) {
    let refused = |handle: TaskHandle<()>| matches!(handle.result(), Err(TaskError::Refused));
    // With a timer and without.
    let other = another::<P>(pool.max_workers());
    other.schedule(ms(0), || ()).result().unwrap();
    for pool in [pool, &other] {
        pool.shutdown();
        assert!(refused(pool.schedule(ms(0), || ())));
        assert!(refused(pool.schedule_at_fixed_rate(ms(0), ms(1), || ())));
        assert!(refused(pool.schedule_with_fixed_delay(ms(0), ms(1), || ())));
    }
}

// Contract: 81, 102.
pub(crate) fn shutdown_inside_a_run_ends_the_series<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let series = pool.schedule_at_fixed_rate(ms(1), ms(1), move || inner.shutdown());
    assert!(is_cancelled(series));
    pool.shutdown();
    assert_eq!(pool.metrics().finished, 1);
}

// Contract: 77, 102.
pub(crate) fn scheduling_races_with_shutdown<P: LockPolicy>(pool: &ThreadPool<P>) {
    for round in 0..30 {
        let racing = another::<P>(pool.max_workers());
        let scheduler = racing.clone();
        let schedule = move |n: u64| {
            let series = scheduler.schedule_at_fixed_rate(ms(0), Duration::from_micros(50), || ());
            (scheduler.schedule(Duration::from_micros(n * 20), move || n), series)
        };
        let thread = thread::spawn(move || (0..20).map(schedule).collect::<Vec<_>>());
        if round % 2 == 0 {
            thread::yield_now();
        }
        if round % 3 == 0 {
            racing.shutdown_now();
        } else {
            racing.shutdown();
        }
        for (n, (delayed, series)) in thread.join().unwrap().into_iter().enumerate() {
            match delayed.result() {
                Ok(value) => assert_eq!(value, n as u64),
                Err(error) => assert!(matches!(error, TaskError::Refused | TaskError::Cancelled), "{error}"),
            }
            assert!(matches!(series.result(), Err(TaskError::Refused | TaskError::Cancelled)));
        }
        racing.shutdown();
        assert!(racing.is_terminated());
    }
}

// Contract: 14, 102.
pub(crate) fn without_a_timer_thread_the_handle_says_why<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let pool = Builder::<P>::new().max_workers(1).stack_size(1 << 60).build().unwrap();
    assert!(matches!(pool.schedule(HOUR, || ()).result(), Err(TaskError::NoWorker(_))));
    let series = pool.schedule_at_fixed_rate(HOUR, HOUR, || ());
    assert!(matches!(series.result(), Err(TaskError::NoWorker(_))));
    assert_eq!((pool.metrics().start_failures, pool.metrics().queue_depth), (2, 0));
    pool.shutdown();
    assert!(pool.is_terminated());
}

// Contract: 102.
pub(crate) fn a_series_without_rest_is_a_panic<P: LockPolicy>(pool: &ThreadPool<P>) {
    let rate = || drop(pool.schedule_at_fixed_rate(HOUR, Duration::ZERO, || ()));
    let delay = || drop(pool.schedule_with_fixed_delay(HOUR, Duration::ZERO, || ()));
    assert!(std::panic::catch_unwind(rate).is_err() && std::panic::catch_unwind(delay).is_err());
    assert_eq!(pool.metrics().submitted, 0);
}

/// How many threads of this process have that name.
#[cfg(target_os = "linux")]
fn threads_named(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread that has just ended has none.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|other| other.trim_end() == name).count()
}

// Contract: 98, 102.
#[cfg(target_os = "linux")]
pub(crate) fn the_timer_thread_starts_at_the_first_use<P: LockPolicy>(pool: &ThreadPool<P>) {
    static POOLS: AtomicUsize = AtomicUsize::new(0);
    // A name that no other pool has, short enough for the system to keep it whole.
    let prefix = format!("t{}", POOLS.fetch_add(1, SeqCst));
    let timer = format!("{prefix}_timer");
    let pool = Builder::<P>::new().max_workers(pool.max_workers()).thread_name(prefix).build().unwrap();
    pool.submit(|| ()).result().unwrap();
    assert_eq!(threads_named(&timer), 0);
    let workers = pool.metrics().threads;
    let handles: Vec<_> = (0..10).map(|_| pool.schedule(HOUR, || ())).collect();
    // It names itself once it runs.
    pool.schedule(ms(0), || ()).result().unwrap();
    assert_eq!(threads_named(&timer), 1);
    assert!(pool.metrics().threads <= workers.max(pool.max_workers()), "it is no worker");
    assert!(handles.iter().all(|handle| handle.cancel()));
    pool.shutdown();
    // The system may still list a thread that has been joined, for a moment.
    while threads_named(&timer) > 0 {
        thread::yield_now();
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn the_timer_thread_starts_at_the_first_use<P: LockPolicy>(_pool: &ThreadPool<P>) {}

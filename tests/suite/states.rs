//! The states of a handle, and what each says to a question, a wait, and a cancel. Contract 15–30.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lockgrain::{CancelRequested, LockPolicy, TaskError, TaskHandle, TaskState, ThreadPool, WaitError};

use super::Occupied;

fn failing() -> u32 {
    std::panic::resume_unwind(Box::new("on purpose"))
}

/// A handle in each state but running.
struct Handles {
    queued: TaskHandle<u32>,
    finished: TaskHandle<u32>,
    failed: TaskHandle<u32>,
    cancelled: TaskHandle<u32>,
}

impl Handles {
    /// With tasks that run for as long as the other is there.
    fn all<P: LockPolicy>(pool: &ThreadPool<P>) -> (Self, Occupied) {
        let (finished, failed) = (pool.submit(|| 1), pool.submit(failing));
        finished.wait().unwrap();
        failed.wait().unwrap();
        let occupied = Occupied::all(pool);
        let (queued, cancelled) = (pool.submit(|| 2), pool.submit(|| 3));
        assert!(cancelled.cancel());
        (Self { queued, finished, failed, cancelled }, occupied)
    }
}

// Contract: 16.
pub(crate) fn each_state_has_its_answers<P: LockPolicy>(pool: &ThreadPool<P>) {
    fn answers<T>(handle: &TaskHandle<T>) -> (TaskState, bool, bool, bool) {
        (handle.state(), handle.is_finished(), handle.is_running(), handle.is_cancelled())
    }
    let (handles, occupied) = Handles::all(pool);
    assert_eq!(answers(&handles.queued), (TaskState::Queued, false, false, false));
    assert_eq!(answers(&occupied.handles()[0]), (TaskState::Running, false, true, false));
    assert_eq!(answers(&handles.finished), (TaskState::Finished, true, false, false));
    assert_eq!(answers(&handles.failed), (TaskState::Finished, true, false, false));
    assert_eq!(answers(&handles.cancelled), (TaskState::Cancelled, true, false, true));
}

// Contract: 17, 18, 25.
pub(crate) fn each_state_answers_a_wait_of_no_time<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (mut handles, mut occupied) = Handles::all(pool);
    for none in [Duration::ZERO, Duration::from_nanos(1)] {
        assert!(matches!(handles.queued.result_timeout(none), Err(TaskError::TimedOut)));
        assert!(matches!(occupied.handles_mut()[0].result_timeout(none), Err(TaskError::TimedOut)));
        assert_eq!(handles.queued.wait_timeout(none), Err(WaitError::TimedOut));
        assert_eq!(handles.finished.wait_timeout(none), Ok(()));
        assert_eq!(handles.cancelled.wait_timeout(none), Ok(()));
    }
    assert!([&handles.queued, &handles.finished].iter().all(|handle| handle.error().is_none()));
    assert!(occupied.handles()[0].error().is_none());
    assert!(handles.failed.error().is_some_and(TaskError::is_panic));
    assert!(matches!(handles.cancelled.error(), Some(TaskError::Cancelled)));
    assert!(!pool.await_termination(Duration::ZERO));
    assert_eq!(handles.finished.result_timeout(Duration::ZERO).unwrap(), 1);
    let payload = handles.failed.result_timeout(Duration::ZERO).unwrap_err().into_panic().unwrap();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
    assert!(matches!(handles.cancelled.result_timeout(Duration::ZERO), Err(TaskError::Cancelled)));
}

// Contract: 27.
pub(crate) fn debug_says_the_state<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (handles, occupied) = Handles::all(pool);
    assert!(format!("{:?}", handles.queued).contains("Queued"));
    assert!(format!("{:?}", occupied.handles()[0]).contains("Running"));
    assert_eq!(format!("{:?}", handles.finished), "TaskHandle { state: Finished }");
    assert!(format!("{:?}", handles.failed).contains("Finished, error: Panicked("));
    assert!(format!("{:?}", handles.cancelled).contains("Cancelled"));
}

// Contract: 24.
pub(crate) fn all_threads_see_one_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let (ends, cancelled) = (pool.submit(|| 1), pool.submit(|| 2));
    thread::scope(|scope| {
        for _ in 0..4 {
            for (handle, state) in [(&ends, TaskState::Finished), (&cancelled, TaskState::Cancelled)] {
                scope.spawn(move || {
                    while !handle.is_finished() {
                        thread::yield_now();
                    }
                    for _ in 0..1000 {
                        assert!(handle.is_finished() && !handle.is_running());
                        assert_eq!((handle.state(), handle.cancel()), (state, state == TaskState::Cancelled));
                    }
                });
            }
        }
        assert!(cancelled.cancel());
        drop(occupied);
    });
    assert_eq!(ends.result().unwrap(), 1);
    assert!(matches!(cancelled.result(), Err(TaskError::Cancelled)));
}

// Contract: 19.
pub(crate) fn a_waiter_with_a_timeout_gets_the_value<P: LockPolicy>(pool: &ThreadPool<P>) {
    for n in 0..50 {
        let (open, gate) = mpsc::channel();
        let mut handle = pool.submit(move || gate.recv().unwrap());
        let waiter = thread::spawn(move || handle.result_timeout(Duration::MAX));
        // So that it comes now before the waiter waits, now after.
        if n % 2 == 0 {
            thread::yield_now();
        }
        open.send(n).unwrap();
        assert_eq!(waiter.join().unwrap().unwrap(), n);
    }
}

// Contract: 20.
pub(crate) fn whoever_waits_hears_of_a_cancel<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let mut timed = pool.submit(|| ());
    let untimed = pool.submit(|| ());
    let waiters = [thread::spawn(move || timed.result_timeout(Duration::MAX)), thread::spawn(move || untimed.result())];
    assert_eq!(pool.shutdown_now_timeout(Duration::ZERO), (2, false));
    for waiter in waiters {
        assert!(matches!(waiter.join().unwrap(), Err(TaskError::Cancelled)));
    }
    drop(occupied);
}

// Contract: 22, 90.
pub(crate) fn a_cancelled_task_never_runs<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let runs: Arc<[AtomicUsize]> = (0..100).map(|_| AtomicUsize::new(0)).collect();
    let handles: Vec<_> = (0..100)
        .map(|n| {
            let runs = runs.clone();
            pool.submit(move || runs[n].fetch_add(1, SeqCst))
        })
        .collect();
    assert!(handles.iter().step_by(2).all(TaskHandle::cancel));
    assert!(!occupied.handles()[0].cancel());
    drop(occupied);
    pool.shutdown();
    for (n, runs) in runs.iter().enumerate() {
        assert_eq!(runs.load(SeqCst), n % 2, "task {n}");
    }
    assert_eq!(pool.metrics().cancelled, 50);
}

// Contract: 23.
pub(crate) fn a_task_that_its_waiter_ran_is_not_run_again<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (runs, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for _ in 0..200 {
        let (inner, runs, calls) = (pool.clone(), runs.clone(), calls.clone());
        let parent = pool.submit(move || {
            // Its entry stays in the queue, where a worker comes to it.
            let mut child = inner.submit(move || runs.fetch_add(1, SeqCst));
            child.on_done(move |_| {
                calls.fetch_add(1, SeqCst);
            });
            child.result().unwrap()
        });
        parent.result().unwrap();
    }
    pool.shutdown();
    assert_eq!((runs.load(SeqCst), calls.load(SeqCst)), (200, 200));
    assert_eq!(pool.metrics().finished, 400);
}

// Contract: 28.
pub(crate) fn a_task_that_was_asked_to_stop_is_not_done_before_it_ends<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (started, starts) = mpsc::channel();
    let (hear, heard) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let handle = pool.submit_with(move |cx| {
        started.send(()).unwrap();
        while cx.checkpoint().is_ok() {
            thread::yield_now();
        }
        hear.send(cx.checkpoint()).unwrap();
        gate.recv().unwrap()
    });
    starts.recv().unwrap();
    assert!(!handle.cancel());
    assert!(handle.request_cancel());
    assert_eq!(heard.recv().unwrap(), Err(CancelRequested));
    assert!(!handle.cancel(), "also now");
    assert!(handle.is_running() && !handle.is_finished() && !handle.is_cancelled());
    assert_eq!(handle.wait_timeout(Duration::ZERO), Err(WaitError::TimedOut));
    open.send(6).unwrap();
    assert_eq!(handle.result().unwrap(), 6);
}

// Contract: 29.
pub(crate) fn a_task_that_ignores_the_request_gives_its_result<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (started, starts) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let handle = pool.submit_with(move |_cx| {
        started.send(()).unwrap();
        gate.recv().unwrap()
    });
    starts.recv().unwrap();
    assert!(handle.request_cancel());
    open.send(7).unwrap();
    handle.wait().unwrap();
    assert!(!handle.is_cancelled());
    assert_eq!(handle.result().unwrap(), 7);
}

// Contract: 15, 30.
pub(crate) fn of_two_cancelled_tasks_the_running_one_ends_as_ever<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let (mut timed, untimed) = (pool.submit(|| 1), pool.submit(|| 2));
    assert!(!occupied.handles()[0].cancel());
    assert!(timed.cancel() && untimed.cancel());
    assert!(matches!(timed.result_timeout(Duration::MAX), Err(TaskError::Cancelled)));
    assert!(matches!(untimed.result(), Err(TaskError::Cancelled)));
    occupied.release().into_iter().for_each(|handle| handle.result().unwrap());
}

// Contract: 26.
pub(crate) fn a_timeout_takes_its_time<P: LockPolicy>(pool: &ThreadPool<P>) {
    const SHORT: Duration = Duration::from_millis(5);
    let occupied = Occupied::all(pool);
    let mut queued = pool.submit(|| 1);
    let start = Instant::now();
    assert_eq!(queued.wait_timeout(SHORT), Err(WaitError::TimedOut));
    assert!(start.elapsed() >= SHORT);
    let start = Instant::now();
    assert!(matches!(queued.result_timeout(SHORT), Err(TaskError::TimedOut)));
    assert!(start.elapsed() >= SHORT);
    drop(occupied);
    assert_eq!(queued.result().unwrap(), 1);
}

//! Handles that many read. Contract 5, 15–17, 20, 23–29, 38, 114.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use lockgrain::{
    LockPolicy, ReturnWhen, SharedHandle, TaskError, TaskState, ThreadPool, WaitError, join_all, promise, wait,
};

use super::Occupied;
use super::handles::block_on;

const SHORT: Duration = Duration::from_millis(5);

// Contract: 19, 24.
pub(crate) fn all_readers_see_one_value<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    let handle = handle.shared();
    let address = |value: &String| std::ptr::from_ref(value) as usize;
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            pool.submit(move || address(handle.result().unwrap()))
        })
        .collect();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || address(handle.result().unwrap()))
        })
        .collect();
    promise.set_result(String::from("for all")).unwrap();
    let seen = threads.into_iter().map(|thread| thread.join().unwrap());
    let seen: Vec<_> = seen.chain(join_all(tasks).into_iter().map(Result::unwrap)).collect();
    assert_eq!(handle.try_result().unwrap().unwrap(), "for all");
    assert_eq!(seen, [address(handle.result().unwrap()); 8]);
}

// Contract: 4, 5, 24.
pub(crate) fn all_readers_see_one_panic<P: LockPolicy>(pool: &ThreadPool<P>) {
    let handle = pool.submit(|| -> u32 { panic!("on purpose") }).shared();
    let message = |handle: &SharedHandle<u32>| match handle.result() {
        Err(TaskError::Panicked(panic)) => std::ptr::from_ref(panic.message()),
        other => panic!("{other:?}"),
    };
    let other = handle.clone();
    assert_eq!(message(&handle), message(&handle));
    assert_eq!(message(&handle), message(&other));
    assert_eq!(other.result().unwrap_err().to_string(), "the task panicked: on purpose");
}

// Contract: 15, 16, 20, 24.
pub(crate) fn all_readers_hear_of_a_cancel<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let owned = Arc::new(());
    let captured = owned.clone();
    let handle = pool.submit(move || drop(captured)).shared();
    assert_eq!(handle.state(), TaskState::Queued);
    let reader = thread::spawn({
        let handle = handle.clone();
        move || matches!(handle.result(), Err(TaskError::Cancelled))
    });
    let canceller = handle.clone();
    assert!(canceller.cancel() && handle.cancel() && handle.is_cancelled() && handle.is_finished());
    assert_eq!(Arc::strong_count(&owned), 1);
    assert!(reader.join().unwrap());
    assert!(matches!(handle.try_result(), Some(Err(TaskError::Cancelled))));
    drop(occupied);
}

// Contract: 15, 16, 28, 29.
pub(crate) fn a_running_task_is_asked_by_any_reader<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (started, starts) = mpsc::channel();
    let handle = pool.submit_with(move |cx| {
        started.send(()).unwrap();
        while cx.checkpoint().is_ok() {
            thread::yield_now();
        }
        "stopped"
    });
    let handle = handle.shared();
    starts.recv().unwrap();
    assert!(handle.is_running() && !handle.cancel() && !handle.is_finished());
    assert!(handle.clone().request_cancel());
    assert_eq!(*handle.result().unwrap(), "stopped");
    assert!(!handle.cancel() && !handle.request_cancel() && !handle.is_cancelled());
}

// Contract: 17, 25, 26.
pub(crate) fn timed_waits_for_a_shared_handle<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, gate) = mpsc::channel();
    let handle = pool.submit(move || gate.recv().unwrap()).shared();
    assert!(handle.try_result().is_none());
    assert_eq!(handle.wait_timeout(Duration::ZERO), Err(WaitError::TimedOut));
    let start = Instant::now();
    assert_eq!(handle.wait_timeout(SHORT), Err(WaitError::TimedOut));
    assert!(start.elapsed() >= SHORT);
    open.send(11).unwrap();
    assert_eq!(handle.wait_timeout(Duration::MAX), Ok(()));
    assert_eq!(handle.wait_timeout(Duration::ZERO), Ok(()));
    assert_eq!(handle.result().unwrap(), &11);
}

// Contract: 23.
pub(crate) fn of_many_waiting_workers_one_runs_the_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let occupied = Occupied::all(pool);
    let counter = runs.clone();
    let handle = pool.submit(move || counter.fetch_add(1, SeqCst)).shared();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let handle = handle.clone();
            pool.submit(move || *handle.result().unwrap())
        })
        .collect();
    drop(occupied);
    assert!(join_all(readers).into_iter().all(|seen| seen.unwrap() == 0));
    assert_eq!(runs.load(SeqCst), 1);
}

// Contract: 114.
pub(crate) fn a_wait_that_would_deadlock_is_an_error_for_that_reader_alone<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (give, given) = mpsc::channel::<SharedHandle<bool>>();
    let own = pool.submit(move || {
        let own = given.recv().unwrap();
        assert_eq!(own.wait(), Err(WaitError::WouldDeadlock));
        matches!(own.result(), Err(TaskError::WouldDeadlock))
    });
    let own = own.shared();
    give.send(own.clone()).unwrap();
    assert!(own.result().unwrap());
}

// Contract: 7, 8.
pub(crate) fn the_value_goes_with_its_last_reader<P: LockPolicy>(pool: &ThreadPool<P>) {
    let owned = Arc::new(());
    let kept = owned.clone();
    let one = pool.submit(move || kept).shared();
    let two = one.clone();
    assert_eq!(Arc::strong_count(one.result().unwrap()), 2);
    drop(one);
    assert_eq!(Arc::strong_count(two.result().unwrap()), 2);
    drop(two);
    assert_eq!(Arc::strong_count(&owned), 1);
    // Without readers it runs all the same.
    let (ran, runs) = mpsc::channel();
    drop(pool.submit(move || ran.send(()).unwrap()).shared());
    runs.recv().unwrap();
}

pub(crate) fn the_last_reader_can_take_the_value<P: LockPolicy>(pool: &ThreadPool<P>) {
    let one = pool.submit(|| String::from("taken")).shared();
    let two = one.clone();
    let one = one.into_inner().unwrap_err();
    assert_eq!(two.result().unwrap(), "taken");
    drop(two);
    let mut one = one.into_inner().unwrap();
    let (seen, sees) = mpsc::channel();
    one.on_done(move |outcome| seen.send(outcome.as_ref().unwrap().len()).unwrap());
    assert_eq!(sees.recv().unwrap(), 5);
    assert_eq!(one.result().unwrap(), "taken");
}

// Contract: 38, 44.
pub(crate) fn clones_count_once_in_a_wait_for_many<P: LockPolicy>(pool: &ThreadPool<P>) {
    let one = pool.submit(|| 1).shared();
    let other = pool.submit(|| 2).shared();
    let clone = one.clone();
    let waited = wait([&clone, &other, &one], ReturnWhen::AllCompleted, None);
    assert_eq!(waited.done.iter().map(|handle| *handle.result().unwrap()).collect::<Vec<_>>(), [1, 2]);
    let failed = pool.submit(|| -> u32 { panic!("on purpose") }).shared();
    assert_eq!(wait([&failed, &failed.clone()], ReturnWhen::FirstException, None).done.len(), 1);
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

// Contract: 19, 24.
pub(crate) fn each_future_of_a_shared_handle_is_woken<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    let handle = handle.shared();
    let wakers: [_; 3] = std::array::from_fn(|_| Arc::new(Count(AtomicUsize::new(0))));
    let [older, newer, given_up] = wakers.clone().map(Waker::from);
    {
        let mut future = pin!((&handle).into_future());
        assert!(future.as_mut().poll(&mut Context::from_waker(&older)).is_pending());
        assert!(future.as_mut().poll(&mut Context::from_waker(&newer)).is_pending());
        assert!(pin!((&handle).into_future()).poll(&mut Context::from_waker(&given_up)).is_pending());
        let clone = handle.clone();
        let awaits = thread::spawn(move || *block_on(async { (&clone).await.unwrap() }));
        pool.submit(move || promise.set_result(12).unwrap()).result().unwrap();
        assert_eq!(awaits.join().unwrap(), 12);
        assert_eq!(wakers.each_ref().map(|waker| waker.0.load(SeqCst)), [0, 1, 0]);
        assert!(matches!(future.as_mut().poll(&mut Context::from_waker(&older)), Poll::Ready(Ok(12))));
    }
    drop((older, newer, given_up));
    assert_eq!(wakers.map(|waker| Arc::strong_count(&waker)), [1, 1, 1]);
}

// Contract: 27.
pub(crate) fn debug_tells_a_shared_handles_state<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let (promise, handle) = promise::<()>();
    let handle = handle.shared();
    assert_eq!(format!("{handle:?}"), "SharedHandle { state: Queued }");
    drop(promise);
    assert_eq!(format!("{handle:?}"), "SharedHandle { state: Finished, error: Abandoned }");
    assert!(matches!(handle.result(), Err(TaskError::Abandoned)));
}

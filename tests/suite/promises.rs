//! Promises: results that are made elsewhere. Contract 15–21, 25–29, 31–36, 114.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use lockgrain::gate::Gate;
use lockgrain::{LockPolicy, Promise, TaskError, TaskHandle, TaskState, ThreadPool, WaitError, as_completed, promise};

use super::handles::block_on;

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(50);

// Contract: 19.
pub(crate) fn a_worker_waits_for_what_another_task_promised<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    // On one worker it is in the other task's way, if no spare comes.
    let waiter = pool.submit(move || handle.result());
    let fulfiller = pool.submit(move || promise.set_result(7).is_ok());
    assert!(fulfiller.result().unwrap());
    assert_eq!(waiter.result().unwrap().unwrap(), 7);
}

// Contract: 19.
pub(crate) fn a_worker_waits_for_what_a_thread_promised<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, mut handle) = promise();
    let (started, starts) = mpsc::channel();
    let waiter = pool.submit(move || {
        started.send(()).unwrap();
        handle.result_timeout(LONG)
    });
    starts.recv().unwrap();
    // The pool goes on meanwhile.
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
    let library = thread::spawn(move || promise.set_result("called back").unwrap());
    assert_eq!(waiter.result().unwrap().unwrap(), "called back");
    library.join().unwrap();
}

// Contract: 19, 20.
pub(crate) fn a_thread_waits_for_what_a_task_promised<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, mut handle) = promise();
    pool.spawn(move || promise.set_result(8).unwrap()).unwrap();
    assert_eq!(handle.result_timeout(Duration::MAX).unwrap(), 8);
}

// Contract: 21.
pub(crate) fn a_second_result_is_handed_back<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    promise.set_result("first").unwrap();
    assert_eq!(promise.set_result("second").unwrap_err().0, "second");
    assert!(matches!(promise.set_error(TaskError::Refused).unwrap_err().0, TaskError::Refused));
    assert!(!promise.set_running(), "nobody awaits it any more");
    assert!(!handle.cancel() && !handle.request_cancel() && handle.is_finished());
    assert_eq!(handle.result().unwrap(), "first");
}

// Contract: 21.
pub(crate) fn an_error_is_an_end_like_any_other<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let (promise, mut handle) = promise::<u32>();
    promise.set_error(TaskError::Refused).unwrap();
    assert_eq!(promise.set_result(1).unwrap_err().0, 1);
    assert_eq!(handle.state(), TaskState::Finished);
    assert!(matches!(handle.result_timeout(Duration::ZERO), Err(TaskError::Refused)));
}

// Contract: 4.
pub(crate) fn a_tasks_panic_can_be_passed_on<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, handle) = promise::<()>();
    let panics = pool.submit(|| panic!("on purpose"));
    promise.set_error(panics.result().unwrap_err()).unwrap();
    let payload = handle.result().unwrap_err().into_panic().unwrap();
    assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
}

// Contract: 15, 20, 21.
pub(crate) fn a_cancelled_promise_hands_the_value_back<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    let (cancelled, is_cancelled) = mpsc::channel();
    let (waited, waits) = mpsc::channel();
    pool.spawn(move || {
        assert!(handle.cancel() && handle.cancel());
        cancelled.send(()).unwrap();
        waited.send((handle.state(), handle.result())).unwrap();
    })
    .unwrap();
    is_cancelled.recv().unwrap();
    assert!(promise.is_cancelled() && promise.is_cancel_requested());
    assert!(!promise.set_running());
    assert_eq!(promise.set_result(5).unwrap_err().0, 5);
    assert!(promise.set_error(TaskError::Refused).is_err());
    let (state, result) = waits.recv().unwrap();
    assert_eq!(state, TaskState::Cancelled);
    assert!(matches!(result, Err(TaskError::Cancelled)));
}

// Contract: 20.
pub(crate) fn a_waiting_worker_hears_of_a_cancelled_promise<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, handle) = promise::<()>();
    let handle = Arc::new(handle);
    let waits = handle.clone();
    let waiter = pool.submit(move || waits.wait());
    let canceller = pool.submit(move || handle.cancel());
    assert!(canceller.result().unwrap());
    assert_eq!(waiter.result().unwrap(), Ok(()));
    assert!(promise.is_cancelled());
}

// Contract: 15, 16, 28, 29.
pub(crate) fn a_running_promise_can_be_asked_to_stop<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    assert_eq!(handle.state(), TaskState::Queued);
    assert!(promise.set_running() && promise.set_running());
    assert!(handle.is_running() && !handle.is_finished() && !handle.is_cancelled());
    assert!(!handle.cancel() && !promise.is_cancel_requested());
    assert!(handle.request_cancel() && promise.is_cancel_requested() && !promise.is_cancelled());
    promise.set_result(6).unwrap();
    assert!(!handle.is_running() && handle.is_finished());
    assert_eq!(handle.result().unwrap(), 6);
}

// Contract: 16, 24.
pub(crate) fn a_promise_ended_as_cancelled_is_so_everywhere<P: LockPolicy>(_pool: &ThreadPool<P>) {
    for running in [false, true] {
        let (promise, mut handle) = promise::<()>();
        assert!(!running || promise.set_running());
        promise.set_error(TaskError::Cancelled).unwrap();
        assert!(handle.cancel() && handle.is_cancelled() && handle.is_finished() && promise.is_cancelled());
        assert!(matches!(handle.try_result(), Some(Err(TaskError::Cancelled))));
    }
}

// Contract: 20.
pub(crate) fn an_abandoned_promise_ends_its_handle<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, handle) = promise::<()>();
    let waiter = pool.submit(move || (handle.wait(), handle.state(), handle.result()));
    let dropper = pool.submit(move || drop(promise));
    let (waited, state, result) = waiter.result().unwrap();
    assert_eq!((waited, state), (Ok(()), TaskState::Finished));
    assert!(matches!(result, Err(TaskError::Abandoned)));
    dropper.result().unwrap();
}

// Contract: 20.
pub(crate) fn a_panic_abandons_the_promises_on_its_way<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, handle) = promise::<()>();
    let panics = pool.submit(move || {
        assert!(promise.set_running());
        panic!("on purpose, before {promise:?} is fulfilled");
    });
    assert!(matches!(handle.result(), Err(TaskError::Abandoned)));
    assert!(panics.result().unwrap_err().is_panic());
}

// Contract: 7, 8.
pub(crate) fn without_a_handle_the_value_is_dropped_at_once<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    drop(handle);
    let owned = Arc::new(());
    promise.set_result(owned.clone()).unwrap();
    assert_eq!(Arc::strong_count(&owned), 1);
    assert!(promise.set_result(owned).is_err(), "it has ended all the same");
}

// Contract: 8.
pub(crate) fn with_its_handle_the_value_is_dropped_at_once<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    let owned = Arc::new(());
    promise.set_result(owned.clone()).unwrap();
    drop(handle);
    assert_eq!(Arc::strong_count(&owned), 1);
    drop(promise);
    assert_eq!(Arc::strong_count(&owned), 1);
}

// Contract: 31, 32, 35.
pub(crate) fn callbacks_of_a_promise_run_once_in_order_where_it_is_fulfilled<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, mut handle) = promise();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for n in 0..3 {
        let seen = seen.clone();
        let note = move |outcome: &Result<u32, _>| (n, *outcome.as_ref().unwrap(), thread::current().id());
        handle.on_done(move |outcome| seen.lock().unwrap().push(note(outcome)));
    }
    let (there, calls) = pool
        .submit({
            let seen = seen.clone();
            move || {
                promise.set_result(5).unwrap();
                // Before `set_result` has returned.
                (thread::current().id(), seen.lock().unwrap().len())
            }
        })
        .result()
        .unwrap();
    assert_eq!(calls, 3);
    let late = seen.clone();
    handle.on_done(move |outcome| late.lock().unwrap().push((3, *outcome.as_ref().unwrap(), there)));
    assert_eq!(*seen.lock().unwrap(), [(0, 5, there), (1, 5, there), (2, 5, there), (3, 5, there)]);
}

// Contract: 31, 33, 36.
pub(crate) fn callbacks_see_how_a_promise_ended<P: LockPolicy>(pool: &ThreadPool<P>) {
    type End = fn(Promise<()>, &TaskHandle<()>);
    let ends: [End; 3] = [
        |promise, _| promise.set_error(TaskError::Poisoned).unwrap(),
        |_, handle| assert!(handle.cancel()),
        |promise, _| drop(promise),
    ];
    for (n, end) in ends.into_iter().enumerate() {
        let (promise, mut handle) = promise();
        let (sender, receiver) = mpsc::channel();
        handle.on_done(|_| panic!("on purpose"));
        handle.on_done(move |outcome| sender.send(format!("{:?}", outcome.as_ref().unwrap_err())).unwrap());
        pool.submit(move || end(promise, &handle)).result().unwrap();
        assert_eq!(receiver.recv().unwrap(), ["Poisoned", "Cancelled", "Abandoned"][n]);
    }
}

// Contract: 17, 25, 26.
pub(crate) fn timed_waits_for_a_promise<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, mut handle) = promise();
    assert!(handle.try_result().is_none());
    assert!(matches!(handle.result_timeout(Duration::ZERO), Err(TaskError::TimedOut)));
    let start = Instant::now();
    assert_eq!(handle.wait_timeout(SHORT), Err(WaitError::TimedOut));
    assert!(start.elapsed() >= SHORT);
    let mut handle = pool
        .submit(move || {
            let start = Instant::now();
            assert!(matches!(handle.result_timeout(SHORT), Err(TaskError::TimedOut)));
            assert!(start.elapsed() >= SHORT);
            handle
        })
        .result()
        .unwrap();
    assert!(promise.set_running());
    assert!(matches!(handle.result_timeout(Duration::ZERO), Err(TaskError::TimedOut)));
    promise.set_result(3).unwrap();
    assert_eq!(handle.result_timeout(Duration::ZERO).unwrap(), 3);
}

// Contract: 19.
pub(crate) fn awaiting_a_promise<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, mut handle) = promise();
    assert!(block_on(poll_fn(|cx| Poll::Ready(pin!(&mut handle).poll(cx)))).is_pending());
    pool.spawn(move || promise.set_result(9).unwrap()).unwrap();
    assert_eq!(block_on(handle).unwrap(), 9);
}

// Contract: 48.
pub(crate) fn promises_and_tasks_are_awaited_together<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    let inner = pool.clone();
    let sum = pool.submit(move || {
        let task = inner.submit(|| 1);
        // The task's end fulfils the promise, so it comes first.
        let fulfils = inner.submit(move || promise.set_result(10).map_or(0, |()| 100));
        as_completed([handle, task, fulfils]).map(|handle| handle.unwrap().result().unwrap()).sum::<i32>()
    });
    assert_eq!(sum.result().unwrap(), 111);
}

// Contract: 27.
pub(crate) fn debug_tells_a_promises_state<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    assert_eq!(format!("{promise:?}"), "Promise { state: Queued }");
    assert!(promise.set_running());
    assert_eq!(format!("{promise:?} {handle:?}"), "Promise { state: Running } TaskHandle { state: Running }");
    promise.set_result(()).unwrap();
    assert_eq!(format!("{promise:?} {handle:?}"), "Promise { state: Finished } TaskHandle { state: Finished }");
}

/// Whoever holds a global lock by a context can't wait for what a task may have to do that needs the lock.
// Contract: 114.
pub(crate) fn with_a_context_a_promise_is_awaited_in_blocking<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (promise, handle) = promise();
    let waiter = pool.submit_with(move |cx| {
        if <P::Gate as Gate>::EXCLUSIVE {
            assert_eq!(handle.wait(), Err(WaitError::WouldDeadlock));
            assert_eq!(handle.wait_timeout(SHORT), Err(WaitError::WouldDeadlock));
        }
        cx.blocking(|| handle.result())
    });
    let fulfiller = pool.submit(move || promise.set_result(4).is_ok());
    assert_eq!(waiter.result().unwrap().unwrap(), 4);
    assert!(fulfiller.result().unwrap());
}

// Contract: 21, 24.
pub(crate) fn of_many_ends_one_counts<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..50 {
        let (promise, handle) = promise();
        let (promise, handle) = (Arc::new(promise), Arc::new(handle));
        let (begin, wins) = (Arc::new(Barrier::new(4)), Arc::new(AtomicUsize::new(0)));
        let ends: [Box<dyn FnOnce() -> bool + Send>; 3] = [
            Box::new({
                let promise = promise.clone();
                move || promise.set_result(1).is_ok()
            }),
            Box::new(move || promise.set_running() && promise.set_result(2).is_ok()),
            Box::new({
                let handle = handle.clone();
                move || handle.cancel()
            }),
        ];
        let threads = ends.map(|end| {
            let (begin, wins) = (begin.clone(), wins.clone());
            thread::spawn(move || {
                begin.wait();
                wins.fetch_add(usize::from(end()), SeqCst);
            })
        });
        let waits = handle.clone();
        let waiter = pool.submit(move || waits.wait());
        begin.wait();
        assert_eq!(waiter.result().unwrap(), Ok(()));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(wins.load(SeqCst), 1);
        assert!(handle.is_finished());
    }
}

//! How futures that the pool drives end other than with their output.

use std::future::{pending, poll_fn};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use lockgrain::{LockPolicy, TaskError, ThreadPool};

use super::futures::{door, until_idle, yield_now};
use super::{Bomb, Occupied};

// Contract: 4, 10.
pub(crate) fn a_poll_that_panics_ends_the_future<P: LockPolicy>(pool: &ThreadPool<P>) {
    let owned = Arc::new(());
    let kept = owned.clone();
    let handle = pool.spawn_future(async move {
        let _kept = kept;
        yield_now().await;
        panic!("on purpose");
    });
    handle.wait().unwrap();
    assert_eq!(Arc::strong_count(&owned), 1);
    let payload = handle.result().unwrap_err().into_panic().unwrap();
    assert_eq!(payload.downcast_ref(), Some(&"on purpose"));
    assert_eq!(pool.spawn_future(async { 1 }).result().unwrap(), 1);
}

// Contract: 12.
pub(crate) fn a_future_whose_drop_panics_is_survived<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (door, _inner, polled) = door();
    let bomb = Bomb;
    let ready = pool.spawn_future(poll_fn(move |_| {
        let _part_of_it = &bomb;
        Poll::Ready(7)
    }));
    assert_eq!(ready.result().unwrap(), 7);
    let bomb = Bomb;
    let cancelled = pool.spawn_future(async move {
        let _bomb = bomb;
        door.await;
    });
    polled.recv().unwrap();
    until_idle(&cancelled);
    assert!(cancelled.cancel());
    assert!(cancelled.result().unwrap_err().is_cancelled());
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
}

// Contract: 7, 15, 16.
pub(crate) fn cancel_between_polls_drops_the_future_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    for first_poll in [false, true] {
        let (door, inner, polled) = door();
        let owned = Arc::new(());
        let kept = owned.clone();
        let occupied = (!first_poll).then(|| Occupied::all(pool));
        let mut handle = pool.spawn_future(async move {
            let _kept = kept;
            door.await;
        });
        if first_poll {
            polled.recv().unwrap();
            until_idle(&handle);
        }
        let (told, hears) = mpsc::channel();
        handle.on_done(move |outcome| told.send(format!("{outcome:?}")).unwrap());
        assert!(handle.cancel());
        assert_eq!(Arc::strong_count(&owned), 1);
        assert_eq!(hears.recv().unwrap(), "Err(Cancelled)");
        assert!(handle.is_cancelled() && handle.cancel());
        if first_poll {
            inner.wake();
        }
        drop(occupied);
        assert!(handle.result().unwrap_err().is_cancelled());
        assert!(polled.recv().is_err(), "no further poll");
    }
}

// Contract: 28, 29.
pub(crate) fn a_poll_that_goes_on_is_asked_to_be_the_last<P: LockPolicy>(pool: &ThreadPool<P>) {
    for ends in [false, true] {
        let (polls, polled) = mpsc::channel();
        let (go, gate) = mpsc::channel();
        let handle = pool.spawn_future(poll_fn(move |cx| {
            polls.send(cx.waker().clone()).unwrap();
            gate.recv().unwrap();
            if ends { Poll::Ready(3) } else { Poll::Pending }
        }));
        let waker = polled.recv().unwrap();
        assert!(!handle.cancel() && handle.request_cancel() && !handle.is_finished());
        waker.wake();
        go.send(()).unwrap();
        match handle.result() {
            Ok(output) => assert!(ends && output == 3),
            Err(error) => assert!(!ends && error.is_cancelled()),
        }
        assert!(polled.recv().is_err(), "no further poll");
    }
}

// Contract: 22.
pub(crate) fn cancel_against_wake_ups<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..50 {
        let (door, inner, polled) = door();
        let handle = pool.spawn_future(door);
        polled.recv().unwrap();
        let waking = thread::spawn(move || inner.open());
        let cancelled = handle.cancel() || handle.request_cancel();
        match handle.result() {
            Ok(()) => {}
            Err(error) => assert!(cancelled && error.is_cancelled()),
        }
        waking.join().unwrap();
    }
}

pub(crate) fn a_future_that_nobody_can_wake_ends<P: LockPolicy>(pool: &ThreadPool<P>) {
    assert!(pool.spawn_future(pending::<()>()).result().unwrap_err().is_cancelled());
    // The same when the last waker goes later.
    let (waker, wakers) = mpsc::channel();
    let handle = pool.spawn_future(poll_fn(move |cx| {
        waker.send(cx.waker().clone()).unwrap();
        Poll::<()>::Pending
    }));
    let waker = wakers.recv().unwrap();
    until_idle(&handle);
    assert!(!handle.is_finished());
    drop(waker);
    assert!(handle.result().unwrap_err().is_cancelled());
}

// Contract: 69.
pub(crate) fn shutdown_drives_what_is_woken_and_ends_what_waits<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (door, _inner, polled) = door();
    let owned = Arc::new(());
    let kept = owned.clone();
    let waits = pool.spawn_future(async move {
        let _kept = kept;
        door.await;
    });
    polled.recv().unwrap();
    let task = pool.submit(|| 4);
    let chain = pool.spawn_future(async move { task.await.unwrap() });
    let after = pool.spawn_future(async move { chain.await.unwrap() + 1 });
    pool.shutdown();
    assert_eq!(after.result().unwrap(), 5);
    assert!(waits.is_cancelled());
    assert_eq!(Arc::strong_count(&owned), 1);
    assert!(waits.result().unwrap_err().is_cancelled());
}

// Contract: 69, 102.
pub(crate) fn shutdown_drives_a_future_that_awaits_the_timer<P: LockPolicy>(pool: &ThreadPool<P>) {
    let scheduled = pool.schedule(Duration::from_millis(5), || 6);
    let waits = pool.spawn_future(async move { scheduled.await.unwrap() + 1 });
    pool.shutdown();
    assert_eq!(waits.result().unwrap(), 7);
}

// Contract: 70, 79.
pub(crate) fn shutdown_now_ends_all_that_wait<P: LockPolicy>(pool: &ThreadPool<P>) {
    let mut handles = Vec::new();
    let mut doors = Vec::new();
    for _ in 0..10 {
        let (door, inner, polled) = door();
        let handle = pool.spawn_future(door);
        polled.recv().unwrap();
        until_idle(&handle);
        handles.push(handle);
        doors.push(inner);
    }
    // The one that is being polled is not polled again.
    let (started, starts) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let polling = pool.spawn_future(poll_fn(move |cx| {
        cx.waker().wake_by_ref();
        started.send(cx.waker().clone()).unwrap();
        let _closed = gate.recv();
        Poll::<()>::Pending
    }));
    let _waker = starts.recv().unwrap();
    let (cancelled, stopped) = pool.shutdown_now_timeout(Duration::ZERO);
    assert!(!stopped);
    // Tasks are counted, not polls: no other was left.
    assert_eq!(cancelled, 10);
    assert!(handles.iter().all(|handle| handle.is_cancelled()));
    drop(go);
    pool.shutdown();
    assert!(polling.result().unwrap_err().is_cancelled());
    // A wake-up comes too late, and does nothing.
    doors.iter().for_each(|door| door.open());
    assert!(handles.into_iter().all(|handle| handle.result().unwrap_err().is_cancelled()));
    let metrics = pool.metrics();
    assert_eq!((metrics.started, metrics.finished, metrics.queue_depth), (11, 11, 0));
}

// Contract: 77.
pub(crate) fn wake_ups_race_with_shutdown<P: LockPolicy>(pool: &ThreadPool<P>) {
    let mut handles = Vec::new();
    let mut threads = Vec::new();
    for _ in 0..3 {
        let (door, inner, polled) = door();
        handles.push(pool.spawn_future(door));
        polled.recv().unwrap();
        threads.push(thread::spawn(move || inner.open()));
    }
    pool.shutdown();
    for handle in handles {
        assert!(handle.is_finished());
        assert!(matches!(handle.result(), Ok(()) | Err(TaskError::Cancelled)));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// What it owns may be the last of its pool, whose drop waits for the pool.
// Contract: 81.
pub(crate) fn a_future_that_owns_its_pool_is_dropped_by_it<P: LockPolicy>(pool: &ThreadPool<P>) {
    let own = super::pool::<P>(pool.max_workers());
    let (door, _inner, polled) = door();
    let inner = own.clone();
    let handle = own.spawn_future(async move {
        door.await;
        drop(inner);
    });
    polled.recv().unwrap();
    until_idle(&handle);
    own.shutdown_timeout(Duration::ZERO);
    drop(own);
    assert!(handle.result().unwrap_err().is_cancelled());
}

// Contract: 68.
pub(crate) fn a_future_for_a_pool_that_is_shut_down_is_refused<P: LockPolicy>(pool: &ThreadPool<P>) {
    pool.shutdown();
    let owned = Arc::new(());
    let kept = owned.clone();
    let handle = pool.spawn_future(async move { drop(kept) });
    assert_eq!(Arc::strong_count(&owned), 1);
    assert!(matches!(handle.result(), Err(TaskError::Refused)));
}

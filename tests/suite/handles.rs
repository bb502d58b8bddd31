//! Handles: states, cancelling, time-outs, callbacks, awaiting. Contract 15–36.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use lockgrain::{LockPolicy, TaskError, TaskHandle, TaskState, ThreadPool, WaitError};

use super::Occupied;

const SHORT: Duration = Duration::from_millis(5);

// Contract: 15, 90.
pub(crate) fn cancel_before_start_drops_the_closure<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let owned = Arc::new(());
    let weak = Arc::downgrade(&owned);
    let handle = pool.submit(move || drop(owned));
    assert_eq!(handle.state(), TaskState::Queued);
    assert!(handle.cancel());
    assert_eq!(weak.strong_count(), 0);
    assert!(handle.cancel(), "cancelled stays cancelled");
    assert_eq!(handle.state(), TaskState::Cancelled);
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    drop(occupied);
    pool.shutdown();
    assert_eq!(pool.metrics().cancelled, 1);
}

// Contract: 15, 90.
pub(crate) fn cancel_of_a_running_task_changes_nothing<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    assert!(!occupied.handles()[0].cancel());
    assert!(occupied.handles()[0].is_running());
}

// Contract: 15.
pub(crate) fn cancel_of_a_finished_task_changes_nothing<P: LockPolicy>(pool: &ThreadPool<P>) {
    let handle = pool.submit(|| 3);
    handle.wait().unwrap();
    assert!(!handle.cancel() && !handle.request_cancel());
    assert_eq!(handle.result().unwrap(), 3);
}

pub(crate) fn request_cancel_is_seen_at_the_checkpoint<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (started, starts) = mpsc::channel();
    let handle = pool.submit_with(move |cx| {
        started.send(()).unwrap();
        while cx.checkpoint().is_ok() {
            thread::yield_now();
        }
        "stopped"
    });
    starts.recv().unwrap();
    assert!(!handle.cancel());
    assert!(handle.request_cancel());
    assert_eq!(handle.result().unwrap(), "stopped");
}

// Contract: 25, 26.
pub(crate) fn a_timeout_leaves_the_handle_good<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, gate) = mpsc::channel();
    let mut handle = pool.submit(move || gate.recv().unwrap());
    assert!(matches!(handle.result_timeout(Duration::ZERO), Err(TaskError::TimedOut)));
    let start = Instant::now();
    assert!(matches!(handle.result_timeout(SHORT), Err(TaskError::TimedOut)));
    assert!(start.elapsed() >= SHORT);
    open.send(11).unwrap();
    assert_eq!(handle.result_timeout(Duration::MAX).unwrap(), 11);
}

pub(crate) fn try_result_never_waits<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let mut handle = pool.submit(|| 4);
    assert!(handle.try_result().is_none());
    drop(occupied);
    handle.wait().unwrap();
    assert_eq!(handle.try_result().unwrap().unwrap(), 4);
    assert!(handle.is_finished());
}

// Contract: 20.
pub(crate) fn a_waiter_hears_of_a_cancel<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let handle = pool.submit(|| ());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| handle.wait());
        assert!(handle.cancel());
        waiter.join().unwrap().unwrap();
    });
    assert!(matches!(handle.result(), Err(TaskError::Cancelled)));
    drop(occupied);
}

// Contract: 35.
pub(crate) fn callbacks_run_once_in_order<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let mut handle = pool.submit(|| 5);
    let seen = Arc::new(Mutex::new(Vec::new()));
    for n in 0..3 {
        let seen = seen.clone();
        handle.on_done(move |outcome| seen.lock().unwrap().push((n, *outcome.as_ref().unwrap())));
    }
    drop(occupied);
    handle.wait().unwrap();
    let here = thread::current().id();
    let late = seen.clone();
    handle.on_done(move |outcome| {
        assert_eq!(thread::current().id(), here);
        late.lock().unwrap().push((3, *outcome.as_ref().unwrap()));
    });
    assert_eq!(*seen.lock().unwrap(), [(0, 5), (1, 5), (2, 5), (3, 5)]);
}

// Contract: 34.
pub(crate) fn a_panicking_callback_changes_nothing<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let mut handle = pool.submit(|| 6);
    let second = Arc::new(AtomicBool::new(false));
    let flag = second.clone();
    handle.on_done(|_| panic!("on purpose"));
    handle.on_done(move |_| flag.store(true, SeqCst));
    drop(occupied);
    handle.wait().unwrap();
    assert!(second.load(SeqCst));
    handle.on_done(|_| panic!("on purpose, too late to matter"));
    assert_eq!(handle.result().unwrap(), 6);
    assert_eq!(pool.submit(|| 7).result().unwrap(), 7);
}

pub(crate) fn a_callback_sees_the_cancellation<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let (sender, receiver) = mpsc::channel();
    let mut handle = pool.submit(|| ());
    handle.on_done(move |outcome| sender.send(matches!(outcome, Err(TaskError::Cancelled))).unwrap());
    assert!(handle.cancel());
    assert!(receiver.recv().unwrap());
    drop(occupied);
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

pub(crate) fn awaiting_gives_the_result<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let mut handle = pool.submit(|| 8);
    // A waker that was replaced is forgotten; the newest one is woken.
    let first = block_on(poll_fn(|cx| Poll::Ready(pin!(&mut handle).poll(cx))));
    assert!(first.is_pending());
    let opener = thread::spawn(move || drop(occupied));
    assert_eq!(block_on(handle).unwrap(), 8);
    opener.join().unwrap();
}

pub(crate) fn waiting_for_oneself_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (give, given) = mpsc::channel::<TaskHandle<()>>();
    let (verdict, verdicts) = mpsc::channel();
    let own = pool.submit(move || {
        let own = given.recv().unwrap();
        verdict.send(own.wait()).unwrap();
    });
    give.send(own).unwrap();
    assert_eq!(verdicts.recv().unwrap(), Err(WaitError::WouldDeadlock));
}

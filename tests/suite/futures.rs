//! Futures that the pool drives, and `block_on`.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use lockgrain::gate::Gate;
use lockgrain::{
    Builder, FineGrained, LockPolicy, TaskError, TaskState, ThreadPool, WaitError, block_on, blocking, promise,
};

use super::Occupied;

/// Is pending until it is opened, and tells of each poll.
pub(super) struct Door {
    inner: Arc<Inner>,
    polls: mpsc::Sender<()>,
}

#[derive(Default)]
pub(super) struct Inner {
    open: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Inner {
    pub(super) fn open(&self) {
        self.open.store(true, SeqCst);
        self.wake();
    }

    pub(super) fn wake(&self) {
        let waker = self.waker.lock().unwrap().clone();
        waker.unwrap().wake();
    }
}

pub(super) fn door() -> (Door, Arc<Inner>, mpsc::Receiver<()>) {
    let (polls, polled) = mpsc::channel();
    let inner = Arc::<Inner>::default();
    (Door { inner: inner.clone(), polls }, inner, polled)
}

impl Future for Door {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        *self.inner.waker.lock().unwrap() = Some(cx.waker().clone());
        let open = self.inner.open.load(SeqCst);
        let _nobody_counts = self.polls.send(());
        if open { Poll::Ready(()) } else { Poll::Pending }
    }
}

pub(super) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Waits until the poll has ended that has just told of itself.
pub(super) fn until_idle<T>(handle: &lockgrain::TaskHandle<T>) {
    while handle.state() != TaskState::Queued {
        thread::yield_now();
    }
}

// Contract: 1.
pub(crate) fn a_future_that_is_ready_gives_its_output<P: LockPolicy>(pool: &ThreadPool<P>) {
    let text = String::from("there");
    assert_eq!(pool.spawn_future(async move { text.len() }).result().unwrap(), 5);
    let owned = Arc::new(());
    let kept = owned.clone();
    let handle = pool.spawn_future(async move { drop(kept) });
    handle.wait().unwrap();
    assert_eq!(Arc::strong_count(&owned), 1);
    assert_eq!(handle.state(), TaskState::Finished);
}

// Contract: 2, 27.
pub(crate) fn a_future_is_polled_when_a_thread_wakes_it<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (door, inner, polled) = door();
    let occupied = Occupied::all(pool);
    let handle = pool.spawn_future(door);
    assert_eq!(handle.state(), TaskState::Queued);
    drop(occupied);
    polled.recv().unwrap();
    until_idle(&handle);
    assert_eq!(format!("{handle:?}"), "TaskHandle { state: Queued }");
    let opener = thread::spawn(move || inner.open());
    handle.result().unwrap();
    opener.join().unwrap();
    polled.recv().unwrap();
    assert!(polled.recv().is_err(), "one poll for one wake-up");
}

// Contract: 46.
pub(crate) fn a_future_woken_while_it_is_polled_is_polled_again<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (waker, wakers) = mpsc::sync_channel::<Waker>(0);
    let (woken, wakes) = mpsc::sync_channel(0);
    let mut polls = 0;
    let handle = pool.spawn_future(poll_fn(move |cx| {
        polls += 1;
        if polls == 2 {
            return Poll::Ready(polls);
        }
        waker.send(cx.waker().clone()).unwrap();
        // Still in the poll.
        wakes.recv().unwrap();
        Poll::Pending
    }));
    let waker = wakers.recv().unwrap();
    assert!(handle.is_running() && !handle.cancel());
    waker.wake_by_ref();
    waker.wake_by_ref();
    drop(waker);
    woken.send(()).unwrap();
    assert_eq!(handle.result().unwrap(), 2);
}

// Contract: 3.
pub(crate) fn a_future_that_yields_lets_others_run<P: LockPolicy>(pool: &ThreadPool<P>) {
    let stop = Arc::new(AtomicBool::new(false));
    // Each needs the other's turn to end: whoever yields goes to the end of the queue.
    let spins = pool.spawn_future({
        let stop = stop.clone();
        async move {
            let mut yields = 0;
            while !stop.load(SeqCst) || yields < 1000 {
                yield_now().await;
                yields += 1;
            }
        }
    });
    let stops = pool.spawn_future(async move {
        for _ in 0..1000 {
            yield_now().await;
        }
        stop.store(true, SeqCst);
    });
    stops.result().unwrap();
    spins.result().unwrap();
}

// Contract: 19, 122.
pub(crate) fn a_future_awaits_tasks_of_its_pool_and_of_another<P: LockPolicy>(pool: &ThreadPool<P>) {
    let other = Builder::<FineGrained>::new().max_workers(1).build().unwrap();
    let inner = pool.clone();
    let sum = pool.spawn_future(async move {
        let mut sum = 0;
        for n in 0..20 {
            sum += inner.submit(move || n).await.unwrap() + other.submit(move || n).await.unwrap();
        }
        let nested = inner.spawn_future(async { 1 });
        sum + nested.await.unwrap() + other.spawn_future(inner.submit(|| 2)).await.unwrap().unwrap()
    });
    assert_eq!(sum.result().unwrap(), 383);
}

// Contract: 7.
pub(crate) fn a_future_without_a_handle_goes_on<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (door, inner, polled) = door();
    let (send, receive) = mpsc::channel();
    drop(pool.spawn_future(async move {
        door.await;
        send.send(5).unwrap();
    }));
    polled.recv().unwrap();
    inner.open();
    assert_eq!(receive.recv().unwrap(), 5);
}

// Contract: 87.
pub(crate) fn a_full_queue_refuses_a_future<P: LockPolicy>(pool: &ThreadPool<P>) {
    let builder = Builder::<P>::new().max_workers(pool.max_workers()).queue_capacity(1);
    let pool = builder.when_full(lockgrain::WhenFull::Reject).build().unwrap();
    let occupied = Occupied::all(&pool);
    let (door, inner, polled) = door();
    let first = pool.spawn_future(door);
    assert!(matches!(pool.spawn_future(async {}).result(), Err(TaskError::QueueFull)));
    drop(occupied);
    polled.recv().unwrap();
    // While it waits it has no place.
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
    inner.open();
    first.result().unwrap();
}

// Contract: 105.
pub(crate) fn two_futures_wait_for_each_other_in_turn<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (mut sends_a, mut receives_a) = (Vec::new(), Vec::new());
    let (mut sends_b, mut receives_b) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let ((a, to_a), (b, to_b)) = (promise::<usize>(), promise::<usize>());
        sends_a.push(a);
        receives_a.push(to_a);
        sends_b.push(b);
        receives_b.push(to_b);
    }
    let first = pool.spawn_future(async move {
        let mut sum = 0;
        for (n, (send, receive)) in sends_a.into_iter().zip(receives_b).enumerate() {
            send.set_result(n).unwrap();
            sum += receive.await.unwrap();
        }
        sum
    });
    let second = pool.spawn_future(async move {
        let mut sum = 0;
        for (send, receive) in sends_b.into_iter().zip(receives_a) {
            let got = receive.await.unwrap();
            sum += got;
            send.set_result(got).unwrap();
        }
        sum
    });
    assert_eq!((first.result().unwrap(), second.result().unwrap()), (4950, 4950));
}

/// Under an exclusive gate one poll runs at a time, and one that waits does not hold the lock.
// Contract: 116, 120.
pub(crate) fn polls_run_with_the_lock<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inside = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..4)
        .map(|_| {
            let inside = inside.clone();
            pool.spawn_future(async move {
                for _ in 0..50 {
                    let others = inside.fetch_add(1, SeqCst);
                    assert!(others == 0 || !<P::Gate as Gate>::EXCLUSIVE);
                    inside.fetch_sub(1, SeqCst);
                    yield_now().await;
                }
            })
        })
        .collect();
    let (door, inner, polled) = door();
    let waits = pool.spawn_future(door);
    polled.recv().unwrap();
    // It does not keep the lock.
    pool.submit(|| ()).result().unwrap();
    handles.into_iter().for_each(|handle| handle.result().unwrap());
    inner.open();
    waits.result().unwrap();
}

// Contract: 19, 114.
pub(crate) fn a_task_waits_for_a_future<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (door, inner, polled) = door();
    let future = pool.spawn_future(door);
    polled.recv().unwrap();
    let waiter = pool.submit(move || future.result());
    let opener = pool.submit(move || inner.open());
    assert!(waiter.result().unwrap().is_ok());
    opener.result().unwrap();
    // In its own poll it would wait for itself.
    let (give, given) = mpsc::channel::<lockgrain::TaskHandle<Result<(), WaitError>>>();
    let (verdict, verdicts) = mpsc::channel();
    let own = pool.spawn_future(async move {
        let own = blocking(|| given.recv()).unwrap();
        verdict.send(own.wait()).unwrap();
        Ok(())
    });
    give.send(own).unwrap();
    assert_eq!(verdicts.recv().unwrap(), Err(WaitError::WouldDeadlock));
}

// Contract: 114.
pub(crate) fn a_wait_for_a_future_that_nobody_can_poll_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let workers = pool.max_workers();
    let pool = Builder::<P>::new().max_workers(workers).max_spares(0).build().unwrap();
    let mut doors = Vec::new();
    let mut waiters = Vec::new();
    for _ in 0..workers {
        let (door, inner, polled) = door();
        let future = pool.spawn_future(door);
        polled.recv().unwrap();
        until_idle(&future);
        let (started, starts) = mpsc::channel();
        waiters.push(pool.submit(move || {
            started.send(()).unwrap();
            future.result()
        }));
        starts.recv().unwrap();
        doors.push(inner);
    }
    doors.iter().for_each(|door| door.open());
    // At least one hears of it, and the others then go on.
    let results: Vec<_> = waiters.into_iter().map(|waiter| waiter.result().unwrap()).collect();
    assert!(results.iter().any(|result| matches!(result, Err(TaskError::WouldDeadlock))), "{results:?}");
}

// Contract: 19, 117, 120.
pub(crate) fn block_on_drives_a_future<P: LockPolicy>(pool: &ThreadPool<P>) {
    let handles = [1, 2].map(|n| pool.submit(move || n));
    let sum = async move {
        let [a, b] = handles;
        a.await.unwrap() + b.await.unwrap()
    };
    assert_eq!(block_on(sum), 3);
    // In a task: on one worker what it waits for needs its place.
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let text = String::from("borrowed");
        block_on(async { inner.submit(|| 2).await.unwrap() + text.len() })
    });
    assert_eq!(outer.result().unwrap(), 10);
}

// Contract: 114.
pub(crate) fn with_a_context_block_on_is_for_blocking<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let waits = pool.submit_with(move |cx| {
        assert_eq!(block_on(async { 1 }), 1, "it has not to wait");
        let handle = inner.submit(|| 2);
        cx.blocking(|| block_on(handle)).unwrap()
    });
    assert_eq!(waits.result().unwrap(), 2);
    let inner = pool.clone();
    let (open, gate) = mpsc::channel::<()>();
    let refused = pool.submit_with(move |_cx| {
        let handle = inner.submit(move || gate.recv().is_err());
        let open = (<P::Gate as Gate>::EXCLUSIVE).then_some(open);
        let value = block_on(handle);
        drop(open);
        value.unwrap()
    });
    match refused.result() {
        Ok(value) => assert!(value && !<P::Gate as Gate>::EXCLUSIVE),
        Err(error) => assert!(error.is_panic() && <P::Gate as Gate>::EXCLUSIVE),
    }
}

//! Handles and pool-driven futures under executors that others use.

mod suite;

use std::future::poll_fn;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::executor;
use futures::future::{self, Either};
use lockgrain::{GlobalLock, LockFree, ThreadPool, block_on, promise};
use suite::within_a_minute;

/// Runs the future to its end on each of them.
fn everywhere<T, F: Future<Output = T>>(future: impl Fn() -> F, check: impl Fn(T)) {
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let single = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    check(single.block_on(future()));
    check(multi.block_on(future()));
    check(executor::block_on(future()));
    check(executor::LocalPool::new().run_until(future()));
    check(block_on(future()));
}

#[test]
fn handles_are_awaited() {
    within_a_minute(|| {
        let pool = suite::pool::<LockFree>(2);
        let sum = || async {
            let mut sum = 0;
            for n in 0..50 {
                sum += pool.submit(move || n).await.unwrap();
            }
            let all = future::join_all((0..50).map(|n| pool.spawn_future(async move { n }))).await;
            sum + all.into_iter().map(Result::unwrap).sum::<i32>()
        };
        everywhere(sum, |sum| assert_eq!(sum, 2450));
    });
}

#[test]
fn a_dropped_future_detaches_its_task() {
    within_a_minute(|| {
        let pool = suite::pool::<LockFree>(2);
        let left = || async {
            let (go, gate) = mpsc::channel::<()>();
            let (tell, told) = mpsc::channel();
            let mut handle = pool.submit(move || {
                let _closed = gate.recv();
                tell.send("ran all the same").unwrap();
            });
            poll_fn(|cx| Poll::Ready(future::FutureExt::poll_unpin(&mut handle, cx).is_pending())).await;
            drop(handle);
            drop(go);
            told
        };
        everywhere(left, |told| assert_eq!(told.recv().unwrap(), "ran all the same"));
    });
}

#[test]
fn the_first_of_two_handles_is_selected() {
    within_a_minute(|| {
        let pool = suite::pool::<LockFree>(2);
        let first = || async {
            let (slow, waits) = promise();
            let quick = pool.submit(|| "quick");
            let slow_one = pool.spawn_future(async move { waits.await.unwrap() });
            match future::select(slow_one, quick).await {
                Either::Right((quick, other)) => {
                    // The other goes on.
                    slow.set_result("slow").unwrap();
                    (quick.unwrap(), other.await.unwrap())
                }
                Either::Left(_) => unreachable!("nobody has fulfilled it"),
            }
        };
        everywhere(first, |both| assert_eq!(both, ("quick", "slow")));
    });
}

#[test]
fn a_future_of_the_pool_awaits_tokios_channels_and_timers() {
    within_a_minute(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let pool = ThreadPool::builder().policy::<GlobalLock>().max_workers(2).build().unwrap();
        let (send, mut receive) = tokio::sync::mpsc::channel::<u32>(1);
        let sums = pool.spawn_future(async move {
            let mut sum = 0;
            while let Some(n) = receive.recv().await {
                sum += n;
            }
            sum
        });
        let sends = runtime.spawn({
            let pool = pool.clone();
            async move {
                for n in 0..100 {
                    // From here to the pool and back, and on to a future of it.
                    let n = pool.submit(move || n).await.unwrap();
                    send.send(n).await.unwrap();
                }
            }
        });
        assert_eq!(sums.result().unwrap(), 4950);
        runtime.block_on(sends).unwrap();
        let _entered = runtime.enter();
        let sleeps = tokio::time::sleep(Duration::from_millis(5));
        pool.spawn_future(sleeps).result().unwrap();
    });
}

#[test]
fn tokio_stops_before_the_pool() {
    within_a_minute(|| {
        let pool = suite::pool::<LockFree>(1);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let (send, receive) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        runtime.spawn(async move {
            tell.send(()).unwrap();
            let _kept = send;
            std::future::pending::<()>().await;
        });
        told.recv().unwrap();
        let waits = pool.spawn_future(receive);
        let dropper = thread::spawn(move || drop(runtime));
        assert!(waits.result().unwrap().is_err(), "the sender has gone");
        dropper.join().unwrap();
    });
}

#[cfg(feature = "futures")]
#[test]
fn a_pool_is_an_executor_for_libraries() {
    use futures::task::{Spawn, SpawnExt};

    within_a_minute(|| {
        let pool = suite::pool::<LockFree>(2);
        let (tell, told) = mpsc::channel();
        SpawnExt::spawn(&pool, async move { tell.send(1).unwrap() }).unwrap();
        assert_eq!(told.recv().unwrap(), 1);
        let by_reference = &pool;
        let handle = by_reference.spawn_with_handle(async { 2 }).unwrap();
        assert_eq!(block_on(handle), 2);
        pool.shutdown();
        assert!(pool.status().unwrap_err().is_shutdown());
        assert!(SpawnExt::spawn(&pool, async {}).unwrap_err().is_shutdown());
    });
}

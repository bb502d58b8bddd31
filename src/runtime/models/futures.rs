//! Models of futures that the pool drives.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use super::pool::pool;
use crate::sync::atomic::{AtomicU32, Ordering::*};
use crate::sync::{Arc, Mutex, check, hint, size, thread};
use crate::{FineGrained, GlobalLock, TaskError, TaskHandle, ThreadPool};

/// What a future waits for: a number of signs. Counts the drops of the future.
struct Signs {
    given: AtomicU32,
    waker: Mutex<Option<Waker>>,
    drops: AtomicU32,
}

impl Signs {
    fn none() -> Arc<Self> {
        Arc::new(Self { given: AtomicU32::new(0), waker: Mutex::new(None), drops: AtomicU32::new(0) })
    }

    fn give(&self) {
        self.given.fetch_add(1, AcqRel);
        let waker = self.waker.lock().clone();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// The future's own part.
struct Part(Arc<Signs>);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Relaxed);
    }
}

/// A future that is ready when it has seen so many signs.
fn future<P: crate::LockPolicy>(pool: &ThreadPool<P>, wanted: u32) -> (TaskHandle<u32>, Arc<Signs>) {
    let signs = Signs::none();
    let part = Part(signs.clone());
    let handle = pool.spawn_future(poll_fn(move |cx| {
        let older = part.0.waker.lock().replace(cx.waker().clone());
        drop(older);
        let given = part.0.given.load(Acquire);
        if given >= wanted { Poll::Ready(given) } else { Poll::Pending }
    }));
    (handle, signs)
}

/// A future that waits, and where its waker is once it does.
fn never_ready<P: crate::LockPolicy>(pool: &ThreadPool<P>) -> (TaskHandle<()>, Arc<Mutex<Option<Waker>>>) {
    let place = Arc::new(Mutex::new(None));
    let leaves = place.clone();
    let handle = pool.spawn_future(poll_fn(move |cx| {
        *leaves.lock() = Some(cx.waker().clone());
        Poll::Pending
    }));
    (handle, place)
}

/// A lost wake-up would be a deadlock here.
#[test]
fn two_wake_ups_against_a_poll() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let signs_wanted = size(2, 4);
        let (handle, signs) = future(&pool, signs_wanted as u32);
        let wakers: Vec<_> = (1..signs_wanted)
            .map(|_| {
                let signs = signs.clone();
                thread::spawn(move || signs.give())
            })
            .collect();
        signs.give();
        assert_eq!(handle.result().unwrap(), signs_wanted as u32);
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        assert_eq!(signs.drops.load(Relaxed), 1);
        pool.shutdown();
    });
}

#[test]
fn a_wake_up_against_a_poll_with_the_lock() {
    check(Some(2), || {
        let pool = pool::<GlobalLock>(1, 0);
        let (handle, signs) = future(&pool, 1);
        signs.give();
        assert_eq!(handle.result().unwrap(), 1);
        pool.shutdown();
    });
}

/// Cancelled or ready, it is dropped once, before the handle says so.
#[test]
fn cancel_against_a_poll() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let (handle, signs) = future(&pool, 1);
        signs.give();
        let cancelled = handle.cancel();
        match handle.result() {
            Ok(1) => assert!(!cancelled),
            Ok(_) => unreachable!(),
            Err(error) => assert!(cancelled && error.is_cancelled()),
        }
        assert_eq!(signs.drops.load(Relaxed), 1);
        pool.shutdown();
        assert_eq!(signs.drops.load(Relaxed), 1);
    });
}

/// It is polled no more after the poll that goes on.
#[test]
fn a_request_against_a_poll() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let (handle, signs) = future(&pool, 1);
        assert!(handle.request_cancel());
        assert!(handle.result().unwrap_err().is_cancelled());
        assert_eq!(signs.drops.load(Relaxed), 1);
        pool.shutdown();
    });
}

#[test]
fn shutdown_against_a_wake_up() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let (handle, signs) = future(&pool, 1);
        let waker = {
            let signs = signs.clone();
            thread::spawn(move || signs.give())
        };
        pool.shutdown();
        assert!(handle.is_finished());
        assert!(matches!(handle.result(), Ok(1) | Err(TaskError::Cancelled)));
        assert_eq!(signs.drops.load(Relaxed), 1);
        waker.join().unwrap();
    });
}

#[test]
fn shutdown_against_the_last_wakers_drop() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let (handle, place) = never_ready(&pool);
        let drops = thread::spawn(move || drop(place.lock().take()));
        pool.shutdown();
        assert!(handle.is_finished() && handle.is_cancelled());
        assert!(handle.result().unwrap_err().is_cancelled());
        drops.join().unwrap();
    });
}

/// Whoever waits for the pool's end finds all tasks ended, though another thread had begun to cancel them.
#[test]
fn shutdown_now_against_who_waits_for_the_end() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let (handle, _signs) = future(&pool, 1);
        let other = pool.clone();
        let cancels = thread::spawn(move || other.shutdown_now());
        assert!(pool.await_termination(std::time::Duration::MAX));
        assert!(handle.is_finished());
        cancels.join().unwrap();
    });
}

/// What is being polled at that moment must not wait on.
#[test]
fn shutdown_now_against_a_poll() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let (handle, signs) = future(&pool, 1);
        let (cancelled, _) = pool.shutdown_now_timeout(std::time::Duration::MAX);
        assert!(cancelled <= 1);
        assert!(handle.result().unwrap_err().is_cancelled());
        assert_eq!(signs.drops.load(Relaxed), 1);
    });
}

/// The last waker goes as the poll ends, or after it.
#[test]
fn a_future_that_nobody_can_wake_ends() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let (handle, place) = never_ready(&pool);
        let mut waker = None;
        while waker.is_none() {
            hint::spin_loop();
            waker = place.lock().take();
        }
        drop(waker);
        handle.wait().unwrap();
        assert!(handle.is_cancelled());
        pool.shutdown();
    });
}

/// With nobody to take its place: it hears of that, also if it waits before the future is woken.
#[test]
fn a_worker_waits_for_what_nobody_else_can_poll() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let (handle, signs) = future(&pool, 1);
        let outer = pool.submit(move || handle.result());
        signs.give();
        assert!(matches!(outer.result().unwrap(), Ok(1) | Err(TaskError::WouldDeadlock)));
        pool.shutdown();
        assert_eq!(signs.drops.load(Relaxed), 1);
    });
}

//! Threads that can't be started, user code that shuts the pool down from odd places, and contexts across pools.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use lockgrain::{BuildError, Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool};

const CHILD: &str = "LOCKGRAIN_TEST_CHILD";

/// Runs the test `name` again in a process of so little address space that the first thread with a stack of 1 GiB fits and the
/// second does not.
#[cfg(target_os = "linux")]
fn with_room_for_one_thread(name: &str) {
    let status = Command::new("sh")
        .args(["-c", "ulimit -v 2000000 && exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

#[cfg(target_os = "linux")]
fn the_first_thread_does_all<P: LockPolicy>() {
    let pool = Builder::<P>::new().max_workers(4).stack_size(1 << 30).build().unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    let first = pool.submit(move || {
        started.send(()).unwrap();
        // Where only one runs at a time, the pool wants a second thread only while the first blocks.
        lockgrain::blocking(|| gate.recv().is_err())
    });
    starts.recv().unwrap();
    let others: Vec<_> = (0..100).map(|n| pool.submit(move || n)).collect();
    while pool.metrics().start_failures == 0 {
        std::thread::yield_now();
    }
    assert_eq!(pool.metrics().threads, 1);
    drop(open);
    assert!(first.result().unwrap());
    for (n, other) in others.into_iter().enumerate() {
        assert_eq!(other.result().unwrap(), n);
    }
    pool.shutdown();
}

// Contract: 14, 96.
#[cfg(target_os = "linux")]
#[test]
fn a_second_thread_that_cant_start_is_counted_and_the_first_carries_on() {
    if std::env::var_os(CHILD).is_none() {
        return with_room_for_one_thread("a_second_thread_that_cant_start_is_counted_and_the_first_carries_on");
    }
    the_first_thread_does_all::<GlobalLock>();
    the_first_thread_does_all::<FineGrained>();
    the_first_thread_does_all::<LockFree>();
}

// Contract: 84.
#[cfg(target_os = "linux")]
#[test]
fn prestart_that_fails_half_way_leaves_no_thread_behind() {
    if std::env::var_os(CHILD).is_none() {
        return with_room_for_one_thread("prestart_that_fails_half_way_leaves_no_thread_behind");
    }
    let (stopped, stops) = mpsc::channel();
    let stopped = std::sync::Mutex::new(stopped);
    let error = ThreadPool::builder()
        .max_workers(4)
        .stack_size(1 << 30)
        .prestart(true)
        .on_thread_stop(move |index| stopped.lock().unwrap().send(index).unwrap())
        .build()
        .unwrap_err();
    assert!(matches!(error, BuildError::Thread(_)), "{error}");
    // The one that had started has ended, and its hooks are gone with it.
    assert_eq!(stops.iter().collect::<Vec<_>>(), [0]);
}

fn in_odd_places<P: LockPolicy>() {
    let from_callback = Builder::<P>::new().max_workers(2).build().unwrap();
    let (inner, (sender, done)) = (from_callback.clone(), mpsc::channel());
    let mut handle = from_callback.submit(|| 1);
    handle.on_done(move |_| {
        inner.shutdown();
        sender.send(()).unwrap();
    });
    done.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(handle.result().unwrap(), 1);
    from_callback.shutdown();
    assert!(from_callback.is_terminated());

    // The pool is known to its own hook through a slot that is filled later.
    let slot: Arc<std::sync::Mutex<Option<ThreadPool<P>>>> = Arc::default();
    let known = slot.clone();
    let from_panic_handler = Builder::<P>::new()
        .max_workers(1)
        .panic_handler(move |_| {
            let pool = known.lock().unwrap().take();
            pool.expect("filled before the task was spawned").shutdown();
        })
        .build()
        .unwrap();
    *slot.lock().unwrap() = Some(from_panic_handler.clone());
    from_panic_handler.spawn(|| panic!("for the handler")).unwrap();
    while !from_panic_handler.is_shutdown() {
        std::thread::yield_now();
    }
    from_panic_handler.shutdown();
    assert!(from_panic_handler.is_terminated());
}

// Contract: 81.
#[test]
fn shutdown_from_a_callback_and_from_the_panic_handler() {
    in_odd_places::<GlobalLock>();
    in_odd_places::<FineGrained>();
    in_odd_places::<LockFree>();
}

/// The first thread to start submits and waits, and each thread that ends shuts the pool down.
fn in_thread_hooks<P: LockPolicy>() {
    let slot: Arc<std::sync::Mutex<Option<ThreadPool<P>>>> = Arc::default();
    let (at_start, at_stop) = (slot.clone(), slot.clone());
    let first = AtomicBool::new(true);
    let (sender, results) = mpsc::channel();
    let pool = Builder::<P>::new()
        .max_workers(1)
        .on_thread_start(move |_| {
            let known = at_start.lock().unwrap().clone();
            if first.swap(false, SeqCst) {
                sender.send(known.expect("filled before the first task").submit(|| 7).result().unwrap()).unwrap();
            }
        })
        .on_thread_stop(move |_| {
            let known = at_stop.lock().unwrap().clone();
            known.into_iter().for_each(|pool| pool.shutdown());
        })
        .build()
        .unwrap();
    *slot.lock().unwrap() = Some(pool.clone());
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
    assert_eq!(results.recv_timeout(Duration::from_secs(30)).unwrap(), 7);
    pool.shutdown();
    assert!(pool.is_terminated());
    // Else the pool would own itself, through its hooks.
    *slot.lock().unwrap() = None;
}

// Contract: 81.
#[test]
fn thread_hooks_may_wait_for_tasks_and_shut_the_pool_down() {
    in_thread_hooks::<GlobalLock>();
    in_thread_hooks::<FineGrained>();
    in_thread_hooks::<LockFree>();
}

#[test]
fn a_context_lets_go_of_its_own_lock_and_of_no_other() {
    let locks = [(); 2].map(|()| Builder::<GlobalLock>::new().max_workers(1).build().unwrap());
    let [a, b] = &locks;
    a.lock(|outer| {
        b.lock(|_inner| {
            outer.blocking(|| {
                assert_eq!(a.submit(|| 1).result().unwrap(), 1, "this one is free");
                let refused = b.submit(|| 2).result();
                assert!(matches!(refused, Err(TaskError::WouldDeadlock)), "this one is held right here: {refused:?}");
            });
        });
    });
}

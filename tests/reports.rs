//! What the process's panic hook hears of. A program of its own, as there is one such hook.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, Once, mpsc};

use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, ThreadPool};

static REPORTED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on the messages of panics are kept and not printed.
fn keep_reports() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let message = info.payload().downcast_ref::<String>().cloned();
            REPORTED.lock().unwrap().push(message.unwrap_or_else(|| info.to_string()));
        }));
    });
}

/// How often that message was reported.
fn reported(message: &str) -> usize {
    REPORTED.lock().unwrap().iter().filter(|reported| *reported == message).count()
}

fn pool<P: LockPolicy>() -> ThreadPool<P> {
    keep_reports();
    Builder::<P>::new().max_workers(2).build().unwrap()
}

fn of_a_callback<P: LockPolicy>() {
    let pool = pool::<P>();
    let (open, gate) = mpsc::channel::<()>();
    let (second, is_called) = mpsc::channel();
    let mut handle = pool.submit(move || gate.recv().is_ok());
    let message = format!("the first callback, {}", P::NAME);
    let thrown = message.clone();
    handle.on_done(move |_| panic!("{thrown}"));
    handle.on_done(move |outcome| second.send(*outcome.as_ref().unwrap()).unwrap());
    open.send(()).unwrap();
    assert!(is_called.recv().unwrap());
    assert!(handle.result().unwrap());
    assert_eq!(reported(&message), 1);
}

// Contract: 33.
#[test]
fn a_panic_of_a_callback_is_reported_and_the_next_one_is_called() {
    of_a_callback::<GlobalLock>();
    of_a_callback::<FineGrained>();
    of_a_callback::<LockFree>();
}

fn of_a_late_callback<P: LockPolicy>() {
    let pool = pool::<P>();
    let mut handle = pool.submit(|| 5);
    handle.wait().unwrap();
    let message = format!("a late callback, {}", P::NAME);
    let thrown = message.clone();
    let added = panic::catch_unwind(AssertUnwindSafe(|| handle.on_done(move |_| panic!("{thrown}"))));
    assert!(added.is_ok(), "it does not unwind into the caller");
    assert_eq!(reported(&message), 1);
    assert_eq!(handle.result().unwrap(), 5);
}

// Contract: 34.
#[test]
fn a_panic_of_a_callback_added_too_late_is_reported_here() {
    of_a_late_callback::<GlobalLock>();
    of_a_late_callback::<FineGrained>();
    of_a_late_callback::<LockFree>();
}

//! Models of a pool whose threads all wait, with no place for one more, when something comes for them. `docs/waiting.md` has the argument.

use std::time::Duration;

use super::pool::pool;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, Parker, check, thread};
use crate::{FineGrained, GlobalLock, LockFree, as_completed, promise};

const SOON: Duration = Duration::from_secs(1);

#[test]
fn a_worker_runs_what_comes_after_a_promise() {
    check(Some(2), || {
        let pool = pool::<FineGrained>(1, 0);
        let (promise, promised) = promise();
        let inner = pool.clone();
        let outer = pool.submit(move || promised.then(&inner, |three| three.unwrap() + 1).result().unwrap());
        let thread = thread::spawn(move || promise.set_result(3).unwrap());
        assert_eq!(outer.result().unwrap(), 4);
        thread.join().unwrap();
        pool.shutdown();
    });
}

#[test]
fn the_next_of_several_comes_after_a_promise() {
    check(Some(1), || {
        let pool = pool::<LockFree>(1, 0);
        let (promise, promised) = promise();
        let inner = pool.clone();
        let outer = pool.submit(move || {
            let next = promised.then(&inner, |three| three.unwrap() + 1);
            as_completed([next]).next().unwrap().unwrap().result().unwrap()
        });
        promise.set_result(3).unwrap();
        assert_eq!(outer.result().unwrap(), 4);
        pool.shutdown();
    });
}

#[test]
fn the_next_of_several_waits_for_its_time() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        let inner = pool.clone();
        let outer =
            pool.submit(move || as_completed([inner.schedule(SOON, || 4)]).next().unwrap().unwrap().result().unwrap());
        assert_eq!(outer.result().unwrap(), 4);
        pool.shutdown();
    });
}

/// One waiter takes what the other needs out of the queue, to see whether it is its own. That it has the other look again shows with a third thread
/// only, which is too much for a model.
#[test]
fn a_scope_waits_for_one_that_waits_for_a_promise() {
    check(Some(0), || {
        let pool = pool::<FineGrained>(2, 0);
        let (promise, promised) = promise();
        let inner = pool.clone();
        let outer = pool.submit(move || {
            let next = &inner;
            inner.scope(|scope| {
                let spawned = scope
                    .spawn(move || assert_eq!(promised.then(next, |three| three.unwrap() + 1).result().unwrap(), 4));
                spawned.unwrap();
            });
        });
        promise.set_result(3).unwrap();
        outer.result().unwrap();
        pool.shutdown();
    });
}

/// It takes one of its own tasks from among others, while one more comes: they stay in their order.
#[test]
fn a_scope_leaves_the_others_in_their_order() {
    check(Some(1), || {
        let pool = pool::<GlobalLock>(1, 0);
        let (inner, parker) = (pool.clone(), Arc::new(Parker::new()));
        let unparks = parker.clone();
        let outer = pool.submit(move || {
            inner.scope(|scope| {
                scope.spawn(|| ()).unwrap();
                // The newest, so that the scope's task has to be looked for.
                inner.spawn(|| ()).unwrap();
                unparks.unpark();
            });
        });
        let turn = Arc::new(AtomicU32::new(0));
        let take_turn = |n| {
            let turn = turn.clone();
            pool.submit(move || assert_eq!(turn.fetch_add(1, Relaxed), n))
        };
        let first = take_turn(0);
        parker.park();
        let handles = [first, take_turn(1)];
        outer.result().unwrap();
        handles.into_iter().for_each(|handle| handle.result().unwrap());
        pool.shutdown();
    });
}

/// A promise is kept by somebody else: that nobody is left to run what is queued does not end the wait for it.
#[test]
fn a_wait_for_a_promise_is_no_deadlock() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1, 0);
        let (promise, promised) = promise();
        let inner = pool.clone();
        let outer = pool.submit(move || {
            inner.spawn(|| ()).unwrap();
            promised.result().unwrap()
        });
        promise.set_result(3).unwrap();
        assert_eq!(outer.result().unwrap(), 3);
        pool.shutdown();
    });
}

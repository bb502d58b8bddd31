//! Models of the task's state: claims, publication, waiters. `cargo xtask models` runs each in its own process.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::promise;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, Parker, UnsafeCell, check, thread};
use crate::task::{
    Countdown, Deadline, Elsewhere, Group, Helper, JoinRef, OnStack, Scoped, Tally, Task, TaskError, Wake, detached,
    detached_in, joinable, promised,
};

fn run(task: Task) {
    let _ran = task.run(&Tally::default());
}

fn wait<T>(join: &JoinRef<T>) {
    let parker = Arc::new(Parker::new());
    if join.register(&Wake::Thread(parker.clone())) {
        parker.park();
    }
    assert!(join.snapshot().is_terminal());
}

/// What the closure owns, with every access in sight of loom.
struct Owned(Arc<UnsafeCell<u32>>);

// SAFETY: models give it to one thread at a time, which is what loom checks.
unsafe impl Send for Owned {}

impl Owned {
    fn add(&self) -> u32 {
        self.0.with_mut(|cell| {
            // SAFETY: checked by loom.
            unsafe { *cell += 1 };
            // SAFETY: as above.
            unsafe { *cell }
        })
    }
}

#[test]
fn a_result_published_by_a_worker_is_seen_whole_by_the_waiter() {
    check(None, || {
        let cell = Arc::new(UnsafeCell::new(0));
        let owned = Owned(cell.clone());
        let (task, join) = joinable(1, move || owned.add());
        let worker = thread::spawn(move || run(task));
        wait(&join);
        cell.with(|cell| {
            // SAFETY: checked by loom.
            assert_eq!(unsafe { *cell }, 1);
        });
        assert_eq!(join.take().unwrap(), 1);
        worker.join().unwrap();
    });
}

#[test]
fn a_task_is_run_or_cancelled_and_not_both() {
    check(Some(3), || {
        let runs = Arc::new(AtomicU32::new(0));
        let counter = runs.clone();
        let (task, join) = joinable(1, move || counter.fetch_add(1, Relaxed));
        let worker = thread::spawn(move || run(task));
        let cancelled = join.cancel();
        wait(&join);
        match join.take() {
            Ok(_) => assert!(!cancelled),
            Err(TaskError::Cancelled) => assert!(cancelled),
            Err(other) => panic!("{other}"),
        }
        worker.join().unwrap();
        assert_eq!(runs.load(Relaxed), u32::from(!cancelled));
    });
}

/// The closure's part of a deadline.
struct Unstarted(Arc<Deadline>);

impl Drop for Unstarted {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A task that has to start in time.
fn in_time(runs: &Arc<AtomicU32>) -> (Task, JoinRef<()>, Arc<Deadline>) {
    let (deadline, runs) = (Arc::new(Deadline::default()), runs.clone());
    let unstarted = Unstarted(deadline.clone());
    let (task, join) = joinable(1, move || {
        drop(unstarted);
        runs.fetch_add(1, Relaxed);
    });
    deadline.set(&task);
    (task, join, deadline)
}

#[test]
fn a_task_is_run_or_expires_and_not_both() {
    check(Some(3), || {
        let runs = Arc::new(AtomicU32::new(0));
        let (task, join, deadline) = in_time(&runs);
        let worker = thread::spawn(move || run(task));
        deadline.expire();
        wait(&join);
        match join.take() {
            Ok(()) => assert_eq!(runs.load(Relaxed), 1),
            Err(TaskError::Expired) => assert_eq!(runs.load(Relaxed), 0),
            Err(other) => panic!("{other}"),
        }
        worker.join().unwrap();
        assert_eq!(Arc::strong_count(&runs), 1, "the closure is gone");
    });
}

#[test]
fn a_task_is_cancelled_or_expires_and_not_both() {
    check(Some(3), || {
        let runs = Arc::new(AtomicU32::new(0));
        let (task, join, deadline) = in_time(&runs);
        let timer = thread::spawn(move || deadline.expire());
        let cancelled = join.cancel();
        run(task);
        wait(&join);
        let error = join.take().unwrap_err();
        assert_eq!(error.is_cancelled(), cancelled);
        timer.join().unwrap();
        assert_eq!((runs.load(Relaxed), Arc::strong_count(&runs)), (0, 1));
    });
}

/// Its memory is freed once, by the last of the three.
#[test]
fn a_task_expires_while_its_handle_and_its_entry_go() {
    check(Some(3), || {
        let runs = Arc::new(AtomicU32::new(0));
        let (task, join, deadline) = in_time(&runs);
        let worker = thread::spawn(move || run(task));
        let timer = thread::spawn(move || deadline.expire());
        drop(join);
        worker.join().unwrap();
        timer.join().unwrap();
        assert_eq!(Arc::strong_count(&runs), 1, "the closure is gone");
    });
}

#[test]
fn a_task_is_run_by_its_worker_or_by_its_waiter() {
    check(Some(3), || {
        let cell = Arc::new(UnsafeCell::new(0));
        let owned = Owned(cell.clone());
        let (task, join) = joinable(1, move || owned.add());
        let worker = thread::spawn(move || run(task));
        if !join.claim_and_run(|run| run(&Tally::default())) {
            wait(&join);
        }
        assert_eq!(join.take().unwrap(), 1);
        worker.join().unwrap();
    });
}

#[test]
fn a_callback_runs_once_also_when_it_is_added_at_the_end() {
    check(Some(3), || {
        let calls = Arc::new(AtomicU32::new(0));
        let (task, mut join) = joinable(1, || 5_u32);
        let worker = thread::spawn(move || run(task));
        for _ in 0..2 {
            let calls = calls.clone();
            join.on_end(Box::new(move |outcome| {
                assert_eq!(outcome.as_ref().unwrap(), &5);
                calls.fetch_add(1, Relaxed);
            }));
        }
        wait(&join);
        assert_eq!(calls.load(Relaxed), 2, "before the result is seen");
        worker.join().unwrap();
    });
}

#[test]
fn a_dropped_handle_and_a_finishing_worker_free_the_task_once() {
    check(None, || {
        let owned = Arc::new(());
        let alive = Arc::downgrade(&owned);
        let (task, join) = joinable(1, move || owned);
        let worker = thread::spawn(move || run(task));
        drop(join);
        worker.join().unwrap();
        assert!(alive.upgrade().is_none(), "the result was leaked");
    });
}

#[test]
fn a_task_that_its_queue_drops_ends_for_the_waiter() {
    check(None, || {
        let (task, join) = joinable(1, || ());
        let queue = thread::spawn(move || drop(task));
        wait(&join);
        assert!(join.take().unwrap_err().is_cancelled());
        queue.join().unwrap();
    });
}

/// Wakes the thread that polls.
struct Unpark(Parker);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn a_waker_is_woken_and_the_newer_one_counts() {
    check(Some(3), || {
        let (task, join) = joinable(1, || 7);
        let worker = thread::spawn(move || run(task));
        let wakers: [_; 2] = std::array::from_fn(|_| std::sync::Arc::new(Unpark(Parker::new())));
        let pending = wakers.iter().all(|waker| join.register(&Wake::Task(waker.clone().into())));
        if pending {
            wakers[1].0.park();
        }
        assert_eq!(join.take().unwrap(), 7);
        worker.join().unwrap();
    });
}

#[test]
fn a_cancel_from_another_thread_reaches_the_waiter() {
    check(Some(3), || {
        let (task, join) = joinable(1, || ());
        let join = Arc::new(join);
        let canceller = {
            let join = join.clone();
            thread::spawn(move || join.cancel())
        };
        let worker = thread::spawn(move || run(task));
        wait(&join);
        let cancelled = canceller.join().unwrap();
        worker.join().unwrap();
        let join = Arc::into_inner(join).expect("the canceller has ended");
        assert_eq!(join.take().is_err(), cancelled);
    });
}

#[test]
fn each_end_in_a_group_is_taken_once() {
    check(Some(3), || {
        let group = Group::new();
        let (tasks, joins): (Vec<_>, Vec<_>) = (0..2).map(|n| joinable(1, move || n)).unzip();
        let workers: Vec<_> = tasks.into_iter().map(|task| thread::spawn(move || run(task))).collect();
        assert_eq!(joins.iter().map(|join| group.add(Some(join))).collect::<Vec<_>>(), [0, 1]);
        let mut taken = 0;
        for _ in 0..2 {
            assert!(group.park_until(None, 0));
            let number = group.take().unwrap();
            taken += 1 << number;
            assert!(joins[number].snapshot().is_terminal());
        }
        assert_eq!(taken, 3);
        assert!(group.is_over() && group.take().is_none());
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// One of two who wait takes the only end, and the other hears that none is left.
#[test]
fn nobody_waits_for_a_group_that_is_at_its_end() {
    check(Some(3), || {
        let group = Group::new();
        let (task, join) = joinable(1, || ());
        group.add(Some(&join));
        let other = group.clone();
        let taker = thread::spawn(move || {
            other.park_until(None, 0);
            usize::from(other.take().is_some())
        });
        let worker = thread::spawn(move || run(task));
        group.park_until(None, 0);
        let taken = usize::from(group.take().is_some());
        assert_eq!(taken + taker.join().unwrap(), 1);
        worker.join().unwrap();
    });
}

/// The memory of a scope goes when it is over, and what its tasks did is seen.
#[test]
fn a_scope_is_over_when_its_tasks_have_counted_down() {
    check(Some(3), || {
        let cell = Arc::new(UnsafeCell::new(0));
        let scope = Box::new(Countdown::new());
        let runs = Arc::new(AtomicU32::new(0));
        let tasks = (0..2).map(|n| {
            let (owned, runs) = (Owned(cell.clone()), runs.clone());
            let closure = move || {
                runs.fetch_add(1, Relaxed);
                if n == 0 {
                    owned.add();
                }
            };
            // SAFETY: it borrows nothing, and the scope is waited for below.
            unsafe { detached_in(Scoped::one_of(&scope), closure) }
        });
        let workers: Vec<_> =
            tasks.collect::<Vec<_>>().into_iter().map(|task| thread::spawn(move || run(task))).collect();
        if !scope.owner_ends() {
            let parker = Arc::new(Parker::new());
            if scope.latch.wake_by(&parker) {
                parker.park();
            }
            assert!(scope.latch.is_set());
        }
        drop(scope);
        cell.with(|cell| {
            // SAFETY: checked by loom.
            assert_eq!(unsafe { *cell }, 1);
        });
        assert_eq!(runs.load(Relaxed), 2);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

struct Here;

impl Elsewhere for Here {
    fn run<R>(&self, _: &Helper, f: impl FnOnce() -> R) -> R {
        f()
    }
}

/// On the stack of who waits for it.
#[test]
fn a_task_on_a_stack_gives_its_result_to_who_waits() {
    check(Some(3), || {
        let job = Box::new(OnStack::new(|| Box::new(7), Here));
        // SAFETY: the latch is waited for below.
        let task = unsafe { OnStack::task(std::ptr::NonNull::from(&*job)) };
        let thief = thread::spawn(move || run(task));
        let parker = Arc::new(Parker::new());
        if job.latch().wake_by(&parker) {
            parker.park();
        }
        assert!(job.latch().is_set());
        // SAFETY: the latch is set.
        assert_eq!(*unsafe { job.finish() }.unwrap(), 7);
        drop(job);
        thief.join().unwrap();
    });
}

/// The waiter has it, or the giver has taken it back, or never got rid of it.
#[test]
fn what_a_helper_is_given_is_run_once() {
    check(None, || {
        let (helper, cell) = (Arc::new(Helper::new()), Arc::new(UnsafeCell::new(0)));
        let taken = Arc::new(AtomicU32::new(0));
        let take = |taken: &AtomicU32, task| {
            assert_eq!(taken.fetch_add(1, Relaxed), 0, "taken twice");
            run(task);
        };
        let waiter = {
            let (helper, taken) = (helper.clone(), taken.clone());
            thread::spawn(move || {
                helper.offer();
                if let Some(task) = helper.withdraw() {
                    take(&taken, task);
                }
            })
        };
        let owned = Owned(cell.clone());
        owned.add();
        let task = detached(move || {
            owned.add();
        });
        let identity = task.identity();
        if let Some(task) = helper.give(task).err().or_else(|| helper.take_back(identity)) {
            take(&taken, task);
        }
        waiter.join().unwrap();
        cell.with(|cell| {
            // SAFETY: checked by loom.
            assert_eq!(unsafe { *cell }, 2);
        });
    });
}

#[test]
fn a_promise_is_fulfilled_once_or_cancelled() {
    check(Some(2), || {
        let (promise, join) = promised::<usize>();
        let promise = Arc::new(promise);
        let setters: [_; 2] = std::array::from_fn(|n| {
            let promise = promise.clone();
            thread::spawn(move || {
                // One says first that it begins.
                let _too_late = n == 0 && !promise.state().start();
                let won = promise.fulfil(Ok(n)).is_ok();
                promise.state().leave_share();
                won
            })
        });
        promise.state().leave_share();
        drop(promise);
        let cancelled = join.cancel();
        wait(&join);
        let outcome = join.take();
        let won: Vec<_> = setters.into_iter().map(|setter| setter.join().unwrap()).collect();
        match outcome {
            Ok(n) => assert!(!cancelled && won[n] && !won[1 - n]),
            Err(TaskError::Cancelled) => assert!(cancelled && !won[0] && !won[1]),
            Err(other) => panic!("{other}"),
        }
    });
}

#[test]
fn an_abandoned_promise_ends_for_the_waiter() {
    check(None, || {
        let (promise, join) = promised::<()>();
        let owner = thread::spawn(move || drop(promise));
        let cancelled = join.cancel();
        wait(&join);
        match join.take() {
            Err(TaskError::Cancelled) => assert!(cancelled),
            Err(TaskError::Abandoned) => assert!(!cancelled),
            other => panic!("{other:?}"),
        }
        owner.join().unwrap();
    });
}

#[test]
fn a_promised_value_is_dropped_with_the_handle_whichever_comes_first() {
    check(None, || {
        let owned = Arc::new(());
        let alive = Arc::downgrade(&owned);
        let (promise, join) = promised();
        let fulfiller = thread::spawn(move || {
            assert!(promise.fulfil(Ok(owned)).is_ok());
            promise
        });
        drop(join);
        let _promise = fulfiller.join().unwrap();
        assert!(alive.upgrade().is_none(), "the promise kept the value");
    });
}

#[test]
fn all_who_share_a_handle_see_the_output() {
    check(Some(2), || {
        let (promise, handle) = promise::<Box<u32>>();
        let handle = handle.shared();
        let other = handle.clone();
        let reader = thread::spawn(move || assert_eq!(**other.result().unwrap(), 7));
        let fulfiller = thread::spawn(move || promise.set_result(Box::new(7)).unwrap());
        assert_eq!(**handle.result().unwrap(), 7);
        // Whoever is the last to drop it drops the value.
        drop(handle);
        reader.join().unwrap();
        fulfiller.join().unwrap();
    });
}

#[test]
fn each_future_of_a_shared_handle_is_woken() {
    check(Some(3), || {
        let (promise, handle) = promise::<u32>();
        let handle = handle.shared();
        let fulfiller = thread::spawn(move || promise.set_result(7).unwrap());
        let wakers: [_; 3] = std::array::from_fn(|_| std::sync::Arc::new(Unpark(Parker::new())));
        let mut futures = [(&handle).into_future(), (&handle).into_future()];
        let mut poll = |future: usize, waker: usize| {
            let waker = wakers[waker].clone().into();
            Pin::new(&mut futures[future]).poll(&mut Context::from_waker(&waker))
        };
        // The first is polled again, with a newer waker.
        for (future, waker) in [(0, 2), (1, 1), (0, 0)] {
            if poll(future, waker).is_ready() {
                continue;
            }
            if waker < 2 {
                wakers[waker].0.park();
                assert!(matches!(poll(future, waker), Poll::Ready(Ok(7))));
            }
        }
        fulfiller.join().unwrap();
    });
}

//! Models of the whole pool: the scheduler that ships, 2 workers and no spare ones.

use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Arc, check, size, thread};
use crate::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool};

fn pool<P: LockPolicy>(workers: usize) -> ThreadPool<P> {
    Builder::new().max_workers(workers).build().unwrap()
}

fn submit_and_wait<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(1);
        assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
        pool.shutdown();
    });
}

fn several_tasks_run_once_each<P: LockPolicy>() {
    check(Some(1), || {
        let pool = pool::<P>(size(2, 3));
        let runs = Arc::new(AtomicU32::new(0));
        for _ in 0..size(2, 6) {
            let runs = runs.clone();
            pool.spawn(move || {
                runs.fetch_add(1, Relaxed);
            })
            .unwrap();
        }
        pool.shutdown();
        assert_eq!(runs.load(Relaxed), size(2, 6) as u32);
    });
}

fn a_task_waits_for_its_child<P: LockPolicy>() {
    check(Some(1), || {
        let pool = pool::<P>(1);
        let inner = pool.clone();
        let outer = pool.submit(move || inner.submit(|| 2).result().unwrap() + 1);
        assert_eq!(outer.result().unwrap(), 3);
        pool.shutdown();
    });
}

fn shutdown_against_submit<P: LockPolicy>() {
    check(Some(2), || {
        let pool = pool::<P>(1);
        let submitter = pool.clone();
        let thread = thread::spawn(move || submitter.submit(|| 4));
        pool.shutdown();
        match thread.join().unwrap().result() {
            Ok(value) => assert_eq!(value, 4),
            Err(error) => assert!(matches!(error, TaskError::Refused)),
        }
    });
}

/// Half a minute: under one policy only, as it is the idle protocol's affair.
#[test]
fn the_last_worker_ends_against_submit() {
    check(Some(1), || {
        let pool = pool::<FineGrained>(1);
        pool.submit(|| ()).result().unwrap();
        let submitter = pool.clone();
        let thread = thread::spawn(move || submitter.submit(|| 4).result());
        pool.shutdown();
        assert!(matches!(thread.join().unwrap(), Ok(4) | Err(TaskError::Refused)));
    });
}

fn a_second_task_after_the_worker_slept<P: LockPolicy>() {
    check(Some(1), || {
        let pool = pool::<P>(1);
        let first = pool.submit(|| 1);
        assert_eq!(first.result().unwrap(), 1);
        assert_eq!(pool.submit(|| 2).result().unwrap(), 2);
        pool.shutdown();
    });
}

fn tasks_spawned_by_a_task_run<P: LockPolicy>() {
    check(Some(1), || {
        let pool = pool::<P>(size(1, 3));
        let runs = Arc::new(AtomicU32::new(0));
        let (inner, counter) = (pool.clone(), runs.clone());
        pool.spawn(move || {
            for _ in 0..size(1, 4) {
                let counter = counter.clone();
                // Refused if the pool is shutting down by now.
                let spawned = inner.spawn(move || {
                    counter.fetch_add(1, Relaxed);
                });
                if spawned.is_err() {
                    return;
                }
            }
        })
        .unwrap();
        pool.shutdown();
        assert!(runs.load(Relaxed) <= size(1, 4) as u32);
    });
}

fn two_workers_wait_for_their_children<P: LockPolicy>() {
    check(Some(0), || {
        let pool = pool::<P>(2);
        let outer: Vec<_> = (0..size(1, 3))
            .map(|n| {
                let inner = pool.clone();
                pool.submit(move || inner.submit(move || n).result().unwrap() + 1)
            })
            .collect();
        for (n, outer) in outer.into_iter().enumerate() {
            assert_eq!(outer.result().unwrap(), n + 1);
        }
        pool.shutdown();
    });
}

fn the_last_handle_is_dropped_in_a_task<P: LockPolicy>() {
    check(Some(1), || {
        let pool = pool::<P>(1);
        let last = pool.clone();
        let handle = pool.submit(move || drop(last));
        drop(pool);
        handle.result().unwrap();
    });
}

fn a_panicking_task_leaves_the_next_one_its_turn<P: LockPolicy>() {
    check(Some(0), || {
        let pool = pool::<P>(1);
        // Without the panic hook's message.
        let panics = pool.submit(|| std::panic::resume_unwind(Box::new(())));
        assert!(matches!(panics.result(), Err::<(), _>(TaskError::Panicked(_))));
        assert_eq!(pool.submit(|| 3).result().unwrap(), 3);
        pool.shutdown();
    });
}

fn cancelled_by_shutdown_or_run<P: LockPolicy>() {
    check(Some(1), || {
        let pool = pool::<P>(1);
        let handles: Vec<_> = (0..size(1, 5)).map(|n| pool.submit(move || n)).collect();
        let cancelled = pool.shutdown_now();
        let unrun = handles.into_iter().map(|handle| handle.result()).filter(Result::is_err).count();
        assert_eq!(unrun, cancelled);
    });
}

macro_rules! under {
    ($($name:ident: $policy:ty;)+) => { $(
        mod $name {
            use super::*;
            #[test]
            fn submit_and_wait() { super::submit_and_wait::<$policy>(); }
            #[test]
            fn several_tasks_run_once_each() { super::several_tasks_run_once_each::<$policy>(); }
            #[test]
            fn tasks_spawned_by_a_task_run() { super::tasks_spawned_by_a_task_run::<$policy>(); }
            #[test]
            fn two_workers_wait_for_their_children() { super::two_workers_wait_for_their_children::<$policy>(); }
            #[test]
            fn the_last_handle_is_dropped_in_a_task() { super::the_last_handle_is_dropped_in_a_task::<$policy>(); }
            #[test]
            fn a_panicking_task_leaves_the_next_one_its_turn() {
                super::a_panicking_task_leaves_the_next_one_its_turn::<$policy>();
            }
            #[test]
            fn cancelled_by_shutdown_or_run() { super::cancelled_by_shutdown_or_run::<$policy>(); }
            #[test]
            fn a_task_waits_for_its_child() { super::a_task_waits_for_its_child::<$policy>(); }
            #[test]
            fn shutdown_against_submit() { super::shutdown_against_submit::<$policy>(); }
            #[test]
            fn a_second_task_after_the_worker_slept() { super::a_second_task_after_the_worker_slept::<$policy>(); }
        }
    )+ };
}

under! {
    global: GlobalLock;
    fine: FineGrained;
    lock_free: LockFree;
}

/// The protocol of `docs/idle.md` by itself: sleepers that wait for a counter instead of a queue.
mod sleepers {
    use super::super::idle::{Idle, Notify};
    use super::*;
    use crate::sync::Parker;

    struct Pool {
        idle: Idle,
        queued: AtomicU32,
        parkers: Vec<Parker>,
    }

    impl Pool {
        fn take(&self) -> bool {
            self.queued.fetch_update(Relaxed, Relaxed, |queued| queued.checked_sub(1)).is_ok()
        }

        fn notify(&self) {
            match self.idle.notify(false) {
                Notify::Wake(index) => self.parkers[index].unpark(),
                Notify::Enough => {}
                Notify::Start | Notify::Stopped => unreachable!("all threads are there"),
            }
        }

        /// A worker whose first task never ends: it runs, or it blocks.
        fn work(&self, index: usize, blocks: bool) {
            let mut searching = true;
            while !self.take() {
                self.idle.sleep(index, searching);
                if self.queued.load(Relaxed) > 0 {
                    self.notify();
                }
                self.parkers[index].park();
                searching = true;
            }
            if searching && self.idle.stop_searching() && self.queued.load(Relaxed) > 0 {
                self.notify();
            }
            if !blocks {
                return;
            }
            self.idle.block();
            if self.queued.load(Relaxed) > 0 {
                self.notify();
            }
        }
    }

    fn every_sleeper_gets_its_task(sleepers: usize, bound: usize, blocks: bool) {
        check(Some(bound), move || {
            let pool = Arc::new(Pool {
                idle: Idle::new(sleepers, sleepers),
                queued: AtomicU32::new(0),
                parkers: (0..sleepers).map(|_| Parker::new()).collect(),
            });
            let threads: Vec<_> = (0..sleepers)
                .map(|index| {
                    assert!(pool.idle.prestart(sleepers));
                    let pool = pool.clone();
                    thread::spawn(move || pool.work(index, blocks))
                })
                .collect();
            for _ in 0..sleepers {
                pool.queued.fetch_add(1, Relaxed);
                pool.notify();
            }
            // A lost wake-up would be a deadlock here.
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }

    #[test]
    fn one_sleeper() {
        every_sleeper_gets_its_task(1, 4, true);
    }

    #[test]
    fn two_sleepers() {
        every_sleeper_gets_its_task(size(2, 4), 2, true);
    }

    #[test]
    fn two_sleepers_whose_tasks_run_on() {
        every_sleeper_gets_its_task(size(2, 4), 2, false);
    }

    #[test]
    fn who_blocks_hands_over() {
        check(Some(4), || {
            let parkers = (0..2).map(|_| Parker::new()).collect();
            let pool = Arc::new(Pool { idle: Idle::new(1, 2), queued: AtomicU32::new(0), parkers });
            // The first runs a task, the second sleeps.
            assert!(pool.idle.prestart(2) && pool.idle.prestart(2));
            let _first_of_two = pool.idle.stop_searching();
            pool.idle.sleep(1, true);
            let blocker = {
                let pool = pool.clone();
                thread::spawn(move || {
                    pool.idle.block();
                    if pool.queued.load(Relaxed) > 0 {
                        pool.notify();
                    }
                })
            };
            let sleeper = {
                let pool = pool.clone();
                thread::spawn(move || {
                    pool.parkers[1].park();
                    assert!(pool.take());
                })
            };
            pool.queued.fetch_add(1, Relaxed);
            pool.notify();
            blocker.join().unwrap();
            sleeper.join().unwrap();
        });
    }
}

//! User code around each task, and at the pool's end. Contract 80, 92.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use lockgrain::{Builder, LockPolicy, TaskError, ThreadPool};

use super::{Occupied, count};

fn settings<P: LockPolicy>(like: &ThreadPool<P>) -> Builder<P> {
    Builder::new().max_workers(like.max_workers())
}

thread_local! { static EVENTS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) } }

fn note(event: &'static str) {
    EVENTS.with_borrow_mut(|events| events.push(event));
}

// Contract: 92.
pub(crate) fn hooks_wrap_each_task_on_its_worker<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (sender, wrapped) = mpsc::channel();
    let pool = settings(pool)
        .before_task(|_| note("before"))
        .after_task(move |_| {
            let events = EVENTS.take();
            sender.send((thread::current().id(), events)).unwrap();
        })
        .build()
        .unwrap();
    let value = pool.guarded(0);
    let task = || {
        note("task");
        thread::current().id()
    };
    let threads: Vec<ThreadId> = vec![
        pool.submit(task).result().unwrap(),
        pool.submit_with(move |_| task()).result().unwrap(),
        pool.when(&value, move |_| task()).result().unwrap(),
        pool.schedule(Duration::ZERO, task).result().unwrap(),
        pool.scope(|s| s.submit(task).result().unwrap()),
    ];
    pool.spawn(move || _ = task()).unwrap();
    let panics = pool.submit(move || {
        task();
        std::panic::resume_unwind(Box::new(()))
    });
    assert!(matches!(panics.result(), Err::<(), _>(TaskError::Panicked(_))));
    pool.shutdown();
    let wrapped: Vec<_> = wrapped.try_iter().collect();
    assert!(wrapped.iter().all(|(_, events)| events == &["before", "task"]), "{wrapped:?}");
    assert_eq!(wrapped.len(), threads.len() + 2);
    assert!(threads.iter().all(|thread| wrapped.iter().any(|(on, _)| on == thread)));
}

// Contract: 92.
pub(crate) fn tasks_that_a_waiter_runs_are_wrapped_too<P: LockPolicy>(pool: &ThreadPool<P>) {
    let [before, after] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let [begins, ends] = [before.clone(), after.clone()];
    let pool = settings(pool).before_task(move |_| count(&begins)).after_task(move |_| count(&ends)).build().unwrap();
    let inner = pool.clone();
    let outer = pool.submit(move || (0..10).map(|n| inner.submit(move || n).result().unwrap()).sum::<u32>());
    assert_eq!(outer.result().unwrap(), 45);
    assert_eq!((before.load(SeqCst), after.load(SeqCst)), (11, 11));
}

// Contract: 92.
pub(crate) fn a_cancelled_task_has_no_hooks<P: LockPolicy>(pool: &ThreadPool<P>) {
    let before = Arc::new(AtomicUsize::new(0));
    let begins = before.clone();
    let pool = settings(pool).before_task(move |_| count(&begins)).build().unwrap();
    let occupied = Occupied::all(&pool);
    assert!(pool.submit(|| ()).cancel());
    let tasks = occupied.handles().len();
    drop(occupied);
    pool.shutdown();
    assert_eq!(before.load(SeqCst), tasks);
}

// Contract: 92.
pub(crate) fn panicking_hooks_are_survived<P: LockPolicy>(pool: &ThreadPool<P>) {
    // Without the panic hook's message.
    let panics = |_| std::panic::resume_unwind(Box::new(()));
    let pool = settings(pool).before_task(panics).after_task(panics).on_terminated(move || panics(0)).build().unwrap();
    let value = pool.guarded(0);
    for n in 1..=10 {
        assert_eq!(pool.submit(move || n).result().unwrap(), n);
        assert_eq!(pool.when(&value, |value| (*value += 1, *value).1).result().unwrap(), n);
    }
    pool.shutdown();
    assert!(pool.is_terminated());
}

// Contract: 80.
pub(crate) fn the_end_is_told_once_after_the_last_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    let [tasks, ends] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let (ran, told) = (tasks.clone(), ends.clone());
    let pool = settings(pool).on_terminated(move || told.store(ran.load(SeqCst), SeqCst)).build().unwrap();
    for _ in 0..100 {
        let tasks = tasks.clone();
        pool.spawn(move || count(&tasks)).unwrap();
    }
    assert_eq!(ends.load(SeqCst), 0);
    pool.shutdown();
    assert_eq!(ends.swap(0, SeqCst), 100);
    pool.shutdown();
    drop(pool);
    assert_eq!(ends.load(SeqCst), 0, "not again");
}

// Contract: 80, 81.
pub(crate) fn the_end_may_use_the_pool<P: LockPolicy>(pool: &ThreadPool<P>) {
    let slot: Arc<Mutex<Option<ThreadPool<P>>>> = Arc::default();
    let (known, (sender, seen)) = (slot.clone(), mpsc::channel());
    let hook = move || {
        let pool = known.lock().unwrap().take().expect("filled before the shutdown");
        pool.shutdown();
        sender.send((pool.is_shutdown(), pool.submit(|| ()).result().is_err())).unwrap();
    };
    let pool = settings(pool).on_terminated(hook).build().unwrap();
    pool.submit(|| ()).result().unwrap();
    *slot.lock().unwrap() = Some(pool.clone());
    pool.shutdown();
    assert_eq!(seen.try_recv(), Ok((true, true)));
    assert!(pool.is_terminated());
}

// Contract: 80.
pub(crate) fn a_pool_that_ran_nothing_tells_its_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (sender, ends) = mpsc::channel();
    drop(settings(pool).on_terminated(move || sender.send(()).unwrap()).build().unwrap());
    assert_eq!(ends.try_recv(), Ok(()));
}

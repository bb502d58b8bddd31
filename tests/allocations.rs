//! At most one heap allocation a task, whatever it carries.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use lockgrain::{Builder, GlobalLock, LockPolicy, ThreadPool};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

/// A pool whose one worker is busy until the sender is dropped, so that nothing but submitting happens.
fn busy<P: LockPolicy>(settings: Builder<P>) -> (ThreadPool<P>, std::sync::mpsc::Sender<()>) {
    let pool = settings.max_workers(1).build().unwrap();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let (started, starts) = std::sync::mpsc::channel();
    pool.spawn(move || {
        started.send(()).unwrap();
        let _closed = gate.recv();
    })
    .unwrap();
    starts.recv().unwrap();
    (pool, open)
}

fn one_each<P: LockPolicy>(settings: Builder<P>) {
    const TASKS: usize = 500;
    let (pool, open) = busy(settings);
    let mut handles = Vec::with_capacity(TASKS);
    let spawned = allocations(|| {
        for n in 0..TASKS {
            let carried = [n; 100];
            pool.spawn(move || assert_eq!(std::hint::black_box(carried)[0], n)).unwrap();
        }
    });
    assert!(spawned == TASKS, "{spawned} allocations for {TASKS} spawned");
    let submitted = allocations(|| {
        handles.extend((0..TASKS).map(|n| {
            let carried = [n; 100];
            pool.submit(move || std::hint::black_box(carried)[0])
        }));
    });
    assert!(submitted == TASKS, "{submitted} allocations for {TASKS} submitted");
    // Small ones are made many at once, and may find the blocks of earlier tasks.
    let mut small = Vec::with_capacity(TASKS);
    let submitted = allocations(|| small.extend((0..TASKS).map(|n| pool.submit(move || n))));
    assert!(submitted <= TASKS / 32, "{submitted} allocations for {TASKS} small ones");
    drop(open);
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), n);
    }
    assert_eq!(small.into_iter().map(|handle| handle.result().unwrap()).sum::<usize>(), TASKS * (TASKS - 1) / 2);
}

/// In a recursion that waits each task is run by its waiter, and its memory serves the next one.
fn recursion_reuses<P: LockPolicy>() {
    fn fib<P: LockPolicy>(pool: &ThreadPool<P>, n: u32) -> u64 {
        if n < 2 {
            return u64::from(n);
        }
        let inner = pool.clone();
        let left = pool.submit(move || fib(&inner, n - 1));
        let right = fib(pool, n - 2);
        left.result().unwrap() + right
    }
    let pool = Builder::<P>::new().max_workers(1).build().unwrap();
    let inner = pool.clone();
    let made = pool.submit(move || allocations(|| assert_eq!(fib(&inner, 20), 6765))).result().unwrap();
    // A list of the tasks on the stack for each wait that parks, and the deepest stack's tasks.
    assert!(made < 200, "{made} allocations for 10,945 tasks");
}

#[test]
fn a_recursion_that_waits_reuses_its_memory() {
    recursion_reuses::<GlobalLock>();
    recursion_reuses::<lockgrain::FineGrained>();
    recursion_reuses::<lockgrain::LockFree>();
}

/// Also one that waits for its time, but for the list of all of them as that grows.
fn delayed_one_each<P: LockPolicy>() {
    const TASKS: usize = 500;
    const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);
    let pool = lockgrain::Builder::<P>::new().max_workers(1).build().unwrap();
    // Starts the timer's thread.
    assert!(pool.schedule(HOUR, || ()).cancel());
    let mut handles = Vec::with_capacity(TASKS);
    let scheduled = allocations(|| {
        handles.extend((0..TASKS).map(|n| {
            let carried = [n; 100];
            pool.schedule(HOUR, move || std::hint::black_box(carried)[0])
        }));
    });
    assert!(scheduled <= TASKS + 10, "{scheduled} allocations for {TASKS} scheduled");
    assert_eq!(pool.shutdown_now(), TASKS);
}

#[test]
fn a_delayed_task_is_one_allocation() {
    delayed_one_each::<GlobalLock>();
    delayed_one_each::<lockgrain::FineGrained>();
    delayed_one_each::<lockgrain::LockFree>();
}

/// The task, and what its wakers point at; however often it is polled. But for the list of all futures as that grows.
fn future_two_each<P: LockPolicy>() {
    const FUTURES: usize = 500;
    let (pool, open) = busy::<P>(Builder::new());
    let mut handles = Vec::with_capacity(FUTURES);
    let spawned = allocations(|| {
        handles.extend((0..FUTURES).map(|n| {
            let carried = [n; 100];
            pool.spawn_future(async move { std::hint::black_box(carried)[0] })
        }));
    });
    assert!(spawned <= 2 * FUTURES + 30, "{spawned} allocations for {FUTURES} futures");
    drop(open);
    pool.shutdown();
}

#[test]
fn a_future_is_two_allocations() {
    future_two_each::<GlobalLock>();
    future_two_each::<lockgrain::FineGrained>();
    future_two_each::<lockgrain::LockFree>();
}

#[test]
fn a_task_is_one_allocation() {
    one_each::<GlobalLock>(Builder::new());
    one_each::<lockgrain::FineGrained>(Builder::new());
    one_each::<lockgrain::LockFree>(Builder::new());
}

/// Its place in the queue is part of it.
#[test]
fn so_is_a_task_in_a_bounded_queue() {
    one_each::<GlobalLock>(Builder::new().queue_capacity(10_000));
    one_each::<lockgrain::FineGrained>(Builder::new().queue_capacity(10_000));
    one_each::<lockgrain::LockFree>(Builder::new().queue_capacity(10_000));
}

//! At most one heap allocation a task, whatever it carries.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use lockgrain::{GlobalLock, LockPolicy, ThreadPool};

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
fn busy<P: LockPolicy>() -> (ThreadPool<P>, std::sync::mpsc::Sender<()>) {
    let pool = lockgrain::Builder::<P>::new().max_workers(1).build().unwrap();
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

fn one_each<P: LockPolicy>() {
    const TASKS: usize = 500;
    let (pool, open) = busy::<P>();
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
    // A small one may find the block of an earlier task.
    let mut small = Vec::with_capacity(TASKS);
    let submitted = allocations(|| small.extend((0..TASKS).map(|n| pool.submit(move || n))));
    assert!(submitted <= TASKS, "{submitted} allocations for {TASKS} small ones");
    drop(open);
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), n);
    }
    assert_eq!(small.into_iter().map(|handle| handle.result().unwrap()).sum::<usize>(), TASKS * (TASKS - 1) / 2);
}

#[test]
fn a_task_is_one_allocation() {
    one_each::<GlobalLock>();
    one_each::<lockgrain::FineGrained>();
    one_each::<lockgrain::LockFree>();
}

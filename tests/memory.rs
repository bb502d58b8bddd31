//! What a queued task costs: resident memory, measured where the system tells; and that the memory of many is given back when they have run.
#![cfg(target_os = "linux")]

#[path = "suite/resident.rs"]
mod resident;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;

use lockgrain::{FineGrained, GlobalLock, LockFree, LockPolicy, TaskHandle, ThreadPool};
use resident::resident;

const TASKS: usize = 300_000;

struct Counting;

/// Bytes that are allocated.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes a task of what `queue` queues while the pool's one worker is busy. The tasks stay queued until the sender goes, so that the
/// next measurement does not find their memory free.
fn a_task<P: LockPolicy>(queue: impl FnOnce(&ThreadPool<P>)) -> (f64, ThreadPool<P>, mpsc::Sender<()>) {
    let pool = lockgrain::Builder::<P>::new().max_workers(1).build().unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    pool.spawn(move || {
        started.send(()).unwrap();
        let _closed = gate.recv();
    })
    .unwrap();
    starts.recv().unwrap();
    let before = resident();
    queue(&pool);
    ((resident() - before) as f64 / TASKS as f64, pool, open)
}

fn small<P: LockPolicy>(and_then: impl FnOnce()) {
    let (spawned, spawns, spawns_open) = a_task::<P>(|pool| {
        for n in 0..TASKS {
            let sixteen = (n, !n);
            pool.spawn(move || assert_eq!(sixteen.0, !sixteen.1)).unwrap();
        }
    });
    let mut handles: Vec<Option<TaskHandle<usize>>> = Vec::new();
    // Resident before it counts.
    handles.resize_with(TASKS, || None);
    let (submitted, submits, submits_open) = a_task::<P>(|pool| {
        for (n, handle) in handles.iter_mut().enumerate() {
            *handle = Some(pool.submit(move || n));
        }
    });
    println!("{}: {spawned:.1} bytes a spawned task, {submitted:.1} a submitted one", P::NAME);
    and_then();
    // Half as much would mean that it measured nothing; the page that the kernel counts in is far below 1 % of the whole.
    assert!((32.0..=49.0).contains(&spawned), "{spawned} bytes a spawned task of 16 bytes");
    assert!((48.0..=80.5).contains(&submitted), "{submitted} bytes a submitted task");
    drop((spawns_open, submits_open));
    spawns.shutdown();
    submits.shutdown();
}

/// One test, as it measures the process.
#[test]
fn a_queued_task_is_small() {
    let before = ALLOCATED.load(Relaxed);
    small::<GlobalLock>(|| {
        small::<FineGrained>(|| small::<LockFree>(|| {}));
        let queued = ALLOCATED.load(Relaxed) - before;
        assert!(queued > TASKS * (32 + 48), "{queued} bytes for two times {TASKS} tasks");
    });
    // What is kept for the next tasks: 8 MiB of each size, and what lies between.
    let kept = ALLOCATED.load(Relaxed) - before;
    println!("{kept} bytes are kept");
    assert!(kept < 24 << 20, "{kept} bytes are kept");
}

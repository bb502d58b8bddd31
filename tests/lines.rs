//! What holds where tasks stand in line for a value: not under `GlobalLock`, where they stand in the queue.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};

use lockgrain::{Builder, FineGrained, LockFree, LockPolicy, TaskHandle, ThreadPool};

fn pool<P: LockPolicy>(workers: usize) -> ThreadPool<P> {
    Builder::<P>::new().max_workers(workers).build().unwrap()
}

/// The next task of a value runs on the worker that let it in, but is not kept there while code of the user runs.
fn a_callback_can_block_for_the_next_task<P: LockPolicy>() {
    let pool = pool::<P>(2);
    let value = pool.guarded(0);
    let (begin, begins) = mpsc::channel();
    let (done, is_done) = mpsc::channel();
    let mut first = pool.when(&value, move |value| {
        begins.recv().unwrap();
        *value += 1;
    });
    first.on_done(move |_| is_done.recv().unwrap());
    let second = pool.when(&value, move |value| {
        done.send(()).unwrap();
        *value += 1;
        *value
    });
    begin.send(()).unwrap();
    assert_eq!(second.result().unwrap(), 2);
}

/// The same for the result of a task that nobody has the handle of, whose drop blocks.
fn a_result_can_block_for_the_next_task_as_it_is_dropped<P: LockPolicy>() {
    struct Blocks(mpsc::Receiver<()>);
    impl Drop for Blocks {
        fn drop(&mut self) {
            self.0.recv().unwrap();
        }
    }
    let pool = pool::<P>(2);
    let value = pool.guarded(0);
    let (begin, begins) = mpsc::channel();
    let (done, is_done) = mpsc::channel();
    drop(pool.when(&value, move |_| {
        begins.recv().unwrap();
        Blocks(is_done)
    }));
    let second = pool.when(&value, move |_| done.send(()).unwrap());
    begin.send(()).unwrap();
    second.result().unwrap();
}

/// And for a value whose last handle is its task's.
fn a_value_can_block_for_the_next_task_as_it_is_dropped<P: LockPolicy>() {
    struct Blocks(mpsc::Receiver<()>);
    impl Drop for Blocks {
        fn drop(&mut self) {
            self.0.recv().unwrap();
        }
    }
    let pool = pool::<P>(2);
    let (begin, begins) = mpsc::channel();
    let (done, is_done) = mpsc::channel();
    let (last, other) = (pool.guarded(Blocks(is_done)), pool.guarded(0));
    let first = pool.when((&last, &other), move |_| begins.recv().unwrap());
    drop(last);
    let second = pool.when(&other, move |_| done.send(()).unwrap());
    begin.send(()).unwrap();
    second.result().unwrap();
    first.result().unwrap();
}

/// Nor is what that drop itself lets in.
fn a_value_can_cancel_and_block_as_it_is_dropped<P: LockPolicy>() {
    struct Cancels {
        queued: Arc<Mutex<Option<TaskHandle<()>>>>,
        other_worker: mpsc::Sender<()>,
        is_done: mpsc::Receiver<()>,
    }
    impl Drop for Cancels {
        fn drop(&mut self) {
            assert!(self.queued.lock().unwrap().take().unwrap().cancel());
            self.other_worker.send(()).unwrap();
            self.is_done.recv().unwrap();
        }
    }
    let pool = pool::<P>(2);
    let (begin, begins) = mpsc::channel();
    let (other_worker, waits) = mpsc::channel();
    let (done, is_done) = mpsc::channel();
    let (started, starts) = mpsc::channel();
    let queued = Arc::new(Mutex::new(None));
    let last = pool.guarded(Cancels { queued: queued.clone(), other_worker, is_done });
    let started_too = started.clone();
    let first = pool.when(&last, move |_| {
        started.send(()).unwrap();
        begins.recv().unwrap();
    });
    drop(last);
    let busy = pool.submit(move || {
        started_too.send(()).unwrap();
        waits.recv().unwrap();
    });
    // Both workers are busy, so what comes now stays queued.
    (0..2).for_each(|_| starts.recv().unwrap());
    let other = pool.guarded(());
    *queued.lock().unwrap() = Some(pool.when(&other, |()| ()));
    let behind = pool.when(&other, move |()| done.send(()).unwrap());
    begin.send(()).unwrap();
    behind.result().unwrap();
    first.result().unwrap();
    busy.result().unwrap();
}

/// Tasks of one hot value run in batches, and others get their turn in between.
fn a_long_line_keeps_nobody_from_running<P: LockPolicy>() {
    const LINE: usize = 10_000;
    let pool = pool::<P>(1);
    let value = pool.guarded(());
    let ran = Arc::new(AtomicUsize::new(0));
    let (begin, begins) = mpsc::channel::<()>();
    let first = pool.when(&value, move |()| begins.recv().unwrap());
    for _ in 0..LINE {
        let ran = ran.clone();
        pool.spawn_when(&value, move |()| {
            ran.fetch_add(1, SeqCst);
        })
        .unwrap();
    }
    let seen = ran.clone();
    let other = pool.submit(move || seen.load(SeqCst));
    begin.send(()).unwrap();
    first.result().unwrap();
    let before = other.result().unwrap();
    assert!(before < LINE / 10, "{before} of {LINE} tasks of the value ran first");
    pool.shutdown();
    assert_eq!(ran.load(SeqCst), LINE);
}

/// A reader that does not mind the order does not wait behind a writer that waits for readers; but the writer comes to its turn.
#[test]
fn readers_that_do_not_mind_go_before_a_writer_for_a_while() {
    let pool = pool::<FineGrained>(2);
    let value = pool.guarded(0);
    let (begin, begins) = mpsc::channel::<()>();
    let reads = pool.when(value.shared(), move |_| begins.recv().unwrap());
    let writes = pool.when(&value, |value| *value += 1);
    let polite = pool.when(value.shared(), |value| *value);
    let overtakes: Vec<_> = (0..16).map(|_| pool.when(value.shared().unordered(), |value| *value)).collect();
    assert!(overtakes.into_iter().all(|handle| handle.result().unwrap() == 0));
    let one_too_many = pool.when(value.shared().unordered(), |value| *value);
    assert!(!writes.is_finished() && !polite.is_finished());
    begin.send(()).unwrap();
    assert_eq!((polite.result().unwrap(), one_too_many.result().unwrap()), (1, 1));
    [reads, writes].into_iter().for_each(|handle| handle.result().unwrap());
}

macro_rules! stamp {
    ($($test:ident),+ $(,)?) => {
        mod fine { $(#[test] fn $test() { super::$test::<super::FineGrained>(); })+ }
        mod lock_free { $(#[test] fn $test() { super::$test::<super::LockFree>(); })+ }
    };
}

stamp!(
    a_callback_can_block_for_the_next_task,
    a_result_can_block_for_the_next_task_as_it_is_dropped,
    a_value_can_block_for_the_next_task_as_it_is_dropped,
    a_value_can_cancel_and_block_as_it_is_dropped,
    a_long_line_keeps_nobody_from_running,
);

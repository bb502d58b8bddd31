//! Random sequences of operations against a ledger of what must come of each: for the property test and for the fuzzer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use lockgrain::{LockPolicy, TaskError, TaskHandle, ThreadPool};

/// What a user may do next. Indices choose among the handles that are left.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Spawn,
    Submit(u16),
    SubmitPanicking,
    /// A task that submits another and waits for it.
    SubmitNested(u16),
    SubmitBlocking(u16),
    Cancel(u8),
    Result(u8),
    Detach(u8),
    TryResult(u8),
}

/// How the pool ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Shutdown,
    ShutdownNow,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Value(u16),
    Panic,
}

struct Open {
    handle: TaskHandle<u16>,
    expected: Expected,
    cancelled: bool,
}

impl Open {
    fn check(self, may_be_cancelled: bool) {
        let Self { handle, expected, cancelled } = self;
        match (handle.result(), expected) {
            (Ok(value), Expected::Value(expected)) => assert!(!cancelled && value == expected),
            (Err(TaskError::Panicked(_)), Expected::Panic) => assert!(!cancelled),
            (Err(TaskError::Cancelled), _) => assert!(cancelled || may_be_cancelled),
            // A parent whose child was refused or cancelled, because the pool was shutting down, panics.
            (Err(TaskError::Panicked(_)), _) if may_be_cancelled => {}
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }
}

/// Does all, and checks every outcome and the pool's counts.
pub(crate) fn run<P: LockPolicy>(pool: ThreadPool<P>, operations: &[Operation], end: End) {
    let spawned = Arc::new(AtomicUsize::new(0));
    let mut spawns = 0;
    let mut open: Vec<Open> = Vec::new();
    let pick = |open: &[Open], index: u8| (!open.is_empty()).then(|| usize::from(index) % open.len().max(1));
    for &operation in operations {
        let mut submit = |handle, expected| open.push(Open { handle, expected, cancelled: false });
        match operation {
            Operation::Spawn => {
                let spawned = spawned.clone();
                let count = move || {
                    spawned.fetch_add(1, SeqCst);
                };
                pool.spawn(count).expect("the pool is open");
                spawns += 1;
            }
            Operation::Submit(n) => submit(pool.submit(move || n), Expected::Value(n)),
            Operation::SubmitPanicking => {
                // Without the panic hook's message.
                submit(pool.submit(|| std::panic::resume_unwind(Box::new("asked for"))), Expected::Panic);
            }
            Operation::SubmitNested(n) => {
                let inner = pool.clone();
                let nested = move || match inner.submit(move || n).result() {
                    Ok(n) => n,
                    Err(error) => std::panic::resume_unwind(Box::new(error.to_string())),
                };
                submit(pool.submit(nested), Expected::Value(n));
            }
            Operation::SubmitBlocking(n) => {
                submit(pool.submit(move || lockgrain::blocking(move || n)), Expected::Value(n));
            }
            Operation::Cancel(index) => {
                if let Some(index) = pick(&open, index) {
                    open[index].cancelled |= open[index].handle.cancel();
                }
            }
            Operation::Result(index) => {
                if let Some(index) = pick(&open, index) {
                    open.swap_remove(index).check(false);
                }
            }
            Operation::Detach(index) => {
                if let Some(index) = pick(&open, index) {
                    drop(open.swap_remove(index));
                }
            }
            Operation::TryResult(index) => {
                if let Some(index) = pick(&open, index)
                    && let Some(result) = open[index].handle.try_result()
                {
                    let Open { expected, cancelled, .. } = open.swap_remove(index);
                    match result {
                        Ok(value) => assert_eq!(Expected::Value(value), expected),
                        Err(TaskError::Cancelled) => assert!(cancelled),
                        Err(_) => assert_eq!(expected, Expected::Panic),
                    }
                }
            }
        }
    }
    match end {
        End::Shutdown | End::ShutdownNow => {
            let now = matches!(end, End::ShutdownNow);
            if now {
                pool.shutdown_now();
            } else {
                pool.shutdown();
            }
            let metrics = pool.metrics();
            assert!(pool.is_terminated());
            assert_eq!((metrics.queue_depth, metrics.threads), (0, 0));
            assert_eq!(metrics.started, metrics.finished);
            assert_eq!(metrics.submitted, metrics.started + metrics.cancelled);
            assert!(now || spawned.load(SeqCst) == spawns);
            open.into_iter().for_each(|open| open.check(true));
        }
        End::Drop => {
            drop(pool);
            open.into_iter().for_each(|open| open.check(true));
        }
    }
    assert!(spawned.load(SeqCst) <= spawns);
}

//! Telling the pool that a task is about to block.

use crate::runtime::current::{self, Blocked, Kind};

/// Runs `f`, which may block: for I/O, a lock, a sleep, a call into foreign code.
///
/// On a worker a spare worker takes over meanwhile (as many as [`Builder::max_spares`](crate::Builder::max_spares)), so
/// that queued tasks go on; under [`GlobalLock`](crate::GlobalLock) the lock is let go. When `f` returns, the task asks for
/// the lock again and goes before queued tasks. On any other thread it just runs `f`.
///
/// In a task that was given a [`Context`](crate::Context) or guarded values, what guards them stays held. Under `GlobalLock` that is
/// the lock, so there it only runs `f`: use [`Context::blocking`](crate::Context::blocking).
///
/// ```
/// # use std::time::Duration;
/// let pool = lockgrain::ThreadPool::builder().max_workers(1).build()?;
/// let (send, receive) = std::sync::mpsc::channel();
/// let waits = pool.submit(move || lockgrain::blocking(|| receive.recv()));
/// pool.submit(move || send.send("hello")).result()??; // runs although the one worker waits
/// assert_eq!(waits.result()??, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    current::frames(|mut frames| match frames.next() {
        // Where no gate is held there is none to let go of.
        Some(frame)
            if frame.kind.get() == Kind::Plain || (frame.kind.get() == Kind::Context && !frame.is_exclusive()) =>
        {
            let _blocked = Blocked::enter(frame);
            f()
        }
        _ => f(),
    })
}

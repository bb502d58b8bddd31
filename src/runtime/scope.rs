//! Tasks that borrow from the one that waits for them, and so end before it does.

use super::current::{self, Frame, Kind};
use super::patience::Patience;
use super::wait::Wait;
use super::worker::Blockable;
use crate::sync::{Arc, MODEL, Parker, local};
use crate::task::{Countdown, Latch};

local! { static PATIENCE: Patience = Patience::new(); }

/// Which tasks a wait is for: those whose [`scope`](crate::task::Task::scope) this is.
pub(super) type ScopeId = *const ();

/// Whether a task may run on the stack of this frame, whose code waits for it: not where only a context may let go of the lock, nor where it
/// has been let go.
pub(super) fn runs_more(frame: &Frame) -> bool {
    match frame.kind.get() {
        Kind::Plain => true,
        Kind::Context => !frame.is_exclusive(),
        Kind::Idle | Kind::Blocking => false,
    }
}

/// Waits until all tasks of a scope of that pool have ended. No more are begun but by them.
pub(crate) fn wait_for_all(countdown: &Countdown, pool: u32) {
    let scope: ScopeId = (&raw const *countdown).cast();
    current::frames(|mut frames| {
        let frame = frames.next().filter(|frame| runs_more(frame));
        if let Some(worker) = frame.and_then(|frame| frame.worker) {
            // SAFETY: the worker of a frame is below it on this thread's stack.
            while unsafe { &*worker }.run_newest_of(scope) {}
        }
    });
    if !countdown.owner_ends() {
        wait_for_latch(&countdown.latch, pool, scope);
    }
}

/// Waits for the latch. Where nobody else can, it runs what it waits for.
pub(super) fn wait_for_latch(latch: &Latch, pool: u32, scope: ScopeId) {
    current::frames(|mut frames| {
        let frame = frames.next();
        // Behind a lock that this thread holds, nothing can happen.
        let looks = !MODEL && !frame.is_some_and(Frame::is_exclusive);
        if looks && PATIENCE.try_with(|patience| patience.look(|| latch.is_set())).unwrap_or(false) {
            return;
        }
        let parker = Arc::new(Parker::new());
        if !latch.wake_by(&parker) {
            return;
        }
        match frame.and_then(|frame| Some((frame, frame.worker?))) {
            // SAFETY: the worker of a frame is below it on this thread's stack.
            Some((frame, worker)) => wait_on_worker(frame, unsafe { &*worker }, latch, pool, &parker, scope),
            // A permit comes when the latch is set, and not before.
            None => parker.park(),
        }
    });
}

fn wait_on_worker(
    frame: &Frame,
    worker: &dyn Blockable,
    latch: &Latch,
    pool: u32,
    parker: &Arc<Parker>,
    scope: ScopeId,
) {
    let kind = frame.kind.get();
    let blocks = kind != Kind::Blocking;
    let begin = || {
        let begun = worker.begin_wait(Wait::for_latch(latch, pool, parker.clone()));
        debug_assert!(begun.is_ok(), "nobody delays a latch");
    };
    begin();
    let held = blocks && worker.block(kind == Kind::Plain);
    while !latch.is_set() {
        let stuck = worker.is_stuck();
        if stuck && let Some(task) = worker.find_any_of(scope) {
            worker.end_wait();
            // With the lock, as any worker.
            worker.unblock(frame.is_exclusive());
            worker.run_on_top(task);
            begin();
            worker.block(true);
            continue;
        }
        if stuck {
            let _goes_on = worker.check_progress();
        }
        parker.park();
    }
    worker.end_wait();
    if blocks {
        worker.unblock(held);
    }
}

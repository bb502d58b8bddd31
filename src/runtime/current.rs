//! What runs on this thread: a chain of frames, the innermost first.

use std::cell::Cell;
use std::ptr;

use super::holders::{Holder, Stack};
use super::lane;
use super::lock::Covers;
use super::worker::Blockable;
use crate::sync::local;
use crate::task::state::State;
use crate::task::{Helper, Identity, TaskRef};

/// What the code in a frame may do about the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No task: the worker's own loop.
    Idle,
    /// A task without a context: every wait may release.
    Plain,
    /// Code with a context or with guarded values: only a context may release.
    Context,
    /// Code inside a blocking region: the gate is not held.
    Blocking,
}

/// A task being run, a locked section or a blocking region.
pub(crate) struct Frame {
    pub(crate) pool: u32,
    /// What code in the frame holds, or its worker; none where nobody is excluded.
    lock: Option<*const dyn Covers>,
    pub(crate) kind: Cell<Kind>,
    /// Whether a context refers to this frame, or its task holds guarded values; also while it is in a blocking region.
    pub(crate) has_context: Cell<bool>,
    /// Whether the context is lent to whoever asks for one on this thread.
    pub(crate) lends: Cell<bool>,
    /// Whether the task was lent guarded values, or runs with keys.
    pub(super) has_values: Cell<bool>,
    /// Whether the task holds something that others stand in line for.
    pub(super) holds: Cell<bool>,
    /// Whether the frame's task has ended, and the worker may keep the next one for itself.
    pub(super) keeps: Cell<bool>,
    /// The task that runs, or null.
    pub(crate) task: Cell<Identity>,
    /// Where the task's scope was opened, or null.
    pub(super) scope: Cell<*const Origin>,
    /// Of the stolen half of a join whose code runs, or null.
    helper: Cell<*const Helper>,
    /// Its state word, if it has a handle.
    pub(crate) state: Cell<*const State>,
    /// The worker whose thread this is; none for a locked section on a thread from outside.
    pub(crate) worker: Option<*const dyn Blockable>,
    outer: *const Frame,
}

impl Frame {
    /// What its code may do changes.
    #[inline]
    pub(super) fn replace_kind(&self, kind: Kind) -> Kind {
        lane::close();
        self.kind.replace(kind)
    }

    pub(crate) fn is_exclusive(&self) -> bool {
        self.lock.is_some()
    }

    /// Whether the frame is of that pool, or of one with the same lock.
    pub(crate) fn covers(&self, pool: u32) -> bool {
        // SAFETY: the lock is that of the pool, which outlives its frames.
        self.pool == pool || self.lock.is_some_and(|lock| unsafe { &*lock }.covers(pool))
    }

    /// Where who waits for what its code does takes parts of that.
    pub(super) fn helper(&self) -> Option<&Helper> {
        // SAFETY: it is part of the task whose code runs.
        unsafe { self.helper.get().as_ref() }
    }

    /// Its task, if that needs something of the pool whose worker this is.
    #[inline]
    pub(crate) fn own_task(&self) -> Option<TaskRef> {
        // SAFETY: the task of a frame runs, so it is alive, but for a detached one without needs, which does not ask.
        TaskRef::of(self.task.get()).filter(|task| unsafe { task.needs() }.pool() == self.pool)
    }
}

local! { static CURRENT: Cell<*const Frame> = Cell::new(ptr::null()); }

#[inline]
fn innermost() -> *const Frame {
    // The thread's locals may be gone already, in a destructor that uses a pool: then nothing runs here.
    CURRENT.try_with(Cell::get).unwrap_or(ptr::null())
}

impl Frame {
    /// Runs `f` with a new innermost frame.
    #[inline(always)]
    pub(crate) fn enter<R>(
        pool: u32,
        lock: Option<*const dyn Covers>,
        kind: Kind,
        task: Identity,
        state: *const State,
        worker: Option<*const dyn Blockable>,
        f: impl FnOnce(&Frame) -> R,
    ) -> R {
        struct Leave(*const Frame);
        impl Drop for Leave {
            #[inline]
            fn drop(&mut self) {
                let _gone = CURRENT.try_with(|current| current.set(self.0));
                lane::close();
            }
        }
        let outer = innermost();
        let frame = Frame {
            pool,
            lock,
            kind: Cell::new(kind),
            has_context: Cell::new(false),
            lends: Cell::new(false),
            has_values: Cell::new(false),
            holds: Cell::new(false),
            keeps: Cell::new(false),
            task: Cell::new(task),
            scope: Cell::new(ptr::null()),
            helper: Cell::new(ptr::null()),
            state: Cell::new(state),
            worker,
            outer,
        };
        let _gone = CURRENT.try_with(|current| current.set(&raw const frame));
        lane::close();
        let _leave = Leave(outer);
        f(&frame)
    }
}

/// The frames of this thread, the innermost first. They live on the stack below the caller.
#[inline]
pub(crate) fn frames<R>(f: impl FnOnce(Frames<'_>) -> R) -> R {
    let innermost = innermost();
    // SAFETY: `Frame::enter` takes a frame out of the chain before it goes, and its caller's stack is below this call.
    f(Frames(unsafe { innermost.as_ref() }))
}

/// The frame in which a scope was opened, whose code waits for the scope's tasks. They have a pointer to it, and it lives as long as they do.
pub(crate) struct Origin(*const Frame);

// SAFETY: of a frame, a thread that runs a task of the scope only looks at what does not change while the scope is open: its task, that task's
// scope, whether it holds something, and the frames below.
unsafe impl Sync for Origin {}

/// A pointer to one.
#[derive(Clone, Copy)]
pub(crate) struct OriginRef(*const Origin);

// SAFETY: as for `Origin`.
unsafe impl Send for OriginRef {}
// SAFETY: as above.
unsafe impl Sync for OriginRef {}

impl Origin {
    pub(super) fn of(frame: *const Frame) -> Self {
        Self(frame)
    }

    /// The caller's.
    pub(crate) fn here() -> Self {
        Self(innermost())
    }

    pub(crate) fn reference(&self) -> OriginRef {
        OriginRef(self)
    }
}

impl OriginRef {
    /// Runs the closure of a task of the scope.
    pub(crate) fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        self.enter_helped(ptr::null(), f)
    }

    /// The same for the half of a join, whose owner waits for it there; null if nobody does.
    pub(super) fn enter_helped<R>(self, helper: *const Helper, f: impl FnOnce() -> R) -> R {
        struct Leave<'a>(&'a Frame);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.scope.set(ptr::null());
                self.0.helper.set(ptr::null());
            }
        }
        frames(|mut frames| {
            // SAFETY: the scope of a task is open.
            let opened_in = unsafe { &*self.0 }.0;
            debug_assert!(frames.clone().next().is_none_or(|frame| !ptr::eq(frame, opened_in)), "a frame of its own");
            let _leave = frames.next().map(|frame| {
                frame.scope.set(self.0);
                frame.helper.set(helper);
                Leave(frame)
            });
            f()
        })
    }
}

/// Visits the frames of this thread, and those in which their tasks' scopes were opened, and so on: all of what can't go on before the caller's
/// code has.
pub(super) fn lineage(frames: Frames<'_>, mut visit: impl FnMut(&Frame)) {
    let mut chains = vec![frames];
    while let Some(chain) = chains.pop() {
        for frame in chain {
            visit(frame);
            // SAFETY: the scope of a task is open.
            if let Some(origin) = unsafe { frame.scope.get().as_ref() } {
                // SAFETY: and so is the code in the frame that opened it.
                chains.push(Frames(unsafe { origin.0.as_ref() }));
            }
        }
    }
}

/// Runs `f` between a task's code and whatever code of the user comes next on this thread.
#[inline]
pub(super) fn keeping(f: impl FnOnce()) {
    frames(|mut frames| {
        let frame = frames.next();
        frame.inspect(|frame| frame.keeps.set(true));
        f();
        frame.inspect(|frame| frame.keeps.set(false));
    });
}

/// Has others find what this thread's worker keeps for itself, which keeps no more, as code of the user comes next.
#[inline]
pub(super) fn share_kept() {
    frames(|mut frames| {
        let frame = frames.next().inspect(|frame| frame.keeps.set(false));
        if let Some(worker) = frame.and_then(|frame| frame.worker) {
            // SAFETY: the worker of a frame is below it on this thread's stack.
            unsafe { &*worker }.share_kept();
        }
    });
}

/// See [`frames`].
#[derive(Clone)]
pub(crate) struct Frames<'a>(Option<&'a Frame>);

impl<'a> Iterator for Frames<'a> {
    type Item = &'a Frame;

    #[inline]
    fn next(&mut self) -> Option<&'a Frame> {
        let frame = self.0?;
        // SAFETY: the outer frame outlives the inner one.
        self.0 = unsafe { frame.outer.as_ref() };
        Some(frame)
    }
}

/// Runs the code of the frame's task, which has come to its turn in lines, and has not left them.
pub(crate) fn holding<R>(frame: &Frame, task: TaskRef, f: impl FnOnce() -> R) -> R {
    struct End<'a> {
        frame: &'a Frame,
        holder: &'a Holder,
        stack: Option<&'a Stack>,
    }
    impl Drop for End<'_> {
        #[inline]
        fn drop(&mut self) {
            // SAFETY: it was pushed below, by this worker, and what its code pushed has been popped.
            self.stack.inspect(|stack| unsafe { stack.pop(self.holder) });
            self.frame.holds.set(false);
        }
    }
    frame.holds.set(true);
    let holder = Holder::new(task);
    // SAFETY: the worker of a frame is below it on this thread's stack.
    let worker = frame.worker.map(|worker| unsafe { &*worker });
    // SAFETY: it is popped before it goes.
    let stack = worker.and_then(|worker| unsafe { worker.begin_to_hold(&holder) });
    let _end = End { frame, holder: &holder, stack };
    f()
}

/// Code that was lent what the gate or a value's lock guards: from `enter` until the drop nothing but a context may release it.
pub(crate) struct Lent<'a> {
    frame: &'a Frame,
    values: bool,
    kind: Kind,
}

impl<'a> Lent<'a> {
    /// `values` says whether it is guarded values of the frame's task.
    #[inline]
    pub(crate) fn enter(frame: &'a Frame, values: bool) -> Self {
        frame.has_context.set(true);
        if values {
            frame.has_values.set(true);
        }
        Self { frame, values, kind: frame.replace_kind(Kind::Context) }
    }
}

impl Drop for Lent<'_> {
    #[inline]
    fn drop(&mut self) {
        self.frame.replace_kind(self.kind);
        if self.values {
            self.frame.has_values.set(false);
        }
        self.frame.has_context.set(false);
    }
}

/// A region in which the frame's context is not used, and may be had again; or, inside that one, in which it is had again.
pub(crate) struct Lends<'a> {
    frame: &'a Frame,
    lends: bool,
}

impl<'a> Lends<'a> {
    pub(crate) fn enter(frame: &'a Frame, lends: bool) -> Self {
        let region = Self { frame, lends };
        region.set(lends);
        region
    }

    fn set(&self, lends: bool) {
        self.frame.lends.set(lends);
        self.frame.has_context.set(!lends);
    }
}

impl Drop for Lends<'_> {
    fn drop(&mut self) {
        self.set(!self.lends);
    }
}

/// A blocking region: from `enter` until the drop the frame's worker has given up its place and the gate.
pub(crate) struct Blocked<'a> {
    frame: &'a Frame,
    kind: Kind,
    held: bool,
}

impl<'a> Blocked<'a> {
    pub(crate) fn enter(frame: &'a Frame) -> Self {
        // SAFETY: the worker of a frame is below it on this thread's stack.
        let held = frame.worker.is_some_and(|worker| unsafe { &*worker }.block(true));
        Self { frame, kind: frame.replace_kind(Kind::Blocking), held }
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        if let Some(worker) = self.frame.worker {
            // SAFETY: as in `enter`.
            unsafe { &*worker }.unblock(self.held);
        }
        self.frame.replace_kind(self.kind);
    }
}

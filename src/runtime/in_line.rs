//! How many tasks stand in line for what they named. While there are any, a draining pool does not stop: whoever lets in the last one sees to that.
//! `docs/guarded.md` has the argument.

use crossbeam_utils::CachePadded;

use super::Core;
use crate::policy::LockPolicy;
use crate::sync::atomic::{AtomicU64, Ordering::*, fence};
use crate::sync::{Arc, mutant};

/// Two counts that only grow. What a worker lets in it counts by itself, see [`OwnLetIn`].
#[derive(Debug, Default)]
pub(super) struct InLine {
    came: CachePadded<AtomicU64>,
    let_in: CachePadded<AtomicU64>,
}

impl InLine {
    /// A task has to wait. To be called before anybody can let it in.
    #[inline]
    pub(super) fn one_comes(&self) {
        // Relaxed: what lets it in is counted after it, and what tells somebody of the task.
        self.came.fetch_add(1, Relaxed);
    }
}

/// How many tasks one worker has let in. It counts before it queues them, and they are run before it ends, or there is another worker.
#[derive(Debug, Default)]
pub(super) struct OwnLetIn(AtomicU64);

impl OwnLetIn {
    #[inline]
    pub(super) fn add(&self) {
        // Nobody else changes it. Release: who reads it finds that the task had come.
        self.0.store(self.0.load(Relaxed) + 1, Release);
    }
}

impl<P: LockPolicy> Core<P> {
    /// A thread that may be none of the workers has let in a task, and queued or ended it.
    pub(super) fn has_let_in(self: &Arc<Self>) {
        // Release: who reads it finds what has been queued, and that the task had come.
        self.in_line.let_in.fetch_add(1, Release);
        // Pairs with the fences in `Idle::stop_if_empty` and in `await_quiescence`: either they read the count, or what they have changed is seen here.
        if !mutant("line_let_in_no_fence") {
            fence(SeqCst);
        }
        if !mutant("who_lets_in_leaves_it_running") {
            self.stop_if_empty();
        }
        self.tell_if_quiescent();
    }

    fn let_in(&self) -> u64 {
        let by_workers = self.counters.iter().map(|worker| worker.let_in.0.load(Acquire)).sum::<u64>();
        by_workers + self.in_line.let_in.load(Acquire)
    }

    pub(super) fn waiting_in_line(&self) -> u64 {
        let let_in = self.let_in();
        self.in_line.came.load(Relaxed) - let_in
    }

    /// Whether nothing is queued or stands in line, or is on its way from here to there.
    pub(super) fn is_through(&self) -> bool {
        // First: if nobody has come since, then all had been let in at that moment, and queued before the look at the queue.
        let let_in = self.let_in();
        !self.has_queued() && (self.in_line.came.load(Relaxed) == let_in || mutant("line_is_not_waited_for"))
    }
}

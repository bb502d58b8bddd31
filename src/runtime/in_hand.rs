//! Tasks that somebody takes out of the queue to end them unrun. What such a task lets in is not queued yet while it is in hand, and the pool must not
//! stop. `docs/guarded.md` has the argument.

use std::cell::Cell;
use std::ptr;

use crate::sync::atomic::{AtomicU64, Ordering::*, fence};
use crate::sync::{local, mutant};

/// Two counts that only grow: how often somebody began to take a task out, and how often he was through with that.
#[derive(Debug)]
pub(super) struct InHand {
    begun: AtomicU64,
    over: AtomicU64,
}

local! { static HAND: Cell<*const InHand> = Cell::new(ptr::null()); }

impl InHand {
    pub(super) fn new() -> Self {
        Self { begun: AtomicU64::new(0), over: AtomicU64::new(0) }
    }

    /// Runs `end`, which takes a task out of the queue, if there is one, and ends it. It counts until what the task lets in is queued, see [`let_go`].
    pub(super) fn during<R>(&self, end: impl FnOnce() -> R) -> R {
        struct Hand(*const InHand);
        impl Drop for Hand {
            fn drop(&mut self) {
                let_go();
                let _gone = HAND.try_with(|hand| hand.set(self.0));
            }
        }
        self.begun.fetch_add(1, Relaxed);
        // Pairs with the fence in `is_empty_handed`.
        fence(SeqCst);
        let Ok(outer) = HAND.try_with(|hand| hand.replace(self)) else {
            // Without the thread's locals it counts to the end.
            let result = end();
            self.over.fetch_add(1, Release);
            return result;
        };
        let _hand = Hand(outer);
        end()
    }

    /// Whether nothing is in the queue, by that look, and nobody had taken something from it whose followers the look has missed.
    pub(super) fn is_empty_handed(&self, is_empty: impl FnOnce() -> bool) -> bool {
        // First: who is through by now has queued what the look finds. Acquire pairs with the release in `let_go`.
        let over = self.over.load(Acquire);
        if !is_empty() {
            return false;
        }
        // Pairs with the fence in `during`: if the look found nothing as somebody had taken it, he has been counted before.
        fence(SeqCst);
        self.begun.load(Relaxed) == over || mutant("in_hand_is_not_waited_for")
    }
}

/// What this thread has in hand has let in those behind it, or lets in nobody: code of the user's may come next.
pub(super) fn let_go() {
    let hand = HAND.try_with(|hand| hand.replace(ptr::null())).unwrap_or(ptr::null());
    // SAFETY: of a `during` below on this stack.
    if let Some(hand) = unsafe { hand.as_ref() } {
        hand.over.fetch_add(1, Release);
    }
}

//! A task handed to the one who waits for what it is part of: leapfrogging (Wagner and Calder, PPoPP 1993), with the thief as the giver. `docs/waiting.md` has
//! the argument.

use std::ptr::{self, NonNull};

use super::header::{Identity, Task};
use super::link::Link;
use crate::sync::atomic::{AtomicPtr, Ordering::*};
use crate::sync::mutant;

/// Where the waiter says that it would help, and finds what it gets. Null if it would not.
#[derive(Debug)]
pub(crate) struct Helper(AtomicPtr<Link>);

/// Stands for "would help, and has got nothing"; never followed.
fn ready() -> *mut Link {
    ptr::without_provenance_mut(1)
}

impl Helper {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The waiter would help. It has got nothing.
    pub(crate) fn offer(&self) {
        // Relaxed: who sees it looks at nothing else.
        self.0.store(ready(), Relaxed);
    }

    /// A hint.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.load(Relaxed) == ready()
    }

    /// Whether the waiter has got something, which may be taken back.
    pub(crate) fn has_task(&self) -> bool {
        let now = self.0.load(Relaxed);
        !now.is_null() && now != ready()
    }

    /// The waiter would not help any more; what it has got.
    pub(crate) fn withdraw(&self) -> Option<Task> {
        // Acquire pairs with the release in `give`: the task is whole.
        let before = if mutant("helper_withdraws_in_two_steps") {
            let before = self.0.load(Acquire);
            self.0.store(ptr::null_mut(), Relaxed);
            before
        } else {
            self.0.swap(ptr::null_mut(), Acquire)
        };
        let link = NonNull::new(before).filter(|link| link.as_ptr() != ready())?;
        // SAFETY: from `give`, and out of the slot in the one step.
        Some(unsafe { Task::from_link(link) })
    }

    /// Gives the waiter a task; back if it would not help any more.
    pub(crate) fn give(&self, task: Task) -> Result<(), Task> {
        let link = task.into_link();
        let order = if mutant("helper_gives_relaxed") { Relaxed } else { Release };
        match self.0.compare_exchange(ready(), link.as_ptr(), order, Relaxed) {
            Ok(_) => Ok(()),
            // SAFETY: nobody has seen it.
            Err(_) => Err(unsafe { Task::from_link(link) }),
        }
    }

    /// Takes back what the caller has given; none if the waiter has it, or has not got it from here.
    pub(crate) fn take_back(&self, task: Identity) -> Option<Task> {
        let link: *mut Link = task.cast_mut().cast();
        if mutant("helper_takes_back_what_is_gone") {
            if self.0.load(Relaxed) != link {
                return None;
            }
            self.0.store(ready(), Relaxed);
        } else {
            // Relaxed: it was the caller who put it there.
            self.0.compare_exchange(link, ready(), Relaxed, Relaxed).ok()?;
        }
        // SAFETY: from `give`, and out of the slot in the one step.
        NonNull::new(link).map(|link| unsafe { Task::from_link(link) })
    }
}

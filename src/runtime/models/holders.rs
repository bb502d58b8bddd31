//! Models of the tasks that hold something by themselves: those on one worker's stack, against who looks for them.

use crate::runtime::holders::{Holder, Stack};
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::{Arc, UnsafeCell, check, thread};
use crate::task::TaskRef;

struct Shared {
    stack: Stack,
    /// What is said before a look.
    cancels: AtomicBool,
    /// What each task holds: touched by a task before it is on the stack, and once it no longer is.
    held: [UnsafeCell<()>; 2],
}

// SAFETY: that nobody looks at what a task holds while the task touches it is what the models check.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Shared {
    fn new() -> Arc<Self> {
        let held = [UnsafeCell::new(()), UnsafeCell::new(())];
        Arc::new(Self { stack: Stack::new(), cancels: AtomicBool::new(false), held })
    }

    /// Stands for the task that holds it. Nobody follows it.
    fn task(&self, at: usize) -> TaskRef {
        TaskRef::of((&raw const self.held[at]).cast()).expect("an address")
    }

    /// Runs `f` as that task.
    fn runs<R>(&self, at: usize, f: impl FnOnce() -> R) -> R {
        self.held[at].with_mut(|_| ());
        let holder = Holder::new(self.task(at));
        // SAFETY: it is popped below.
        unsafe { self.stack.push(&holder) };
        let result = f();
        // SAFETY: pushed above, and `f` has popped what it pushed.
        unsafe { self.stack.pop(&holder) };
        self.held[at].with_mut(|_| ());
        result
    }

    /// Which tasks are there.
    fn look(&self) -> [bool; 2] {
        self.cancels.store(true, Relaxed);
        let mut found = [false; 2];
        self.stack.look(|task| {
            let at = usize::from(task == self.task(1));
            self.held[at].with(|_| ());
            found[at] = true;
        });
        found
    }
}

/// Of a task that begins and one who looks, one sees the other.
#[test]
fn who_begins_unseen_sees_that_somebody_has_looked() {
    check(None, || {
        let shared = Shared::new();
        let other = shared.clone();
        let looks = thread::spawn(move || other.look());
        let (sees, found) = shared.runs(0, || (shared.cancels.load(Relaxed), looks.join().unwrap()));
        assert!(sees || found[0]);
    });
}

fn who_is_looked_at_stays(lookers: usize) {
    let shared = Shared::new();
    let lookers: Vec<_> = (0..lookers)
        .map(|_| {
            let shared = shared.clone();
            thread::spawn(move || shared.look())
        })
        .collect();
    shared.runs(0, || shared.runs(1, || ()));
    for looker in lookers {
        let [outer, inner] = looker.join().unwrap();
        assert!(outer || !inner);
    }
    assert_eq!(shared.look(), [false; 2]);
}

#[test]
fn one_looks_while_tasks_come_and_go() {
    check(None, || who_is_looked_at_stays(1));
}

#[test]
fn two_look_while_tasks_come_and_go() {
    check(Some(2), || who_is_looked_at_stays(2));
}

//! A task to wait for, whatever the type of its result.

use super::header::Identity;
use super::join_ref::JoinRef;
use super::state::{Snapshot, State};
use super::tally::Tally;
use super::waiters::Wake;

/// Runs a claimed task.
type Run<'a> = &'a mut dyn FnMut(&Tally);

/// What a wait asks of a handle's reference.
pub(crate) trait Target {
    fn identity(&self) -> Identity;
    /// The number of its pool.
    fn pool(&self) -> u32;
    fn state(&self) -> &State;
    /// See [`JoinRef::claim_and_run`].
    fn claim_and_run(&self, around: &mut dyn FnMut(Run<'_>)) -> bool;
    /// See [`JoinRef::register`].
    fn register(&self, wake: &Wake) -> bool;
    fn deregister(&self, wake: &Wake);
    /// Whether it has ended with an error other than that it was cancelled.
    fn has_failed(&self) -> bool;

    fn snapshot(&self) -> Snapshot {
        self.state().load()
    }
}

impl<T> Target for JoinRef<T> {
    fn identity(&self) -> Identity {
        self.identity()
    }

    fn pool(&self) -> u32 {
        self.pool()
    }

    fn state(&self) -> &State {
        self.state()
    }

    fn claim_and_run(&self, around: &mut dyn FnMut(Run<'_>)) -> bool {
        self.claim_and_run(around)
    }

    fn register(&self, wake: &Wake) -> bool {
        self.register(wake)
    }

    fn deregister(&self, wake: &Wake) {
        self.deregister(wake);
    }

    fn has_failed(&self) -> bool {
        self.error().is_some_and(|error| !error.is_cancelled())
    }
}

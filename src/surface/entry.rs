//! How a new task gets into the pool, or why it does not. What a closure's type decides is little, and comes last: it is compiled for each closure.

use std::time::Duration;

use super::{Refused, TaskHandle};
use crate::policy::LockPolicy;
use crate::runtime::deadlines::starting_within;
use crate::runtime::propagation::carried;
use crate::runtime::trace::traced;
use crate::runtime::{Admission, Core, Permit, Then};
use crate::sync::Arc;
use crate::task;

/// A way in for one task.
pub(super) struct Entry {
    /// By a push alone, as in most pools.
    plain: bool,
    place: Option<Permit>,
    then: Then,
}

impl Entry {
    /// May wait for a place in the queue.
    #[inline]
    pub(super) fn to<P: LockPolicy>(core: &Arc<Core<P>>) -> Result<Self, Refused> {
        if core.is_draining() {
            return Err(Refused::by(core));
        }
        if core.is_plain() {
            return Ok(Self { plain: true, place: None, then: Then::Queue });
        }
        let (place, then) = admitted(core)?;
        Ok(Self { plain: false, place, then })
    }

    pub(super) fn submit<P, T, F>(self, core: &Arc<Core<P>>, priority: i8, f: F) -> TaskHandle<T>
    where
        P: LockPolicy,
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        if !self.plain {
            return self.submit_held(core, priority, f);
        }
        let (task, join) = task::joinable(core.id, traced::<P, _, _>(f));
        core.push_ranked(task, priority);
        TaskHandle::new(join)
    }

    #[inline(never)]
    fn submit_held<P, T, F>(self, core: &Arc<Core<P>>, priority: i8, f: F) -> TaskHandle<T>
    where
        P: LockPolicy,
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (task, join) = task::joinable(core.id, held_until_called(self.place, carried(core, f)));
        core.see_to(task, priority, self.then);
        TaskHandle::new(join)
    }

    /// As `submit`, for a task that has to start within that time.
    pub(super) fn submit_within<P, T, F>(self, core: &Arc<Core<P>>, priority: i8, time: Duration, f: F) -> TaskHandle<T>
    where
        P: LockPolicy,
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let f = held_until_called(self.place, carried(core, f));
        TaskHandle::new(starting_within(core, time, f, |task| core.see_to(task, priority, self.then)))
    }

    fn spawn<P: LockPolicy>(self, core: &Arc<Core<P>>, priority: i8, f: impl FnOnce() + Send + 'static) {
        if self.plain {
            core.push_ranked(task::detached(traced::<P, _, _>(f)), priority);
        } else {
            self.spawn_held(core, priority, f);
        }
    }

    #[inline(never)]
    fn spawn_held<P: LockPolicy>(self, core: &Arc<Core<P>>, priority: i8, f: impl FnOnce() + Send + 'static) {
        core.see_to(task::detached(held_until_called(self.place, carried(core, f))), priority, self.then);
    }
}

/// The place of a new task in the queue, if it has one, and what becomes of it.
#[inline(never)]
pub(super) fn admitted<P: LockPolicy>(core: &Arc<Core<P>>) -> Result<(Option<Permit>, Then), Refused> {
    match core.admit() {
        Admission::Place(place) => Ok((Some(place), Then::Queue)),
        Admission::NoPlace(then) => Ok((None, then)),
        Admission::Full => Err(Refused::Full),
        Admission::Shutdown => Err(Refused::by(core)),
    }
}

/// The closure of a task that may have a place in the queue until it starts, or ends unrun.
fn held_until_called<T>(place: Option<Permit>, f: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        drop(place);
        f()
    }
}

pub(super) fn submit<P, T, F>(core: &Arc<Core<P>>, f: F) -> TaskHandle<T>
where
    P: LockPolicy,
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    match Entry::to(core) {
        Ok(entry) => entry.submit(core, 0, f),
        Err(why) => {
            task::drop_quietly(f);
            refused(core, why)
        }
    }
}

/// The handle of a task that was not taken.
#[cold]
pub(super) fn refused<P: LockPolicy, T: Send + 'static>(core: &Arc<Core<P>>, why: Refused) -> TaskHandle<T> {
    let error = if why == Refused::Full { why.into() } else { core.refused() };
    TaskHandle::new(task::refused(core.id, error))
}

pub(super) fn spawn<P, F>(core: &Arc<Core<P>>, priority: i8, f: F) -> Result<(), Refused>
where
    P: LockPolicy,
    F: FnOnce() + Send + 'static,
{
    match Entry::to(core) {
        Ok(entry) => {
            entry.spawn(core, priority, f);
            Ok(())
        }
        Err(why) => {
            task::drop_quietly(f);
            Err(why)
        }
    }
}

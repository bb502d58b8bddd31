//! A value that each worker makes for itself, and what wraps a worker's life.

use std::any::{Any, TypeId, type_name};
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Core;
use crate::policy::LockPolicy;
use crate::sync::{Arc, Mutex};
use crate::task::{Panic, PanicPayload, TaskError, drop_quietly, quietly};

/// A type by its name and by what tells it apart.
#[derive(Clone, Copy)]
pub(crate) struct Type(TypeId, &'static str);

impl Type {
    fn of<L: 'static>() -> Self {
        Self(TypeId::of::<L>(), type_name::<L>())
    }

    pub(crate) fn name(self) -> &'static str {
        self.1
    }
}

type Make = dyn Fn(usize) -> Result<Box<dyn Any>, String> + Send + Sync;

/// How each worker comes by its value.
pub(crate) struct Initializer {
    makes: Type,
    make: Box<Make>,
}

impl Initializer {
    pub(crate) fn new<L, E>(make: impl Fn(usize) -> Result<L, E> + Send + Sync + 'static) -> Self
    where
        L: 'static,
        E: Display,
    {
        let make = move |index| match make(index) {
            Ok(value) => Ok(Box::new(value) as Box<dyn Any>),
            Err(error) => Err(error.to_string()),
        };
        Self { makes: Type::of::<L>(), make: Box::new(make) }
    }

    pub(crate) fn makes(&self) -> Type {
        self.makes
    }
}

/// What becomes of the value at the worker's end.
pub(crate) struct Finalizer {
    takes: Type,
    end: Box<dyn Fn(Box<dyn Any>) + Send + Sync>,
}

impl Finalizer {
    pub(crate) fn new<L: 'static>(end: impl Fn(L) + Send + Sync + 'static) -> Self {
        let end = move |value: Box<dyn Any>| {
            // The builder has compared the types.
            if let Ok(value) = value.downcast() {
                end(*value);
            }
        };
        Self { takes: Type::of::<L>(), end: Box::new(end) }
    }

    pub(crate) fn takes(&self) -> Type {
        self.takes
    }

    pub(crate) fn fits(&self, initializer: &Initializer) -> bool {
        self.takes.0 == initializer.makes.0
    }
}

/// A worker's life, for the one who wraps it: see [`Builder::worker_main`](crate::Builder::worker_main).
pub struct WorkerRun<'a> {
    index: usize,
    live: &'a mut dyn FnMut(),
}

impl WorkerRun<'_> {
    /// The index of the worker's place, as in the name of its thread.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The worker's life, from before its first task to after its last. Never unwinds.
    pub fn run(self) {
        (self.live)();
    }
}

impl fmt::Debug for WorkerRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerRun").field("index", &self.index).finish_non_exhaustive()
    }
}

/// What keeps a worker from its tasks: the text, and the payload if it is a panic.
struct Failed(String, Option<PanicPayload>);

impl Failed {
    fn of_panic(what: &str, payload: PanicPayload) -> Self {
        let panic = Panic::new(payload);
        Self(format!("the {what} panicked: {}", panic.message()), Some(panic.into_payload()))
    }
}

/// Why a pool is broken, once it is.
#[derive(Debug, Default)]
pub(super) struct Broken(Mutex<Option<Arc<str>>>);

impl<P: LockPolicy> Core<P> {
    /// Runs a worker's life inside what the user wrapped around it. If that leaves it out, the pool is broken.
    pub(super) fn wrap(self: &Arc<Self>, index: usize, live: &mut dyn FnMut()) {
        let Some(wrapper) = &self.hooks.worker_main else { return live() };
        let mut has_run = false;
        let mut live = || {
            has_run = true;
            live();
        };
        let wrapped = catch_unwind(AssertUnwindSafe(|| wrapper(WorkerRun { index, live: &mut live })));
        match (wrapped, has_run) {
            (Ok(()), true) => {}
            (Err(payload), true) => drop_quietly(payload),
            (Ok(()), false) => self.fail(Failed("`worker_main` returned without a call of `run`".into(), None)),
            (Err(payload), false) => self.fail(Failed::of_panic("closure of `worker_main`", payload)),
        }
    }

    /// Makes a worker's value, and has `live` use it. If it can't be made, the pool is broken.
    pub(super) fn with_local(
        self: &Arc<Self>,
        index: usize,
        live: impl FnOnce(Option<Box<dyn Any>>) -> Option<Box<dyn Any>>,
    ) {
        let made = self.hooks.initializer.as_ref().map(|initializer| {
            catch_unwind(AssertUnwindSafe(|| (initializer.make)(index)))
                .map_err(|payload| Failed::of_panic("initializer", payload))
                .and_then(|made| made.map_err(|error| Failed(format!("the initializer failed: {error}"), None)))
        });
        let value = match made.transpose() {
            Ok(value) => value,
            Err(failed) => return self.fail(failed),
        };
        self.one_is_ready();
        let Some(value) = live(value) else { return };
        match &self.hooks.finalizer {
            Some(finalizer) => quietly(|| (finalizer.end)(value)),
            None => drop_quietly(value),
        }
    }

    /// No worker can be had: ends all that is queued, and refuses the rest. Running tasks go on.
    #[cold]
    fn fail(self: &Arc<Self>, Failed(why, payload): Failed) {
        let mut broken = self.broken.0.lock();
        if broken.is_some() {
            drop(broken);
            return drop_quietly(payload);
        }
        *broken = Some(why.as_str().into());
        drop(broken);
        self.drain();
        self.cancel_queued();
        // Whoever waits for it to be ready.
        self.one_is_ready();
        self.unobserved_panic(payload.unwrap_or_else(|| Box::new(why)));
    }

    pub(crate) fn broken(&self) -> Option<Arc<str>> {
        if self.can_fail() { self.broken.0.lock().clone() } else { None }
    }

    /// What a task ends with that comes too late.
    pub(crate) fn refused(&self) -> TaskError {
        self.broken().map_or(TaskError::Refused, TaskError::Broken)
    }

    /// What a task ends with that is not to start any more.
    pub(super) fn unrun(&self) -> TaskError {
        self.broken().map_or(TaskError::Cancelled, TaskError::Broken)
    }

    /// Whether a worker has to do something of the user's before it takes tasks, that can fail.
    fn can_fail(&self) -> bool {
        self.hooks.initializer.is_some() || self.hooks.worker_main.is_some()
    }

    fn one_is_ready(&self) {
        if self.can_fail() {
            *self.ready.lock() += 1;
            self.became_ready.notify_all();
        }
    }

    /// Waits until so many workers have been ready for tasks since the pool was built; the reason if it is broken.
    pub(crate) fn await_ready(&self, workers: usize) -> Result<(), Arc<str>> {
        let mut ready = self.ready.lock();
        while self.can_fail() && *ready < workers && self.broken().is_none() {
            self.became_ready.wait(&mut ready);
        }
        drop(ready);
        self.broken().map_or(Ok(()), Err)
    }
}

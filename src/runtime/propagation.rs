//! What a submitter has around it on its thread, taken along to where its task runs.

use super::Core;
use super::trace::traced;
use crate::policy::LockPolicy;

/// Runs what it is given, restored around it.
type Restore = Box<dyn FnMut(&mut dyn FnMut()) + Send>;

/// How a pool captures it.
pub(crate) struct Propagation(Box<dyn Fn() -> Restore + Send + Sync>);

impl Propagation {
    pub(crate) fn new<R, G>(capture: impl Fn() -> R + Send + Sync + 'static) -> Self
    where
        R: FnMut() -> G + Send + 'static,
    {
        Self(Box::new(move || {
            let mut restore = capture();
            Box::new(move |run| {
                let _restored = restore();
                run();
            })
        }))
    }

    /// Both, `inner` inside this.
    pub(crate) fn around(self, inner: Self) -> Self {
        Self(Box::new(move || {
            let (mut outer, mut inner) = (self.0(), inner.0());
            Box::new(move |run| outer(&mut || inner(run)))
        }))
    }
}

/// What a submitter had around it; nothing in most pools, and then small.
pub(crate) struct Surroundings(Option<Box<Restore>>);

impl Surroundings {
    /// Of who runs now.
    #[inline]
    pub(crate) fn here<P: LockPolicy>(core: &Core<P>) -> Self {
        Self(core.hooks.propagation.as_ref().map(|propagation| Box::new(propagation.0())))
    }

    #[inline]
    pub(crate) fn run<T>(&mut self, f: impl FnOnce() -> T) -> T {
        let Some(restore) = &mut self.0 else { return f() };
        let (mut f, mut result) = (Some(f), None);
        restore(&mut || result = f.take().map(|f| f()));
        result.expect("it was called once")
    }

    /// The closure of a task that is submitted now.
    #[inline]
    pub(crate) fn carry<P: LockPolicy, T, F: FnOnce() -> T>(mut self, f: F) -> impl FnOnce() -> T + use<P, T, F> {
        let f = traced::<P, _, _>(f);
        move || self.run(f)
    }
}

/// The closure of a task, with what its submitter, who calls this, has around it.
#[inline]
pub(crate) fn carried<P: LockPolicy, T, F: FnOnce() -> T>(core: &Core<P>, f: F) -> impl FnOnce() -> T + use<P, T, F> {
    Surroundings::here(core).carry::<P, _, _>(f)
}

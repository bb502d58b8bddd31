//! What can be waited for together with others: handles, and references to them.

use std::fmt;

use super::{SharedHandle, TaskHandle};
use crate::task::Target;

/// A handle whose task can be waited for together with others, by [`wait`](crate::wait) and [`as_completed`](crate::as_completed): a
/// [`TaskHandle`], a [`SharedHandle`], or a reference to one. `&dyn Waitable` stands for handles with results of different types.
pub trait Waitable: sealed::Sealed {}

/// What a wait needs of a handle; none if its result has been taken.
pub struct Reference<'a>(pub(crate) Option<&'a (dyn Target + 'a)>);

impl fmt::Debug for Reference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reference").field(&self.0.map(|target| target.snapshot().public())).finish()
    }
}

pub(crate) mod sealed {
    use super::Reference;

    pub trait Sealed {
        fn reference(&self) -> Reference<'_>;
    }
}
use sealed::Sealed;

impl<T> Sealed for TaskHandle<T> {
    fn reference(&self) -> Reference<'_> {
        Reference(self.target().map(|join| join as &dyn Target))
    }
}
impl<T> Waitable for TaskHandle<T> {}

impl<T> Sealed for SharedHandle<T> {
    fn reference(&self) -> Reference<'_> {
        Reference(Some(SharedHandle::target(self)))
    }
}
impl<T> Waitable for SharedHandle<T> {}

impl<H: Sealed + ?Sized> Sealed for &H {
    fn reference(&self) -> Reference<'_> {
        (**self).reference()
    }
}
impl<H: Waitable + ?Sized> Waitable for &H {}

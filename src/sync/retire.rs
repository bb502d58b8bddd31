//! The end of an atomic's life.

/// An atomic whose memory is given back, or used for something else.
pub(crate) trait Retire {
    /// Fails a model under loom unless every access of it is ordered before this; nothing in any other build.
    fn retire(&mut self);
}

#[cfg(not(lockgrain_loom))]
mod unseen {
    use super::Retire;
    use crate::sync::atomic::{AtomicPtr, AtomicU32};

    impl<T> Retire for AtomicPtr<T> {
        #[inline(always)]
        fn retire(&mut self) {}
    }

    impl Retire for AtomicU32 {
        #[inline(always)]
        fn retire(&mut self) {}
    }
}

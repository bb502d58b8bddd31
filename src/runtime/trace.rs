//! A span of `tracing` a task, with the feature of that name; without it, nothing.

#[cfg(feature = "tracing")]
mod span;
#[cfg(feature = "tracing")]
pub(crate) use span::*;

/// The closure of a task, whose span is made here and now.
#[cfg(not(feature = "tracing"))]
#[inline(always)]
#[allow(clippy::extra_unused_type_parameters, reason = "the span names the policy")]
pub(crate) fn traced<P: crate::policy::LockPolicy, T, F: FnOnce() -> T>(f: F) -> F {
    f
}

//! User code whose panic must not reach the scheduler. The panic hook has reported it by then.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::PanicPayload;

/// Runs user code; its panic is swallowed.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        forget(payload);
    }
}

/// Drops `value`; a panic of its `Drop` is swallowed.
pub(crate) fn drop_quietly<T>(value: T) {
    quietly(|| drop(value));
}

#[cold]
fn forget(payload: PanicPayload) {
    // A payload whose own `Drop` panics is leaked the second time round: no end to the chain otherwise.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

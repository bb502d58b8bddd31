//! Cache lines.

/// Bytes of one.
pub(crate) const LINE: usize = 64;

/// Begins to fetch the line with that address, of which nothing is read: no memory need be there. The first access will have to wait less,
/// where there is an instruction for that, on x86-64.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: it never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}

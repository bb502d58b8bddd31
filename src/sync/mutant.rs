//! Seeded faults for the model checks.

/// Whether the seeded fault `name` is switched on: constant false in an ordinary build, so the branch is compiled
/// away; in a model build, the value of `LOCKGRAIN_MUTANT`.
#[cfg(not(any(lockgrain_loom, lockgrain_shuttle)))]
#[inline(always)]
pub(crate) const fn mutant(_name: &str) -> bool {
    false
}

#[cfg(any(lockgrain_loom, lockgrain_shuttle))]
pub(crate) fn mutant(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("LOCKGRAIN_MUTANT").ok()).as_deref() == Some(name)
}

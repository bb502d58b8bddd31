//! Programs that use lockgrain, an example each: `cargo run --release --example checksum -- DIR`.

use clap::ValueEnum;

/// How coarse the locks of an example's pool are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// One task at a time.
    Global,
    /// A small lock a queue.
    Fine,
    /// No lock.
    LockFree,
    /// The three in turn, which must agree; says what each cost.
    All,
}

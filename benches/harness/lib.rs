//! The same workloads on lockgrain's policies and on other pools, for `peers.rs` (criterion) and `compare.rs` (interleaved).

mod peers;
mod stage;

pub use peers::{Executor, all};
pub use stage::{Peer, Workload};

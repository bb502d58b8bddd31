//! The same workloads on lockgrain's policies and on other pools, for `peers.rs` (criterion) and `compare.rs` (interleaved).

mod fib;
mod peers;
mod stage;

pub use fib::{chili_fib, fib, rayon_fib};
pub use peers::{Executor, all};
pub use stage::{Peer, Workload};

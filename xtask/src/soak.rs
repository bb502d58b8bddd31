//! The soak, built so that the pool pauses in its gaps and some threads can't be started.

use anyhow::{Result, ensure};

/// One thread of so many is not started.
const UNSTARTED: &str = "20";

#[derive(clap::Args, Clone)]
pub(crate) struct Options {
    /// How long for each policy, in minutes.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Only this one: `global`, `fine` or `lock-free`.
    #[arg(long)]
    policy: Option<String>,
    /// Where the random choices begin; drawn if not given. The schedule of the threads is not repeated.
    #[arg(long)]
    seed: Option<u64>,
    /// An operation that takes longer than so many seconds stands still.
    #[arg(long, default_value_t = 60)]
    stall: u64,
}

impl Options {
    /// Long enough to see that it goes.
    pub(crate) fn short() -> Self {
        Self { minutes: 0.1, policy: None, seed: None, stall: 60 }
    }
}

pub(crate) fn soak(options: &Options) -> Result<()> {
    let seed = options.seed.map_or_else(
        || std::time::UNIX_EPOCH.elapsed().map_or(1, |now| u64::from(now.subsec_nanos())).to_string(),
        |seed| seed.to_string(),
    );
    let mut command = crate::cargo();
    command
        .args(["run", "--quiet", "--release", "--package", "lockgrain-soak", "--target-dir", "target/soak", "--"])
        .args(["--minutes", &options.minutes.to_string(), "--stall", &options.stall.to_string(), "--seed", &seed])
        .env("RUSTFLAGS", "--cfg lockgrain_soak")
        .env("LOCKGRAIN_SOAK_SEED", &seed)
        .env("LOCKGRAIN_SOAK_UNSTARTED", UNSTARTED);
    if let Some(policy) = &options.policy {
        command.args(["--policy", policy]);
    }
    let status = command.status()?;
    ensure!(status.success(), "the soak: {status}");
    Ok(())
}

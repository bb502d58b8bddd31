//! The project's checks, a command each: `cargo xtask test` does everything that CI does.

mod conformance;
mod contract;
mod draw;
mod example;
mod fuzz;
mod instructions;
mod models;
mod python;
mod report;
mod sanitize;
mod soak;
mod step;

use std::path::PathBuf;
use std::process::{self, ExitCode};

use clap::{Parser, Subcommand};

use models::{Bound, Selection};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's checks")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that CI does.
    Test,
    /// The contract's cases, and the tests that show them.
    Contract,
    /// The example `checksum` under each policy, against `sha256sum -c`.
    Example,
    /// The loom models, each in its own process.
    Models {
        #[command(flatten)]
        selection: Selection,
        /// As many preemptions at most in every model, in the place of its own bound.
        #[arg(long, conflicts_with = "deep")]
        preemptions: Option<u32>,
        /// One preemption more than each model's own bound; a model that is not through within the limit is cut off, which is no failure. Hours.
        #[arg(long)]
        deep: bool,
        /// One preemption fewer in the models that `xtask/long.txt` lists, as in `test`.
        #[arg(long, conflicts_with_all = ["deep", "preemptions"])]
        short: bool,
    },
    /// The same models, larger, under random schedules.
    Shuttle {
        #[command(flatten)]
        selection: Selection,
        /// How many schedules a model.
        #[arg(long, default_value_t = step::SCHEDULES)]
        schedules: u32,
    },
    /// The example of policies of one's own under loom, the good one and the broken ones.
    Conformance,
    /// Random programs under random schedules; `LOCKGRAIN_SEED` chooses which.
    Programs,
    /// A picture of traces, as of the example `timeline`.
    Draw {
        /// The traces, from top to bottom.
        traces: Vec<PathBuf>,
        /// Where the picture goes, an SVG.
        #[arg(long, default_value = "docs/timeline.svg")]
        to: PathBuf,
    },
    /// The suite and a soak under the sanitizers, and the unit tests under valgrind, as far as these are there. Not part of `test`.
    Sanitize(sanitize::Options),
    /// Everything at once, for long, with faults; `test` has some seconds of it.
    Soak(soak::Options),
    /// The fuzz targets, where cargo-fuzz and a nightly toolchain are.
    Fuzz {
        /// Only the targets that have this in their name.
        #[arg(default_value = "")]
        filter: String,
        /// Seconds a target.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Instructions of the hot paths, as valgrind counts them, against their limits.
    Instructions {
        /// Only the cases that have this in their name.
        #[arg(default_value = "")]
        filter: String,
        /// Also what other pools take for the same.
        #[arg(long)]
        peers: bool,
    },
    /// Every pool beside every other: `docs/performance.md`, its pictures, and the README's table. With nothing else running; ten minutes.
    Report(report::Options),
    /// The seeded faults, each under the model that must catch it.
    Mutants,
}

/// What builds and runs the checks. Each is built once: what an incremental build keeps for the next one costs time and helps nobody.
fn cargo() -> process::Command {
    let mut command = process::Command::new(env!("CARGO"));
    command.env("CARGO_INCREMENTAL", "0");
    command
}

fn main() -> ExitCode {
    let steps = match Arguments::parse().command {
        Command::Test => step::all(),
        Command::Contract => vec![step::contract()],
        Command::Example => vec![step::example()],
        Command::Models { selection, deep: true, .. } => vec![step::models(selection, Bound::Deeper)],
        Command::Models { selection, short: true, .. } => vec![step::models(selection, Bound::Shorter)],
        Command::Models { selection, preemptions, .. } => {
            vec![step::models(selection, preemptions.map_or(Bound::Own, Bound::Given))]
        }
        Command::Shuttle { selection, schedules } => vec![step::shuttle(selection, schedules)],
        Command::Conformance => vec![step::conformance()],
        Command::Programs => vec![step::programs()],
        Command::Draw { traces, to } => vec![step::draw(traces, to)],
        Command::Sanitize(options) => vec![step::sanitize(options)],
        Command::Soak(options) => vec![step::soak(options)],
        Command::Fuzz { filter, seconds } => vec![step::fuzz(filter, seconds)],
        Command::Instructions { filter, peers } => vec![step::instructions(filter, peers)],
        Command::Report(options) => vec![step::report(options)],
        Command::Mutants => vec![step::mutants()],
    };
    step::run(steps)
}

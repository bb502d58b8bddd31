//! The project's checks, a command each: `cargo xtask test` does everything that CI does.

mod example;
mod models;
mod step;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// The example `checksum` under each policy, against `sha256sum -c`.
    Example,
    /// The loom models, each in its own process.
    Models,
    /// The same models, larger, under random schedules.
    Shuttle {
        /// How many schedules a model.
        #[arg(default_value_t = step::SCHEDULES)]
        schedules: u32,
    },
    /// The seeded faults, each under the model that must catch it.
    Mutants,
}

fn main() -> ExitCode {
    let steps = match Arguments::parse().command {
        Command::Test => step::all(),
        Command::Example => vec![step::example()],
        Command::Models => vec![step::models()],
        Command::Shuttle { schedules } => vec![step::shuttle(schedules)],
        Command::Mutants => vec![step::mutants()],
    };
    step::run(steps)
}

//! The project's checks, a command each: `cargo xtask test` does everything that CI does.

mod example;
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
}

fn main() -> ExitCode {
    let steps = match Arguments::parse().command {
        Command::Test => step::all(),
        Command::Example => vec![step::example()],
    };
    step::run(steps)
}

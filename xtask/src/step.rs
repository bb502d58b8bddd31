//! Steps of a check: each is run, timed, and shown in a table at the end.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::models::{Bound, Checker, Selection};

/// Random schedules a model.
pub(crate) const SCHEDULES: u32 = 4_000;

pub(crate) struct Step {
    name: &'static str,
    run: Box<dyn Fn() -> Result<()>>,
}

fn cargo(name: &'static str, arguments: &'static str, environment: &'static [(&str, &str)]) -> Step {
    let run = move || {
        let status = crate::cargo().args(arguments.split(' ')).envs(environment.iter().copied()).status()?;
        ensure!(status.success(), "`cargo {arguments}`: {status}");
        Ok(())
    };
    Step { name, run: Box::new(run) }
}

pub(crate) fn contract() -> Step {
    Step { name: "contract", run: Box::new(crate::contract::check) }
}

pub(crate) fn conformance() -> Step {
    Step { name: "conformance", run: Box::new(crate::conformance::check) }
}

pub(crate) fn example() -> Step {
    Step { name: "example", run: Box::new(crate::example::check) }
}

pub(crate) fn models(selection: Selection, bound: Bound) -> Step {
    let checker = Checker::Loom { bound };
    Step { name: "models", run: Box::new(move || crate::models::models(checker, &selection)) }
}

pub(crate) fn shuttle(selection: Selection, schedules: u32) -> Step {
    let checker = Checker::Shuttle { schedules };
    Step { name: "models, random", run: Box::new(move || crate::models::models(checker, &selection)) }
}

/// Random programs, under random schedules.
pub(crate) fn programs() -> Step {
    cargo(
        "programs, random",
        "test --quiet --profile random --package lockgrain-programs --test models --target-dir target/shuttle",
        &[("RUSTFLAGS", "--cfg lockgrain_shuttle")],
    )
}

pub(crate) fn draw(traces: Vec<PathBuf>, to: PathBuf) -> Step {
    Step { name: "draw", run: Box::new(move || crate::draw::draw(&traces, &to)) }
}

pub(crate) fn sanitize(options: crate::sanitize::Options) -> Step {
    Step { name: "sanitize", run: Box::new(move || crate::sanitize::sanitize(&options)) }
}

pub(crate) fn soak(options: crate::soak::Options) -> Step {
    Step { name: "soak", run: Box::new(move || crate::soak::soak(&options)) }
}

pub(crate) fn fuzz(filter: String, seconds: u64) -> Step {
    Step { name: "fuzz", run: Box::new(move || crate::fuzz::fuzz(&filter, seconds)) }
}

pub(crate) fn instructions(filter: String, peers: bool) -> Step {
    Step { name: "instructions", run: Box::new(move || crate::instructions::count(&filter, peers)) }
}

pub(crate) fn report(options: crate::report::Options) -> Step {
    Step { name: "report", run: Box::new(move || crate::report::report(&options)) }
}

pub(crate) fn mutants() -> Step {
    Step { name: "mutants", run: Box::new(crate::models::mutants) }
}

/// What `cargo xtask test` does, in this order.
pub(crate) fn all() -> Vec<Step> {
    vec![
        cargo("format", "fmt --all --check", &[]),
        cargo("clippy", "clippy --quiet --workspace --all-targets -- -D warnings", &[]),
        cargo("tests", "test --quiet --workspace", &[]),
        cargo(
            "tests, features",
            "test --quiet -p lockgrain --features futures,tracing --test futures --test tracing",
            &[],
        ),
        contract(),
        cargo("tests, optimized", "test --quiet --release --test contract", &[]),
        cargo("docs", "doc --quiet --workspace --no-deps", &[("RUSTDOCFLAGS", "-D warnings")]),
        cargo("benches build", "build --quiet --package lockgrain-benches --all-targets", &[]),
        instructions(String::new(), false),
        models(Selection::default(), Bound::Shorter),
        cargo(
            "checks, loom",
            "test --quiet --release --package lockgrain --test model --target-dir target/loom",
            &[("RUSTFLAGS", "--cfg lockgrain_loom")],
        ),
        cargo(
            "checks, shuttle",
            "test --quiet --profile random --package lockgrain --test model --target-dir target/shuttle",
            &[("RUSTFLAGS", "--cfg lockgrain_shuttle")],
        ),
        shuttle(Selection::default(), SCHEDULES),
        programs(),
        mutants(),
        soak(crate::soak::Options::short()),
        conformance(),
        example(),
        cargo("example bank", "run --quiet --example bank -- --transfers 100000", &[]),
        cargo("example timeline", "run --quiet --example timeline", &[]),
        cargo("example sqlite", "run --quiet -p lockgrain-sqlite -- --operations 20000", &[]),
        Step { name: "example python", run: Box::new(crate::python::check) },
    ]
}

/// Runs all steps, also after one that failed, and ends with a table and a line of counts.
pub(crate) fn run(steps: Vec<Step>) -> ExitCode {
    let rows: Vec<(&str, Duration, Result<()>)> = steps
        .iter()
        .map(|step| {
            eprintln!("== {}", step.name);
            let start = Instant::now();
            let result = (step.run)();
            (step.name, start.elapsed(), result)
        })
        .collect();
    println!("\n| step | verdict | seconds |\n|---|---|---|");
    for (name, took, result) in &rows {
        let verdict = match result {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("FAILED: {error:#}"),
        };
        println!("| {name} | {verdict} | {:.1} |", took.as_secs_f64());
    }
    let failed = rows.iter().filter(|(_, _, result)| result.is_err()).count();
    println!("\n{} passed, {failed} failed", rows.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! The model checks, each model in a process of its own, and the seeded faults that they must catch.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Which models to run, and for how long at most.
#[derive(clap::Args)]
pub(crate) struct Selection {
    /// Only the models whose path has this in it.
    #[arg(default_value = "")]
    filter: String,
    /// Seconds after which a model counts as failed.
    #[arg(long, default_value_t = 600)]
    limit: u64,
}

impl Default for Selection {
    fn default() -> Self {
        Self { filter: String::new(), limit: 600 }
    }
}

/// What runs the models.
#[derive(Clone, Copy)]
pub(crate) enum Checker {
    /// Explores all executions within a bound, each model's own unless one is given.
    Loom { preemptions: Option<u32> },
    /// Draws so many schedules at random, of larger models.
    Shuttle { schedules: u32 },
}

impl Checker {
    fn name(self) -> &'static str {
        match self {
            Self::Loom { .. } => "loom",
            Self::Shuttle { .. } => "shuttle",
        }
    }

    fn environment(self) -> Option<(&'static str, String)> {
        match self {
            Self::Loom { preemptions } => preemptions.map(|bound| ("LOCKGRAIN_PREEMPTIONS", bound.to_string())),
            Self::Shuttle { schedules } => Some(("LOCKGRAIN_SCHEDULES", schedules.to_string())),
        }
    }
}

/// The library's test program as a checker runs it.
struct Program {
    path: PathBuf,
    checker: Checker,
}

struct Outcome {
    passed: bool,
    /// Whether it ended by itself within the limit.
    ended: bool,
    /// From the line that a model prints when it has explored all it should.
    executions: Option<u64>,
    took: Duration,
}

impl Program {
    fn build(checker: Checker) -> Result<Self> {
        let output = Command::new(env!("CARGO"))
            .args(["test", "--package", "lockgrain", "--lib", "--release", "--no-run", "--message-format=json"])
            .args(["--target-dir", &format!("target/{}", checker.name())])
            .env("RUSTFLAGS", format!("--cfg lockgrain_{}", checker.name()))
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "building the models: {}", output.status);
        let messages = String::from_utf8(output.stdout)?;
        let path = executable(&messages).context("cargo named no test program")?;
        Ok(Self { path: path.into(), checker })
    }

    fn models(&self) -> Result<Vec<String>> {
        let output = Command::new(&self.path).args(["--list", "--format", "terse"]).output()?;
        let listed = String::from_utf8(output.stdout)?;
        let names = listed.lines().filter_map(|line| line.strip_suffix(": test"));
        Ok(names.filter(|name| name.contains("models::")).map(str::to_owned).collect())
    }

    fn run(&self, model: &str, mutant: Option<&str>, limit: u64) -> Result<Outcome> {
        let start = Instant::now();
        let run = format!("{}-{model}-{}", self.checker.name(), mutant.unwrap_or("as-it-is")).replace("::", "-");
        let log = std::env::temp_dir().join(format!("lockgrain-{}-{run}", std::process::id()));
        let file = fs::File::create(&log)?;
        let mut command = Command::new(&self.path);
        command.args(["--exact", model, "--nocapture"]).stdout(file.try_clone()?).stderr(file);
        if let Some(mutant) = mutant {
            command.env("LOCKGRAIN_MUTANT", mutant);
        }
        command.envs(self.checker.environment());
        let mut child = command.spawn()?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if start.elapsed().as_secs() > limit {
                child.kill()?;
                child.wait()?;
                eprintln!("{model} took more than {limit} s");
                break None;
            }
            thread::sleep(Duration::from_millis(5));
        };
        let passed = status.is_some_and(|status| status.success());
        let printed = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        fs::remove_file(&log)?;
        if !passed && mutant.is_none() {
            eprintln!("{printed}");
        }
        Ok(Outcome { passed, ended: status.is_some(), executions: executions(&printed), took: start.elapsed() })
    }
}

pub(crate) fn executable(messages: &str) -> Option<&str> {
    let (_, rest) = messages.rsplit_once("\"executable\":\"")?;
    rest.split_once('"').map(|(path, _)| path)
}

fn executions(printed: &str) -> Option<u64> {
    let (_, rest) = printed.split_once("COMPLETE ")?;
    rest.split_once(" executions")?.0.parse().ok()
}

/// Does `work` for each item, as many at once as there are processors; what came of each.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let worker = || -> Vec<R> { std::iter::from_fn(|| items.get(next.fetch_add(1, Relaxed))).map(&work).collect() };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("it does not panic")).collect()
    })
}

/// Runs the models; fails if one fails, did not complete, or explored one execution only.
pub(crate) fn models(checker: Checker, selection: &Selection) -> Result<()> {
    let program = Program::build(checker)?;
    let mut models = program.models()?;
    models.retain(|model| model.contains(&selection.filter));
    ensure!(!models.is_empty(), "there are no models with `{}` in their path", selection.filter);
    println!("\n| model | verdict | executions | seconds |\n|---|---|---|---|");
    let good = each(&models, |model| {
        let Outcome { passed, executions, took, .. } = program.run(model, None, selection.limit)?;
        let good = passed && executions.is_some_and(|executions| executions > 1);
        let verdict = if good { "ok" } else { "FAILED" };
        println!("| {model} | {verdict} | {} | {:.1} |", executions.unwrap_or(0), took.as_secs_f64());
        Ok(good)
    });
    let good: Vec<bool> = good.into_iter().collect::<Result<_>>()?;
    let failed = good.iter().filter(|good| !**good).count();
    ensure!(failed == 0, "{failed} of {} models failed", models.len());
    Ok(())
}

/// Runs each seeded fault under its model; fails if one survives, or if list and sources do not name the same ones.
pub(crate) fn mutants() -> Result<()> {
    let table = fs::read_to_string("xtask/mutants.txt")?;
    let listed = parse(&table)?;
    let mut seeded = Vec::new();
    collect(Path::new("src"), &mut seeded)?;
    for name in &seeded {
        ensure!(listed.iter().any(|(mutant, _)| mutant == name), "mutant `{name}` is in src but has no model");
    }
    for (mutant, _) in &listed {
        ensure!(seeded.iter().any(|name| name == mutant), "mutant `{mutant}` is listed but not in src");
    }
    let program = Program::build(Checker::Loom { preemptions: None })?;
    let models = program.models()?;
    for (_, model) in &listed {
        ensure!(models.iter().any(|known| known == model), "there is no model `{model}`");
    }
    println!("\n| mutant | model | verdict | seconds |\n|---|---|---|---|");
    let survived = each(&listed, |(mutant, model)| {
        let Outcome { passed, ended, took, .. } = program.run(model, Some(mutant), Selection::default().limit)?;
        // A model that is cut off has caught nothing.
        let survived = passed || !ended;
        let verdict = if survived { "SURVIVED" } else { "caught" };
        println!("| {mutant} | {model} | {verdict} | {:.1} |", took.as_secs_f64());
        Ok(survived)
    });
    let survived: Vec<bool> = survived.into_iter().collect::<Result<_>>()?;
    let survivors = survived.iter().filter(|survived| **survived).count();
    ensure!(survivors == 0, "{survivors} of {} mutants survived", listed.len());
    Ok(())
}

fn parse(table: &str) -> Result<Vec<(&str, &str)>> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').map(|(a, b)| (a, b.trim())).with_context(|| format!("`{line}`"))).collect()
}

fn collect(folder: &Path, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, names)?;
        } else {
            let text = fs::read_to_string(&path)?;
            let calls = text.split("mutant(\"").skip(1);
            names.extend(calls.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_count_is_read() {
        assert_eq!(executions("running\nCOMPLETE 62 executions\nok"), Some(62));
        assert_eq!(executions("test failed"), None);
    }

    #[test]
    fn a_table_of_mutants_is_read() {
        assert_eq!(parse("# note\n\na_b   x::y\n").unwrap(), [("a_b", "x::y")]);
        assert!(parse("alone").is_err());
    }
}

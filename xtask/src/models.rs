//! The model checks, each model in a process of its own, and the seeded faults that they must catch.

use std::fs;
use std::iter;
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

/// How many preemptions an execution may have.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// What the model says itself.
    Own,
    /// One fewer for the models that `xtask/long.txt` lists.
    Shorter,
    /// One more; a model that is not through with these in its time is cut off.
    Deeper,
    Given(u32),
}

/// What runs the models.
#[derive(Clone, Copy)]
pub(crate) enum Checker {
    /// Explores all executions within a bound.
    Loom { bound: Bound },
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

    fn profile(self) -> &'static str {
        match self {
            Self::Loom { .. } => "release",
            Self::Shuttle { .. } => "random",
        }
    }

    fn environment(self, limit: u64) -> Vec<(&'static str, String)> {
        match self {
            Self::Loom { bound: Bound::Own | Bound::Shorter } => vec![],
            Self::Loom { bound: Bound::Given(most) } => vec![("LOCKGRAIN_PREEMPTIONS", most.to_string())],
            Self::Loom { bound: Bound::Deeper } => {
                vec![("LOCKGRAIN_PREEMPTIONS", "+1".to_owned()), ("LOCKGRAIN_SECONDS", limit.to_string())]
            }
            Self::Shuttle { schedules } => vec![("LOCKGRAIN_SCHEDULES", schedules.to_string())],
        }
    }

    /// Seconds after which a model is stopped that did not stop itself.
    fn patience(self, limit: u64) -> u64 {
        match self {
            Self::Loom { bound: Bound::Deeper } => limit + 60,
            _ => limit,
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
    explored: Option<Explored>,
    took: Duration,
}

/// The line that a model prints when it has explored what it should.
#[derive(Debug, PartialEq, Eq)]
struct Explored {
    executions: u64,
    /// Preemptions at most, where that is a bound.
    bound: String,
    /// Not cut off.
    complete: bool,
}

impl Explored {
    fn read(printed: &str) -> Option<Self> {
        let complete = printed.split_once("COMPLETE ");
        let (_, rest) = complete.or_else(|| printed.split_once("CAPPED "))?;
        let rest = rest.lines().next()?;
        let (executions, rest) = rest.split_once(" executions")?;
        let bound = rest.trim_start_matches(", ").trim_end_matches(" preemptions");
        Some(Self { executions: executions.parse().ok()?, bound: bound.to_owned(), complete: complete.is_some() })
    }
}

impl Program {
    fn build(checker: Checker) -> Result<Self> {
        let output = crate::cargo()
            .args(["test", "--package", "lockgrain", "--lib", "--no-run", "--message-format=json"])
            .args(["--profile", checker.profile(), "--target-dir", &format!("target/{}", checker.name())])
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

    fn run(&self, model: &str, mutant: Option<&str>, shorter: bool, limit: u64) -> Result<Outcome> {
        let start = Instant::now();
        let run = format!("{}-{model}-{}", self.checker.name(), mutant.unwrap_or("as-it-is")).replace("::", "-");
        let log = std::env::temp_dir().join(format!("lockgrain-{}-{run}", std::process::id()));
        let file = fs::File::create(&log)?;
        let mut command = Command::new(&self.path);
        command.args(["--exact", model, "--nocapture"]).stdout(file.try_clone()?).stderr(file);
        if let Some(mutant) = mutant {
            command.env("LOCKGRAIN_MUTANT", mutant);
        }
        command.envs(self.checker.environment(limit));
        if shorter {
            command.env("LOCKGRAIN_PREEMPTIONS", "-1");
        }
        let mut child = command.spawn()?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break Some(status);
            }
            if start.elapsed().as_secs() > self.checker.patience(limit) {
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
        Ok(Outcome { passed, ended: status.is_some(), explored: Explored::read(&printed), took: start.elapsed() })
    }
}

pub(crate) fn executable(messages: &str) -> Option<&str> {
    let (_, rest) = messages.rsplit_once("\"executable\":\"")?;
    rest.split_once('"').map(|(path, _)| path)
}

/// Does `work` for each item, as many at once as there are processors; what came of each, in the order of the items.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let one = || {
        let at = next.fetch_add(1, Relaxed);
        items.get(at).map(|item| (at, work(item)))
    };
    let worker = || iter::from_fn(one).collect::<Vec<_>>();
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..processors).map(|_| scope.spawn(worker)).collect();
        let mut all: Vec<_> =
            workers.into_iter().flat_map(|worker| worker.join().expect("it does not panic")).collect();
        all.sort_unstable_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, result)| result).collect()
    })
}

const LONG: &str = "xtask/long.txt";

/// The models that are too long for every day.
fn long(models: &[String]) -> Result<Vec<String>> {
    let table = fs::read_to_string(LONG).context(LONG)?;
    let names: Vec<_> = parse(&table)?.into_iter().map(|(name, _)| name.to_owned()).collect();
    for name in &names {
        ensure!(models.contains(name), "{LONG}: there is no model `{name}`");
    }
    Ok(names)
}

/// Runs the models; fails if one fails, did not complete though it should, or explored one execution only.
pub(crate) fn models(checker: Checker, selection: &Selection) -> Result<()> {
    let program = Program::build(checker)?;
    let mut models = program.models()?;
    let long = if matches!(checker, Checker::Loom { bound: Bound::Shorter }) { long(&models)? } else { vec![] };
    models.retain(|model| model.contains(&selection.filter));
    ensure!(!models.is_empty(), "there are no models with `{}` in their path", selection.filter);
    let may_be_cut_off = matches!(checker, Checker::Loom { bound: Bound::Deeper });
    println!("\n| model | preemptions | verdict | executions | seconds |\n|---|---|---|---|---|");
    let verdicts = each(&models, |model| {
        let Outcome { passed, explored, took, .. } = program.run(model, None, long.contains(model), selection.limit)?;
        let verdict = match &explored {
            Some(Explored { executions: 2.., complete: true, .. }) if passed => "ok",
            Some(Explored { executions: 2.., complete: false, .. }) if passed && may_be_cut_off => "cut off",
            _ => "FAILED",
        };
        let (bound, executions) = explored.map_or_else(Default::default, |it| (it.bound, it.executions));
        println!("| {model} | {bound} | {verdict} | {executions} | {:.1} |", took.as_secs_f64());
        Ok(verdict)
    });
    let verdicts: Vec<&str> = verdicts.into_iter().collect::<Result<_>>()?;
    let count = |which| verdicts.iter().filter(|verdict| **verdict == which).count();
    println!("\n{} models: {} ok, {} cut off, {} failed", models.len(), count("ok"), count("cut off"), count("FAILED"));
    ensure!(count("FAILED") == 0, "{} of {} models failed", count("FAILED"), models.len());
    Ok(())
}

/// Runs each seeded fault under its model; fails if one survives, if list and sources do not name the same ones, or if a protocol has none.
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
    let program = Program::build(Checker::Loom { bound: Bound::Own })?;
    let models = program.models()?;
    for (_, model) in &listed {
        ensure!(models.iter().any(|known| known == model), "there is no model `{model}`");
    }
    for module in models.iter().map(|model| protocol(model)) {
        let has_mutant = listed.iter().any(|(_, model)| protocol(model) == module);
        ensure!(has_mutant, "no mutant is listed that a model of `{module}` catches");
    }
    println!("\n| mutant | model | verdict | seconds |\n|---|---|---|---|");
    let survived = each(&listed, |(mutant, model)| {
        let Outcome { passed, ended, took, .. } =
            program.run(model, Some(mutant), false, Selection::default().limit)?;
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

/// The module of models that a model is in, which is about one protocol.
fn protocol(model: &str) -> &str {
    let (_, inside) = model.split_once("models::").unwrap_or_default();
    let module = inside.split_once("::").map_or("", |(module, _)| module);
    &model[..model.len() - inside.len() + module.len()]
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
        let explored =
            |executions, bound: &str, complete| Some(Explored { executions, bound: bound.to_owned(), complete });
        assert_eq!(Explored::read("test a ... COMPLETE 62 executions, 2 preemptions\nok"), explored(62, "2", true));
        assert_eq!(Explored::read("CAPPED 7 executions, any preemptions"), explored(7, "any", false));
        assert_eq!(Explored::read("COMPLETE 9 executions"), explored(9, "", true));
        assert_eq!(Explored::read("test failed"), None);
    }

    #[test]
    fn a_protocol_is_a_module_of_models() {
        assert_eq!(protocol("runtime::models::pool::fine::results::two"), "runtime::models::pool");
        assert_eq!(protocol("runtime::models::holders::one_looks"), "runtime::models::holders");
        assert_eq!(protocol("task::models::a_promise"), "task::models::");
    }

    #[test]
    fn a_table_of_mutants_is_read() {
        assert_eq!(parse("# note\n\na_b   x::y\n").unwrap(), [("a_b", "x::y")]);
        assert!(parse("alone").is_err());
    }
}

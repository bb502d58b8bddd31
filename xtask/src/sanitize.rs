//! The suite and a soak under the sanitizers, and the unsafe core under valgrind, as far as the tools are there. What is not is told, with the reason.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::models::executable;

/// The one target for which the nightly's sanitizers are known to work here.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The integration tests that run under a sanitizer. Not `faults`, which bounds the address space, of which the sanitizers take terabytes; nor those that count allocations
/// or memory, which the sanitizers change.
const TESTS: [&str; 3] = ["scope", "futures", "lines"];

/// How one tool did: the reason if it was skipped.
enum Verdict {
    Passed,
    Skipped(String),
}

struct Check {
    name: &'static str,
    run: fn(&Options) -> Result<Verdict>,
}

#[derive(clap::Args, Clone)]
pub(crate) struct Options {
    /// Leave `tests/contract.rs` out, which takes five minutes to build under a sanitizer, and eight to run under ThreadSanitizer.
    #[arg(long)]
    without_contract: bool,
    /// Seconds of soak a policy.
    #[arg(long, default_value_t = 20)]
    soak: u32,
    /// Only the checks with this in their names.
    #[arg(default_value = "")]
    filter: String,
}

pub(crate) fn sanitize(options: &Options) -> Result<()> {
    let checks = [
        Check { name: "AddressSanitizer and LeakSanitizer", run: address },
        Check { name: "ThreadSanitizer", run: thread },
        Check { name: "Miri, tests/small.rs", run: miri },
        Check { name: "valgrind memcheck, unit tests and scopes", run: memcheck },
    ];
    let mut rows = Vec::new();
    for check in checks.iter().filter(|check| check.name.contains(&options.filter)) {
        eprintln!("== {}", check.name);
        let start = Instant::now();
        rows.push((check.name, (check.run)(options), start.elapsed()));
    }
    println!("\n| tool | verdict | seconds |\n|---|---|---|");
    for (name, result, took) in &rows {
        let verdict = match result {
            Ok(Verdict::Passed) => "ok".to_owned(),
            Ok(Verdict::Skipped(why)) => format!("SKIPPED: {why}"),
            Err(error) => format!("FAILED: {error:#}"),
        };
        println!("| {name} | {verdict} | {:.0} |", took.as_secs_f64());
    }
    let failed = rows.iter().filter(|(_, result, _)| result.is_err()).count();
    ensure!(failed == 0, "{failed} of {} failed", rows.len());
    Ok(())
}

/// The folder of the nightly toolchain; none if there is no nightly.
fn nightly() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["+nightly", "--print", "sysroot"]).stderr(Stdio::null()).output().ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| sysroot.trim().into())
}

/// Whether that toolchain has the runtime of a sanitizer.
fn has_runtime(nightly: &Path, sanitizer: &str) -> bool {
    let folder = nightly.join("lib/rustlib").join(TARGET).join("lib");
    folder.read_dir().is_ok_and(|mut files| {
        files.any(|file| {
            file.is_ok_and(|file| file.file_name().to_string_lossy().ends_with(&format!("_rt.{sanitizer}.a")))
        })
    })
}

fn address(options: &Options) -> Result<Verdict> {
    let Some(nightly) = nightly() else {
        return Ok(Verdict::Skipped("no nightly: `rustup toolchain install nightly`".into()));
    };
    if !has_runtime(&nightly, "asan") {
        return Ok(Verdict::Skipped(format!("the nightly has no runtime of it for {TARGET}")));
    }
    // Leaks are looked for at the end of each process.
    under("address", "asan", "", &[], options)?;
    Ok(Verdict::Passed)
}

fn thread(options: &Options) -> Result<Verdict> {
    let Some(nightly) = nightly() else {
        return Ok(Verdict::Skipped("no nightly: `rustup toolchain install nightly`".into()));
    };
    if !has_runtime(&nightly, "tsan") {
        return Ok(Verdict::Skipped(format!("the nightly has no runtime of it for {TARGET}")));
    }
    if !nightly.join("lib/rustlib/src/rust/library").is_dir() {
        let why = "without an instrumented std it reports races that are none, and the nightly has no sources to build one: \
                   `rustup +nightly component add rust-src`";
        return Ok(Verdict::Skipped(why.into()));
    }
    // It does not understand fences: a release store stands for the one that publishes something.
    under("thread", "tsan", " --cfg lockgrain_tsan", &["-Zbuild-std"], options)?;
    Ok(Verdict::Passed)
}

/// Interpreted: what is undefined is found as such, as are races with memory that has been freed and used again.
fn miri(_options: &Options) -> Result<Verdict> {
    let version = Command::new("cargo").args(["+nightly", "miri", "--version"]).output();
    if !version.is_ok_and(|output| output.status.success()) {
        return Ok(Verdict::Skipped("no Miri: `rustup +nightly component add miri rust-src`".into()));
    }
    let status = Command::new("cargo")
        .args(["+nightly", "miri", "test", "--package", "lockgrain", "--test", "small", "--target-dir", "target/miri"])
        // parking_lot makes pointers of numbers; and blocks that are kept for later tasks are no leaks.
        .env("MIRIFLAGS", "-Zmiri-permissive-provenance -Zmiri-ignore-leaks")
        .status()?;
    ensure!(status.success(), "{status}");
    Ok(Verdict::Passed)
}

/// Runs the tests, and a soak, built with that sanitizer.
fn under(sanitizer: &str, folder: &str, flags: &str, further: &[&str], options: &Options) -> Result<()> {
    let mut tests = Command::new("cargo");
    tests.args(["+nightly", "test", "--package", "lockgrain", "--lib"]);
    for test in TESTS.iter().chain((!options.without_contract).then_some(&"contract")) {
        tests.args(["--test", test]);
    }
    run(tests, sanitizer, folder, further, flags, &[])?;
    let mut soak = Command::new("cargo");
    soak.args(["+nightly", "run", "--package", "lockgrain-soak"]);
    let minutes = (f64::from(options.soak) / 60.0).to_string();
    let flags = format!("{flags} --cfg lockgrain_soak");
    run(soak, sanitizer, folder, further, &flags, &["--", "--seed", "1", "--minutes", &minutes])
}

fn run(
    mut command: Command,
    sanitizer: &str,
    folder: &str,
    further: &[&str],
    flags: &str,
    arguments: &[&str],
) -> Result<()> {
    let status = command
        .args(["--target", TARGET, "--target-dir", &format!("target/{folder}")])
        .args(further)
        .args(arguments)
        .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}{flags}"))
        // Lines in the reports.
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .env("CARGO_INCREMENTAL", "0")
        .status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

/// The unit tests, among them those of the tasks' memory.
fn memcheck(_options: &Options) -> Result<Verdict> {
    let there = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return Ok(Verdict::Skipped("there is no `valgrind`".into()));
    }
    let output = crate::cargo()
        .args(["test", "--package", "lockgrain", "--lib", "--test", "scope", "--no-run", "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "building the tests: {}", output.status);
    let messages = String::from_utf8(output.stdout)?;
    let programs: Vec<_> = messages.lines().filter_map(executable).collect();
    ensure!(!programs.is_empty(), "cargo named no test program");
    for program in programs {
        let status = Command::new("valgrind")
            // What a thread-local or a thread that is about to end still has is no leak: "definite" is what nothing points to.
            .args(["--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite", "--fair-sched=yes"])
            .args([program, "--test-threads=1"])
            .status()
            .context("valgrind")?;
        ensure!(status.success(), "{program}: {status}");
    }
    Ok(Verdict::Passed)
}

//! The fuzz targets, one after another, where there is something to run them with.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

/// Longer inputs have operations that are not looked at.
const MOST_BYTES: usize = 496;

/// Runs the targets that have `filter` in their name, for so many seconds each.
pub(crate) fn fuzz(filter: &str, seconds: u64) -> Result<()> {
    if !is_there() {
        println!(
            "cargo-fuzz and a nightly toolchain are not both here: nothing is fuzzed. `cargo install cargo-fuzz` gets the first."
        );
        return Ok(());
    }
    for target in targets()?.into_iter().filter(|target| target.contains(filter)) {
        println!("{target}");
        let found = format!("fuzz/corpus/{target}");
        fs::create_dir_all(&found)?;
        let status = Command::new("cargo")
            .args(["+nightly", "fuzz", "run", &target, &found, &format!("fuzz/seeds/{target}"), "--"])
            // The leak detector takes what a thread that is just ending has for leaked: a pool whose last handle is dropped in a task is not joined.
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .args(["-detect_leaks=0", "-timeout=240", "-rss_limit_mb=4096"])
            .args([format!("-max_len={MOST_BYTES}"), format!("-max_total_time={seconds}")])
            .status()?;
        ensure!(status.success(), "{target}: {status}; the program is printed above");
    }
    Ok(())
}

fn is_there() -> bool {
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn targets() -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(Path::new("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        targets.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    targets.sort();
    Ok(targets)
}

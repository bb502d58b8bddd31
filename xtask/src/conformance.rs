//! The example of policies of one's own, each under loom: the good one must pass, and each of the broken ones must break the promise that it was made to break.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::models::{each, executable};

/// A policy of the example, and the promise that it breaks.
const POLICIES: &[(&str, Option<&str>)] = &[
    ("good", None),
    ("loses-when-full", Some("every task runs exactly once")),
    ("forgets-to-wake", Some("everybody who waits gets a turn")),
    ("lets-two-in", Some("tasks that conflict never overlap")),
    ("reorders-a-key", Some("tasks that conflict run in the order of their submission")),
    ("lies-in-is-empty", Some("the queue says what it holds")),
    ("drops-on-shutdown", Some("a shutdown loses no task")),
];

pub(crate) fn check() -> Result<()> {
    let program = build()?;
    let listed = String::from_utf8(Command::new(&program).output()?.stdout)?;
    let known: Vec<_> = POLICIES.iter().map(|(name, _)| *name).collect();
    ensure!(listed.lines().eq(known.iter().copied()), "the example has other policies than {known:?}");
    let rows = each(POLICIES, |(name, breaks)| {
        let start = Instant::now();
        let output = Command::new(&program).arg(name).output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let broken = printed.lines().find_map(|line| line.strip_prefix("BROKEN ")).map(str::to_owned);
        // Killed by a signal is neither.
        let as_meant = output.status.code() == Some(i32::from(breaks.is_some())) && broken.as_deref() == *breaks;
        if !as_meant {
            eprintln!("{name}: {}\n{printed}{}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok((*name, broken, as_meant, start.elapsed()))
    });
    let rows: Vec<_> = rows.into_iter().collect::<Result<_>>()?;
    println!("\n| policy | verdict | broken promise | seconds |\n|---|---|---|---|");
    let mut wrong = 0;
    for (name, broken, as_meant, took) in &rows {
        let verdict = match (as_meant, broken) {
            (false, _) => "WRONG",
            (true, None) => "kept",
            (true, Some(_)) => "caught",
        };
        wrong += usize::from(!as_meant);
        println!("| {name} | {verdict} | {} | {:.1} |", broken.as_deref().unwrap_or(""), took.as_secs_f64());
    }
    ensure!(wrong == 0, "{wrong} of {} policies did not do what they were made for", POLICIES.len());
    Ok(())
}

fn build() -> Result<String> {
    let output = crate::cargo()
        .args(["build", "--package", "lockgrain-custom-policy", "--release", "--message-format=json"])
        .args(["--target-dir", "target/loom"])
        .env("RUSTFLAGS", "--cfg lockgrain_loom")
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "building the example: {}", output.status);
    let messages = String::from_utf8(output.stdout)?;
    Ok(executable(&messages).context("cargo named no program")?.to_owned())
}

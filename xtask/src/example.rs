//! The example `checksum` on a tree with odd names, against `sha256sum`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

/// A folder that is removed at the end.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Result<Self> {
        let root = std::env::temp_dir().join(format!("lockgrain-checksum-{}", std::process::id()));
        fs::create_dir_all(root.join("inner/deeper"))?;
        for n in 0..40_usize {
            fs::write(root.join(format!("inner/{n}.bin")), vec![n as u8; n * 5_000])?;
        }
        fs::write(root.join("inner/deeper/with space"), "spaced")?;
        fs::write(root.join("empty"), "")?;
        fs::write(root.join("back\\slash\nand newline"), "escaped")?;
        Ok(Self(root))
    }

    /// Adds a file that nobody can open by its path, whatever their rights: the path is longer than systems allow.
    fn add_unreadable(&self) -> Result<()> {
        const LONGEST: usize = 4095;
        let mut left = LONGEST - 5 - self.0.as_os_str().len();
        let mut names = Vec::new();
        while left > 1 {
            let length = left.min(201) - 1;
            names.push("d".repeat(length));
            left -= length + 1;
        }
        let script =
            "cd \"$0\" && for name in \"$@\"; do mkdir \"$name\" && cd \"$name\" || exit 1; done && : > unreadable";
        let status = Command::new("sh").args(["-c", script]).arg(&self.0).args(names).status()?;
        ensure!(status.success(), "making a deep folder: {status}");
        Ok(())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn check() -> Result<()> {
    let tree = Tree::new()?;
    for policy in ["global", "fine", "lock-free", "all"] {
        one(&tree.0, policy, true).with_context(|| format!("--policy {policy}"))?;
    }
    tree.add_unreadable()?;
    one(&tree.0, "all", false).context("with an unreadable file")
}

/// Runs the example and verifies its manifest. With an unreadable file the exit code is 1 and the rest is there all the same.
fn one(tree: &Path, policy: &str, readable: bool) -> Result<()> {
    let output = run_example(tree, policy)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    eprint!("{}", if readable { &*errors } else { "" });
    let code = output.status.code();
    ensure!(code == Some(i32::from(!readable)), "exit code {code:?}: {errors}");
    ensure!(errors.contains("unreadable") != readable, "it says of the unreadable file: {errors}");
    let lines = output.stdout.iter().filter(|&&byte| byte == b'\n').count();
    ensure!(lines == 43, "{lines} lines for 43 files");
    verify(&output.stdout)
}

fn run_example(tree: &Path, policy: &str) -> Result<Output> {
    let output = crate::cargo()
        .args(["run", "--quiet", "--example", "checksum", "--", "--policy", policy])
        .arg(tree)
        .output()?;
    Ok(output)
}

fn verify(manifest: &[u8]) -> Result<()> {
    let child = Command::new("sha256sum").args(["--check", "--strict", "--quiet"]).stdin(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("no sha256sum on this machine: the manifest was not verified");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    child.stdin.take().context("a piped input")?.write_all(manifest)?;
    let status = child.wait()?;
    ensure!(status.success(), "sha256sum -c: {status}");
    Ok(())
}

//! The example `checksum` on a tree with odd names, against `sha256sum`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn check() -> Result<()> {
    let tree = Tree::new()?;
    for policy in ["global", "fine", "lock-free", "all"] {
        let manifest = run_example(&tree.0, policy).with_context(|| format!("--policy {policy}"))?;
        let lines = manifest.iter().filter(|&&byte| byte == b'\n').count();
        ensure!(lines == 43, "--policy {policy}: {lines} lines for 43 files");
        verify(&manifest).with_context(|| format!("--policy {policy}"))?;
    }
    Ok(())
}

fn run_example(tree: &Path, policy: &str) -> Result<Vec<u8>> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--release", "--example", "checksum", "--", "--policy", policy])
        .arg(tree)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the example: {}", output.status);
    Ok(output.stdout)
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

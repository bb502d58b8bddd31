//! Running an example, and a folder for what it reads and writes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, io, process};

/// Runs an example in the profile of this test; what it says goes to the test's output too.
pub(crate) fn example(name: &str, arguments: &[&str], paths: &[&Path]) -> io::Result<Output> {
    let profile: &[&str] = if cfg!(debug_assertions) { &[] } else { &["--release"] };
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--example", name])
        .args(profile)
        .arg("--")
        .args(arguments)
        .args(paths)
        .output()?;
    println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(output)
}

/// A folder that is removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// An empty one, of this name and process.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let path = env::temp_dir().join(format!("lockgrain-{name}-{}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// A path in it.
    pub(crate) fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

//! The example that embeds CPython: checked where there is one to embed.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

const MANIFEST: &str = "examples/python/Cargo.toml";

/// The directory with Python's shared library, if there is one.
const ASK: &str = "
import os, sysconfig
place, name = sysconfig.get_config_var('LIBDIR'), sysconfig.get_config_var('LDLIBRARY')
print(place if name and os.path.exists(os.path.join(place, name)) else '')
";

pub(crate) fn check() -> Result<()> {
    let asked = Command::new("python3").args(["-c", ASK]).output();
    let place = asked.ok().filter(|asked| asked.status.success()).map(|asked| asked.stdout).unwrap_or_default();
    let place = String::from_utf8(place)?;
    let place = place.trim();
    if place.is_empty() || !Path::new(place).is_dir() {
        println!("skipped: no `python3` with a library to link");
        return Ok(());
    }
    for arguments in [
        &["fmt", "--check", "--manifest-path", MANIFEST][..],
        &["clippy", "--quiet", "--manifest-path", MANIFEST, "--", "-D", "warnings"],
        &["run", "--quiet", "--manifest-path", MANIFEST, "--", "--tasks", "50"],
    ] {
        let status = crate::cargo()
            .args(arguments)
            .env("CARGO_TARGET_DIR", "target/python")
            .env("LD_LIBRARY_PATH", place)
            .status()?;
        ensure!(status.success(), "`cargo {}`: {status}", arguments.join(" "));
    }
    Ok(())
}

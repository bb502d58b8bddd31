//! Hashing one file in a task.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use lockgrain::{Context, LockPolicy};
use sha2::{Digest as _, Sha256};

pub(crate) type Digest = [u8; 32];

pub(crate) struct Hashed {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

const CHUNK: usize = 256 * 1024;

/// Reads with the global lock let go, and hashes with it held, so that under `GlobalLock` one task's reading overlaps
/// another's hashing.
pub(crate) fn file<P: LockPolicy>(cx: &mut Context<P>, path: &Path) -> io::Result<Hashed> {
    let mut file = cx.blocking(|| File::open(path))?;
    let mut chunk = vec![0; CHUNK];
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    loop {
        let read = match cx.blocking(|| file.read(&mut chunk)) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&chunk[..read]);
        bytes += read as u64;
        cx.checkpoint().map_err(io::Error::other)?;
    }
    Ok(Hashed { digest: hasher.finalize().into(), bytes })
}

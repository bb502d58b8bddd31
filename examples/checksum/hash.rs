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

/// What is read at once, in bytes: most files in one go, and little enough for an allocator to have at hand.
const CHUNK: usize = 64 * 1024;

/// Reads with the global lock let go, and hashes with it held, so that under `GlobalLock` one task's reading overlaps
/// another's hashing.
pub(crate) fn file<P: LockPolicy>(cx: &mut Context<P>, path: &Path) -> io::Result<Hashed> {
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut file = cx.blocking(|| {
        let mut file = File::open(path)?;
        fill(&mut chunk, &mut file).map(|()| file)
    })?;
    let mut hasher = Sha256::new();
    let mut bytes = 0;
    loop {
        hasher.update(&chunk);
        bytes += chunk.len() as u64;
        cx.checkpoint().map_err(io::Error::other)?;
        if chunk.len() < CHUNK {
            return Ok(Hashed { digest: hasher.finalize().into(), bytes });
        }
        cx.blocking(|| fill(&mut chunk, &mut file))?;
    }
}

/// The next chunk; a shorter one is the last.
fn fill(chunk: &mut Vec<u8>, file: &mut File) -> io::Result<()> {
    chunk.clear();
    file.take(CHUNK as u64).read_to_end(chunk)?;
    Ok(())
}

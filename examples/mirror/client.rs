//! Fetching one file, once.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use ureq::Agent;

use crate::name;

/// What can be asked of the server.
#[derive(Clone, Debug)]
pub(crate) enum Resource {
    Index,
    /// By its path, encoded.
    File(String),
}

/// What came.
pub(crate) enum Fetched {
    /// The paths of all files.
    Index(Vec<String>),
    /// A file of so many bytes, which lies in the target by now.
    File(u64),
}

pub(crate) struct Failure {
    pub(crate) error: anyhow::Error,
    /// Whether it may go well another time.
    pub(crate) retriable: bool,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, retriable: false }
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        use ureq::Error::{ConnectionFailed, Io, Protocol, Timeout};
        let retriable = matches!(error, ConnectionFailed | Io(_) | Protocol(_) | Timeout(_));
        Self { error: error.into(), retriable }
    }
}

/// While the body comes.
fn interrupted(error: io::Error) -> Failure {
    Failure { error: error.into(), retriable: true }
}

/// Asks the server, from any number of threads, and fills the folder that is to be like the server's.
pub(crate) struct Client {
    agent: Agent,
    server: String,
    target: PathBuf,
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Client {
    /// A request that takes longer than `timeout`, body and all, has failed.
    pub(crate) fn new(server: String, target: PathBuf, timeout: Duration) -> Self {
        // No proxy: the server is on this machine, whatever the environment says of others.
        let config = Agent::config_builder().timeout_global(Some(timeout)).proxy(None).build();
        Self { agent: config.into(), server, target, now: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// Blocks for as long as the server takes.
    pub(crate) fn fetch(&self, resource: &Resource) -> Result<Fetched, Failure> {
        self.peak.fetch_max(self.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let fetched = match resource {
            Resource::Index => self.index().map(Fetched::Index),
            Resource::File(path) => self.file(path).map(Fetched::File),
        };
        self.now.fetch_sub(1, Ordering::Relaxed);
        fetched
    }

    /// How many requests went on at once, at most.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    fn get(&self, path: &str) -> Result<impl Read + use<>, Failure> {
        let response = self.agent.get(format!("{}/{path}", self.server)).call()?;
        Ok(response.into_body().into_reader())
    }

    fn index(&self) -> Result<Vec<String>, Failure> {
        let mut index = String::new();
        self.get("")?.read_to_string(&mut index).map_err(interrupted)?;
        Ok(index.lines().map(str::to_owned).collect())
    }

    fn file(&self, path: &str) -> Result<u64, Failure> {
        let name = name::decode(path).ok_or_else(|| anyhow!("the server gave a path that leads elsewhere"))?;
        let to = self.target.join(name);
        let body = self.get(path)?;
        let made = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| File::create(&to));
        let file = made.with_context(|| format!("making {}", to.display()))?;
        let copied = copy(body, file);
        if copied.is_err() {
            // Half a file is worse than none.
            let _left_behind = fs::remove_file(&to);
        }
        copied
    }
}

/// As `io::copy`, but says which side failed: only the server is worth another try.
fn copy(mut body: impl Read, mut file: File) -> Result<u64, Failure> {
    let mut chunk = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let length = body.read(&mut chunk).map_err(interrupted)?;
        if length == 0 {
            return Ok(bytes);
        }
        file.write_all(&chunk[..length]).context("writing what came")?;
        bytes += length as u64;
    }
}

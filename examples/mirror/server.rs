//! A small HTTP server for the files of a folder, which fails now and then as servers do.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use walkdir::WalkDir;

use crate::name;

/// Which requests get no good answer, counted from 1; none where the number is 0.
#[derive(Clone, Copy)]
pub(crate) struct Faults {
    /// Every n-th one: the connection is closed, in turn before the answer and in the middle of it.
    pub(crate) drop_every: usize,
    /// Every n-th one: the client waits, until it hangs up.
    pub(crate) stall_every: usize,
}

pub(crate) struct Server {
    root: PathBuf,
    faults: Faults,
    requests: AtomicUsize,
}

impl Server {
    /// Serves the folder on this machine, from threads of its own, as long as the program runs; and says where.
    pub(crate) fn start(root: PathBuf, faults: Faults) -> io::Result<(Arc<Self>, SocketAddr)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let server = Arc::new(Self { root, faults, requests: AtomicUsize::new(0) });
        let this = Arc::clone(&server);
        let accept = move || {
            for stream in listener.incoming() {
                let this = Arc::clone(&this);
                // A connection that fails, and one that finds no thread, is closed: the client tries again.
                let answer = move || stream.and_then(|stream| this.answer(stream));
                drop(thread::Builder::new().name("connection".into()).spawn(answer));
            }
        };
        thread::Builder::new().name("server".into()).spawn(accept)?;
        Ok((server, address))
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// One request a connection.
    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut lines = BufReader::new(&stream).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        // The headers say nothing that is needed.
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let Faults { drop_every, stall_every } = self.faults;
        let is = |every: usize| every != 0 && number.is_multiple_of(every);
        if !is(drop_every) && is(stall_every) {
            // Ends when the client does.
            return io::copy(&mut stream, &mut io::sink()).map(drop);
        }
        let cut = is(drop_every);
        if cut && (number / drop_every).is_multiple_of(2) {
            return Ok(());
        }
        let Some(path) = request.strip_prefix("GET /").and_then(|rest| rest.split(' ').next()) else {
            return status(&mut stream, "400 Bad Request");
        };
        if path.is_empty() {
            let index = self.index();
            return send(&mut stream, index.as_bytes(), index.len() as u64, cut);
        }
        match name::decode(path).ok_or(io::ErrorKind::NotFound.into()).and_then(|path| self.open(Path::new(&path))) {
            Ok((file, length)) => send(&mut stream, file, length, cut),
            Err(_) if cut => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => status(&mut stream, "404 Not Found"),
            Err(_) => status(&mut stream, "403 Forbidden"),
        }
    }

    /// The paths of all files, encoded, a line each.
    fn index(&self) -> String {
        let entries = WalkDir::new(&self.root).min_depth(1).sort_by_file_name().into_iter().filter_map(Result::ok);
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        let line = |path: &Path| {
            let path = path.strip_prefix(&self.root).unwrap_or(path);
            let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
            name::encode(&names.join("/")) + "\n"
        };
        files.map(|entry| line(entry.path())).collect()
    }

    /// A file of the folder; where a link leads out of it, it is none.
    fn open(&self, path: &Path) -> io::Result<(File, u64)> {
        let path = self.root.join(path).canonicalize()?;
        // Only files: to open a pipe might wait for ever.
        if !path.starts_with(&self.root) || !path.is_file() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }
}

fn status(stream: &mut TcpStream, status: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// The whole body, or if it is cut less than what the head promises.
fn send(stream: &mut TcpStream, body: impl Read, length: u64, cut: bool) -> io::Result<()> {
    if cut && length == 0 {
        return Ok(());
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    io::copy(&mut body.take(if cut { length / 2 } else { length }), stream).map(drop)
}

//! The threads of a model build: the checker's, whose part in them is compiled once, whatever they run.

use std::any::Any;
use std::fmt;
use std::io;
use std::marker::PhantomData;

#[cfg(lockgrain_loom)]
use ::loom::thread as checked;
#[cfg(not(lockgrain_loom))]
use ::shuttle::thread as checked;

pub use checked::{Thread, current, yield_now};

type Code = Box<dyn FnOnce() -> Returned + Send>;
type Returned = Box<dyn Any + Send>;

/// As that of the standard library.
pub struct JoinHandle<T> {
    thread: checked::JoinHandle<Returned>,
    returns: PhantomData<fn() -> T>,
}

/// A stack larger than any address space: no such thread starts, here as elsewhere.
const ABSURD: usize = 1 << 60;

/// As that of the standard library.
#[derive(Debug)]
pub struct Builder {
    builder: checked::Builder,
    fails: bool,
}

/// As that of the standard library.
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    JoinHandle { thread: checked::spawn(code(f)), returns: PhantomData }
}

fn code<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Code {
    Box::new(|| Box::new(f()))
}

impl Builder {
    pub fn new() -> Self {
        Self { builder: checked::Builder::new(), fails: false }
    }

    pub fn name(self, name: String) -> Self {
        Self { builder: self.builder.name(name), ..self }
    }

    pub fn stack_size(self, bytes: usize) -> Self {
        Self { builder: self.builder.stack_size(bytes), fails: bytes >= ABSURD }
    }

    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.fails {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        Ok(JoinHandle { thread: self.builder.spawn(code(f))?, returns: PhantomData })
    }
}

impl<T: 'static> JoinHandle<T> {
    pub fn join(self) -> std::thread::Result<T> {
        self.thread.join().map(|returned| *returned.downcast().expect("what its code returns"))
    }

    pub fn thread(&self) -> &Thread {
        self.thread.thread()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinHandle")
    }
}

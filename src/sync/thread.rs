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

/// As that of the standard library.
#[derive(Debug)]
pub struct Builder(checked::Builder);

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
        Self(checked::Builder::new())
    }

    pub fn name(self, name: String) -> Self {
        Self(self.0.name(name))
    }

    pub fn stack_size(self, bytes: usize) -> Self {
        Self(self.0.stack_size(bytes))
    }

    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Ok(JoinHandle { thread: self.0.spawn(code(f))?, returns: PhantomData })
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

//! Driving a future on the thread that needs its output.

use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use crate::runtime::current::{self, Frame, Kind};
use crate::runtime::leave_worker;
use crate::sync::{Arc, Parker};

/// The thread that drives a future.
struct Driver(Parker);

impl Wake for Driver {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Drives `future` on this thread until it is ready, and gives its output.
///
/// In a task of a pool a spare worker takes over while this one waits for the future to be woken, and under
/// [`GlobalLock`](crate::GlobalLock) the lock is let go meanwhile; the polls run with it. To wait for one task,
/// [`TaskHandle::result`](crate::TaskHandle::result) is better: it may run the task right here, and tells if the wait could never end, which
/// can't be known of a future.
///
/// ```
/// let pool = lockgrain::ThreadPool::new()?;
/// let (a, b) = (pool.submit(|| 20), pool.submit(|| 22));
/// let sum = lockgrain::block_on(async { Ok::<_, lockgrain::TaskError>(a.await? + b.await?) })?;
/// assert_eq!(sum, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// If it has to wait in code that has a [`Context`](crate::Context) or guarded values of a global lock, and is not in
/// [`Context::blocking`](crate::Context::blocking): whoever is to wake the future may need that lock, which only the context can let go.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let driver = Arc::new(Driver(Parker::new()));
    let waker = Waker::from(driver.clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => park(&driver.0),
        }
    }
}

fn park(parker: &Parker) {
    if parker.try_take() {
        return;
    }
    current::frames(|frames| {
        let holds = |frame: &Frame| frame.is_exclusive() && frame.kind.get() == Kind::Context;
        assert!(
            !frames.clone().any(holds),
            "this wait would deadlock: in a task with a context of a global lock call `block_on` inside `cx.blocking`"
        );
        let _blocked = leave_worker(frames.clone().next());
        parker.park();
    });
}

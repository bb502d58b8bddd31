//! Runs the checker on a thread of its own, which stands still at the first failure.
//!
//! To unwind out of the middle of a model does not go well: destructors wait for what will not come, and a second panic ends the
//! process. So the first panic that nobody is to catch is told to whoever waits, by the panic hook, and its thread goes on no further than to the
//! next thing that the checker would see: [`halt_if_failed`]. Not to stay in the hook: the standard library holds a lock meanwhile, which a test
//! program wants as it ends. The thread is left behind, with what it holds: a check that fails ends the test, and mostly the process.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use super::trace::{self, Event, Execution};

/// What went wrong, and in which execution.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) message: String,
    pub(crate) execution: Execution,
}

std::thread_local! {
    static REPORT: RefCell<Option<Report>> = const { RefCell::new(None) };
    /// Whether the check that runs on this thread has failed.
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

struct Report {
    to: Sender<Failed>,
    /// Whether somebody is there to catch a panic of the code that runs now.
    is_caught: fn() -> bool,
}

/// Runs `f`, for as long as `limit` if there is one. A panic passes for no failure if `is_caught` says so where it happens.
pub(crate) fn isolated<R: Send + 'static>(
    limit: Option<Duration>,
    is_caught: fn() -> bool,
    f: impl FnOnce() -> R + Send + 'static,
) -> Result<R, Failed> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        // The checker's own hook has to be there before: this one decides whether it is asked.
        super::before_hook();
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| hook(info, &others)));
    });
    let (to, failures) = channel();
    let run = move || {
        REPORT.set(Some(Report { to, is_caught }));
        trace::start();
        let result = catch_unwind(AssertUnwindSafe(f));
        let execution = trace::end();
        REPORT.take();
        result.map_err(|payload| Failed { message: text(&*payload), execution })
    };
    let thread = thread::spawn(run);
    match wait(&failures, limit) {
        Ok(failed) => Err(failed),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Ok(result) => result,
            Err(payload) => Err(Failed { message: text(&*payload), execution: Execution::default() }),
        },
        Err(RecvTimeoutError::Timeout) => {
            let message = format!("it has not ended after {} s", limit.unwrap_or_default().as_secs());
            Err(Failed { message, execution: Execution::default() })
        }
    }
}

fn wait(failures: &Receiver<Failed>, limit: Option<Duration>) -> Result<Failed, RecvTimeoutError> {
    match limit {
        Some(limit) => failures.recv_timeout(limit),
        None => failures.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|&text| text.to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".to_owned())
}

fn hook(info: &PanicHookInfo<'_>, others: &dyn Fn(&PanicHookInfo<'_>)) {
    let is_caught = REPORT.try_with(|report| report.borrow().as_ref().map(|report| report.is_caught)).ok().flatten();
    let Some(is_caught) = is_caught else { return others(info) };
    let message = text(info.payload());
    // The checker's own are failures, wherever they come up. Looked at first: nothing of the checker's may be used then.
    let place = info.location().map_or("", |place| place.file()).replace('\\', "/");
    let by_checker = place.contains("/loom-0") || place.contains("/shuttle-") || place.ends_with("sync/isolated.rs");
    if !by_checker && is_caught() {
        trace::note(Event::Says(format!("panics: {message}")));
        return;
    }
    let at = info.location().filter(|_| !by_checker).map_or_else(String::new, |place| format!(" ({place})"));
    if cfg!(lockgrain_shuttle) {
        // Prints the schedule.
        others(info);
    }
    // A second one would end the process.
    halt_if_failed();
    FAILED.set(tell(format!("{}{at}", message.trim_end())));
}

/// Ends the check that runs on this thread, if one does.
pub(crate) fn fail(message: String) {
    if REPORT.try_with(|report| report.borrow().is_none()).unwrap_or(true) {
        return;
    }
    halt_if_failed();
    if cfg!(lockgrain_shuttle) {
        // Its hook has to see it.
        panic!("{message}");
    }
    FAILED.set(tell(message));
    halt_if_failed();
}

/// Tells whoever waits; false if nobody does.
fn tell(message: String) -> bool {
    let to = REPORT.try_with(|report| report.borrow().as_ref().map(|report| report.to.clone()));
    let Some(to) = to.ok().flatten() else { return false };
    to.send(Failed { message, execution: trace::end() }).is_ok()
}

/// Does not return if the check has failed that runs on this thread.
pub(crate) fn halt_if_failed() {
    while FAILED.try_with(Cell::get).unwrap_or(false) {
        thread::park();
    }
}

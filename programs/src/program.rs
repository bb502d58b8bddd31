//! What a program can do.

/// What a task does. None runs for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Return,
    Panic,
    /// With a payload whose drop panics.
    PanicWithBomb,
    /// What it has captured panics when it is dropped.
    BombCapture,
    /// Its output panics when it is dropped.
    BombOutput,
    /// Keeps its worker until its client opens the gate, without telling the pool.
    Hold,
    Blocking,
    BlockingHold,
    /// Submits a task that nobody waits for.
    Spawn,
    /// Submits a task and waits for it.
    Child,
    CancelledChild,
    /// Submits tasks and takes them as they end.
    Children,
    Scope,
    Join,
}

/// A value or a key, and how it is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    pub value: u8,
    pub shared: bool,
}

/// What a client does. A `u8` chooses among its handles, or among its promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Submit(Body),
    Spawn(Body),
    TrySubmit(Body),
    /// With a context.
    SubmitWith(Body),
    /// So many in a call.
    SubmitMany(u8, Body),
    SpawnMany(u8, Body),
    /// With a priority.
    Ranked(i8, Body),
    /// In no time at all (0), soon (1), or some day.
    StartWithin(u8, Body),
    When(Vec<Name>, Body),
    SpawnWhen(Vec<Name>, Body),
    Keyed(Vec<Name>, Body),
    SpawnKeyed(u8, Body),
    ExclusiveAll(Body),
    Strand(Body),
    /// After so many milliseconds.
    Schedule(u8, Body),
    /// After an hour.
    ScheduleFar(Body),
    /// Every so many milliseconds, until it has panicked in so many runs.
    Series(u8, u8),
    Promise,
    Fulfil(u8),
    Fail(u8),
    DropPromise(u8),
    Then(u8, Body),
    /// Makes it a shared handle.
    Share(u8),
    /// Has a task wait for a shared handle.
    Read(u8),
    Cancel(u8),
    RequestCancel(u8),
    Wait(u8),
    WaitTimeout(u8),
    Result(u8),
    ResultTimeout(u8),
    TryResult(u8),
    BlockOn(u8),
    /// Adds a callback, which may panic.
    OnDone(u8, bool),
    Detach(u8),
    WaitFirst,
    WaitAll,
    AsCompleted,
    Scope(u8),
    Join,
    Install,
    Resize(u8),
    Prestart,
    Pause,
    Resume,
    Open,
    Metrics,
    Quiescence,
    CancelQueued,
    Shutdown,
    ShutdownTimeout,
    ShutdownNow,
    ShutdownNowTimeout,
}

/// What a full queue does with one more task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    Reject,
    Block,
    CallerRuns,
    DiscardOldest,
    DiscardNewest,
}

/// How the pool ends, once the clients have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Shutdown,
    ShutdownNow,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub clients: usize,
    pub workers: usize,
    pub spares: usize,
    pub queue: Option<(usize, Full)>,
    /// Last in, first out, for what tasks submit.
    pub lifo: bool,
    /// Idle workers end at once.
    pub restless: bool,
    /// A shutdown waits for what is scheduled.
    pub run_delayed: bool,
    /// Promises that are left are kept until the pool has ended.
    pub late_promises: bool,
    pub end: End,
}

/// Which operations are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    Executor,
    Guarded,
    Handles,
    Timer,
}

impl Focus {
    pub const ALL: [Self; 4] = [Self::Executor, Self::Guarded, Self::Handles, Self::Timer];

    /// The name of its fuzz target.
    pub fn name(self) -> &'static str {
        match self {
            Self::Executor => "executor_ops",
            Self::Guarded => "guarded_ops",
            Self::Handles => "handle_ops",
            Self::Timer => "timer_ops",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub settings: Settings,
    /// Who does it, and what. Each client does its own in this order.
    pub ops: Vec<(usize, Op)>,
}

impl Settings {
    /// Enough spare threads for every task to wait.
    pub const MANY_SPARES: usize = 200;

    /// The least of everything.
    pub const PLAIN: Self = Self {
        clients: 1,
        workers: 1,
        spares: Self::MANY_SPARES,
        queue: None,
        lifo: false,
        restless: false,
        run_delayed: true,
        late_promises: false,
        end: End::Shutdown,
    };

    /// Whether a submission may wait for a task, or run one.
    pub(crate) fn submissions_wait(&self) -> bool {
        matches!(self.queue, Some((_, Full::Block | Full::CallerRuns)))
    }

    pub(crate) fn discards(&self) -> bool {
        matches!(self.queue, Some((_, Full::DiscardOldest | Full::DiscardNewest)))
    }
}

impl Body {
    /// Whether a task that runs it panics, if its output goes to a handle.
    pub(crate) fn panics(self) -> bool {
        matches!(self, Self::Panic | Self::PanicWithBomb | Self::BombCapture)
    }

    /// Whether it needs the pool.
    pub(crate) fn submits(self) -> bool {
        use Body::{CancelledChild, Child, Children, Join, Scope, Spawn};
        matches!(self, Spawn | Child | CancelledChild | Children | Scope | Join)
    }
}

impl Program {
    /// Whether one thread runs all tasks, one after another as they were submitted.
    pub(crate) fn is_in_order(&self) -> bool {
        let plain = |body: &Body| !body.submits() && !matches!(body, Body::Blocking | Body::BlockingHold);
        let Settings { clients, workers, queue, .. } = self.settings;
        let in_order = |op: &Op| match op {
            Op::Submit(body) | Op::Spawn(body) | Op::TrySubmit(body) | Op::SubmitWith(body) => plain(body),
            Op::SubmitMany(_, body) | Op::SpawnMany(_, body) => plain(body),
            Op::Cancel(_) | Op::RequestCancel(_) | Op::Wait(_) | Op::WaitTimeout(_) | Op::Result(_) => true,
            Op::ResultTimeout(_) | Op::TryResult(_) | Op::BlockOn(_) | Op::OnDone(..) | Op::Detach(_) => true,
            Op::WaitFirst | Op::WaitAll | Op::AsCompleted | Op::Share(_) | Op::Prestart | Op::Pause => true,
            Op::Resume | Op::Open | Op::Metrics | Op::Quiescence | Op::CancelQueued => true,
            Op::Shutdown | Op::ShutdownTimeout => true,
            _ => false,
        };
        (clients, workers, queue) == (1, 1, None) && self.ops.iter().all(|(_, op)| in_order(op))
    }

    /// Whether the pool counts just the tasks that the ledger knows of.
    pub(crate) fn is_counted(&self) -> bool {
        let known = |op: &Op| !matches!(op, Op::Join | Op::Install | Op::Series(..));
        let joins = |op: &Op| format!("{op:?}").contains("Join");
        self.settings.queue.is_none() && self.ops.iter().all(|(_, op)| known(op) && !joins(op))
    }
}

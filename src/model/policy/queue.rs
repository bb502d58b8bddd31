//! Models of the run queue by itself.

use super::require;
use super::traced::Traced;
use crate::policy::LockPolicy;
use crate::policy::run_queue::{Find, LocalOrder, QueueConfig, RunQueue};
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering::*, fence};
use crate::sync::{Arc, MODEL, hint, thread};
use crate::task::{Tally, Task, TaskList, detached};

type Queue<P> = <Traced<P> as LockPolicy>::Queue;

fn queue<P: LockPolicy>() -> Queue<P> {
    RunQueue::new(&QueueConfig { locals: 2, order: LocalOrder::Lifo })
}

/// Tasks, and how often each has run.
struct Runs(Vec<Arc<AtomicU32>>);

impl Runs {
    fn of(tasks: usize) -> Self {
        Self((0..tasks).map(|_| Arc::default()).collect())
    }

    fn task(&self, index: usize) -> Task {
        let runs = self.0[index].clone();
        detached(move || {
            runs.fetch_add(1, Relaxed);
        })
    }

    fn require_one_each(&self) {
        let lost = self.0.iter().filter(|runs| runs.load(Relaxed) == 0).count();
        require(lost == 0, &format!("{lost} of {} tasks never come out of the queue", self.0.len()));
        require(self.0.iter().all(|runs| runs.load(Relaxed) == 1), "a task comes out twice");
    }
}

/// Whether there was one.
fn run(found: Find) -> bool {
    let Find::Task(task, _) = found else { return false };
    let _ran = task.run(&Tally::default());
    true
}

/// As `find`, or `take`, but that it tries again as often as it is told to.
fn insist(mut find: impl FnMut() -> Find) -> Find {
    for _ in 0..1_000 {
        match find() {
            Find::Retry => hint::spin_loop(),
            found => return found,
        }
    }
    require(false, "`find` says `Retry` without end, while nobody is in the way");
    Find::Empty
}

/// More than any queue should have places for from the start.
pub(super) fn many_tasks_come_out_once<P: LockPolicy>() {
    let tasks = if MODEL { 140 } else { 10_000 };
    let (queue, runs) = (queue::<P>(), Runs::of(tasks));
    let (local, other) = (queue.local(0), queue.local(1));
    for index in (0..tasks).step_by(4) {
        queue.inject(runs.task(index));
        queue.push(&local, runs.task(index + 1));
        let mut two = TaskList::new();
        two.push_back(runs.task(index + 2));
        two.push_back(runs.task(index + 3));
        queue.inject_all(two);
    }
    require(queue.len() == tasks, &format!("`len` is {} with {tasks} tasks", queue.len()));
    // A find that gives nothing is no proof that there is nothing: the other one has its try.
    let find = |index| run(insist(|| queue.find(if index % 3 == 0 { &other } else { &local })));
    (0..tasks).for_each(|index| {
        let _found = find(index) || find(index + 1) || find(index + 2);
    });
    runs.require_one_each();
}

/// One worker pushes two tasks and takes what it finds, another takes what it finds, and a task is injected.
pub(super) fn an_owner_and_a_thief<P: LockPolicy>() {
    let (queue, runs) = (Arc::new(queue::<P>()), Runs::of(3));
    let (local, other) = (queue.local(0), queue.local(1));
    let thief = {
        let queue = queue.clone();
        thread::spawn(move || {
            run(queue.find(&other));
            run(queue.find(&other));
            other
        })
    };
    queue.push(&local, runs.task(0));
    queue.push(&local, runs.task(1));
    queue.inject(runs.task(2));
    run(queue.find(&local));
    let other = thief.join().unwrap_or_else(|_| unreachable!("it does not panic"));
    while run(insist(|| queue.find(&other))) || run(insist(|| queue.find(&local))) {}
    runs.require_one_each();
}

pub(super) fn what_is_said_agrees<P: LockPolicy>() {
    let (queue, runs) = (queue::<P>(), Runs::of(6));
    let (local, other) = (queue.local(0), queue.local(1));
    let holds = |tasks: usize| {
        require(queue.is_empty() == (tasks == 0), &format!("`is_empty` is {} with {tasks} tasks", queue.is_empty()));
        require(queue.len() == tasks, &format!("`len` is {} with {tasks} tasks", queue.len()));
    };
    let gives = |found: Find, who: &str| {
        require(run(found), &format!("`is_empty` is false, but {who} gets no task, and no `Retry`"));
    };
    holds(0);
    queue.inject(runs.task(0));
    holds(1);
    queue.inject(runs.task(1));
    holds(2);
    gives(insist(|| queue.find(&other)), "a worker that looks for one from outside");
    holds(1);
    queue.push(&local, runs.task(2));
    holds(2);
    queue.push(&local, runs.task(3));
    holds(3);
    gives(insist(|| queue.find(&local)), "a worker that looks for its own");
    holds(2);
    gives(insist(|| queue.find(&other)), "a thief");
    holds(1);
    gives(insist(|| queue.find(&other)), "a thief");
    holds(0);
    queue.push(&local, runs.task(4));
    queue.push(&local, runs.task(5));
    holds(2);
    if let Some(task) = queue.retract(&local) {
        holds(1);
        queue.push(&local, task);
    }
    holds(2);
    require(queue.extract(&mut |_| false).is_none(), "`extract` gives a task that is not wanted");
    holds(2);
    let mut asked = 0;
    let second = queue.extract(&mut |_| {
        asked += 1;
        asked == 2
    });
    require(second.is_some(), "`extract` does not look at each task until one is wanted");
    holds(1);
    second.into_iter().for_each(|task| queue.push(&local, task));
    holds(2);
    gives(insist(|| queue.find(&other)), "a thief");
    // That a take of one leaves the others is seen at a shutdown.
    gives(insist(|| queue.take()), "a thread that is no worker");
    holds(0);
    runs.require_one_each();
}

/// Who sees that a task was queued sees it in the queue, until it is taken.
pub(super) fn a_task_is_never_hidden<P: LockPolicy>() {
    let (queue, runs) = (Arc::new(queue::<P>()), Runs::of(3));
    let (local, other) = (queue.local(0), queue.local(1));
    let said = Arc::new(AtomicBool::new(false));
    let worker = {
        let (queue, said) = (queue.clone(), said.clone());
        let (first, second) = (runs.task(0), runs.task(1));
        thread::spawn(move || {
            queue.push(&local, first);
            queue.inject(second);
            fence(SeqCst);
            said.store(true, Relaxed);
            run(queue.find(&local));
            local
        })
    };
    if said.load(Relaxed) {
        fence(SeqCst);
        require(!queue.is_empty(), "one of two tasks was taken, and `is_empty` is true");
    }
    let local = worker.join().unwrap_or_else(|_| unreachable!("it does not panic"));
    require(!queue.is_empty(), "one of two tasks was taken, and `is_empty` is true");
    require(run(insist(|| queue.find(&other))), "`is_empty` is false, and a thief finds nothing");
    require(queue.is_empty(), "both tasks were taken, and `is_empty` is false");
    queue.push(&local, runs.task(2));
    require(run(insist(|| queue.find(&local))), "a task that was just pushed is not found");
    runs.require_one_each();
}

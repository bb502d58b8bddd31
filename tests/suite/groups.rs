//! `wait`, `as_completed`, `join_all` and the completion queue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lockgrain::{
    CompletionQueue, LockPolicy, ReturnWhen, TaskHandle, ThreadPool, WaitError, Waitable, as_completed, blocking,
    join_all, wait,
};

use super::Occupied;

const SHORT: Duration = Duration::from_millis(5);

/// A task that has started, and runs until the sender is dropped.
fn held<P: LockPolicy>(pool: &ThreadPool<P>) -> (mpsc::Sender<()>, TaskHandle<u32>) {
    let (open, gate) = mpsc::channel::<()>();
    let (started, starts) = mpsc::channel();
    let task = pool.submit(move || {
        started.send(()).unwrap();
        let _closed = blocking(|| gate.recv());
        7
    });
    starts.recv().unwrap();
    (open, task)
}

/// A task that has ended with 1.
fn ended<P: LockPolicy>(pool: &ThreadPool<P>) -> TaskHandle<u32> {
    let handle = pool.submit(|| 1);
    handle.wait().unwrap();
    handle
}

fn failing<P: LockPolicy>(pool: &ThreadPool<P>) -> TaskHandle<u32> {
    pool.submit(|| panic!("as it should"))
}

// Contract: 38, 44.
pub(crate) fn all_completed_gives_each_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let handles: Vec<_> = (0..20).map(|n| pool.submit(move || n)).collect();
    let waited = wait(handles.iter().chain(&handles), ReturnWhen::AllCompleted, None);
    assert_eq!((waited.done.len(), waited.not_done.len(), waited.cut_short), (20, 0, None));
    assert!(waited.done.iter().zip(&handles).all(|(done, handle)| std::ptr::eq(*done, handle)));
    assert_eq!(join_all(handles).into_iter().map(Result::unwrap).collect::<Vec<_>>(), Vec::from_iter(0..20));
}

// Contract: 39, 40.
pub(crate) fn first_completed_gives_what_has_ended<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, slow) = held(pool);
    let fast = pool.submit(|| 1);
    let waited = wait([slow, fast], ReturnWhen::FirstCompleted, None);
    assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
    assert!(waited.not_done[0].is_running());
    let waited = wait(waited.done.into_iter().chain(waited.not_done), ReturnWhen::FirstCompleted, None);
    assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1), "what had ended is enough");
    drop(open);
    assert_eq!(waited.not_done.into_iter().next().unwrap().result().unwrap(), 7);
}

// Contract: 41, 42, 43.
pub(crate) fn first_exception_passes_over_success_and_cancellation<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, slow) = held(pool);
    let success = ended(pool);
    let cancelled = {
        let _occupied = Occupied::all(pool);
        let cancelled = pool.submit(|| 2);
        assert!(cancelled.cancel());
        cancelled
    };
    let waited = wait([&slow, &success, &cancelled], ReturnWhen::FirstException, SHORT);
    assert_eq!((waited.done.len(), waited.cut_short), (2, Some(WaitError::TimedOut)));
    let failing = failing(pool);
    for _ in 0..2 {
        // The second time it has failed before the wait.
        let waited = wait([&slow, &success, &cancelled, &failing], ReturnWhen::FirstException, None);
        assert_eq!((waited.done.len(), waited.not_done.len(), waited.cut_short), (3, 1, None));
    }
    drop(open);
    let waited = wait([&slow, &success, &cancelled], ReturnWhen::FirstException, None);
    assert_eq!((waited.done.len(), waited.cut_short), (3, None), "without a failure it waits for all");
}

// Contract: 45.
pub(crate) fn a_timeout_gives_the_partial_split<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, slow) = held(pool);
    let fast = ended(pool);
    for return_when in [ReturnWhen::AllCompleted, ReturnWhen::FirstException] {
        let start = Instant::now();
        let waited = wait([&fast, &slow], return_when, SHORT);
        assert!(start.elapsed() >= SHORT);
        assert_eq!((waited.done.len(), waited.not_done.len()), (1, 1));
        assert_eq!(waited.cut_short, Some(WaitError::TimedOut));
    }
    let waited = wait([&slow], ReturnWhen::FirstCompleted, Duration::ZERO);
    assert_eq!((waited.done.len(), waited.cut_short), (0, Some(WaitError::TimedOut)));
    drop(open);
}

// Contract: 46.
pub(crate) fn no_wake_up_is_lost<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..20 {
        let start = Arc::new(Barrier::new(2));
        let first = start.clone();
        let mut handles = vec![pool.submit(move || blocking(|| first.wait()).is_leader())];
        handles.extend((0..99).map(|_| pool.submit(|| true)));
        start.wait();
        assert_eq!(as_completed(&handles).filter(|handle| handle.as_ref().unwrap().is_finished()).count(), 100);
        assert_eq!(wait(handles, ReturnWhen::AllCompleted, None).done.len(), 100);
    }
}

// Contract: 47.
pub(crate) fn a_cancelled_task_counts_as_ended_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (_open, slow) = held(pool);
    let occupied = Occupied::all(pool);
    let before = pool.submit(|| 0);
    let during = pool.submit(|| 0);
    assert!(before.cancel());
    assert_eq!(wait([&slow, &before], ReturnWhen::FirstCompleted, None).done.len(), 1);
    thread::scope(|s| {
        let waits = s.spawn(|| wait([&slow, &during], ReturnWhen::FirstCompleted, None).done.len());
        s.spawn(|| during.cancel());
        assert_eq!(waits.join().unwrap(), 1);
    });
    let last = pool.submit(|| 0);
    thread::scope(|s| {
        let waits = s.spawn(|| wait([&slow, &last], ReturnWhen::FirstCompleted, None).done.len());
        s.spawn(|| pool.shutdown_now_timeout(Duration::ZERO));
        assert_eq!(waits.join().unwrap(), 1);
    });
    drop(occupied);
}

// Contract: 48, 50, 51.
pub(crate) fn as_completed_gives_each_once_the_ended_first<P: LockPolicy>(pool: &ThreadPool<P>) {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let (open, gate) = mpsc::channel::<()>();
    let counts = || Counts(dropped.clone());
    let value = counts();
    let slow = pool.submit(move || {
        let _closed = blocking(|| gate.recv());
        value
    });
    let fast: Vec<_> = (0..5).map(|_| counts()).map(|value| pool.submit(move || value)).collect();
    wait(&fast, ReturnWhen::AllCompleted, None);
    let mut completed = as_completed(std::iter::once(slow).chain(fast));
    for yielded in 0..5 {
        assert_eq!(dropped.load(Ordering::SeqCst), yielded);
        assert!(completed.next().unwrap().unwrap().is_finished());
    }
    assert_eq!(completed.size_hint(), (1, Some(1)));
    drop(open);
    assert!(completed.next().unwrap().unwrap().is_finished());
    assert!(completed.next().is_none() && completed.next().is_none());
    assert_eq!(dropped.load(Ordering::SeqCst), 6, "what was yielded is not kept");
}

// Contract: 49.
pub(crate) fn as_completed_says_how_many_did_not_end_in_time<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, a) = held(pool);
    let (other_open, b) = held(pool);
    let mut completed = as_completed([ended(pool), a, ended(pool), b]).timeout(Duration::ZERO);
    assert!(completed.next().unwrap().is_ok() && completed.next().unwrap().is_ok());
    let unfinished = completed.next().unwrap().unwrap_err();
    assert!(unfinished.to_string().starts_with("2 (of 4) tasks unfinished"), "{unfinished}");
    assert!(completed.next().is_none());
    drop((open, other_open));
    assert_eq!(join_all(completed.into_unfinished()).into_iter().map(Result::unwrap).sum::<u32>(), 14);
}

pub(crate) fn handles_of_two_pools_and_two_types_mix<P: LockPolicy>(pool: &ThreadPool<P>) {
    let other = super::pool::<P>(1);
    let (text, number) = (other.submit(|| "text"), pool.submit(|| 1));
    let mixed: [&dyn Waitable; 2] = [&text, &number];
    assert_eq!(as_completed(mixed).filter(Result::is_ok).count(), 2);
    assert_eq!(wait(mixed, ReturnWhen::AllCompleted, None).done.len(), 2);
}

pub(crate) fn a_task_waits_for_the_next_of_its_children<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let sum = pool.submit(move || {
        let children: Vec<_> = (1..=10_u32).map(|n| inner.submit(move || n)).collect();
        let first = wait(&children, ReturnWhen::FirstCompleted, None);
        assert!(!first.done.is_empty());
        as_completed(children).map(|child| child.unwrap().result().unwrap()).sum::<u32>()
    });
    assert_eq!(sum.result().unwrap(), 55);
}

/// Two tasks each wait for the first of what only they can end.
pub(crate) fn waits_for_any_in_a_circle_end<P: LockPolicy>(pool: &ThreadPool<P>) {
    type Given = Vec<TaskHandle<Option<WaitError>>>;
    let (to_a, for_a) = mpsc::channel::<Given>();
    let (to_b, for_b) = mpsc::channel::<Given>();
    let waits = |given: mpsc::Receiver<Given>| {
        move || wait(blocking(|| given.recv()).unwrap(), ReturnWhen::FirstCompleted, None).cut_short
    };
    let (a, b) = (pool.submit(waits(for_a)), pool.submit(waits(for_b)));
    let (outcome, outcomes) = mpsc::channel();
    let tell = |mut handle: TaskHandle<_>| {
        let outcome = outcome.clone();
        handle.on_done(move |result| outcome.send(*result.as_ref().unwrap()).unwrap());
        handle
    };
    let (a, b) = (tell(a), tell(b));
    to_a.send(vec![b]).unwrap();
    to_b.send(vec![a]).unwrap();
    let outcomes = [outcomes.recv().unwrap(), outcomes.recv().unwrap()];
    assert!(outcomes.contains(&Some(WaitError::WouldDeadlock)), "{outcomes:?}");
}

// Contract: 52.
pub(crate) fn a_completion_queue_gives_what_has_ended<P: LockPolicy>(pool: &ThreadPool<P>) {
    let queue = CompletionQueue::new();
    assert!(queue.take().unwrap().is_none() && queue.try_take().is_none());
    let (open, slow) = held(pool);
    queue.add(slow);
    assert!(queue.try_take().is_none());
    let start = Instant::now();
    assert_eq!(queue.take_timeout(SHORT).unwrap_err(), WaitError::TimedOut);
    assert!(start.elapsed() >= SHORT);
    queue.submit(pool, || 1);
    assert_eq!(queue.take().unwrap().unwrap().result().unwrap(), 1);
    queue.add(failing(pool));
    assert!(queue.take().unwrap().unwrap().result().unwrap_err().is_panic());
    thread::scope(|s| {
        let takers: Vec<_> = (0..2).map(|_| s.spawn(|| queue.take().unwrap().is_some())).collect();
        drop(open);
        let taken = takers.into_iter().map(|taker| usize::from(taker.join().unwrap())).sum::<usize>();
        assert_eq!(taken, 1, "one gets it, the other hears that there is no more");
    });
    assert!(queue.is_empty());
}

pub(crate) fn a_completion_queue_is_used_inside_a_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let sum = pool.submit(move || {
        let queue = CompletionQueue::new();
        (0..10_u32).for_each(|n| queue.submit(&inner, move || n));
        let mut sum = 0;
        while let Some(handle) = queue.take().unwrap() {
            let n = handle.result().unwrap();
            sum += n;
            if n == 9 {
                queue.submit(&inner, || 100);
            }
        }
        sum
    });
    assert_eq!(sum.result().unwrap(), 145);
}

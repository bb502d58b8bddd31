//! `map` and its kin, `invoke_all` and `invoke_any`.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use lockgrain::{ChunkSize, Failure, LockPolicy, TaskError, TaskHandle, ThreadPool, WaitError, blocking};

use super::Occupied;

const SHORT: Duration = Duration::from_millis(5);

fn square(n: u64) -> u64 {
    n * n
}

// Contract: 53, 62.
pub(crate) fn map_is_the_serial_map<P: LockPolicy>(pool: &ThreadPool<P>) {
    let serial: Vec<_> = (0..100).map(square).collect();
    let values =
        |results: &mut dyn Iterator<Item = Result<u64, TaskError>>| results.map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(values(&mut pool.map(0..100, square)), serial);
    for chunk_size in [ChunkSize::Items(1), ChunkSize::Items(3), ChunkSize::Items(1000), ChunkSize::Auto] {
        assert_eq!(values(&mut pool.bulk().chunk_size(chunk_size).map(0..100, square)), serial, "{chunk_size:?}");
        let mut unordered = values(&mut pool.bulk().chunk_size(chunk_size).map_unordered(0..100, square));
        unordered.sort_unstable();
        assert_eq!(unordered, serial, "{chunk_size:?}");
    }
    // An input of unknown length.
    let odd = |n: &u64| n % 2 == 1;
    let sum =
        pool.bulk().chunk_size(ChunkSize::Auto).map((0..1000).filter(odd), square).map(Result::unwrap).sum::<u64>();
    assert_eq!(sum, (0..1000).filter(odd).map(square).sum::<u64>());
}

// Contract: 54, 75.
pub(crate) fn map_runs_all_without_being_iterated<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (send, receive) = mpsc::channel();
    let results = pool.map(0..10, move |n| send.send(n).unwrap());
    let mut seen: Vec<_> = receive.iter().take(10).collect();
    seen.sort_unstable();
    assert_eq!(seen, Vec::from_iter(0..10));
    pool.shutdown();
    assert_eq!(results.filter(Result::is_ok).count(), 10);
}

// Contract: 55, 57.
pub(crate) fn one_failing_item_does_not_end_the_rest<P: LockPolicy>(pool: &ThreadPool<P>) {
    for chunk_size in [1, 2, 3, 10] {
        let fails_at_four = |n| if n == 4 { panic!("four") } else { n };
        let mut results = pool.bulk().chunk_size(chunk_size).map(0..8, fails_at_four);
        for n in 0..8 {
            match results.next().unwrap() {
                Ok(value) => assert_eq!(value, n),
                Err(TaskError::Panicked(panic)) => assert_eq!((n, panic.message()), (4, "four")),
                Err(error) => panic!("{error}"),
            }
        }
        assert!(results.next().is_none() && results.next().is_none());
    }
    let error_values = pool.bulk().timeout(Duration::from_secs(60)).map(0..3, |_| Err::<(), _>(TaskError::TimedOut));
    assert_eq!(error_values.filter(|result| matches!(result, Ok(Err(TaskError::TimedOut)))).count(), 3);
}

// Contract: 56.
pub(crate) fn map_gives_what_is_done_in_time<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = runs.clone();
    let start = Instant::now();
    let mut results = pool.bulk().timeout(10 * SHORT).map(0..100, move |n| {
        if n == 0 {
            return 0;
        }
        counts.fetch_add(1, SeqCst);
        // Untold, so that no spare takes over.
        let _closed = gate.lock().map(|gate| gate.recv());
        n
    });
    // Slow machines may not even do the first in time.
    let in_time = results.by_ref().take_while(Result::is_ok).count();
    assert!(in_time <= 1);
    assert!(start.elapsed() >= 10 * SHORT);
    assert!(results.next().is_none() && results.next().is_none());
    drop(open);
    pool.shutdown();
    assert!(runs.load(SeqCst) <= pool.max_workers(), "what had not started was cancelled");
}

// Contract: 58.
pub(crate) fn a_dropped_map_cancels_what_has_not_started<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let occupied = Occupied::all(pool);
    for chunk_size in [1, 3] {
        let counts = runs.clone();
        drop(pool.bulk().chunk_size(chunk_size).map(0..10, move |_| counts.fetch_add(1, SeqCst)));
    }
    drop(occupied);
    pool.shutdown();
    assert_eq!(runs.load(SeqCst), 0);
}

/// Of a chunk that runs, what has not begun.
pub(crate) fn a_dropped_map_stops_the_chunk_that_runs<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (started, starts) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let results = pool.bulk().chunk_size(100).map(0..100, move |n| {
        started.send(n).unwrap();
        let _closed = blocking(|| gate.lock().map(|gate| gate.recv()));
    });
    assert_eq!(starts.recv().unwrap(), 0);
    drop(results);
    drop(open);
    assert_eq!(starts.recv().ok(), None);
}

// Contract: 59.
pub(crate) fn a_buffer_bounds_what_is_taken<P: LockPolicy>(pool: &ThreadPool<P>) {
    let n = 12;
    for size in [1, 2, n, 2 * n] {
        for chunk_size in [1, 4] {
            let taken = std::cell::Cell::new(0);
            let input = (0..n as u64).inspect(|_| taken.set(taken.get() + 1));
            let mut results = pool.bulk().buffer_size(size).chunk_size(chunk_size).map(input, square);
            if chunk_size == 1 {
                assert_eq!(taken.get(), size.min(n));
            }
            for at in 0..n {
                assert!(taken.get() <= at + size);
                assert_eq!(results.next().unwrap().unwrap(), square(at as u64));
            }
            assert!(results.next().is_none());
        }
    }
    assert_eq!(pool.bulk().buffer_size(3).map(1.., square).take(5).map(Result::unwrap).sum::<u64>(), 55);
    assert_eq!(pool.bulk().buffer_size(3).map_unordered(1.., square).take(50).filter(Result::is_ok).count(), 50);
    let auto = pool.bulk().buffer_size(300).chunk_size(ChunkSize::Auto);
    assert_eq!(auto.map(1.., square).take(5).map(Result::unwrap).sum::<u64>(), 55);
    assert_eq!(pool.bulk().buffer_size(3).map(0..0, square).count(), 0);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(pool.bulk().buffer_size(0)))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(pool.bulk().chunk_size(0)))).is_err());
}

// Contract: 60.
pub(crate) fn yielded_values_are_not_kept<P: LockPolicy>(pool: &ThreadPool<P>) {
    for chunk_size in [1, 3] {
        let value = Arc::new(());
        let weak = Arc::downgrade(&value);
        let mut results = pool.bulk().chunk_size(chunk_size).map(0..3, move |_| value.clone());
        let values: Vec<_> = results.by_ref().collect();
        drop(values);
        // The function itself goes with the last task, on its worker.
        drop(results);
        pool.submit(|| ()).result().unwrap();
        while weak.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}

// Contract: 61.
pub(crate) fn a_panicking_input_is_an_error_at_its_place<P: LockPolicy>(pool: &ThreadPool<P>) {
    for chunk_size in [1, 2, 3, 10] {
        for buffer_size in [1, 100] {
            let input = (0..10).map(|n| if n == 5 { panic!("the input") } else { n });
            let bulk = pool.bulk().chunk_size(chunk_size).buffer_size(buffer_size);
            let results: Vec<_> = bulk.map(input, square).collect();
            assert_eq!(results.len(), 6);
            assert!(results[..5].iter().all(Result::is_ok));
            assert!(results[5].as_ref().is_err_and(TaskError::is_panic));
        }
    }
    assert_eq!(pool.submit(|| 1).result().unwrap(), 1);
}

// Contract: 63.
pub(crate) fn empty_input_ends_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let none = std::iter::empty::<u64>;
    let _occupied = Occupied::all(pool);
    assert!(pool.map(none(), square).next().is_none());
    assert!(pool.map_unordered(none(), square).next().is_none());
    pool.for_each(none(), drop).unwrap();
    assert!(pool.try_map(none(), Ok::<_, ()>).unwrap().is_empty());
    assert!(pool.invoke_all(Vec::<fn()>::new()).is_empty());
    assert!(matches!(pool.invoke_any(Vec::<fn() -> Result<(), ()>>::new()), Err(Failure::Empty)));
}

// Contract: 64.
pub(crate) fn invoke_all_gives_ended_handles_in_order<P: LockPolicy>(pool: &ThreadPool<P>) {
    let handles = pool.invoke_all((0..10).map(|n| move || if n == 3 { panic!("three") } else { n }));
    assert!(handles.iter().all(|handle| handle.is_finished()));
    for (n, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.result().ok(), (n != 3).then_some(n));
    }
}

// Contract: 65.
pub(crate) fn invoke_all_in_time_cancels_what_has_not_started<P: LockPolicy>(pool: &ThreadPool<P>) {
    let tasks = (0..10).map(|n| move || if n == 3 { panic!("three") } else { n });
    let waited = pool.invoke_all_timeout(tasks, Duration::MAX);
    assert_eq!((waited.done.len(), waited.not_done.len(), waited.cut_short), (10, 0, None));
    let results = lockgrain::join_all(waited.done).into_iter().map(Result::ok);
    assert!(results.eq((0..10).map(|n| (n != 3).then_some(n))));

    // The first ends; the others occupy all workers until the gate opens.
    let (open, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let tasks = (0..20).map(|n| {
        let gate = gate.clone();
        move || if n == 0 { true } else { gate.lock().unwrap().recv().is_ok() }
    });
    let waited = pool.invoke_all_timeout(tasks, Duration::from_millis(50));
    assert_eq!((waited.done.len() + waited.not_done.len(), waited.cut_short), (20, Some(WaitError::TimedOut)));
    assert!(waited.not_done.len() <= pool.max_workers());
    let cancelled = waited.done.iter().filter(|handle| handle.is_cancelled()).count();
    assert!(cancelled + 1 >= waited.done.len());
    drop(open);
    let results = lockgrain::join_all(waited.done);
    assert!(results.iter().flatten().all(|first| *first), "the first one keeps its value");
    assert_eq!(results.into_iter().filter(|result| matches!(result, Err(TaskError::Cancelled))).count(), cancelled);
    assert!(lockgrain::join_all(waited.not_done).into_iter().all(|result| result.is_ok_and(|open| !open)));

    let occupied = Occupied::all(pool);
    let waited = pool.invoke_all_timeout([|| 1, || 2], SHORT);
    assert!(waited.done.len() == 2 && waited.done.iter().all(TaskHandle::is_cancelled));
    drop(occupied);
}

// Contract: 66.
pub(crate) fn invoke_any_gives_one_success<P: LockPolicy>(pool: &ThreadPool<P>) {
    let tasks = (0..5).map(|n| move || if n == 3 { Ok(n) } else { Err(n) });
    assert_eq!(pool.invoke_any(tasks).unwrap(), 3);
    let tasks: [fn() -> Result<(), &'static str>; 2] = [|| Err("first"), || Err("second")];
    assert!(matches!(pool.invoke_any(tasks), Err(Failure::Error("first" | "second"))));
    let panics: [fn() -> Result<(), ()>; 1] = [|| panic!("as it should")];
    assert!(matches!(pool.invoke_any(panics), Err(Failure::Task(error)) if error.is_panic()));
}

pub(crate) fn invoke_any_in_time_cancels_the_rest<P: LockPolicy>(pool: &ThreadPool<P>) {
    let tasks: [fn() -> Result<u32, ()>; 2] = [|| Err(()), || Ok(2)];
    assert_eq!(pool.invoke_any_timeout(tasks, Duration::MAX).unwrap(), 2);
    assert!(pool.await_quiescence(Duration::MAX));
    // The first one, if the second was quicker.
    let before = pool.metrics().cancelled;
    assert!(before <= 1);
    let occupied = Occupied::all(pool);
    assert!(matches!(pool.invoke_any_timeout(tasks, SHORT), Err(Failure::Task(TaskError::TimedOut))));
    drop(occupied);
    assert!(pool.await_quiescence(Duration::MAX));
    assert_eq!(pool.metrics().cancelled, before + 2);
}

// Contract: 67.
pub(crate) fn for_each_waits_for_all_before_it_fails<P: LockPolicy>(pool: &ThreadPool<P>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = runs.clone();
    let failed = pool.for_each(0..20, move |n| {
        counts.fetch_add(1, SeqCst);
        assert!(n != 0, "the first");
    });
    assert!(failed.unwrap_err().is_panic());
    assert_eq!(runs.load(SeqCst), 20);
}

pub(crate) fn try_map_begins_nothing_after_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    assert_eq!(pool.try_map(0..10, |n| Ok::<_, ()>(2 * n)).unwrap(), Vec::from_iter((0..10).map(|n| 2 * n)));
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = runs.clone();
    let failed = pool.bulk().chunk_size(1000).try_map(0..1000, move |n| {
        counts.fetch_add(1, SeqCst);
        if n == 3 { Err("three") } else { Ok(()) }
    });
    assert!(matches!(failed, Err(Failure::Error("three"))));
    assert_eq!(runs.load(SeqCst), 4);
    // The rest of the input is not asked for.
    for chunk_size in [ChunkSize::Items(1), ChunkSize::Items(3), ChunkSize::Auto] {
        let endless =
            pool.bulk().chunk_size(chunk_size).buffer_size(50).try_map(0.., |n| if n < 1000 { Ok(n) } else { Err(n) });
        assert!(matches!(endless, Err(Failure::Error(1000..))), "{endless:?}");
    }
    let panics = pool.try_map(0..10, |n| if n == 3 { panic!("three") } else { Ok::<_, ()>(n) });
    assert!(matches!(panics, Err(Failure::Task(error)) if error.is_panic()));
}

pub(crate) fn map_all_gives_all_values_in_order<P: LockPolicy>(pool: &ThreadPool<P>) {
    /// Says that there are so many, whatever there are.
    struct Says(std::ops::Range<u64>, usize);
    impl Iterator for Says {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            self.0.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.1, Some(self.1))
        }
    }
    assert_eq!(pool.map_all(0..10, square).unwrap(), Vec::from_iter((0..10).map(square)));
    for chunk_size in [ChunkSize::Items(1), ChunkSize::Items(7), ChunkSize::Auto] {
        for buffer_size in [5, 300, usize::MAX] {
            for says in [0, 50, 100, 120] {
                let bulk = pool.bulk().chunk_size(chunk_size).buffer_size(buffer_size);
                let all = bulk.map_all(Says(0..100, says), square).unwrap();
                assert_eq!(all, Vec::from_iter((0..100).map(square)), "{chunk_size:?} {buffer_size} {says}");
            }
        }
    }
    // Of unknown length.
    let odd = |n: &u64| n % 2 == 1;
    let all = pool.bulk().chunk_size(ChunkSize::Auto).map_all((0..1000).filter(odd), square).unwrap();
    assert_eq!(all, Vec::from_iter((0..1000).filter(odd).map(square)));
    assert!(pool.map_all(std::iter::empty::<u64>(), square).unwrap().is_empty());
    assert_eq!(pool.map_all(0..5, drop).unwrap().len(), 5);
}

pub(crate) fn map_range_gives_the_values_of_all_indices_in_order<P: LockPolicy>(pool: &ThreadPool<P>) {
    let square = |n: usize| n * n;
    assert_eq!(pool.map_range(3..10, square).unwrap(), Vec::from_iter((3..10).map(square)));
    for chunk_size in [ChunkSize::Items(1), ChunkSize::Items(7), ChunkSize::Items(1000), ChunkSize::Auto] {
        for buffer_size in [5, 300, usize::MAX] {
            let backwards = Range { start: 5, end: 4 };
            for range in [0..0, backwards, 9..10, 50..151] {
                let bulk = pool.bulk().chunk_size(chunk_size).buffer_size(buffer_size);
                let all = bulk.map_range(range.clone(), square).unwrap();
                assert_eq!(all, Vec::from_iter(range.clone().map(square)), "{chunk_size:?} {buffer_size} {range:?}");
            }
        }
    }
    let failed = pool.bulk().chunk_size(ChunkSize::Auto).map_range(0..1000, |n| assert!(n != 400, "four hundred"));
    assert!(failed.is_err_and(|error| error.is_panic()));
    pool.shutdown();
    assert!(matches!(pool.map_range(0..3, square), Err(TaskError::Refused)));
}

pub(crate) fn more_than_are_submitted_at_once<P: LockPolicy>(pool: &ThreadPool<P>) {
    let items = 300_000;
    for chunk_size in [ChunkSize::Items(100), ChunkSize::Auto] {
        let all = pool.bulk().chunk_size(chunk_size).map_all(0..items, |n| n).unwrap();
        assert!(all.into_iter().eq(0..items));
        let all = pool.bulk().chunk_size(chunk_size).map_range(0..items, |n| n).unwrap();
        assert!(all.into_iter().eq(0..items));
    }
}

pub(crate) fn a_map_all_that_fails_drops_all_values<P: LockPolicy>(pool: &ThreadPool<P>) {
    struct Counted(Arc<AtomicUsize>);
    impl Counted {
        fn new(now: &Arc<AtomicUsize>) -> Self {
            now.fetch_add(1, SeqCst);
            Self(now.clone())
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    for chunk_size in [1, 7, 200] {
        let now = Arc::new(AtomicUsize::new(0));
        let (items, values) = (now.clone(), now.clone());
        let failed =
            pool.bulk().chunk_size(chunk_size).map_all((0..100).map(|n| (n, Counted::new(&items))), move |(n, _)| {
                assert!(n != 40, "forty");
                Counted::new(&values)
            });
        assert!(failed.is_err_and(|error| error.is_panic()));
        assert_eq!(now.load(SeqCst), 0, "{chunk_size}");

        let bulk = pool.bulk().chunk_size(chunk_size);
        let values = now.clone();
        let failed = bulk.map_all((0..100).inspect(|n| assert!(*n != 40, "forty")), move |_| Counted::new(&values));
        assert!(failed.is_err_and(|error| error.is_panic()));
        assert_eq!(now.load(SeqCst), 0, "{chunk_size}");

        let values = now.clone();
        let all = pool.bulk().chunk_size(chunk_size).map_all(0..100, move |_| Counted::new(&values)).unwrap();
        assert_eq!(now.load(SeqCst), 100);
        drop(all);
        assert_eq!(now.load(SeqCst), 0, "{chunk_size}");
    }
}

pub(crate) fn a_map_all_whose_time_runs_out_leaves_its_tasks_alone<P: LockPolicy>(pool: &ThreadPool<P>) {
    let occupied = Occupied::all(pool);
    let bulk = pool.bulk().chunk_size(10).timeout(SHORT);
    assert!(matches!(bulk.map_all(0..100, square), Err(TaskError::TimedOut)));
    drop(occupied);
    let (open, gate) = mpsc::channel::<()>();
    let (gate, started) = (std::sync::Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let starts = started.clone();
    let late = pool.bulk().chunk_size(10).timeout(SHORT * 10).map_all(0..20, move |n| {
        starts.fetch_add(1, SeqCst);
        let _closed = gate.lock().map(|gate| gate.recv());
        n.to_string()
    });
    assert!(matches!(late, Err(TaskError::TimedOut)));
    // Those that run write where nobody waits any more.
    drop(open);
    pool.shutdown();
    assert!(started.load(SeqCst) <= 20);
}

pub(crate) fn map_is_used_inside_a_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    let inner = pool.clone();
    let outer = pool.submit(move || {
        let ordered = inner.map(0..20, square).map(Result::unwrap).sum::<u64>();
        ordered + inner.bulk().chunk_size(3).map_unordered(0..20, square).map(Result::unwrap).sum::<u64>()
    });
    assert_eq!(outer.result().unwrap(), 2 * 2470);
}

pub(crate) fn map_on_a_pool_that_is_shut_down_is_refused<P: LockPolicy>(pool: &ThreadPool<P>) {
    pool.shutdown();
    let results: Vec<_> = pool.bulk().chunk_size(2).map(0..5, square).collect();
    assert_eq!(results.iter().filter(|result| matches!(result, Err(TaskError::Refused))).count(), 5);
}

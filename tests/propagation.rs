//! What tasks find of their submitters' threads: `Builder::propagate`.

mod suite;

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, TaskError, ThreadPool, WhenFull};

thread_local! {
    static REQUEST: Cell<u32> = const { Cell::new(0) };
    static LOCALE: Cell<&'static str> = const { Cell::new("none") };
}

struct Reset(u32);

impl Drop for Reset {
    fn drop(&mut self) {
        REQUEST.set(self.0);
    }
}

fn builder<P: LockPolicy>(workers: usize) -> Builder<P> {
    Builder::new().max_workers(workers).propagate(|| {
        let request = REQUEST.get();
        move || Reset(REQUEST.replace(request))
    })
}

fn each(case: impl Fn(usize) + Send + Copy + 'static) {
    for workers in [1, 2] {
        suite::within_a_minute(move || case(workers));
    }
}

macro_rules! under_each_policy {
    ($($case:ident),+) => {
        $(#[test]
        fn $case() {
            each(|workers| cases::$case(builder::<GlobalLock>(workers)));
            each(|workers| cases::$case(builder::<FineGrained>(workers)));
            each(|workers| cases::$case(builder::<LockFree>(workers)));
        })+
    };
}

under_each_policy! {
    each_way_to_submit,
    a_bounded_queue,
    tasks_of_tasks_inherit,
    a_worker_is_left_as_it_was,
    later_runs_and_polls,
    both_halves_of_joins,
    the_first_is_furthest_out,
    a_panic_in_capture_is_the_submitters,
    a_panic_in_what_it_returned_is_the_tasks
}

mod cases {
    use super::*;

    fn with<R>(request: u32, f: impl FnOnce() -> R) -> R {
        let _reset = Reset(REQUEST.replace(request));
        f()
    }

    pub(super) fn each_way_to_submit<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.build().unwrap();
        let see = || REQUEST.get();
        let (value, keys, strand) = (pool.guarded(()), pool.keyed(), pool.strand());
        let (to, seen) = mpsc::channel();
        let tell = |to: &mpsc::Sender<u32>| {
            let to = to.clone();
            move || to.send(REQUEST.get()).unwrap()
        };
        let handles = with(1, || {
            pool.spawn(tell(&to)).unwrap();
            pool.task().priority(1).spawn(tell(&to)).unwrap();
            keys.spawn(5, tell(&to)).unwrap();
            let told = tell(&to);
            pool.spawn_when(&value, move |()| told()).unwrap_or_else(|_| panic!("it is open"));
            let told = tell(&to);
            pool.spawn_broadcast(move |_| told()).unwrap();
            vec![
                pool.submit(see),
                pool.try_submit(see).unwrap(),
                pool.submit_with(|_| REQUEST.get()),
                pool.task().priority(-1).submit(see),
                pool.task().start_within(Duration::from_secs(60)).submit(see),
                pool.when(&value, |()| REQUEST.get()),
                keys.submit(7, see),
                keys.submit_shared(7, see),
                strand.submit(see),
                pool.schedule(Duration::from_millis(1), see),
                pool.spawn_future(async { REQUEST.get() }),
                with(2, || pool.submit(|| ())).then(&pool, |_| REQUEST.get()),
            ]
        });
        for (at, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.result().unwrap(), 1, "the handle at {at}");
        }
        assert!(seen.iter().take(4 + pool.max_workers()).all(|request| request == 1));
        let all = with(3, || {
            let mut all: Vec<_> = pool.map(0..10, |_| REQUEST.get()).map(Result::unwrap).collect();
            all.push(pool.install(see));
            all.push(pool.scope(|s| s.submit(see).result().unwrap()));
            pool.scope(|s| s.spawn(tell(&to)).unwrap());
            all.extend(pool.broadcast(|_| REQUEST.get()));
            all
        });
        assert!(all.iter().all(|request| *request == 3), "{all:?}");
        assert_eq!(seen.recv().unwrap(), 3);
    }

    pub(super) fn a_bounded_queue<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.queue_capacity(1).when_full(WhenFull::CallerRuns).build().unwrap();
        let submit = |request| with(request, || pool.submit(|| REQUEST.get()));
        let handles: Vec<_> = (0..100).map(submit).collect();
        assert!(handles.into_iter().map(|handle| handle.result().unwrap()).eq(0..100));
        assert_eq!(with(3, || pool.spawn_future(async { REQUEST.get() })).result().unwrap(), 3);
    }

    pub(super) fn tasks_of_tasks_inherit<P: LockPolicy>(builder: Builder<P>) {
        fn depth<P: LockPolicy>(pool: &ThreadPool<P>, left: u32) -> u32 {
            if left == 0 {
                return REQUEST.get();
            }
            let inner = pool.clone();
            pool.submit(move || depth(&inner, left - 1)).result().unwrap()
        }
        let pool = builder.build().unwrap();
        assert_eq!(with(9, || depth(&pool, 20)), 9);
    }

    pub(super) fn a_worker_is_left_as_it_was<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.after_task(|_| assert_eq!(REQUEST.get(), 0)).build().unwrap();
        let (to, reports) = mpsc::channel();
        for request in 1..50 {
            with(request, || pool.submit(move || assert!(request % 2 == 0))).result().unwrap_or_default();
            let to = to.clone();
            pool.spawn(move || to.send(REQUEST.get()).unwrap()).unwrap();
        }
        assert!(reports.iter().take(49).all(|request| request == 0));
    }

    pub(super) fn later_runs_and_polls<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.build().unwrap();
        let (to, ticks) = mpsc::channel();
        let tick = move || to.send(REQUEST.get()).unwrap_or_default();
        let series = with(4, || pool.schedule_at_fixed_rate(Duration::ZERO, Duration::from_millis(1), tick));
        assert!(ticks.iter().take(5).all(|request| request == 4));
        assert!(series.cancel());
        let mut polls = Vec::new();
        let future = poll_fn(move |cx| {
            polls.push(REQUEST.get());
            cx.waker().wake_by_ref();
            if polls.len() == 5 { Poll::Ready(std::mem::take(&mut polls)) } else { Poll::Pending }
        });
        assert_eq!(with(5, || pool.spawn_future(future)).result().unwrap(), [5; 5]);
    }

    pub(super) fn both_halves_of_joins<P: LockPolicy>(builder: Builder<P>) {
        fn leaves<P: LockPolicy>(pool: &ThreadPool<P>, depth: u32, request: u32) -> u32 {
            assert_eq!(REQUEST.get(), request);
            if depth == 0 {
                return 1;
            }
            let (a, b) = pool.join(
                || with(request + 1, || leaves(pool, depth - 1, request + 1)),
                || leaves(pool, depth - 1, request),
            );
            assert_eq!(REQUEST.get(), request);
            a + b
        }
        let pool = builder.build().unwrap();
        assert_eq!(with(6, || leaves(&pool, 4, 6)), 16, "from outside");
        assert_eq!(with(6, || pool.install(|| leaves(&pool, 12, 6))), 4096);
    }

    pub(super) fn the_first_is_furthest_out<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder
            .propagate(|| {
                let locale = LOCALE.get();
                move || {
                    assert_eq!(REQUEST.get(), 8, "the one before it comes first");
                    LOCALE.set(locale);
                }
            })
            .build()
            .unwrap();
        LOCALE.set("de");
        let both = with(8, || pool.submit(|| (REQUEST.get(), LOCALE.get()))).result();
        assert_eq!(both.unwrap(), (8, "de"));
    }

    pub(super) fn a_panic_in_capture_is_the_submitters<P: LockPolicy>(builder: Builder<P>) {
        let builder = builder.propagate(|| {
            assert_ne!(REQUEST.get(), 13, "no request");
            || ()
        });
        let pool = builder.queue_capacity(1).when_full(WhenFull::Block).build().unwrap();
        let (value, keys) = (pool.guarded(1), pool.keyed());
        let panics = |submit: &dyn Fn()| with(13, || catch_unwind(AssertUnwindSafe(submit))).unwrap_err();
        for _ in 0..3 {
            panics(&|| drop(pool.submit(|| ())));
            panics(&|| drop(pool.when(&value, |value| *value)));
            panics(&|| drop(keys.submit(1, || ())));
            panics(&|| drop(with(0, || pool.submit(|| ())).then(&pool, |_| ())));
            panics(&|| drop(pool.schedule(Duration::ZERO, || ())));
            panics(&|| drop(pool.spawn_future(async {})));
            panics(&|| drop(pool.broadcast(|_| ())));
            panics(&|| pool.scope(|s| drop(s.submit(|| ()))));
            panics(&|| pool.join(|| (), || ()).0);
        }
        assert!(pool.await_quiescence(Duration::from_secs(30)));
        assert_eq!(pool.when(&value, |value| *value).result().unwrap(), 1);
        assert_eq!(keys.submit(1, || 2).result().unwrap(), 2);
        assert_eq!(pool.submit(|| 3).result().unwrap(), 3, "it has the only place in the queue");
    }

    pub(super) fn a_panic_in_what_it_returned_is_the_tasks<P: LockPolicy>(builder: Builder<P>) {
        let pool = builder.propagate(|| || assert_ne!(REQUEST.get(), 13, "no request")).build().unwrap();
        let ended = with(13, || pool.submit(|| ())).result();
        assert!(matches!(ended, Err(TaskError::Panicked(_))));
        assert_eq!(pool.submit(|| REQUEST.get()).result().unwrap(), 0);
    }
}

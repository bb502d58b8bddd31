//! Values that each worker makes for itself, and what happens when one can't. Contract 94–96.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use lockgrain::gate::Gate;
use lockgrain::{BuildError, Builder, LockPolicy, Refused, TaskError, TaskHandle, ThreadPool, WhenFull, blocking};

use super::{Bomb, count};

fn settings<P: LockPolicy>(like: &ThreadPool<P>) -> Builder<P> {
    Builder::new().max_workers(like.max_workers())
}

/// A value that must not leave its thread, and tells where it is dropped.
struct Mine {
    thread: ThreadId,
    uses: Rc<Cell<usize>>,
    dropped: mpsc::Sender<bool>,
}

impl Mine {
    fn new(dropped: mpsc::Sender<bool>) -> Self {
        Self { thread: thread::current().id(), uses: Rc::default(), dropped }
    }

    fn use_it(&mut self) -> ThreadId {
        assert_eq!(self.thread, thread::current().id());
        self.uses.set(self.uses.get() + 1);
        self.thread
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        self.dropped.send(self.thread == thread::current().id()).unwrap();
    }
}

fn is_broken<T: std::fmt::Debug>(handle: TaskHandle<T>, why: &str) -> bool {
    match handle.result() {
        Err(TaskError::Broken(text)) => text.contains(why),
        other => panic!("{other:?}"),
    }
}

// Contract: 94.
pub(crate) fn each_worker_makes_its_own_value_before_its_first_task<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (dropped, drops) = mpsc::channel();
    let made = Arc::new(AtomicUsize::new(0));
    let makes = made.clone();
    let initialize = move |_| {
        count(&makes);
        Ok::<_, String>(Mine::new(dropped.clone()))
    };
    let pool = settings(pool).initializer(initialize).build().unwrap();
    // All at once, if that is possible.
    let workers = if P::Gate::EXCLUSIVE { 1 } else { pool.max_workers() };
    let barrier = Arc::new(Barrier::new(workers));
    let meet = |_| {
        let barrier = barrier.clone();
        pool.submit_with(move |cx| (barrier.wait(), cx.local::<Mine>().use_it()).1)
    };
    let met: Vec<_> = (0..workers).map(meet).collect();
    let threads: std::collections::HashSet<_> = met.into_iter().map(|handle| handle.result().unwrap()).collect();
    assert_eq!((threads.len(), made.load(SeqCst)), (workers, workers));
    let uses = (0..100).map(|_| pool.submit_with(|cx| cx.local::<Mine>().use_it())).collect::<Vec<_>>();
    assert!(uses.into_iter().all(|handle| handle.result().is_ok()));
    assert!(drops.try_recv().is_err());
    pool.shutdown();
    drop(pool);
    let drops: Vec<_> = drops.iter().collect();
    assert!(drops.len() == made.load(SeqCst) && drops.iter().all(|on_its_thread| *on_its_thread));
}

// Contract: 94.
pub(crate) fn a_spare_worker_has_its_own_value<P: LockPolicy>(pool: &ThreadPool<P>) {
    let pool = settings(pool).initializer(|_| Ok::<_, String>(thread::current().id())).build().unwrap();
    let (outer, inner) = (pool.clone(), pool.clone());
    let threads = outer.submit_with(move |cx| {
        let mine = *cx.local::<ThreadId>();
        let child = inner.submit_with(|cx| *cx.local::<ThreadId>());
        (mine, cx.blocking(|| child.result().unwrap()), *cx.local::<ThreadId>())
    });
    let (mine, spare, after) = threads.result().unwrap();
    assert!(mine != spare && mine == after);
}

// Contract: 94.
pub(crate) fn the_finalizer_gets_the_value_on_its_thread<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (ended, ends) = mpsc::channel();
    let pool = settings(pool)
        .initializer(|index| Ok::<_, String>((index, thread::current().id(), Bomb)))
        .finalizer(move |(index, thread, bomb): (usize, ThreadId, Bomb)| {
            ended.send((index, thread == thread::current().id())).unwrap();
            // Panics, which is survived.
            drop(bomb);
        })
        .build()
        .unwrap();
    pool.submit_with(|cx| cx.local::<(usize, ThreadId, Bomb)>().0).result().unwrap();
    assert!(ends.try_recv().is_err());
    pool.shutdown();
    assert_eq!(ends.recv_timeout(Duration::from_secs(30)), Ok((0, true)));
}

pub(crate) fn a_value_of_another_type_is_a_panic_that_says_so<P: LockPolicy>(pool: &ThreadPool<P>) {
    let message = |handle: TaskHandle<()>| match handle.result() {
        Err(TaskError::Panicked(panic)) => panic.message().to_owned(),
        other => panic!("{other:?}"),
    };
    assert!(message(pool.submit_with(|cx| *cx.local())).contains("set an `initializer`"));
    let pool = settings(pool).initializer(|_| Ok::<_, String>(1_u8)).build().unwrap();
    assert!(message(pool.submit_with(|cx| *cx.local::<u16>() = 2)).contains("makes `u8`, no `u16`"));
    assert_eq!(pool.submit_with(|cx| *cx.local::<u8>()).result().unwrap(), 1, "it is back in its place");
}

/// Two references to one value would be alive.
pub(crate) fn a_task_on_top_of_a_use_does_not_get_the_value<P: LockPolicy>(_pool: &ThreadPool<P>) {
    let pool = Builder::<P>::new()
        .max_workers(1)
        .max_spares(0)
        .queue_capacity(1)
        .when_full(WhenFull::CallerRuns)
        .initializer(|_| Ok::<_, String>(String::from("mine")))
        .build()
        .unwrap();
    let inner = pool.clone();
    let outer = pool.submit_with(move |cx| {
        let mine = cx.local::<String>();
        inner.spawn(|| ()).unwrap();
        // The queue is full: this one runs here.
        let mut on_top = inner.submit_with(|cx| cx.local::<String>().clear());
        mine.push_str(", still");
        (on_top.try_result().map(|result| result.is_err()), mine.clone())
    });
    let (refused, value) = outer.result().unwrap();
    assert!(matches!(refused, Some(true)) && value == "mine, still");
}

/// A pool whose initializer fails once `fails` is set, as it says.
fn failing<P: LockPolicy>(like: &ThreadPool<P>, fails: &Arc<AtomicBool>, reports: &Arc<AtomicUsize>) -> Builder<P> {
    let (fails, reports) = (fails.clone(), reports.clone());
    settings(like).initializer(move |_| if fails.load(SeqCst) { Err("no licence") } else { Ok(()) }).panic_handler(
        move |payload| {
            assert!(payload.downcast_ref::<String>().is_some_and(|text| text.contains("no licence")));
            count(&reports);
        },
    )
}

// Contract: 95, 96.
pub(crate) fn a_failing_initializer_breaks_the_pool<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (fails, reports) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let pool = failing(pool, &fails, &reports).build().unwrap();
    let later = pool.schedule(Duration::from_secs(3600), || ());
    let data = pool.guarded(0);
    let handles: Vec<_> = (0..100).map(|_| pool.submit(|| ())).collect();
    let with_data = pool.when(&data, |data| *data += 1);
    let then = pool.submit(|| ()).then(&pool, |before| before.is_ok());
    for handle in handles {
        // Those that came too late are refused for the same reason.
        assert!(is_broken(handle, "no licence"));
    }
    assert!(is_broken(with_data, "no licence") && is_broken(then, "no licence") && is_broken(later, "no licence"));
    assert_eq!(pool.spawn(|| ()), Err(Refused::Broken));
    assert_eq!(pool.try_submit(|| 1).unwrap_err().why, Refused::Broken);
    assert!(is_broken(pool.submit(|| 1), "no licence") && is_broken(pool.schedule(Duration::ZERO, || 1), "no licence"));
    pool.shutdown();
    assert!(pool.is_terminated() && pool.metrics().threads == 0);
    assert!(is_broken(pool.submit(|| 1), "no licence"), "also afterwards");
    assert_eq!(reports.load(SeqCst), 1);
}

// Contract: 95.
pub(crate) fn a_panicking_initializer_breaks_the_pool<P: LockPolicy>(pool: &ThreadPool<P>) {
    let initialize = |_| -> Result<(), String> { panic!("on purpose") };
    let pool = settings(pool).initializer(initialize).build().unwrap();
    assert!(is_broken(pool.submit(|| ()), "on purpose"));
    // Dropped without a shutdown.
}

// Contract: 95.
pub(crate) fn what_runs_goes_on_when_the_pool_breaks<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (fails, reports) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let pool = failing(pool, &fails, &reports).build().unwrap();
    let inner = pool.clone();
    let outer = pool.submit(move || {
        fails.store(true, SeqCst);
        let child = inner.submit(|| ());
        // The spare worker that would run it can't begin.
        (blocking(|| child.result()).is_err(), inner.spawn(|| ()))
    });
    assert_eq!(outer.result().unwrap(), (true, Err(Refused::Broken)));
    pool.shutdown();
    assert_eq!(reports.load(SeqCst), 1);
}

// Contract: 95.
pub(crate) fn breaking_races_with_submission<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..50 {
        let (fails, reports) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let pool = failing(pool, &fails, &reports).build().unwrap();
        let submit = || (0..20).map(|_| pool.submit(|| ())).collect::<Vec<_>>();
        let handles = thread::scope(|s| [(); 2].map(|()| s.spawn(submit)).map(|thread| thread.join().unwrap()));
        for handle in handles.into_iter().flatten() {
            assert!(is_broken(handle, "no licence"));
        }
        drop(pool);
        assert_eq!(reports.load(SeqCst), 1);
    }
}

// Contract: 84, 95.
pub(crate) fn prestart_says_that_an_initializer_failed<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (fails, reports) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let error = failing(pool, &fails, &reports).prestart(true).build().unwrap_err();
    assert!(matches!(&error, BuildError::Broken(why) if why.contains("no licence")), "{error}");
    fails.store(false, SeqCst);
    let pool = failing(pool, &fails, &reports).prestart(true).build().unwrap();
    assert_eq!((pool.metrics().threads, pool.submit(|| 7).result().unwrap()), (pool.max_workers(), 7));
}

pub(crate) fn a_workers_life_is_wrapped<P: LockPolicy>(pool: &ThreadPool<P>) {
    let (sender, events) = mpsc::channel();
    let [first, made, last] = [(); 3].map(|()| sender.clone());
    let pool = settings(pool)
        .worker_main(move |worker| {
            let index = worker.index();
            first.send(("begin", index)).unwrap();
            worker.run();
            first.send(("end", index)).unwrap();
            panic!("on purpose, which is survived");
        })
        .initializer(move |index| made.send(("made", index)))
        .finalizer(move |()| last.send(("dropped", 0)).unwrap())
        .build()
        .unwrap();
    let handle = pool.submit(move || sender.send(("task", 0)).unwrap());
    handle.result().unwrap();
    pool.shutdown();
    drop(pool);
    let expected = ["begin", "made", "task", "dropped", "end"].map(|event| (event, 0));
    assert_eq!(events.iter().collect::<Vec<_>>(), expected);
}

// Contract: 95.
pub(crate) fn a_wrapper_that_runs_nothing_breaks_the_pool<P: LockPolicy>(pool: &ThreadPool<P>) {
    let forgets = settings(pool).worker_main(|_| ()).build().unwrap();
    assert!(is_broken(forgets.submit(|| ()), "`run`"));
    let panics = settings(pool).worker_main(|_| panic!("on purpose")).build().unwrap();
    assert!(is_broken(panics.submit(|| ()), "on purpose"));
    let error = settings(pool).worker_main(|_| ()).prestart(true).build().unwrap_err();
    assert!(matches!(error, BuildError::Broken(_)), "{error}");
}

pub(crate) fn a_finalizer_for_another_type_is_an_error<P: LockPolicy>(pool: &ThreadPool<P>) {
    let error = settings(pool).initializer(|_| Ok::<_, String>(1_u8)).finalizer(|_: u16| ()).build().unwrap_err();
    assert!(matches!(error, BuildError::Finalizer { takes: "u16", made: Some("u8") }), "{error}");
    let error = settings(pool).finalizer(|_: u16| ()).build().unwrap_err();
    assert!(matches!(error, BuildError::Finalizer { takes: "u16", made: None }), "{error}");
}

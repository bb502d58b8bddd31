//! The record of what the workers did when.

use std::sync::mpsc;
use std::time::Duration;

use lockgrain::{Activity, Builder, FineGrained, GlobalLock, LockFree, LockPolicy, ThreadPool, Timeline, blocking};

fn recorded<P: LockPolicy>(events: usize) -> ThreadPool<P> {
    Builder::new().max_workers(2).timeline(events).build().unwrap()
}

fn count(timeline: &Timeline, activity: Activity) -> usize {
    timeline.events.iter().filter(|event| event.activity == activity).count()
}

fn a_named_task() {
    std::thread::sleep(Duration::from_millis(2));
}

fn each_task_is_there<P: LockPolicy>() {
    let pool = recorded::<P>(1000);
    for _ in 0..10 {
        pool.submit(a_named_task).result().unwrap();
    }
    pool.submit(|| blocking(a_named_task)).result().unwrap();
    let inner = pool.clone();
    pool.submit(move || inner.submit(a_named_task).result()).result().unwrap().unwrap();
    pool.shutdown();
    let timeline = pool.timeline().unwrap();
    assert_eq!(timeline.lost, 0);
    let named: Vec<_> = timeline.events.iter().filter(|event| event.task.contains("a_named_task")).collect();
    assert!(named.len() >= 10);
    assert!(named.iter().all(|event| event.activity == Activity::Task && event.worker < 258));
    assert!(named.iter().filter(|event| event.duration >= Duration::from_millis(2)).count() >= 10);
    assert!(count(&timeline, Activity::Task) + count(&timeline, Activity::Inlined) >= 13);
    assert!(count(&timeline, Activity::Blocked) >= 1);
    assert!(timeline.events.is_sorted_by_key(|event| event.start));

    let mut trace = Vec::new();
    timeline.write_trace(&mut trace).unwrap();
    let trace: serde_json::Value = serde_json::from_slice(&trace).unwrap();
    let (events, rows): (Vec<_>, Vec<_>) =
        trace["traceEvents"].as_array().unwrap().iter().partition(|event| event["ph"] == "X");
    assert_eq!(events.len(), timeline.events.len());
    assert!(events.iter().all(|event| event["dur"].is_number() && event["tid"].is_number()));
    let named = |tid: &serde_json::Value| rows.iter().any(|row| row["name"] == "thread_name" && row["tid"] == *tid);
    assert!(events.iter().all(|event| named(&event["tid"])));
    assert_eq!(rows.iter().any(|row| row["args"]["name"] == "lock"), P::NAME == GlobalLock::NAME);
}

#[test]
fn each_task_is_there_under_each_policy() {
    each_task_is_there::<GlobalLock>();
    each_task_is_there::<FineGrained>();
    each_task_is_there::<LockFree>();
}

fn a_worker_does_one_thing_at_a_time<P: LockPolicy>() {
    const PAUSE: Duration = Duration::from_millis(300);
    let pool = recorded::<P>(100_000);
    for round in 0..5 {
        pool.spawn_many((0..200).map(|_| || ())).unwrap();
        // Some sleep by then, and some look for work.
        std::thread::sleep(Duration::from_micros(100 << (2 * round)));
        pool.broadcast(|_| ());
    }
    let inner = pool.clone();
    pool.submit(move || inner.pause()).result().unwrap();
    pool.spawn_many((0..200).map(|_| || ())).unwrap();
    std::thread::sleep(PAUSE);
    pool.resume();
    pool.shutdown();
    let mut events = pool.timeline().unwrap().events;
    events.retain(|event| matches!(event.activity, Activity::Task | Activity::Parked));
    assert!(events.len() > 1000);
    events.sort_by_key(|event| (event.worker, event.start));
    for pair in events.windows(2).filter(|pair| pair[0].worker == pair[1].worker) {
        assert!(pair[0].start + pair[0].duration <= pair[1].start, "{pair:?}");
    }
    // None began before the pause and ended after it.
    assert!(events.iter().all(|event| event.activity == Activity::Parked || event.duration < PAUSE));
}

#[test]
fn a_worker_does_one_thing_at_a_time_under_each_policy() {
    a_worker_does_one_thing_at_a_time::<GlobalLock>();
    a_worker_does_one_thing_at_a_time::<FineGrained>();
    a_worker_does_one_thing_at_a_time::<LockFree>();
}

#[test]
fn waits_for_the_lock_are_there() {
    let pool = recorded::<GlobalLock>(1000);
    let (begun, begins) = mpsc::channel();
    let task = pool.lock(|_cx| {
        let task = pool.submit(move || begun.send(()).is_ok());
        assert!(begins.recv_timeout(Duration::from_millis(5)).is_err());
        task
    });
    assert!(task.result().is_ok_and(|_| true));
    pool.shutdown();
    assert!(count(&pool.timeline().unwrap(), Activity::LockWait) >= 1);
}

#[test]
fn holds_of_the_lock_are_there_and_never_overlap() {
    let pool = recorded::<GlobalLock>(10_000);
    let handles = (0..50).map(|_| {
        pool.submit_with(|cx| {
            cx.blocking(a_named_task);
            let _never = cx.checkpoint();
        })
    });
    lockgrain::join_all(handles).into_iter().for_each(|result| result.unwrap());
    pool.shutdown();
    let timeline = pool.timeline().unwrap();
    let holds: Vec<_> = timeline.events.iter().filter(|event| event.activity == Activity::LockHold).collect();
    // Each task lets go of it at least once.
    assert!(holds.len() >= 50, "{}", holds.len());
    assert!(holds.windows(2).all(|pair| pair[0].start + pair[0].duration <= pair[1].start));
    assert_eq!(holds.len() as u64, pool.metrics().lock_holds);
    for block in timeline.events.iter().filter(|event| event.activity == Activity::Blocked) {
        let within = block.start..block.start + block.duration;
        let mut own = holds.iter().filter(|hold| hold.worker == block.worker);
        assert!(!own.any(|hold| within.contains(&hold.start) && hold.start > block.start), "{block:?}");
    }
}

#[test]
fn what_has_no_room_is_counted() {
    let pool = recorded::<LockFree>(3);
    pool.for_each(0..100, drop).unwrap();
    pool.shutdown();
    let timeline = pool.timeline().unwrap();
    assert!(timeline.events.len() <= 2 * 3 && timeline.lost + timeline.events.len() >= 100);
}

#[test]
fn nothing_is_recorded_unless_asked() {
    let pool = ThreadPool::new().unwrap();
    pool.submit(|| ()).result().unwrap();
    assert!(pool.timeline().is_none());
}

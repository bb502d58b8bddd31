//! What an idle pool costs, and how many workers a submission wakes.

use std::time::Duration;

use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, ThreadPool};

/// CPU time of all threads of this process.
#[cfg(target_os = "linux")]
fn cpu() -> Duration {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // A thread that has just ended is none.
        let Ok(text) = std::fs::read_to_string(task.unwrap().path().join("schedstat")) else { continue };
        nanoseconds += text.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    Duration::from_nanos(nanoseconds)
}

/// Waits until all threads of the pool are asleep.
fn settle<P: LockPolicy>(pool: &ThreadPool<P>) {
    loop {
        let before = pool.metrics();
        std::thread::sleep(Duration::from_millis(20));
        let after = pool.metrics();
        if before == after && after.parked >= after.threads as u64 {
            return;
        }
    }
}

fn asleep<P: LockPolicy>() -> ThreadPool<P> {
    let pool = Builder::<P>::new().max_workers(8).prestart(true).build().unwrap();
    for _ in 0..100 {
        pool.submit(|| ()).result().unwrap();
    }
    settle(&pool);
    pool
}

fn a_submission_wakes_one<P: LockPolicy>(pool: &ThreadPool<P>) {
    for _ in 0..20 {
        let before = pool.metrics();
        pool.spawn(|| ()).unwrap();
        settle(pool);
        let after = pool.metrics();
        assert_eq!(after.woken - before.woken, 1, "{}", P::NAME);
        assert_eq!(after.parked - before.parked, 1, "{}", P::NAME);
    }
}

/// One test, as it measures the process.
#[test]
fn an_idle_pool_sleeps_and_a_submission_wakes_one_worker() {
    let (global, fine, lock_free) = (asleep::<GlobalLock>(), asleep::<FineGrained>(), asleep::<LockFree>());
    #[cfg(target_os = "linux")]
    {
        let before = cpu();
        std::thread::sleep(Duration::from_secs(5));
        let burnt = cpu() - before;
        println!("24 idle workers used {burnt:?} of CPU in 5 s");
        assert!(burnt < Duration::from_millis(5), "{burnt:?} of CPU in 5 s");
    }
    a_submission_wakes_one(&global);
    a_submission_wakes_one(&fine);
    a_submission_wakes_one(&lock_free);
}

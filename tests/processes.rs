//! Processes that end with a pool alive, and those that tasks start.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lockgrain::{Builder, FineGrained, GlobalLock, LockFree, LockPolicy, ThreadPool, blocking};

const CHILD: &str = "LOCKGRAIN_TEST_CHILD";

/// Waits for it, but not for ever.
fn end_of(mut child: Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("the process does not end: {:?}", child.wait());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// This program again, to run the one test as a child that exits as `how` says.
fn again(test: &str, how: &str) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env(CHILD, how).stdout(Stdio::null());
    end_of(command.spawn().unwrap())
}

/// A pool that nobody will shut down, in the middle of its work: tasks that run, block, wait and stand in the queue.
fn leave_alive<P: LockPolicy>() {
    let pool = Builder::<P>::new().max_workers(2).build().unwrap();
    let value = pool.guarded(0);
    for n in 0..300 {
        let inner = pool.clone();
        match n % 3 {
            0 => pool.spawn(move || blocking(|| thread::sleep(Duration::from_millis(1)))).unwrap(),
            1 => pool.spawn(move || inner.submit(|| ()).result().unwrap_or(())).unwrap(),
            _ => drop(pool.when(&value, move |value| *value += n)),
        }
    }
    pool.submit(|| ()).result().unwrap();
    std::mem::forget(pool);
}

// Contract: 82.
#[test]
fn a_process_may_end_with_pools_alive() {
    let Ok(how) = std::env::var(CHILD) else {
        // The code shows that it was this test that ran.
        for (how, code) in [("by exit", 7), ("by returning", 0)] {
            let status = again("a_process_may_end_with_pools_alive", how);
            assert_eq!(status.code(), Some(code), "{how}: {status}");
        }
        return;
    };
    leave_alive::<GlobalLock>();
    leave_alive::<FineGrained>();
    leave_alive::<LockFree>();
    if how == "by exit" {
        std::process::exit(7);
    }
}

fn start_children<P: LockPolicy>(pool: &ThreadPool<P>) {
    let busy: Vec<_> = (0..2_000).map(|n| pool.submit(move || n)).collect();
    let children: Vec<_> = (0..4)
        .map(|_| {
            pool.submit(|| {
                let mut command = Command::new(std::env::current_exe().unwrap());
                let child = command.arg("--list").stdout(Stdio::null()).spawn().unwrap();
                blocking(|| end_of(child))
            })
        })
        .collect();
    for (n, handle) in busy.into_iter().enumerate() {
        assert_eq!(handle.result().unwrap(), n);
    }
    assert!(children.into_iter().all(|child| child.result().unwrap().success()));
    pool.shutdown();
}

// Contract: 83.
#[test]
fn tasks_may_start_other_programs() {
    start_children(&Builder::<GlobalLock>::new().max_workers(2).build().unwrap());
    start_children(&Builder::<FineGrained>::new().max_workers(2).build().unwrap());
    start_children(&Builder::<LockFree>::new().max_workers(2).build().unwrap());
}

//! Models of the table of keys by itself.

use super::pool::pool;
use crate::LockFree;
use crate::policy::value_lock::Access;
use crate::runtime::keys::{Keys, Named};
use crate::sync::{Arc, check, thread};

/// Two tasks that name a key stand in the same line, whoever else lets the key go meanwhile; and the last takes it out of the table.
fn wishes_that_overlap_share_an_entry(others: usize) {
    let pool = pool::<LockFree>(1, 0);
    let keys = Keys::new(pool.core().clone());
    let want = |keys: &Arc<Keys<u32, LockFree>>| keys.hold(1, 1).named();
    let address = |name: &Named<u32, LockFree>| name.want(Access::Exclusive).address();
    let others: Vec<_> = (0..others)
        .map(|_| {
            let keys = keys.clone();
            thread::spawn(move || drop(want(&keys)))
        })
        .collect();
    let (first, second) = (want(&keys), want(&keys));
    assert_eq!(address(&first), address(&second));
    drop(first);
    assert_eq!(address(&second), address(&want(&keys)));
    drop(second);
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_eq!(keys.len(), 0);
    keys.close();
    assert_eq!(Arc::strong_count(&keys), 1);
}

#[test]
fn with_one_other() {
    check(None, || wishes_that_overlap_share_an_entry(1));
}

#[test]
fn with_two_others() {
    check(Some(3), || wishes_that_overlap_share_an_entry(2));
}

//! The recursion for the Fibonacci numbers, a join in each call: next to nothing but joins.

use lockgrain::{LockPolicy, ThreadPool};

/// In a task of lockgrain's pool.
pub fn fib<P: LockPolicy>(pool: &ThreadPool<P>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = pool.join(|| fib(pool, n - 1), || fib(pool, n - 2));
    a + b
}

/// The same in chili's.
pub fn chili_fib(scope: &mut chili::Scope<'_>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = scope.join(|scope| chili_fib(scope, n - 1), |scope| chili_fib(scope, n - 2));
    a + b
}

/// The same in rayon's.
pub fn rayon_fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| rayon_fib(n - 1), || rayon_fib(n - 2));
    a + b
}

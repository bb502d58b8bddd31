//! Counted limits: how many tasks may do something at a time.

use std::fmt;

use super::ThreadPool;
use super::values::sealed;
use crate::policy::{LockFree, LockPolicy};
use crate::runtime::Core;
use crate::runtime::permits;
use crate::runtime::wants::{Line, Lockable, One, References, Want, Wants};
use crate::sync::Arc;

/// So many permits, of which tasks hold some while they run: made by [`ThreadPool::limit`], named in [`ThreadPool::when`]. For what only so many
/// may do at a time, such as downloads, or take so much of, such as memory.
///
/// `&limit` is one permit, [`limit.permits(n)`](Self::permits) are several; the closure gets `()` for them. They are taken in one step with whatever
/// values and keys the task names: it is queued to run when it has all of it, so no worker waits for a permit. They are given back when its
/// closure has ended, also by a panic.
///
/// Tasks come to their turn in the order in which they were submitted. One that wants many permits holds back those behind it that want few, so it does not
/// wait for ever. A task in line that has its permits, and not yet its values, keeps them.
///
/// A task that holds nothing but permits may wait for others, and under [`GlobalLock`](crate::GlobalLock) lets go of the lock in
/// [`blocking`](crate::blocking) and in waits, as a task that names nothing. A wait is an error,
/// [`WouldDeadlock`](crate::TaskError::WouldDeadlock), if what it is for can't get its permits because those who hold too many of them all wait for
/// such tasks in turn; see `docs/guarded.md`.
///
/// Clones are the same limit. Two limits have nothing in common.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
///
/// let pool = lockgrain::ThreadPool::new()?;
/// let (downloads, hosts) = (pool.limit(4), pool.keyed::<usize>());
/// let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
/// let handles: Vec<_> = (0..100)
///     .map(|n| {
///         let (now, most) = (now.clone(), most.clone());
///         // At most 4 at a time, and one at a time from each host.
///         pool.when((&downloads, hosts.key(n % 10)), move |_| {
///             most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
///             now.fetch_sub(1, SeqCst);
///         })
///     })
///     .collect();
/// handles.into_iter().try_for_each(|handle| handle.result())?;
/// assert!(most.load(SeqCst) <= 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "Semaphore")]
#[doc(alias = "BoundedSemaphore")]
#[doc(alias = "CapacityLimiter")]
pub struct Limit<P: LockPolicy = LockFree> {
    limit: Arc<Counted<P>>,
}

/// The wish to have several permits of a [`Limit`]: made by [`Limit::permits`].
pub struct Permits<P: LockPolicy = LockFree> {
    limit: Arc<Counted<P>>,
    permits: u32,
}

/// What the handles share.
struct Counted<P: LockPolicy> {
    permits: permits::Permits,
    core: Arc<Core<P>>,
}

impl<P: LockPolicy> Lockable<P> for Counted<P> {
    fn line(&self) -> Line<'_, P> {
        Line::Limit(&self.permits)
    }

    fn core(&self) -> &Arc<Core<P>> {
        &self.core
    }

    fn references(&self) -> &'static References {
        // Made in an `Arc`, by `ThreadPool::limit`.
        const { &References::of_arc::<Self>(false) }
    }
}

impl<P: LockPolicy> ThreadPool<P> {
    /// A limit for tasks of this pool, of so many permits; at most 2³² − 1.
    pub fn limit(&self, permits: usize) -> Limit<P> {
        let core = self.core().clone();
        core.has_a_limit();
        Limit { limit: Arc::new(Counted { permits: permits::Permits::new(count(permits)), core }) }
    }
}

impl<P: LockPolicy> Limit<P> {
    /// So many at once: the weight of a task. None are none, and don't wait. More than there are is an error of the submission,
    /// [`TooManyPermits`](crate::TaskError::TooManyPermits).
    ///
    /// ```
    /// use lockgrain::TaskError;
    ///
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let megabytes = pool.limit(100);
    /// let small = pool.when(&megabytes.permits(20), |()| "thumbnail");
    /// let large = pool.when(&megabytes.permits(90), |()| "panorama"); // once the other has ended
    /// assert_eq!((small.result()?, large.result()?), ("thumbnail", "panorama"));
    ///
    /// let too_large = pool.when(&megabytes.permits(101), |()| "mosaic").result();
    /// assert!(matches!(too_large, Err(TaskError::TooManyPermits { asked: 101, most: 100 })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "weight")]
    #[doc(alias = "acquire_many")]
    pub fn permits(&self, permits: usize) -> Permits<P> {
        Permits { limit: self.limit.clone(), permits: count(permits) }
    }

    /// How many permits there are, in use or not.
    pub fn total(&self) -> usize {
        self.limit.permits.most() as usize
    }
}

fn count(permits: usize) -> u32 {
    u32::try_from(permits).unwrap_or(u32::MAX)
}

/// Nothing is lent, and nobody kept out.
#[allow(missing_debug_implementations, reason = "nobody outside can have one")]
pub struct NoPlace;

impl sealed::Places for NoPlace {
    type Lent<'a> = ();
    const LENDS: bool = false;

    unsafe fn is_poisoned(&self) -> bool {
        false
    }

    unsafe fn poison(&self) {}

    unsafe fn lend<'a>(&self) -> Self::Lent<'a> {}
}

fn want<P: LockPolicy>(limit: &Arc<Counted<P>>, permits: u32, wants: &mut impl Wants<P>) -> NoPlace {
    if permits > 0 {
        wants.add(Want::of_limit(limit, permits));
    }
    NoPlace
}

impl<P: LockPolicy> sealed::Want<P> for &Limit<P> {
    type Places = NoPlace;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> NoPlace {
        want(&self.limit, 1, wants)
    }
}

impl<P: LockPolicy> sealed::Want<P> for &Permits<P> {
    type Places = NoPlace;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> NoPlace {
        want(&self.limit, self.permits, wants)
    }
}

impl<P: LockPolicy> sealed::Want<P> for Permits<P> {
    type Places = NoPlace;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> NoPlace {
        want(&self.limit, self.permits, wants)
    }
}

impl<P: LockPolicy> Clone for Limit<P> {
    fn clone(&self) -> Self {
        Self { limit: self.limit.clone() }
    }
}

impl<P: LockPolicy> Clone for Permits<P> {
    fn clone(&self) -> Self {
        Self { limit: self.limit.clone(), permits: self.permits }
    }
}

impl<P: LockPolicy> fmt::Debug for Limit<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit").field("policy", &P::NAME).field("total", &self.total()).finish_non_exhaustive()
    }
}

impl<P: LockPolicy> fmt::Debug for Permits<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permits").field("policy", &P::NAME).field("permits", &self.permits).finish_non_exhaustive()
    }
}

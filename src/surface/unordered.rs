//! Tasks that want a value or a key, and don't mind in which order.

use std::fmt;

use super::guarded::{Guarded, Shared};
use super::keyed::Key;
use super::values::sealed;
use crate::policy::LockPolicy;
use crate::runtime::wants::{Many, One, Want, Wants};

/// The wish for a value or a key, whatever the order: made by [`Guarded::unordered`], [`Shared::unordered`] and [`Key::unordered`].
///
/// The task excludes others, and is excluded, as ever. But it may run before tasks that were submitted earlier and still wait, and after some that come
/// later. What a pool makes of that depends on its policy, and may be nothing:
///
/// | policy | |
/// |---|---|
/// | [`GlobalLock`](crate::GlobalLock) | if a task submits it, and all that it names is unordered, it goes to that worker's own queue, as any task, and not behind all that come from outside |
/// | [`FineGrained`](crate::FineGrained) | if it names one value or key, to share it, it may go before writers that wait while others read; at most 16 in a row do |
/// | [`LockFree`](crate::LockFree) | as without it |
///
/// ```
/// let pool = lockgrain::ThreadPool::new()?;
/// let hits = pool.guarded(0);
/// let count: Vec<_> = (0..10).map(|_| pool.when(hits.unordered(), |hits| *hits += 1)).collect();
/// count.into_iter().try_for_each(|handle| handle.result())?;
/// assert_eq!(pool.when(hits.shared().unordered(), |hits| *hits).result()?, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct Unordered<V>(V);

impl<T: Send, P: LockPolicy> Guarded<T, P> {
    /// To change it, whatever the order among the tasks that wait for it: see [`Unordered`].
    pub fn unordered(&self) -> Unordered<Self> {
        Unordered(self.clone())
    }
}

impl<T: Send + Sync, P: LockPolicy> Shared<T, P> {
    /// Whatever the order among the tasks that wait for it: see [`Unordered`].
    pub fn unordered(self) -> Unordered<Self> {
        Unordered(self)
    }
}

impl<K: Send + Sync, P: LockPolicy> Key<K, P> {
    /// Whatever the order among the tasks that wait for it: see [`Unordered`].
    pub fn unordered(self) -> Unordered<Self> {
        Unordered(self)
    }
}

/// As `value` wants it, but for the order.
fn want<P: LockPolicy, V: sealed::Want<P>>(value: &V, wants: &mut impl Wants<P>) -> V::Places {
    let before = wants.all().len();
    let places = value.want(wants);
    wants.all_mut()[before..].iter_mut().for_each(Want::let_overtake);
    places
}

impl<T: Send, P: LockPolicy> sealed::Want<P> for Unordered<Guarded<T, P>> {
    type Places = <&'static Guarded<T, P> as sealed::Want<P>>::Places;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        want(&&self.0, wants)
    }
}

impl<T: Send + Sync, P: LockPolicy> sealed::Want<P> for Unordered<Shared<T, P>> {
    type Places = <Shared<T, P> as sealed::Want<P>>::Places;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        want(&self.0, wants)
    }
}

impl<K: Send + Sync, P: LockPolicy> sealed::Want<P> for Unordered<Key<K, P>> {
    type Places = <Key<K, P> as sealed::Want<P>>::Places;
    type Wants = Many<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        want(&self.0, wants)
    }
}

impl<V, P: LockPolicy> sealed::Want<P> for &Unordered<V>
where
    Unordered<V>: sealed::Want<P>,
{
    type Places = <Unordered<V> as sealed::Want<P>>::Places;
    type Wants = <Unordered<V> as sealed::Want<P>>::Wants;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        (*self).want(wants)
    }
}

impl<V: Clone> Clone for Unordered<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V: fmt::Debug> fmt::Debug for Unordered<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unordered").field(&self.0).finish()
    }
}

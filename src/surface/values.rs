//! What tasks can name in [`ThreadPool::when`](super::ThreadPool::when), and what they are lent for it.

use super::guarded::{Guarded, Shared, Value};
use crate::policy::LockPolicy;
use crate::policy::value_lock::Access;
use crate::runtime::wants::{Many, One, Want, Wants};
use crate::sync::{Arc, prefetch};

/// What a task can name in [`ThreadPool::when`](super::ThreadPool::when): `&`[`Guarded`], [`Shared`], [`Key`](super::Key), `&`[`Limit`](super::Limit),
/// [`Permits`](super::Permits), tuples of up to eight, arrays, slices and `Vec`s of them, and of references to them.
pub trait Values<P: LockPolicy>: sealed::Want<P> {}

impl<P: LockPolicy, V: sealed::Want<P>> Values<P> for V {}

/// What the closure of [`ThreadPool::when`](super::ThreadPool::when) gets for `V`: `&mut T` for a `&Guarded<T>`, `&T` for a `Shared<T>`, a tuple for a tuple, an
/// array for an array, and a `Vec` for a slice or a `Vec`.
pub type Lent<'a, P, V> = <<V as sealed::Want<P>>::Places as sealed::Places>::Lent<'a>;

pub(super) mod sealed {
    use super::{LockPolicy, Wants};

    #[diagnostic::on_unimplemented(
        message = "a task can't name `{Self}`",
        label = "not a guarded value of a pool with the policy `{P}`",
        note = "name `&Guarded<T>`, `.shared()` of one, keys, limits, or tuples, arrays, slices and `Vec`s of these"
    )]
    pub trait Want<P: LockPolicy> {
        type Places: Places;
        /// Has room for them.
        type Wants: Wants<P>;

        /// Adds the values to the list.
        fn want(&self, wants: &mut impl Wants<P>) -> Self::Places;
    }

    /// Where the values are.
    pub trait Places: Send + 'static {
        type Lent<'a>;
        /// Whether nobody else may use what the task uses meanwhile.
        const LENDS: bool = true;

        /// Whether one of them is poisoned.
        ///
        /// # Safety
        /// As for `lend`.
        unsafe fn is_poisoned(&self) -> bool;

        /// The task that might have changed them has panicked.
        ///
        /// # Safety
        /// As for `lend`, but that they are used by nobody.
        unsafe fn poison(&self);

        /// # Safety
        /// The accesses have been granted, and are kept and used by nobody else for `'a`.
        unsafe fn lend<'a>(&self) -> Self::Lent<'a>;
    }
}

/// Points at a value that the task's request keeps alive, to be changed.
#[allow(missing_debug_implementations, reason = "nobody outside can have one")]
pub struct Place<T: Send + 'static, P: LockPolicy>(*const Value<T, P>);

/// The same, to be read.
#[allow(missing_debug_implementations, reason = "nobody outside can have one")]
pub struct ReadPlace<T: Send + Sync + 'static, P: LockPolicy>(Place<T, P>);

// SAFETY: it is only followed where the value may be touched.
unsafe impl<T: Send, P: LockPolicy> Send for Place<T, P> {}

impl<T: Send, P: LockPolicy> Place<T, P> {
    fn of(value: &Arc<Value<T, P>>, access: Access, wants: &mut impl Wants<P>) -> Self {
        // Its line, in which the task will stand.
        prefetch(Arc::as_ptr(value));
        wants.add(Want::of_arc(value, access));
        Self(Arc::as_ptr(value))
    }

    /// # Safety
    /// The request is alive.
    unsafe fn value(&self) -> &Value<T, P> {
        // SAFETY: the request keeps the value.
        unsafe { &*self.0 }
    }
}

/// Nothing is lent: a key has no value.
impl sealed::Places for () {
    type Lent<'a> = ();

    unsafe fn is_poisoned(&self) -> bool {
        false
    }

    unsafe fn poison(&self) {}

    unsafe fn lend<'a>(&self) -> Self::Lent<'a> {}
}

impl<T: Send, P: LockPolicy> sealed::Places for Place<T, P> {
    type Lent<'a> = &'a mut T;

    unsafe fn is_poisoned(&self) -> bool {
        // SAFETY: whoever was granted the access has the request.
        unsafe { self.value() }.poison.is_set()
    }

    unsafe fn poison(&self) {
        // SAFETY: as above.
        unsafe { self.value() }.poison.set();
    }

    unsafe fn lend<'a>(&self) -> &'a mut T {
        // SAFETY: whoever was granted the access has the request.
        let data = unsafe { self.value() }.data.with_mut(|data| data);
        // SAFETY: the access was asked for exclusively.
        unsafe { &mut *data }
    }
}

impl<T: Send + Sync, P: LockPolicy> sealed::Places for ReadPlace<T, P> {
    type Lent<'a> = &'a T;

    unsafe fn is_poisoned(&self) -> bool {
        // SAFETY: whoever was granted the access has the request.
        unsafe { self.0.value() }.poison.is_set()
    }

    unsafe fn poison(&self) {}

    unsafe fn lend<'a>(&self) -> &'a T {
        // SAFETY: whoever was granted the access has the request.
        let data = unsafe { self.0.value() }.data.with(|data| data);
        // SAFETY: a shared access has been granted.
        unsafe { &*data }
    }
}

impl<L: sealed::Places> sealed::Places for Vec<L> {
    type Lent<'a> = Vec<L::Lent<'a>>;
    const LENDS: bool = L::LENDS;

    unsafe fn is_poisoned(&self) -> bool {
        // SAFETY: the same promise, for each.
        self.iter().any(|place| unsafe { place.is_poisoned() })
    }

    unsafe fn poison(&self) {
        // SAFETY: the same promise, for each.
        self.iter().for_each(|place| unsafe { place.poison() });
    }

    unsafe fn lend<'a>(&self) -> Self::Lent<'a> {
        // SAFETY: the same promise, for each.
        self.iter().map(|place| unsafe { place.lend() }).collect()
    }
}

impl<L: sealed::Places, const N: usize> sealed::Places for [L; N] {
    type Lent<'a> = [L::Lent<'a>; N];
    const LENDS: bool = L::LENDS;

    unsafe fn is_poisoned(&self) -> bool {
        // SAFETY: the same promise, for each.
        self.iter().any(|place| unsafe { place.is_poisoned() })
    }

    unsafe fn poison(&self) {
        // SAFETY: the same promise, for each.
        self.iter().for_each(|place| unsafe { place.poison() });
    }

    unsafe fn lend<'a>(&self) -> Self::Lent<'a> {
        // SAFETY: the same promise, for each.
        self.each_ref().map(|place| unsafe { place.lend() })
    }
}

impl<T: Send, P: LockPolicy> sealed::Want<P> for &Guarded<T, P> {
    type Places = Place<T, P>;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Place<T, P> {
        Place::of(&self.value, Access::Exclusive, wants)
    }
}

impl<T: Send + Sync, P: LockPolicy> sealed::Want<P> for &Shared<T, P> {
    type Places = ReadPlace<T, P>;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> ReadPlace<T, P> {
        ReadPlace(Place::of(&self.value, Access::Shared, wants))
    }
}

impl<T: Send + Sync, P: LockPolicy> sealed::Want<P> for Shared<T, P> {
    type Places = ReadPlace<T, P>;
    type Wants = One<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> ReadPlace<T, P> {
        ReadPlace(Place::of(&self.value, Access::Shared, wants))
    }
}

/// As in a `Vec` of references.
impl<'v, V: ?Sized, P: LockPolicy> sealed::Want<P> for &&'v V
where
    &'v V: sealed::Want<P>,
{
    type Places = <&'v V as sealed::Want<P>>::Places;
    type Wants = <&'v V as sealed::Want<P>>::Wants;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        (**self).want(wants)
    }
}

impl<'v, V, P: LockPolicy> sealed::Want<P> for &'v [V]
where
    &'v V: sealed::Want<P>,
{
    type Places = Vec<<&'v V as sealed::Want<P>>::Places>;
    type Wants = Many<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        self.iter().map(|value| value.want(wants)).collect()
    }
}

impl<V: sealed::Want<P>, P: LockPolicy, const N: usize> sealed::Want<P> for [V; N] {
    type Places = [V::Places; N];
    type Wants = Many<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        self.each_ref().map(|value| value.want(wants))
    }
}

impl<'v, V, P: LockPolicy, const N: usize> sealed::Want<P> for &'v [V; N]
where
    &'v V: sealed::Want<P>,
{
    type Places = [<&'v V as sealed::Want<P>>::Places; N];
    type Wants = Many<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        self.each_ref().map(|value| value.want(wants))
    }
}

impl<'v, V, P: LockPolicy> sealed::Want<P> for &'v Vec<V>
where
    &'v V: sealed::Want<P>,
{
    type Places = Vec<<&'v V as sealed::Want<P>>::Places>;
    type Wants = Many<P>;

    fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
        self.as_slice().want(wants)
    }
}

macro_rules! tuple {
    ($($value:ident $at:tt),+ $wants:ty) => {
        impl<P: LockPolicy, $($value: sealed::Want<P>),+> sealed::Want<P> for ($($value,)+) {
            type Places = ($($value::Places,)+);
            type Wants = $wants;

            fn want(&self, wants: &mut impl Wants<P>) -> Self::Places {
                ($(self.$at.want(wants),)+)
            }
        }

        impl<$($value: sealed::Places),+> sealed::Places for ($($value,)+) {
            type Lent<'a> = ($($value::Lent<'a>,)+);
            const LENDS: bool = $($value::LENDS)||+;

            unsafe fn is_poisoned(&self) -> bool {
                // SAFETY: the same promise, for each.
                [$(unsafe { self.$at.is_poisoned() }),+].contains(&true)
            }

            unsafe fn poison(&self) {
                // SAFETY: the same promise, for each.
                $(unsafe { self.$at.poison() };)+
            }

            unsafe fn lend<'a>(&self) -> Self::Lent<'a> {
                // SAFETY: the same promise, for each.
                ($(unsafe { self.$at.lend() },)+)
            }
        }
    };
}

tuple!(A 0 A::Wants);
tuple!(A 0, B 1 <A::Wants as Wants<P>>::And<B::Wants>);
tuple!(A 0, B 1, C 2 Many<P>);
tuple!(A 0, B 1, C 2, D 3 Many<P>);
tuple!(A 0, B 1, C 2, D 3, E 4 Many<P>);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5 Many<P>);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6 Many<P>);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7 Many<P>);

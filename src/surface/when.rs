//! Tasks that name what only they touch: `when`, and what keys and strands are made of.

use super::values::{Lent, Values, sealed};
use super::{Refused, TaskHandle, ThreadPool, entry};
use crate::policy::LockPolicy;
use crate::runtime::Core;
use crate::runtime::current;
use crate::runtime::propagation::carried;
use crate::runtime::request::{Lender, Request};
use crate::runtime::wants::Wants;
use crate::sync::Arc;
use crate::task::{self, TaskError};

impl<P: LockPolicy> ThreadPool<P> {
    /// Has `f` run by a worker once the values are its own: `&guarded` to change, [`guarded.shared()`](super::Guarded::shared) to read; one, a
    /// tuple of up to eight, or an array, slice or `Vec` of them. [Keys](super::Keyed::key) and permits of a [limit](super::Limit) may be among them.
    ///
    /// Tasks that share a value, at least one of them to change it, never overlap, and run in the order in which they were submitted. A
    /// reader that comes after a waiting writer waits behind it. No worker waits for a value: the task is queued to run when
    /// it has them all, and as it gets into line for all of them at once, values alone can't deadlock. A panic gives the values back.
    ///
    /// While it has the values, `f` can wait for other tasks, under [`GlobalLock`](crate::GlobalLock) only for tasks of other pools. A wait
    /// for a task that, in whatever way, waits for one of these values is an error, [`WouldDeadlock`](TaskError::WouldDeadlock).
    ///
    /// Never fails: a refused task is a handle that has ended with [`TaskError::Refused`], one that names a value twice with
    /// [`TaskError::Aliased`], and one that wants more permits than there are with [`TaskError::TooManyPermits`]. [`shutdown_now`](Self::shutdown_now) cancels a task that waits for a value at
    /// once.
    ///
    /// # Panics
    /// If a value is of another pool.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let words = pool.guarded(String::from("lock"));
    /// let append = pool.when(&words, |words| words.push_str("grain"));
    /// let length = pool.when(words.shared(), |words| words.len());
    /// append.result()?;
    /// assert_eq!(length.result()?, 9);
    ///
    /// let accounts = [pool.guarded(100), pool.guarded(0)];
    /// let transfer = pool.when(&accounts, |[from, to]| (*from, *to) = (*from - 40, *to + 40));
    /// transfer.result()?;
    ///
    /// let cells: Vec<_> = (0..100).map(|n| pool.guarded(n)).collect();
    /// let sum = pool.when(&cells, |cells| cells.into_iter().map(|cell| *cell).sum::<i32>());
    /// assert_eq!(sum.result()?, 4950);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The references end with the task:
    ///
    /// ```compile_fail
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let words = pool.guarded(String::new());
    /// let handle = pool.when(&words, |words| words);
    /// ```
    ///
    /// Nor can they be kept elsewhere:
    ///
    /// ```compile_fail,E0521
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let words = pool.guarded(String::new());
    /// let (send, receive) = std::sync::mpsc::channel::<&'static mut String>();
    /// let handle = pool.when(&words, move |words| send.send(words).unwrap());
    /// ```
    ///
    /// And the task borrows nothing of its submitter's, as it may outlive it:
    ///
    /// ```compile_fail,E0373
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let words = pool.guarded(String::new());
    /// let local = String::from("grain");
    /// let handle = pool.when(&words, |words| words.push_str(&local));
    /// ```
    ///
    /// Not even what a scope would let its tasks borrow:
    ///
    /// ```compile_fail,E0597
    /// let pool = lockgrain::ThreadPool::new().unwrap();
    /// let words = pool.guarded(String::new());
    /// let local = String::from("grain");
    /// let borrowed = &local;
    /// pool.scope(|_| {
    ///     let handle = pool.when(&words, move |words| words.push_str(borrowed));
    /// });
    /// ```
    #[doc(alias = "synchronized")]
    pub fn when<V, T, F>(&self, values: V, f: F) -> TaskHandle<T>
    where
        V: Values<P>,
        T: Send + 'static,
        F: for<'a> FnOnce(Lent<'a, P, V>) -> T + Send + 'static,
    {
        let core = self.core();
        match ask(core, &values) {
            Ok((request, places)) => match accepted(core, places, f) {
                Ok(f) => submit(core, request, (), f),
                Err(why) => entry::refused(core, why),
            },
            Err(error) => {
                task::drop_quietly(f);
                TaskHandle::new(task::refused(core.id, error))
            }
        }
    }

    /// As [`when`](Self::when), with nobody to hear of the end. A panic goes to the pool's panic handler; a task whose value is poisoned is
    /// dropped without a word.
    ///
    /// # Errors
    /// [`TaskError::Refused`] once the pool is shutting down, [`TaskError::Aliased`] if a value is named twice, and
    /// [`TaskError::TooManyPermits`] if more permits are wanted than there are; `f` has been dropped.
    ///
    /// # Panics
    /// If a value is of another pool.
    ///
    /// ```
    /// let pool = lockgrain::ThreadPool::new()?;
    /// let log = pool.guarded(Vec::new());
    /// pool.spawn_when(&log, |log| log.push("began"))?;
    /// pool.spawn_when(&log, |log| log.push("ended"))?;
    /// assert_eq!(pool.when(&log, |log| log.join(" ")).result()?, "began ended");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_when<V, F>(&self, values: V, f: F) -> Result<(), TaskError>
    where
        V: Values<P>,
        F: for<'a> FnOnce(Lent<'a, P, V>) + Send + 'static,
    {
        let core = self.core();
        match ask(core, &values) {
            Ok((request, places)) => {
                spawn(core, request, (), accepted(core, places, f)?);
                Ok(())
            }
            Err(error) => {
                task::drop_quietly(f);
                Err(error)
            }
        }
    }
}

type Asked<P, V> = (Request<P, <V as sealed::Want<P>>::Wants>, <V as sealed::Want<P>>::Places);

/// What to ask for, and where it is. It is `values` that keep it alive until the task stands in line.
fn ask<P: LockPolicy, V: Values<P>>(core: &Core<P>, values: &V) -> Result<Asked<P, V>, TaskError> {
    let mut wants = V::Wants::default();
    let places = values.want(&mut wants);
    Ok((Request::new(wants, core)?, places))
}

/// What a task runs that wants the values at these places; an error, and `f` has been dropped, if the pool takes no more. It is made before the task wants anything,
/// as code of the user's may run here, and none until the task stands in line.
#[inline(always)]
pub(super) fn accepted<P, L, T, F>(
    core: &Core<P>,
    places: L,
    f: F,
) -> Result<impl FnOnce() -> T + Send + 'static, Refused>
where
    P: LockPolicy,
    L: sealed::Places,
    T: 'static,
    F: for<'a> FnOnce(L::Lent<'a>) -> T + Send + 'static,
{
    if core.is_draining() {
        task::drop_quietly(f);
        return Err(Refused::by(core));
    }
    Ok(carried(core, lend(places, f)))
}

/// Has an accepted closure run once the request has all that it wants. The caller has a reference to each of these, or `lender` has.
pub(super) fn submit<P, W, T>(
    core: &Arc<Core<P>>,
    request: Request<P, W>,
    lender: impl Lender,
    f: impl FnOnce() -> T + Send + 'static,
) -> TaskHandle<T>
where
    P: LockPolicy,
    W: Wants<P>,
    T: Send + 'static,
{
    let queue = |request: &Request<P, W>, task| request.queue(core, task, lender);
    TaskHandle::new(task::needing(core.id, request, f, queue))
}

/// As `submit`, without a handle.
#[inline]
pub(super) fn spawn<P: LockPolicy, W: Wants<P>>(
    core: &Arc<Core<P>>,
    request: Request<P, W>,
    lender: impl Lender,
    f: impl FnOnce() + Send + 'static,
) {
    task::detached_needing(request, f, |request, task| request.queue(core, task, lender));
}

/// The closure of a task that is run once it has the values.
fn lend<L, T, F>(places: L, f: F) -> impl FnOnce() -> T + Send + 'static
where
    L: sealed::Places,
    T: 'static,
    F: for<'a> FnOnce(L::Lent<'a>) -> T + Send + 'static,
{
    move || {
        current::frames(|mut frames| {
            let own = frames.next().and_then(|frame| Some((frame, frame.own_task()?)));
            let (frame, task) =
                own.expect("a task with guarded values only runs on a worker of the pool it was submitted to");
            current::holding(frame, task, || {
                // Permits keep nobody from using what the task uses: then the gate may be let go of.
                let _lent = L::LENDS.then(|| current::Lent::enter(frame, true));
                // SAFETY: granted, see below.
                if unsafe { places.is_poisoned() } {
                    task::end_as_poisoned();
                }
                let on_panic = Poisons(&places);
                // SAFETY: the task is run because all accesses have been granted, and they and the values are kept until the closure has ended;
                // what it returns can't contain the references, as it is the same type for every lifetime.
                let result = f(unsafe { places.lend() });
                std::mem::forget(on_panic);
                result
            })
        })
    }
}

/// Poisons what a task might have changed that panics.
struct Poisons<'a, L: sealed::Places>(&'a L);

impl<L: sealed::Places> Drop for Poisons<'_, L> {
    fn drop(&mut self) {
        // SAFETY: the accesses end after the task's code.
        unsafe { self.0.poison() };
    }
}

//! A worker without work: it looks for some, and then sleeps. `docs/idle.md` has the protocol.

use super::Worker;
use crate::policy::LockPolicy;
use crate::policy::gate::Gate;
use crate::runtime::patience::{self, Patience};
use crate::runtime::timeline::Activity;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Instant, MODEL, hint, mutant};

impl<P: LockPolicy> Worker<P> {
    /// Says to workers that join that there are some who could take the other halves.
    #[inline]
    pub(super) fn wants(&self) {
        // Behind a gate nobody could run one. In a model, what a new pool wants is enough, and the rest would be more to explore everywhere.
        if !P::Gate::EXCLUSIVE && !MODEL {
            self.core.idle.want();
        }
    }

    /// The same, unless those that it has got lately were not worth it.
    fn wants_more(&self) {
        if self.appetite.is_there() {
            self.wants();
        }
    }

    /// It has taken something of another's.
    pub(super) fn has_stolen(&self) {
        // If nobody has heard what is wanted, it is no half, and costs no look at the clock.
        if !P::Gate::EXCLUSIVE && !MODEL && self.core.idle.wanted().load(Relaxed) == 0 {
            self.appetite.gets();
        }
        if self.appetite.is_good() {
            self.wants();
        }
    }

    /// Looks for work a while; true if there is some.
    pub(super) fn look(&self) -> bool {
        let core = &*self.core;
        // A moment's pause lets more than one task come, where they come one by one.
        patience::pause();
        // In a model one look does for all.
        if !MODEL && core.has_queued() {
            return true;
        }
        if !self.searching.get() {
            if !core.idle.start_searching() {
                return core.has_queued();
            }
            self.searching.set(true);
        }
        self.appetite.is_through();
        self.wants_more();
        if !MODEL {
            self.look_on();
        }
        core.has_queued()
    }

    fn look_on(&self) {
        let core = &*self.core;
        let stop = || {
            self.wants_more();
            core.has_queued() || core.is_draining()
        };
        let word = core.idle.load();
        if word.active() > word.searching() {
            // Others work and may spawn at any moment: to wake this worker would cost them more than its look costs here. It
            // ends when one of them looks, too.
            Patience::look_long(|| stop() || core.idle.load().searching() > 1);
        } else {
            self.patience.look(stop);
        }
    }

    /// Sleeps until woken for work; false if the thread should end: the pool is draining, or it has been idle for so long.
    pub(super) fn sleep(&self) -> bool {
        let core = &*self.core;
        // It would have left, but there was work.
        if self.leaves.take() {
            core.size.end_leave();
        }
        let word = core.idle.sleep(self.index, self.searching.take());
        self.wants();
        if core.has_queued() && !mutant("idle_sleep_no_recheck") {
            // Perhaps wakes this very worker.
            self.core.notify();
        }
        if word.draining() {
            return false;
        }
        // The last one that was active; those that rest count as such.
        if word.active() == 1 || core.pause.is_on() {
            core.tell_if_quiescent();
        }
        // Posted before this worker was on the list; and if somebody wakes it now, the permit is on its way.
        let has_mail = core.mail.has(self.index) && !mutant("mail_is_slept_over");
        if has_mail && core.idle.leave_sleepers(self.index) {
            return true;
        }
        let parker = &core.parkers[self.index];
        core.counters[self.index].parked.add_owned(1);
        let spare = word.threads() > core.kept_workers();
        let deadline = spare.then(|| Instant::now() + core.config.keep_alive);
        let since = self.clock();
        let parked = parker.park_until(deadline);
        self.note(Activity::Parked, "", since);
        if !parked {
            if core.idle.leave_sleepers(self.index) {
                let leaves = core.size.begin_leave(|| core.idle.load().threads(), core.kept_workers());
                if !leaves {
                    // Perhaps as another one does, and has not gone yet.
                    hint::yield_now();
                }
                self.leaves.set(leaves);
                return !leaves;
            }
            parker.park();
        }
        self.searching.set(true);
        true
    }
}

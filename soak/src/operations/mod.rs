//! What a driver does next, drawn at random.

mod lines;
mod many;
mod one;

use std::thread;
use std::time::Duration;

use fastrand::Rng;
use lockgrain::LockPolicy;

use crate::books::contained;
use crate::watch::Slot;
use crate::world::World;

fn sleep(random: &mut Rng) {
    // Slow, and now and then as good as frozen.
    let most = if random.u32(0..200) == 0 { 400_000 } else { 2_000 };
    thread::sleep(Duration::from_micros(random.u64(0..most)));
}

impl<P: LockPolicy> World<P> {
    /// One operation, drawn at random.
    pub(crate) fn operate(&self, random: &mut Rng, slot: &Slot) {
        type Operation<P> = fn(&World<P>, &mut Rng, &Slot);
        let operations: [(&str, Operation<P>); 37] = [
            ("submit", Self::submit),
            ("submit many", Self::submit_many),
            ("submit, panicking", Self::submit_panicking),
            ("spawn", Self::spawn),
            ("cancel", Self::cancel),
            ("request_cancel", Self::request_cancel),
            ("drop a handle", Self::drop_handle),
            ("timed wait", Self::timed_wait),
            ("callback", Self::callback),
            ("nested", Self::nested),
            ("blocking", Self::blocking),
            ("slow task", Self::slow),
            ("when", Self::when),
            ("key", Self::key),
            ("strand", Self::strand),
            ("scope", Self::scope),
            ("join", Self::join),
            ("map", Self::map),
            ("for_each", Self::for_each),
            ("as_completed", Self::as_completed),
            ("wait", Self::wait),
            ("shared, then", Self::shared_then),
            ("promise", Self::promise),
            ("future", Self::future),
            ("schedule", Self::schedule),
            ("series", Self::series),
            ("context", Self::context),
            ("broadcast", Self::broadcast),
            ("resize, pause", Self::change),
            ("spawn_many, submit_many", Self::in_a_call),
            ("try_map", Self::try_map),
            ("invoke_any", Self::invoke_any),
            ("completion queue", Self::completion_queue),
            ("priority, start_within", Self::ranked),
            ("quiescence", Self::quiescence),
            ("limit", Self::limit),
            ("pool that comes and goes", |world, random, slot| crate::pools::one::<P>(&world.books, random, slot)),
        ];
        let (name, operation) = operations[random.usize(..operations.len())];
        slot.begin(name);
        self.books.did(name);
        contained(|| operation(self, random, slot));
    }
}

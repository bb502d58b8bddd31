//! Models of the runtime. `cargo xtask models` runs each in its own process.

mod capacity;
mod futures;
mod keys;
mod limits;
mod mail;
mod pool;
mod sleepers;
mod stuck;
mod timer;
mod values;

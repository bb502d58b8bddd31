//! Models of the runtime. `cargo xtask models` runs each in its own process.

/// Models as tests, each under every policy or under one, with so many workers and preemptions.
macro_rules! stamp {
    ($($model:ident: $(($size:ident: $workers:literal, $preemptions:literal)),+;)+) => {
        stamp!(@policy global GlobalLock; $($model: $(($size: $workers, $preemptions)),+;)+);
        stamp!(@policy fine FineGrained; $($model: $(($size: $workers, $preemptions)),+;)+);
        stamp!(@policy lock_free LockFree; $($model: $(($size: $workers, $preemptions)),+;)+);
    };
    (@policy $name:ident $policy:ty; $($model:ident: $(($size:ident: $workers:literal, $preemptions:literal)),+;)+) => {
        mod $name {
            use super::*;
            $(mod $model {
                use super::*;
                $(#[test]
                fn $size() {
                    check(Some($preemptions), || super::super::$model(pool::<$policy>($workers, 0)));
                })+
            })+
        }
    };
}

mod capacity;
mod continuation;
mod deadlines;
mod futures;
mod holders;
mod join;
mod keys;
mod leaving;
mod limits;
mod mail;
mod pool;
mod quiescence;
mod ranked;
mod sleepers;
mod stuck;
mod time_outs;
mod timer;
mod values;

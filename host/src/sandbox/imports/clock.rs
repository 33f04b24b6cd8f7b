//! `rig:pack/clock`.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::sandbox::{bindings::rig::pack::clock as generated, instance::State};

struct Clock {
    started: Instant,
}

impl generated::Host for Clock {
    fn now_ms(&mut self) -> Result<u64> {
        // A machine whose clock stands before 1970 gives 0: wrong, but not worth a trap.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_ns(&mut self) -> Result<u64> {
        Ok(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl HasData for Clock {
    type Data<'a> = Self;
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    generated::add_to_linker::<State, Clock>(linker, |state| Clock { started: state.started })
}

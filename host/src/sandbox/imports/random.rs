//! `rig:pack/random`.

use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::sandbox::{bindings::rig::pack::random as generated, instance::State};

/// The bytes that one request may ask for, as the interface says.
const MAX_BYTES: u32 = 64 << 10;

struct Random;

impl HasData for Random {
    type Data<'a> = Self;
}

impl generated::Host for Random {
    fn bytes(&mut self, len: u32) -> Result<Vec<u8>> {
        if len > MAX_BYTES {
            return Err(wasmtime::format_err!("{len} random bytes asked for at once; the limit is {MAX_BYTES}"));
        }
        let mut bytes = vec![0; len as usize];
        getrandom::fill(&mut bytes).map_err(|error| wasmtime::format_err!("no random bytes: {error}"))?;
        Ok(bytes)
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    generated::add_to_linker::<State, Random>(linker, |_| Random)
}

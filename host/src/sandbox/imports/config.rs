//! `rig:pack/config`: the settings that the manifest declares. Their values were put together before the call.

use std::collections::BTreeMap;

use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::sandbox::{bindings::rig::pack::config as generated, instance::State};

struct Settings<'a>(&'a BTreeMap<String, String>);

struct HasSettings;

impl HasData for HasSettings {
    type Data<'a> = Settings<'a>;
}

impl generated::Host for Settings<'_> {
    fn get(&mut self, name: String) -> Result<Option<String>> {
        Ok(self.0.get(&name).cloned())
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    generated::add_to_linker::<State, HasSettings>(linker, |state| Settings(&state.reach.config))
}

//! Looks which layers this machine has, by making a cell without a program.

use std::path::Path;

use super::{Error, Layer};

/// One layer, here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerState {
    /// Which.
    pub layer: Layer,
    /// Why it cannot be had, when it cannot.
    pub lacks: Option<String>,
}

/// All layers from the outside in. `scratch` is an empty folder that exists; `launcher` the rig to start. Blocks.
///
/// # Errors
/// [`Error::System`] on other systems than Linux, [`Error::Setup`] when rig cannot be started.
#[cfg_attr(not(target_os = "linux"), expect(clippy::missing_const_for_fn, reason = "on Linux it is not"))]
pub fn probe(launcher: &Path, scratch: &Path) -> Result<Vec<LayerState>, Error> {
    #[cfg(target_os = "linux")]
    {
        let lacking = super::start::lacking(launcher, scratch)?;
        let why = |layer| lacking.iter().find(|(lacks, _)| *lacks == layer).map(|(_, why)| why.clone());
        Ok(Layer::ALL.into_iter().map(|layer| LayerState { layer, lacks: why(layer) }).collect())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (launcher, scratch, Layer::ALL);
        Err(Error::System)
    }
}

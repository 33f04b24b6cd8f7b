//! Where there are no cells: other systems than Linux.

use std::{convert::Infallible, process::ExitCode};

use super::{Cell, Ended, Error, Layer, Layers};
use crate::runner::Traffic;

/// A program that runs in a cell: here there is none.
#[derive(Debug)]
pub struct Running(Infallible);

impl Cell {
    /// # Errors
    /// [`Error::System`], always.
    #[expect(clippy::unused_async, reason = "on Linux it waits")]
    pub async fn spawn(&self) -> Result<Running, Error> {
        Err(Error::System)
    }
}

impl Running {
    /// The layers that hold.
    #[must_use]
    pub fn layers(&self) -> &Layers {
        match self.0 {}
    }

    /// The layers that this machine lacks.
    #[must_use]
    pub fn lacks(&self) -> &[(Layer, String)] {
        match self.0 {}
    }

    /// What went through the proxy.
    #[must_use]
    pub fn take_traffic(&self) -> Vec<Traffic> {
        match self.0 {}
    }

    /// How the cell ended.
    pub async fn ended(&mut self) -> Ended {
        match self.0 {}
    }

    /// Ends the cell.
    pub async fn kill(self) {
        match self.0 {}
    }
}

/// Nothing is started with the argument.
#[must_use]
pub fn enter(_: &[std::ffi::OsString]) -> ExitCode {
    ExitCode::FAILURE
}

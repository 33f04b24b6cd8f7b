//! Where there are no cells: other systems than Linux.

use std::{convert::Infallible, process::ExitCode};

use tokio::net::unix::pipe::{Receiver, Sender};

use super::{Cell, Ended, Error, Layer, Layers};
use crate::runner::Meter;

/// A program that runs in a cell: here there is none.
#[derive(Debug)]
pub struct Running {
    /// What it reads.
    pub stdin: Sender,
    /// What it writes.
    pub stdout: Receiver,
    /// What it writes beside that.
    pub stderr: Receiver,
    /// Everything else of it.
    pub held: Held,
}

/// rig's hold of a cell.
#[derive(Debug)]
pub struct Held(Infallible);

impl Cell {
    /// # Errors
    /// [`Error::System`], always.
    #[expect(clippy::unused_async, reason = "on Linux it waits")]
    pub async fn spawn(&self) -> Result<Running, Error> {
        Err(Error::System)
    }
}

impl Held {
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

    /// Counts what goes through the proxy.
    #[must_use]
    pub fn meter(&self) -> Meter {
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

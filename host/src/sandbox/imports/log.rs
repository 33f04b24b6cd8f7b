//! `rig:pack/log`, and the place where everything that a pack says is kept: its log lines, its panic, its WASI stdout and stderr.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::sandbox::{bindings::rig::pack::log as generated, instance::State};

/// Lines kept of one call: more is a runaway loop, not a log.
const MAX_LINES: usize = 10_000;
/// Bytes kept of one call, for the same reason.
const MAX_BYTES: usize = 1 << 20;

/// How important a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the pack's author.
    Debug,
    /// For whoever looks.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How important it is.
    pub level: Level,
    /// What the pack wrote. Not yet redacted, not yet escaped for a terminal.
    pub message: String,
}

/// The log of one call.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The lines in order.
    pub lines: Vec<LogLine>,
    /// How many lines were beyond the limits.
    pub dropped: usize,
}

/// Collects the log of one call; shared between the import and the WASI streams.
#[derive(Debug, Default, Clone)]
pub(crate) struct CallLog(Arc<Mutex<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    logged: Logged,
    bytes: usize,
}

impl CallLog {
    pub(crate) fn write(&self, level: Level, message: &str) {
        let mut collected = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits =
            collected.logged.lines.len() < MAX_LINES && collected.bytes.saturating_add(message.len()) <= MAX_BYTES;
        if fits {
            collected.bytes += message.len();
            collected.logged.lines.push(LogLine { level, message: message.to_owned() });
        } else {
            collected.logged.dropped += 1;
        }
    }

    /// Takes what was collected.
    pub(crate) fn finish(&self) -> Logged {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).logged)
    }
}

struct HasLog;

impl HasData for HasLog {
    type Data<'a> = &'a mut CallLog;
}

impl generated::Host for &mut CallLog {
    fn write(&mut self, level: generated::Level, message: String) -> Result<()> {
        let level = match level {
            generated::Level::Debug => Level::Debug,
            generated::Level::Info => Level::Info,
            generated::Level::Warn => Level::Warn,
            generated::Level::Error => Level::Error,
        };
        CallLog::write(self, level, &message);
        Ok(())
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    generated::add_to_linker::<State, HasLog>(linker, |state| &mut state.log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_are_dropped_and_counted() {
        let log = CallLog::default();
        for _ in 0..MAX_LINES + 5 {
            log.write(Level::Info, "x");
        }
        let logged = log.finish();
        assert_eq!((logged.lines.len(), logged.dropped), (MAX_LINES, 5));

        let log = CallLog::default();
        log.write(Level::Info, &"x".repeat(MAX_BYTES));
        log.write(Level::Info, "x");
        let logged = log.finish();
        assert_eq!((logged.lines.len(), logged.dropped), (1, 1));
    }
}

//! The pack's log. Lines beyond the host's limit (10,000 lines or 1 MiB a call) are dropped and counted.

use crate::host;

pub use crate::bindings::rig::pack::log::Level;

/// Writes a line at a level.
pub fn write(level: Level, message: impl AsRef<str>) {
    host::log::write(level, message.as_ref());
}

/// What only matters while looking for a fault.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message);
}

/// What happened.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message);
}

/// What is odd but does not stop the call.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message);
}

/// What went wrong.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message);
}

//! Time, from the host: `std::time` does not work in a pack.

use std::time::Duration;

use crate::host;

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> u64 {
    host::clock::now_ms()
}

/// The time since some fixed point; it never goes back. For measuring how long something takes.
#[must_use]
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::clock::monotonic_ns())
}

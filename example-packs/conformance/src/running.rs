//! What a client sees while a tool runs: progress and log lines.

use std::time::Duration;

use rig_sdk::{Result, client, clock, log, tool};

use crate::Text;

/// The pause between two signs of life, long enough for a client to see them come one by one.
const PAUSE: Duration = Duration::from_millis(50);

/// A guest cannot sleep; looking at the clock until it is time is good enough for a test.
fn pause() {
    let until = clock::monotonic() + PAUSE;
    while clock::monotonic() < until {
        std::hint::spin_loop();
    }
}

/// Reports progress: 0, 50 and 100 of 100.
#[tool(name = "conformance.test.tool_with_progress", risk = "read", tags = ["running"])]
pub fn tool_with_progress() -> Result<Text> {
    client::progress(0.0, Some(100.0), Some("Started"));
    pause();
    client::progress(50.0, Some(100.0), Some("Half done"));
    pause();
    client::progress(100.0, Some(100.0), Some("Done"));
    Ok(Text::of("Progress was reported three times."))
}

/// Writes three lines to the log while it runs.
#[tool(name = "conformance.test.tool_with_logging", risk = "read", tags = ["running"])]
pub fn tool_with_logging() -> Result<Text> {
    log::info("Tool execution started");
    pause();
    log::info("Tool processing data");
    pause();
    log::info("Tool execution completed");
    Ok(Text::of("Three lines were written to the log."))
}

/// Writes a line to the log. Clients that did not ask for log lines must not get it.
#[tool(name = "conformance.test.logging_tool", risk = "read", tags = ["running"])]
pub fn logging_tool() -> Result<Text> {
    log::info("A line that only those get who asked for it");
    Ok(Text::of("A line was written to the log."))
}

/// Takes a moment, in which a server may close the stream and let the client come back for the answer.
#[tool(name = "conformance.test.reconnection", risk = "read", tags = ["running"])]
pub fn reconnection() -> Result<Text> {
    pause();
    pause();
    Ok(Text::of("The answer came after a moment."))
}

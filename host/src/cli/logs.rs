//! The log of a running gateway, on stderr: lines for people, or JSON for programs.

use tracing_subscriber::{filter::LevelFilter, fmt};

use super::render::Ui;

/// Starts writing the log. Done once a process, by the commands that run for long.
pub fn start(ui: Ui, json: bool) {
    let level = match ui {
        Ui { quiet: true, .. } => LevelFilter::ERROR,
        Ui { verbose: true, .. } => LevelFilter::DEBUG,
        Ui { .. } => LevelFilter::INFO,
    };
    let builder = fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_ansi(false).init();
    }
}

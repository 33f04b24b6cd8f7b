//! The log of a running gateway, on stderr: lines for people, or JSON for programs. And what other commands tell with `--verbose`.

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    layer::{Layer as _, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use super::render::Ui;

/// Starts writing the log. Done once a process, by the commands that run for long.
pub fn start(ui: Ui, json: bool) {
    let level = match ui {
        Ui { quiet: true, .. } => LevelFilter::ERROR,
        Ui { verbose: true, .. } => LevelFilter::DEBUG,
        Ui { .. } => LevelFilter::INFO,
    };
    // What the protocol's library has to say is mostly that a client came or went; and its lines hold whole messages.
    let targets = Targets::new().with_default(level).with_target("rmcp", LevelFilter::ERROR);
    let layer = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let layer = if json { layer.json().flatten_event(true).boxed() } else { layer.with_ansi(false).boxed() };
    tracing_subscriber::registry().with(layer.with_filter(targets)).init();
}

/// With `--verbose`: what happens behind a command, such as what pip and npm say. Done once a process.
pub fn details(ui: Ui) {
    if ui.verbose {
        let targets = Targets::new().with_target("rig_host", LevelFilter::DEBUG);
        let layer = fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(false).without_time();
        tracing_subscriber::registry().with(layer.with_filter(targets)).init();
    }
}

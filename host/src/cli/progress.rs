//! Bars for downloads, on a terminal only: one for each that is under way, and one for all of them when there are several. What a person
//! should know of them is told in lines, in a pipe too.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rig_host::install::{Event, Progress};

use super::{render::Ui, report::visible};

/// What a bar shows: of one pack, and of all of them.
const ONE: &str = "{msg:20!} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}";
const ALL: &str = "{msg:20!} [{bar:30}] {binary_bytes}/{binary_total_bytes} {eta}";

/// Shows how far downloads are.
pub struct Bars {
    ui: Ui,
    all: MultiProgress,
    state: Mutex<State>,
    shown: bool,
}

#[derive(Default)]
struct State {
    /// What has come of each, and how much there will be.
    downloads: BTreeMap<String, (u64, u64)>,
    bars: BTreeMap<String, ProgressBar>,
    total: Option<ProgressBar>,
    done: usize,
}

impl Bars {
    pub fn new(ui: Ui) -> Self {
        let shown = !ui.quiet && std::io::stderr().is_terminal();
        Self::on(ui, shown, ProgressDrawTarget::stderr())
    }

    fn on(ui: Ui, shown: bool, target: ProgressDrawTarget) -> Self {
        Self { ui, all: MultiProgress::with_draw_target(target), state: Mutex::default(), shown }
    }

    pub fn show(&self, progress: Progress<'_>) {
        let what = progress.what;
        match progress.event {
            Event::NextPlace { error, next } => {
                // Above the bars, which are drawn again below it.
                self.all.suspend(|| self.ui.warn(&format!("{what}: {error}; trying {next}")));
            }
            Event::Continued(from) => {
                self.all.suspend(|| self.ui.detail(&format!("{what}: going on after {from} bytes")));
            }
            Event::Planned(_) | Event::Received { .. } | Event::Done => {}
        }
        if self.shown {
            self.draw(what, progress.event);
        }
    }

    fn draw(&self, what: &str, event: Event<'_>) {
        let mut state = self.state();
        match event {
            Event::Planned(size) => {
                state.downloads.insert(what.to_owned(), (0, size.unwrap_or(0)));
                if state.downloads.len() > 1 && state.total.is_none() {
                    state.total = Some(self.all.add(bar(ALL)));
                }
            }
            Event::Received { received, total } => {
                let size = total.unwrap_or(received);
                state.downloads.insert(what.to_owned(), (received, size));
                let bar = state.bars.entry(what.to_owned()).or_insert_with(|| {
                    let bar = self.all.insert(0, bar(ONE));
                    bar.set_message(visible(what));
                    bar
                });
                bar.set_length(size);
                bar.set_position(received);
            }
            Event::Done => {
                state.done += 1;
                if let Some(bar) = state.bars.remove(what) {
                    bar.finish_and_clear();
                }
            }
            Event::Continued(_) | Event::NextPlace { .. } => {}
        }
        let State { downloads, total: Some(total), done, .. } = &*state else { return };
        total.set_message(format!("{done} of {} packs", downloads.len()));
        total.set_length(downloads.values().map(|(_, size)| size).sum());
        total.set_position(downloads.values().map(|(received, _)| received).sum());
    }

    pub fn clear(&self) {
        let mut state = self.state();
        let bars = std::mem::take(&mut *state);
        bars.bars.into_values().chain(bars.total).for_each(|bar| bar.finish_and_clear());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::hidden();
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}

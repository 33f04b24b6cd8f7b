//! A bar for downloads, on a terminal only.

use std::{
    io::IsTerminal as _,
    sync::{Mutex, PoisonError},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rig_host::install::Progress;

use super::render::Ui;

/// Shows how far a download is.
pub struct Bars {
    current: Mutex<Option<(String, ProgressBar)>>,
    shown: bool,
}

impl Bars {
    pub fn new(ui: Ui) -> Self {
        Self { current: Mutex::new(None), shown: !ui.quiet && std::io::stderr().is_terminal() }
    }

    pub fn show(&self, progress: Progress<'_>) {
        if !self.shown {
            return;
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_none_or(|(what, _)| what != progress.what) {
            if let Some((_, bar)) = current.take() {
                bar.finish_and_clear();
            }
            let bar = ProgressBar::with_draw_target(progress.total, ProgressDrawTarget::stderr());
            let style = "{msg:20!} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(super::report::visible(progress.what));
            *current = Some((progress.what.to_owned(), bar));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_position(progress.received);
        }
    }

    pub fn clear(&self) {
        if let Some((_, bar)) = self.current.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.clear();
    }
}

//! How results are shown: tables, JSON, notices. Results go to stdout, everything else to stderr.

use owo_colors::OwoColorize;
use serde::Serialize;

use super::report::{Failure, visible};

/// What the user wants to see, from the global options.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    pub quiet: bool,
    pub verbose: bool,
}

impl Ui {
    /// A line about what was done; left out with `--quiet`.
    pub fn done(self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{} {}", "✓".green().bold(), visible(text));
        }
    }

    /// A line about what is going on; left out with `--quiet`.
    pub fn note(self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{}", visible(text));
        }
    }

    /// Something that the user should know; shown even with `--quiet`.
    #[allow(clippy::unused_self, reason = "the same shape as its neighbours")]
    pub fn warn(self, text: &str) {
        anstream::eprintln!("{} {}", "warning:".yellow().bold(), visible(text));
    }

    /// A line only for `--verbose`.
    pub fn detail(self, text: &str) {
        if self.verbose {
            anstream::eprintln!("{}", visible(text).dimmed());
        }
    }
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::of(&error, ""))?;
    out(&text);
    Ok(())
}

/// Prints a result. A reader that went away, such as `head`, is no error.
pub fn out(text: &str) {
    use std::io::Write as _;
    let mut stdout = anstream::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Prints rows under a heading, in columns as wide as they need to be.
pub fn table(headings: &[&str], rows: &[Vec<String>]) {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| visible(cell).replace('\n', " ")).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let heading = line(headings.iter().map(|heading| (*heading).to_owned()).collect());
    out(&heading.bold().to_string());
    for row in rows {
        out(&line(row));
    }
}

/// `1 tool`, `2 tools`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

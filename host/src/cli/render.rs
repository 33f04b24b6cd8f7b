//! How results are shown: tables, JSON, notices. Results go to stdout, everything else to stderr.

use owo_colors::OwoColorize;
use serde::Serialize;

use super::report::{Failure, visible};
use rig_host::words::{is_hidden, plain};

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

    /// A line that a question is about; shown even with `--quiet`.
    #[allow(clippy::unused_self, reason = "the same shape as its neighbours")]
    pub fn tell(self, text: &str) {
        anstream::eprintln!("{}", plain(text));
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
    out(&escaped(text));
    Ok(())
}

/// JSON leaves some characters as they are that steer a terminal. They stand in strings only, where an escape means the same.
fn escaped(text: String) -> String {
    use std::fmt::Write as _;
    let steers = |c: char| c != '\n' && is_hidden(c);
    if !text.contains(steers) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Prints one line of a result that may hold foreign texts: they can neither steer the terminal nor begin a line of their own.
pub fn line(text: &str) {
    out(plain(text).trim_end());
}

/// Prints a result that rig made. A reader that went away, such as `head`, is no error.
pub fn out(text: &str) {
    use std::io::Write as _;
    let mut stdout = anstream::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Prints rows under a heading, in columns as wide as they need to be.
pub fn table(headings: &[&str], rows: &[Vec<String>]) {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_meaning_and_steers_no_terminal() {
        let value = serde_json::json!({ "a\u{9b}": "é \u{202e} \u{1b}[2J \n \u{e0041} 💥" });
        let text = escaped(serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(text, "{\n  \"a\\u009b\": \"é \\u202e \\u001b[2J \\n \\udb40\\udc41 💥\"\n}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}

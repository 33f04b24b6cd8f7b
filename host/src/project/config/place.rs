//! Where in rig.yaml a problem is: its key as a path, and the line of that key.

use std::{fmt::Write as _, path::Path};

use super::{ConfigError, Place, is_comment};
use crate::words::plain;

/// Something wrong with a value, before it has its place.
#[derive(Debug)]
pub(super) struct Problem {
    keys: Vec<String>,
    why: String,
}

impl Problem {
    pub(super) fn new(keys: &[&str], why: impl Into<String>) -> Self {
        Self { keys: owned(keys), why: why.into() }
    }

    pub(super) fn locate(self, text: &str, file: &Path) -> ConfigError {
        let place = Place { file: file.to_path_buf(), line: line_of(text, &self.keys) };
        ConfigError::Invalid { place, path: path(&self.keys), why: self.why }
    }
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// `policy.rate_limits["stripe.*"]`: a key that would not be read as one step stands in brackets.
fn path(keys: &[String]) -> String {
    let mut path = String::new();
    for key in keys {
        if !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
        } else {
            // Writing to a string does not fail.
            let _ = write!(path, "[\"{}\"]", plain(key));
        }
    }
    path
}

/// The line of a key, found by indentation, or that of the innermost key around it that stands on a line of its own: good enough to
/// point a person at it.
fn line_of(text: &str, keys: &[String]) -> Option<u64> {
    let mut wanted = keys.iter();
    let mut key = wanted.next()?;
    let mut found = None;
    // How far the keys around are indented, and how far those that are looked at: known from the first of them.
    let (mut around, mut level) = (None, Some(0));
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim_start_matches([' ', '\u{feff}']);
        if trimmed.is_empty() || is_comment(line) {
            continue;
        }
        let indent = line.trim_start_matches('\u{feff}').len() - trimmed.len();
        if around.is_some_and(|around| indent <= around) {
            break;
        }
        if indent == *level.get_or_insert(indent) && is_key(trimmed, key) {
            found = Some(number);
            (around, level) = (Some(indent), None);
            let Some(next) = wanted.next() else { break };
            key = next;
        }
    }
    found
}

fn is_key(line: &str, key: &str) -> bool {
    let forms = [key.to_owned(), format!("'{key}'"), format!("\"{key}\"")];
    forms.iter().any(|form| line.strip_prefix(form.as_str()).is_some_and(|rest| rest.trim_start().starts_with(':')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_indentation() {
        let text = "\u{feff}packs: [tokens]\n\ntenants:\n  # the first\n  acme: { tokens: [] }\n  'b.c':\n    secrets:\n      tokens: X\n    \
                    tokens:\n      - a\nserver:\n  tokens: 1\n";
        for (keys, line) in [
            (&["packs"][..], Some(1)),
            (&["tenants"], Some(3)),
            (&["tenants", "acme"], Some(5)),
            (&["tenants", "acme", "tokens"], Some(5)),
            (&["tenants", "b.c", "tokens"], Some(9)),
            (&["tenants", "b.c", "secrets", "tokens"], Some(8)),
            (&["tenants", "nobody", "tokens"], Some(3)),
            (&["server", "port"], Some(11)),
            (&["tokens"], None),
        ] {
            assert_eq!(line_of(text, &owned(keys)), line, "{keys:?}");
        }
    }

    #[test]
    fn paths_can_be_read_back() {
        for (keys, expected) in [
            (&["policy", "retries"][..], "policy.retries"),
            (&["policy", "rate_limits", "a.*", "calls"], "policy.rate_limits[\"a.*\"].calls"),
            (&["tenants", "\u{1b}[2J"], "tenants[\"\\u{1b}[2J\"]"),
        ] {
            assert_eq!(path(&owned(keys)), expected);
        }
    }
}

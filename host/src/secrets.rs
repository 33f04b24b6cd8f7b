//! Secrets: where they come from and how they travel inside the host.
//!
//! A [`Provider`] finds values; it is the only code of the library that reads the environment. A [`Secret`] holds one and shows it
//! to nobody: only the egress gate takes the value out, to put it into a request, and to find it in an answer. [`CallSecrets`] are
//! the ones that one call may use. What is recorded and shown is the [`Marker`], which says where a value came from.

use std::{collections::BTreeMap, fmt, io, path::PathBuf};

use zeroize::Zeroizing;

pub mod docker;
mod dotenv;
mod provider;

pub use provider::Provider;

/// A value that is neither printed nor compared, and wiped from memory when it is dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value in.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// Whether it is too short to be looked for in answers.
    #[must_use]
    pub fn is_shorter_than(&self, bytes: usize) -> bool {
        self.0.len() < bytes
    }

    /// The value. Called where requests are built and answers are redacted, and nowhere else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Where a secret came from: `env:STRIPE_API_KEY`, `dotenv:STRIPE_API_KEY`. Safe to record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marker {
    /// A variable of the process's environment.
    Env(String),
    /// A line of the project's `.env`.
    Dotenv(String),
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Dotenv(name) => write!(f, "dotenv:{name}"),
        }
    }
}

/// The secrets of one call, by slot: those that its tool declares, and no others of the pack.
#[derive(Debug, Default)]
pub struct CallSecrets(BTreeMap<String, (Secret, Marker)>);

impl CallSecrets {
    /// For a tool without secrets. Allocates nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds the secret of a slot.
    #[must_use]
    pub fn with(mut self, slot: &str, secret: Secret, marker: Marker) -> Self {
        self.0.insert(slot.to_owned(), (secret, marker));
        self
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret of a slot.
    pub(crate) fn get(&self, slot: &str) -> Option<&Secret> {
        self.0.get(slot).map(|(secret, _)| secret)
    }

    /// All of them, sorted by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(slot, (secret, _))| (slot.as_str(), secret))
    }

    /// Where they came from, for the audit; sorted by slot.
    pub fn markers(&self) -> impl Iterator<Item = &Marker> {
        self.0.values().map(|(_, marker)| marker)
    }
}

/// Why a secret cannot be had. No variant holds a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing sets them, or only to an empty text.
    #[error("{} not set", named(.slots))]
    Missing {
        /// The slots, in the order asked for.
        slots: Vec<String>,
        /// The file that was also looked in.
        dotenv: PathBuf,
    },
    /// A variable holds bytes that are not UTF-8.
    #[error("the environment variable `{name}` is not UTF-8 text")]
    NotText {
        /// The variable.
        name: String,
    },
    /// The file exists and cannot be read.
    #[error("{}: {source}", path.display())]
    DotenvRead {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of the file is not `NAME=value`. The line is not shown: it may hold a secret.
    #[error("{}: line {line} is not of the form NAME=value", path.display())]
    DotenvLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl Error {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { slots, dotenv } => {
                let slot = slots.first().map_or("NAME", String::as_str);
                format!("set it in the environment (export {slot}=…), or write a line {slot}=… to {}", dotenv.display())
            }
            Self::NotText { name } => format!("set `{name}` to a text in UTF-8"),
            Self::DotenvRead { .. } => "make the file readable for you, or remove it".into(),
            Self::DotenvLine { line, .. } => format!(
                "correct line {line}; put a value with spaces, quotes, `#` or `$` between single quotes and check that quotes are closed"
            ),
        }
    }
}

fn named(slots: &[String]) -> String {
    let names: Vec<String> = slots.iter().map(|slot| format!("`{slot}`")).collect();
    match names.as_slice() {
        [one] => format!("the secret {one} is"),
        many => format!("the secrets {} are", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_the_value() {
        let secret = Secret::new("canary-value-1".into());
        assert_eq!(format!("{secret:?} {secret}"), "Secret(redacted) [redacted]");
        let call = CallSecrets::none().with("KEY", secret, Marker::Env("KEY".into()));
        assert!(!format!("{call:?}").contains("canary"));
        assert_eq!(call.get("KEY").map(Secret::expose), Some("canary-value-1"));
        assert_eq!(call.markers().map(ToString::to_string).collect::<Vec<_>>(), ["env:KEY"]);
        assert!(CallSecrets::none().is_empty());
    }
}

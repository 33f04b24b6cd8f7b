//! Reads `rig.yaml`: from text to a checked [`Config`]. Every complaint names the file, the line and the key.

mod checks;
mod place;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rig_specs::config::Config;
use serde_saphyr::{DuplicateKeyPolicy, Error as YamlError, MergeKeyPolicy};

use crate::words::{nearest, plain};

/// Where in a file something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, when it is known.
    pub line: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// What is wrong with a `rig.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A key that rig does not know.
    #[error("{place}: unknown key `{key}`")]
    UnknownKey {
        /// Where the key is.
        place: Place,
        /// The key as written.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<&'static str>,
        /// All keys known in that place.
        known: Vec<&'static str>,
    },
    /// Text that is not YAML, or a value of the wrong type.
    #[error("{place}: {}{message}", at(path))]
    Malformed {
        /// Where it is.
        place: Place,
        /// The key, for example `policy.retries`; empty for the whole file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// A value of the right type that makes no sense.
    #[error("{place}: `{path}` {why}")]
    Invalid {
        /// Where it is.
        place: Place,
        /// The key.
        path: String,
        /// What is wrong with its value.
        why: String,
    },
}

impl ConfigError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownKey { known, .. } => Some(format!("the keys known here are: {}", known.join(", "))),
            Self::Malformed { .. } | Self::Invalid { .. } => None,
        }
    }
}

fn at(path: &str) -> String {
    if path.is_empty() || path == "." { String::new() } else { format!("`{path}`: ") }
}

/// Reads and checks the text of a `rig.yaml`. A file without content means the defaults.
///
/// # Errors
/// The first thing that is wrong with the text.
pub fn parse(text: &str, file: &Path) -> Result<Config, ConfigError> {
    if text
        .lines()
        .all(|line| matches!(line.trim_start_matches('\u{feff}').trim(), "" | "---" | "...") || is_comment(line))
    {
        return Ok(Config::default());
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    };
    let mut path = String::new();
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        serde_path_to_error::deserialize::<_, Config>(deserializer).map_err(|error| {
            path = error.path().to_string();
            error.into_inner()
        })
    });
    let config = parsed.map_err(|error| explain(&error, &path, file))?;
    checks::check(&config).map_err(|problem| problem.locate(text, file))?;
    Ok(config)
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

fn explain(error: &YamlError, path: &str, file: &Path) -> ConfigError {
    let error = error.without_snippet();
    let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
    let place = Place { file: file.to_path_buf(), line };
    if let YamlError::SerdeUnknownField { field, expected, .. } = error {
        let nearest = nearest(field, expected.iter().copied());
        return ConfigError::UnknownKey { place, key: plain(field), nearest, known: expected.clone() };
    }
    let path = path.trim_matches(['.', '?']).to_owned();
    let shape = match error {
        YamlError::InvalidScalar { ty: "u16", .. } => Some("a whole number from 0 to 65535"),
        YamlError::InvalidScalar { ty: "u32", .. } => Some("a whole number from 0 to 4294967295"),
        YamlError::Unexpected { expected: "sequence start", .. } => Some("a list"),
        YamlError::Unexpected { expected: "mapping start", .. } => Some("a mapping (`key: value`)"),
        _ => None,
    };
    if shape.is_none() && path.starts_with("tenants.") && (path.contains(".tokens[") || path.contains(".approvers[")) {
        // Not what stands there: it may be the token itself.
        let message = "expected the hash of a token, `sha256:` and 64 hex digits, as `rig tenant new` prints it".into();
        return ConfigError::Malformed { place, path, message };
    }
    if let Some(shape) = shape {
        return ConfigError::Malformed { place, path, message: format!("expected {shape}") };
    }
    // The place is said in front; the renderer of the parser would say it again after its first line.
    let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let message = message.lines().next().unwrap_or_default();
    let message = message.split(" at line ").next().unwrap_or_default().trim_end_matches([',', ':', ' ']);
    ConfigError::Malformed { place, path, message: plain(message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> (String, Option<String>) {
        let error = parse(text, Path::new("rig.yaml")).unwrap_err();
        (error.to_string(), error.hint())
    }

    #[test]
    fn files_without_content_mean_the_defaults() {
        for text in ["", "\n", "# nothing\n", "---\n", "\u{feff}# x\r\n", "{}", "---\n{}\n"] {
            assert_eq!(parse(text, Path::new("rig.yaml")), Ok(Config::default()), "{text:?}");
        }
    }

    #[test]
    fn unknown_keys_are_named_with_their_line_and_the_nearest_key() {
        let cases = [
            ("packs: []\npolcy:\n  retries: 1\n", "rig.yaml:2: unknown key `polcy`", "did you mean `policy`?"),
            (
                "# c\npolicy:\n  retries: 1\n  allowed_tool: []\n",
                "rig.yaml:4: unknown key `allowed_tool`",
                "did you mean `allowed_tools`?",
            ),
            ("zzzzzzzzzz: 1\n", "rig.yaml:1: unknown key `zzzzzzzzzz`", "the keys known here are: packs, "),
            ("server:\n  hots: x\n", "rig.yaml:2: unknown key `hots`", "did you mean `host`?"),
            ("server: { prot: 1 }\n", "rig.yaml:1: unknown key `prot`", "did you mean `port`?"),
        ];
        for (text, message, hint) in cases {
            let (found, next) = error(text);
            assert_eq!(found, message, "{text:?}");
            assert!(next.as_deref().is_some_and(|next| next.starts_with(hint)), "{text:?}: {next:?}");
        }
    }

    #[test]
    fn wrong_shapes_name_line_and_path() {
        let cases = [
            (
                "policy:\n  retries: many\n",
                "rig.yaml:2: `policy.retries`: expected a whole number from 0 to 4294967295",
            ),
            ("policy:\n  denied_tools: 5\n", "rig.yaml:2: `policy.denied_tools`: expected a list"),
            ("packs:\n  - Bad\n", "rig.yaml:2: `packs[0]`: `Bad` is not a pack id"),
            ("limits:\n  memory: 64 MB\n", "rig.yaml:2: `limits.memory`: `64 MB` is not a size"),
            ("policy:\n  require_approval_for: [mony]\n", "rig.yaml:2: `policy.require_approval_for[0]"),
            ("server:\n  port: 70000\n", "rig.yaml:2: `server.port`: expected a whole number from 0 to 65535"),
            ("- a\n- b\n", "rig.yaml:1: expected a mapping (`key: value`)"),
            ("just text\n", "rig.yaml:1: expected a mapping (`key: value`)"),
            ("packs: []\npacks: []\n", "rig.yaml:2: "),
            ("packs: [\n", "rig.yaml:"),
            ("a: 1\n---\nb: 2\n", "rig.yaml:"),
            ("packs: []\n---\npacks: []\n", "rig.yaml:3: only single YAML document expected"),
        ];
        for (text, message) in cases {
            let Err(found) = parse(text, Path::new("rig.yaml")) else { panic!("{text:?} passed") };
            let found = found.to_string();
            assert!(found.starts_with(message) && found.lines().count() == 1, "{text:?}: {found}");
            assert!(found.len() > "rig.yaml:1: ".len() + 5, "{text:?}: {found}");
        }
    }
}

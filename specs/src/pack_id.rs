//! The id of a pack: the one name that appears in tool names, file names and URLs, so it is checked before any of them is made.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A pack id: matches `^[a-z][a-z0-9-]{0,63}$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackId(String);

/// A text that is not a pack id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a pack id: an id starts with a lower-case letter and has at most 64 lower-case letters, digits and hyphens"
)]
pub struct PackIdError(String);

impl PackId {
    /// The regular expression that every id matches.
    pub const PATTERN: &str = "^[a-z][a-z0-9-]{0,63}$";

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the pack that a tool named `pack.noun.verb` belongs to, when the name has such a form.
    #[must_use]
    pub fn of_tool(tool: &str) -> Option<Self> {
        let (pack, rest) = tool.split_once('.')?;
        if rest.is_empty() { None } else { pack.parse().ok() }
    }
}

impl FromStr for PackId {
    type Err = PackIdError;

    fn from_str(text: &str) -> Result<Self, PackIdError> {
        let mut bytes = text.bytes();
        let first_is_letter = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        let rest_fits = bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if first_is_letter && rest_fits && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(PackIdError(text.escape_debug().take(80).collect()))
        }
    }
}

impl TryFrom<String> for PackId {
    type Error = PackIdError;

    fn try_from(text: String) -> Result<Self, PackIdError> {
        text.parse()
    }
}

impl From<PackId> for String {
    fn from(id: PackId) -> Self {
        id.0
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for PackId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PackId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": Self::PATTERN })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        for good in ["a", "stripe", "a1-b2", &"a".repeat(64)] {
            assert_eq!(good.parse::<PackId>().map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "A", "1a", "-a", "a_b", "a.b", "../a", "a/b", "a b", "é", "a\n", &"a".repeat(65)] {
            assert!(bad.parse::<PackId>().is_err(), "{bad:?} passed");
        }
    }

    #[test]
    fn tools_name_their_pack() {
        assert_eq!(PackId::of_tool("github.issues.create").unwrap().as_str(), "github");
        for bad in ["github", "github.", ".x", "Git.x", ""] {
            assert_eq!(PackId::of_tool(bad), None, "{bad:?}");
        }
    }
}

//! A pack with one tool: it counts the words of a text.

use std::collections::BTreeSet;

use rig_sdk::{Error, Result, tool};
use schemars::JsonSchema;
use serde::Serialize;

/// The counts.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Counts {
    /// How many words there are.
    pub words: usize,
    /// How many different words there are.
    pub different: usize,
}

/// Counts the words of a text, and the different ones among them. Upper and lower case are the same.
#[tool(name = "words.text.count", title = "Count words", risk = "read", idempotent)]
pub fn count(
    /// The text.
    text: String,
) -> Result<Counts> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    if words.is_empty() {
        return Err(Error::validation("the text has no words").hint("send a text with at least one word"));
    }
    Ok(Counts { words: words.len(), different: words.iter().collect::<BTreeSet<_>>().len() })
}

rig_sdk::export!(count);

#[cfg(test)]
mod tests {
    #[test]
    fn counts() {
        let counts = super::count("To be or not to be".into()).unwrap();
        assert_eq!((counts.words, counts.different), (6, 4));
    }
}

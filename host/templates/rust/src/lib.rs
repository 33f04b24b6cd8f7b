//! Two tools: one asks a web API, the other only computes.

use rig_sdk::{Error, Result, http, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A repository on GitHub.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Repository {
    /// Its owner and its name.
    pub full_name: String,
    /// How many people starred it.
    pub stargazers_count: u64,
    /// The language that most of it is written in; null when there is none.
    pub language: Option<String>,
}

/// Tells how many people starred a repository on GitHub, and in which language most of it is written.
#[tool(
    name = "{{id}}.repo.get",
    title = "Look at a repository",
    risk = "read",
    tags = ["github"],
    idempotent,
    example(description = "The Rust compiler", args = r#"{"owner": "rust-lang", "name": "rust"}"#)
)]
pub fn get_repo(
    /// Who the repository belongs to.
    owner: String,
    /// The name of the repository.
    name: String,
) -> Result<Repository> {
    let response = http::get("https://api.github.com").path(&["repos", &owner, &name]).send()?;
    match response.status() {
        200 => response.json(),
        404 => Err(Error::not_found(format!("GitHub has no public repository {owner}/{name}")).upstream_code(404)),
        status => Err(response.failure(format!("GitHub answered {status}"))),
    }
}

/// How often what occurs in a text.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Counts {
    /// How many words there are.
    pub words: usize,
    /// How many characters there are, spaces included.
    pub characters: usize,
}

/// Counts the words and the characters of a text.
#[tool(
    name = "{{id}}.text.count",
    title = "Count words",
    risk = "read",
    tags = ["text"],
    idempotent,
    example(
        description = "A short text",
        args = r#"{"text": "to be or not to be"}"#,
        output = r#"{"words": 6, "characters": 18}"#
    )
)]
pub fn count(
    /// The text.
    text: String,
) -> Result<Counts> {
    let words = text.split_whitespace().count();
    if words == 0 {
        return Err(Error::validation("the text has no words").hint("send a text with at least one word"));
    }
    Ok(Counts { words, characters: text.chars().count() })
}

rig_sdk::export!(get_repo, count);

#[cfg(test)]
mod tests {
    use rig_sdk::mock;

    #[test]
    fn counts() {
        assert_eq!(super::count("one two".into()).unwrap(), super::Counts { words: 2, characters: 7 });
    }

    #[test]
    fn names_are_encoded() {
        let mock = mock::http(|_| Ok(mock::Response::new(404)));
        let error = super::get_repo("a/b".into(), "x y".into()).unwrap_err();
        assert_eq!(error.kind(), rig_sdk::ErrorKind::NotFound);
        assert_eq!(mock.requests()[0].path(), "/repos/a%2Fb/x%20y");
    }
}

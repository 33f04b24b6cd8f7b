//! A pack with one tool: it tells how many people starred a repository on GitHub.

use rig_sdk::{Result, http, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A repository.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Repository {
    /// Its owner and its name.
    pub full_name: String,
    /// How many people starred it.
    pub stargazers_count: u64,
}

/// Tells how many people starred a repository on GitHub.
#[tool(name = "stars.repo.get", risk = "read", slots = ["GITHUB_TOKEN"], idempotent)]
pub fn get(
    /// Who the repository belongs to.
    owner: String,
    /// The name of the repository.
    name: String,
) -> Result<Repository> {
    let response = http::get("https://api.github.com").path(&["repos", &owner, &name]).send()?;
    if !response.is_success() {
        return Err(response.failure(format!("GitHub answered {}", response.status())));
    }
    response.json()
}

rig_sdk::export!(get);

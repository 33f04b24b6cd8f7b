//! What the tools answer: the part of GitHub's objects that a caller acts on.
//!
//! Only what names the object must be there. A write has happened when GitHub answers, so an answer that lacks a detail is no failure:
//! the detail is null.

use rig_sdk::json::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// An issue.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Issue {
    /// The number within the repository.
    pub number: u64,
    /// The page of the issue; null when GitHub sends none.
    #[serde(rename(deserialize = "html_url"))]
    pub url: Option<String>,
    /// The title; null when GitHub sends none.
    pub title: Option<String>,
    /// `open` or `closed`; null when GitHub sends none.
    pub state: Option<String>,
    /// The text; null when there is none.
    pub body: Option<String>,
    /// Names of labels.
    #[serde(default, deserialize_with = "label_names")]
    pub labels: Vec<String>,
    /// The login of the author; null when the account is gone.
    #[serde(default, rename(deserialize = "user"), deserialize_with = "login")]
    pub author: Option<String>,
    /// When it was created (RFC 3339); null when GitHub sends none.
    pub created_at: Option<String>,
}

/// A comment.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Comment {
    /// GitHub's id of the comment.
    pub id: u64,
    /// The comment on its page; null when GitHub sends none.
    #[serde(rename(deserialize = "html_url"))]
    pub url: Option<String>,
    /// The text; null when GitHub sends none.
    pub body: Option<String>,
    /// The login of the author; null when the account is gone.
    #[serde(default, rename(deserialize = "user"), deserialize_with = "login")]
    pub author: Option<String>,
    /// When it was created (RFC 3339); null when GitHub sends none.
    pub created_at: Option<String>,
}

/// A pull request.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PullRequest {
    /// The number within the repository.
    pub number: u64,
    /// The page of the pull request; null when GitHub sends none.
    #[serde(rename(deserialize = "html_url"))]
    pub url: Option<String>,
    /// The title; null when GitHub sends none.
    pub title: Option<String>,
    /// `open` or `closed`; null when GitHub sends none.
    pub state: Option<String>,
    /// Whether it is a draft.
    #[serde(default)]
    pub draft: bool,
    /// The branch with the changes, as `owner:branch`; null when GitHub sends none.
    #[serde(default, deserialize_with = "branch")]
    pub head: Option<String>,
    /// The branch to merge into, as `owner:branch`; null when GitHub sends none.
    #[serde(default, deserialize_with = "branch")]
    pub base: Option<String>,
    /// The text; null when there is none.
    pub body: Option<String>,
    /// The login of the author; null when the account is gone.
    #[serde(default, rename(deserialize = "user"), deserialize_with = "login")]
    pub author: Option<String>,
    /// When it was created (RFC 3339); null when GitHub sends none.
    pub created_at: Option<String>,
    /// When it last changed (RFC 3339); null when GitHub sends none.
    pub updated_at: Option<String>,
    /// When it was merged (RFC 3339); null when it was not.
    pub merged_at: Option<String>,
}

/// Pull requests of a repository.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PullRequests {
    /// The pull requests, newest first.
    pub pull_requests: Vec<PullRequest>,
    /// Whether the repository has more than were asked for.
    pub has_more: bool,
}

/// A user as GitHub sends it, or null, as its login.
fn login<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct User {
        login: String,
    }
    Ok(Option::<User>::deserialize(deserializer)?.map(|user| user.login))
}

/// A branch as GitHub sends it, as its label. GitHub sends no label for a deleted fork; the branch's own name remains.
fn branch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Branch {
        label: Option<String>,
        r#ref: Option<String>,
    }
    Ok(Option::<Branch>::deserialize(deserializer)?.and_then(|branch| branch.label.or(branch.r#ref)))
}

/// Labels as GitHub sends them, objects or plain names, as their names.
fn label_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let labels = Vec::<Value>::deserialize(deserializer)?;
    Ok(labels.iter().filter_map(|label| label.as_str().or(label["name"].as_str())).map(str::to_owned).collect())
}

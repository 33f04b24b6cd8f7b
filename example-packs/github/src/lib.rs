//! Issues and pull requests on GitHub, over its REST API (version 2022-11-28).
//!
//! The pack sees no token: the host adds it to the requests to `api.github.com`. Redirects are not followed, because they lead to
//! paths that the manifest does not ask for; a moved repository is answered as such.

mod api;
mod failure;
mod model;
mod repo;

use rig_sdk::{Result, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use model::{Comment, Issue, PullRequest, PullRequests};
use repo::Repo;

/// The most pull requests that one call lists: five pages of GitHub's own maximum, about 10 MiB of answers.
const LIST_LIMIT: u32 = 500;

/// What GitHub puts on one page at most.
const PAGE_LIMIT: u32 = 100;

/// Creates an issue in a repository. It notifies the people who watch the repository, so search for a duplicate first.
#[tool(
    name = "github.issues.create",
    title = "Create an issue",
    risk = "write",
    tags = ["issues"],
    slots = ["GITHUB_TOKEN"],
    example(
        description = "An issue with a label",
        args = r#"{"repo": "octocat/hello-world", "title": "Found a bug", "body": "It fails.", "labels": ["bug"]}"#
    )
)]
pub fn create_issue(
    /// The repository, as `owner/name`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+/[A-Za-z0-9._-]+$"))]
    repo: String,
    /// The title.
    #[schemars(length(min = 1))]
    title: String,
    /// The text, in GitHub's Markdown.
    body: Option<String>,
    /// Names of labels. GitHub drops them without a word when the token's owner cannot push to the repository.
    labels: Option<Vec<String>>,
) -> Result<Issue> {
    #[derive(Serialize)]
    struct NewIssue {
        title: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        labels: Option<Vec<String>>,
    }
    let repo = Repo::parse(&repo)?;
    api::send(api::post(&repo, &["issues"]).json(&NewIssue { title, body, labels }))?.json()
}

/// Adds a comment to an issue or a pull request. It notifies the people who follow it.
#[tool(
    name = "github.issues.comment",
    title = "Comment on an issue",
    risk = "write",
    tags = ["issues", "pull-requests"],
    slots = ["GITHUB_TOKEN"],
    example(
        description = "A comment on issue 7",
        args = r#"{"repo": "octocat/hello-world", "issue_number": 7, "body": "Fixed in 1.2."}"#
    )
)]
pub fn comment_issue(
    /// The repository, as `owner/name`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+/[A-Za-z0-9._-]+$"))]
    repo: String,
    /// The number of the issue or the pull request.
    #[schemars(range(min = 1))]
    issue_number: u64,
    /// The text, in GitHub's Markdown.
    #[schemars(length(min = 1))]
    body: String,
) -> Result<Comment> {
    #[derive(Serialize)]
    struct NewComment {
        body: String,
    }
    let repo = Repo::parse(&repo)?;
    let number = issue_number.to_string();
    api::send(api::post(&repo, &["issues", &number, "comments"]).json(&NewComment { body }))?.json()
}

/// Opens a pull request from a branch that is already pushed.
#[tool(
    name = "github.pulls.create",
    title = "Open a pull request",
    risk = "write",
    tags = ["pull-requests"],
    slots = ["GITHUB_TOKEN"],
    example(
        description = "From the branch `fix` into `main`",
        args = r#"{"repo": "octocat/hello-world", "title": "Fix the bug", "head": "fix"}"#
    )
)]
pub fn create_pull(
    /// The repository, as `owner/name`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+/[A-Za-z0-9._-]+$"))]
    repo: String,
    /// The title.
    #[schemars(length(min = 1))]
    title: String,
    /// The branch with the changes; `user:branch` when it is in a fork.
    #[schemars(length(min = 1))]
    head: String,
    /// The branch to merge into.
    #[tool(default = "main")]
    #[schemars(length(min = 1))]
    base: String,
    /// The text, in GitHub's Markdown.
    body: Option<String>,
) -> Result<PullRequest> {
    #[derive(Serialize)]
    struct NewPull {
        title: String,
        head: String,
        base: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    }
    let repo = Repo::parse(&repo)?;
    api::send(api::post(&repo, &["pulls"]).json(&NewPull { title, head, base, body }))?.json()
}

/// Lists the pull requests of a repository, newest first.
#[tool(
    name = "github.pulls.list",
    title = "List pull requests",
    risk = "read",
    tags = ["pull-requests"],
    slots = ["GITHUB_TOKEN"],
    idempotent,
    example(
        description = "The ten newest pull requests, merged and closed ones too",
        args = r#"{"repo": "octocat/hello-world", "state": "all", "limit": 10}"#
    )
)]
pub fn list_pulls(
    /// The repository, as `owner/name`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+/[A-Za-z0-9._-]+$"))]
    repo: String,
    /// Which pull requests to list.
    #[tool(default = State::Open)]
    state: State,
    /// How many to list at most.
    #[tool(default = 30)]
    #[schemars(range(min = 1, max = LIST_LIMIT))]
    limit: u32,
) -> Result<PullRequests> {
    let repo = Repo::parse(&repo)?;
    let limit = limit.clamp(1, LIST_LIMIT);
    // Pages of equal size, as few as possible: 150 are two pages of 75.
    let pages = limit.div_ceil(PAGE_LIMIT);
    let per_page = limit.div_ceil(pages);
    let mut pull_requests: Vec<PullRequest> = Vec::new();
    let mut has_more = true;
    let mut page = 0;
    while has_more && page < pages {
        page += 1;
        let request =
            api::get(&repo, &["pulls"]).query("state", state.as_str()).query("per_page", per_page).query("page", page);
        let response = api::send(request)?;
        let items: Vec<PullRequest> = response.json()?;
        has_more = api::has_next_page(&response);
        pull_requests.extend(items);
    }
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    has_more |= pull_requests.len() > wanted;
    pull_requests.truncate(wanted);
    Ok(PullRequests { pull_requests, has_more })
}

/// Which pull requests to list. Its variants have no comments, so that its schema is a plain list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the variants are GitHub's own words")]
pub enum State {
    Open,
    Closed,
    All,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::All => "all",
        }
    }
}

rig_sdk::export!(create_issue, comment_issue, create_pull, list_pulls);

#[cfg(test)]
mod tests;

//! Requests to GitHub's REST API.

use rig_sdk::{
    Result,
    http::{self, Request, Response},
};

use crate::{failure, repo::Repo};

const BASE: &str = "https://api.github.com";

/// GitHub refuses requests without one.
const USER_AGENT: &str = concat!("rig-pack-github/", env!("CARGO_PKG_VERSION"));

pub(crate) fn get(repo: &Repo<'_>, rest: &[&str]) -> Request {
    request("GET", repo, rest)
}

pub(crate) fn post(repo: &Repo<'_>, rest: &[&str]) -> Request {
    request("POST", repo, rest)
}

fn request(method: &str, repo: &Repo<'_>, rest: &[&str]) -> Request {
    http::request(method, BASE)
        .path(&["repos", repo.owner, repo.name])
        .path(rest)
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        .header("user-agent", USER_AGENT)
}

/// Sends a request; a response that is not a success becomes the error that it stands for.
pub(crate) fn send(request: Request) -> Result<Response> {
    let response = request.send()?;
    if response.is_success() { Ok(response) } else { Err(failure::of(&response)) }
}

/// Whether the `Link` header names a next page. Its URL is not used: it goes by the repository's id, which the manifest does not
/// ask for.
pub(crate) fn has_next_page(response: &Response) -> bool {
    response.header("link").is_some_and(|link| link.split(',').any(|part| part.contains("rel=\"next\"")))
}

//! Trades what the user has for an access token of a registry, as registries want it: the token server is named in the challenge, is
//! asked with the password or the identity token, or with nothing for what anybody may have. Its redirects are not followed.

use std::time::{Duration, Instant};

use http::{
    HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde::Deserialize;
use url::Url;

use super::{
    super::super::{Error, inject::registry as inject, limits},
    Challenge, Gate, Pass, Repository, check, refuse_step,
};
use crate::secrets::{Secret, docker::Login};

/// How long a token is good whose server does not say so: what the protocol's own page gives.
const USUAL: u64 = 60;

/// The answer of a token server. Servers differ in the name of the token.
#[derive(Deserialize)]
struct Minted {
    token: Option<Secret>,
    access_token: Option<Secret>,
    expires_in: Option<u64>,
}

impl Gate {
    /// A pass from the token server that a registry names. None when nobody is let in without credentials, and there are none.
    pub(super) async fn trade(
        &self,
        repository: &Repository,
        challenge: &Challenge,
        login: Option<Login>,
    ) -> Result<Option<Pass>, Error> {
        let refuse = |why: String| Error::Login { registry: repository.name.clone(), why };
        let realm = challenge.get("realm").and_then(|realm| Url::parse(realm).ok());
        let mut url = realm.ok_or_else(|| refuse("it names no token server that is a URL".into()))?;
        check(&url)?;
        refuse_step(&repository.base, &url)?;
        let scope = challenge.get("scope").map_or_else(
            || format!("repository:{}:{}", repository.path, if repository.writes { "pull,push" } else { "pull" }),
            str::to_owned,
        );
        let server = url.host_str().unwrap_or_default().to_owned();
        let client = self.downloads()?;
        let service = challenge.get("service").unwrap_or_default();
        let request = match &login {
            Some(login @ Login::Identity(_)) => {
                let form = inject::refresh_form(login, service, &scope);
                let form =
                    form.ok_or_else(|| refuse("the docker configuration's token for it cannot be sent".into()))?;
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                client.post(url.clone()).header(CONTENT_TYPE, kind).body(form)
            }
            login => {
                if !service.is_empty() {
                    url.query_pairs_mut().append_pair("service", service);
                }
                url.query_pairs_mut().append_pair("scope", &scope);
                let request = client.get(url.clone());
                match login.as_ref().and_then(inject::basic) {
                    Some(header) => request.header(AUTHORIZATION, header),
                    None => request,
                }
            }
        };
        let mut response = self.answered(request, &url, 0).await?;
        match response.status().as_u16() {
            200 => {}
            401 | 403 if login.is_none() => return Ok(None),
            400 | 401 | 403 => {
                return Err(refuse(format!(
                    "its token server {server} refuses what the docker configuration has for it"
                )));
            }
            status @ 300..400 => {
                return Err(refuse(format!(
                    "its token server {server} leads elsewhere (status {status}), and credentials do not go there"
                )));
            }
            status => return Err(refuse(format!("its token server {server} answered with status {status}"))),
        }
        let mut body = zeroize::Zeroizing::new(Vec::new());
        loop {
            let chunk = tokio::time::timeout(limits::DOWNLOAD_STALL, response.chunk()).await;
            let Ok(Ok(chunk)) = chunk else {
                return Err(refuse(format!("its token server {server} broke off its answer")));
            };
            let Some(chunk) = chunk else { break };
            body.extend_from_slice(&chunk);
            if body.len() > limits::REGISTRY_ERROR {
                return Err(refuse(format!("its token server {server} answers without end")));
            }
        }
        // Neither the answer nor the parser's message is shown: both may hold the token.
        let answer = serde_json::from_slice::<Minted>(&body).ok();
        let good_for = answer.as_ref().and_then(|answer| answer.expires_in).unwrap_or(USUAL).max(USUAL);
        let token = answer.and_then(|answer| answer.token.or(answer.access_token)).map(Login::Token);
        let header = token.as_ref().and_then(inject::bearer);
        let (Some(token), Some(header)) = (token, header) else {
            return Err(refuse(format!("its token server {server} answered without a token")));
        };
        let good_for = Duration::from_secs(good_for).min(limits::REGISTRY_TOKEN);
        Ok(Some(Pass {
            header,
            redactor: inject::redactor(&token, login.as_ref()),
            of_user: login.is_some(),
            good_until: Instant::now() + good_for.saturating_sub(limits::REGISTRY_MARGIN),
        }))
    }
}

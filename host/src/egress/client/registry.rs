//! Requests to OCI registries, for installing and publishing. Who the user is there is said only when the registry asks (status 401),
//! only to the registry itself, and to the token server that it names: a redirect, or an upload that goes elsewhere, carries no
//! credentials to another host. What a registry says in an error is cleared of the credentials that it was sent.
//!
//! Nothing here knows manifests or tags.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE},
};
use url::Url;

use super::{
    super::{Error, HttpError, Redactor, inject::registry as inject, limits},
    Gate,
    download::{Download, check, shown, stalled},
    failure, is_local,
};
use crate::secrets::docker::{Docker, Login};

mod challenge;
mod token;

use challenge::{Challenge, Scheme};

/// A repository of a registry, and what is done there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repository {
    /// The registry: scheme, host and port.
    pub base: Url,
    /// The registry as the docker configuration names it.
    pub name: String,
    /// The repository in it.
    pub path: String,
    /// Whether something is pushed.
    pub writes: bool,
}

/// A request to a registry.
#[derive(Debug, Clone)]
pub struct RegistryRequest {
    /// Who is asked. Credentials go there and nowhere else.
    pub repository: Repository,
    /// The method.
    pub method: Method,
    /// What is asked for; in most cases at the registry itself.
    pub url: Url,
    /// Headers, without credentials.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Bytes>,
}

/// The answer, redirects followed.
pub struct RegistryAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The length of the body, when announced.
    pub length: Option<u64>,
    /// Where it came from in the end.
    pub url: Url,
    /// Whether that is another host than the registry's.
    pub strayed: bool,
    /// Whether the registry was sent credentials of the user.
    pub known: bool,
    /// The body. That of an error is short, and holds no credentials.
    pub body: BoxStream<'static, Result<Bytes, Error>>,
}

/// What registries were told, kept for the requests that follow.
#[derive(Debug, Default)]
pub(in crate::egress) struct Logins(Mutex<BTreeMap<Repository, Arc<Pass>>>);

/// What lets a request in.
#[derive(Debug)]
struct Pass {
    header: HeaderValue,
    /// Finds the credentials in what comes back.
    redactor: Redactor,
    /// Whether it stands for the user, or for anybody.
    of_user: bool,
    good_until: Instant,
}

impl Logins {
    fn get(&self, repository: &Repository) -> Option<Arc<Pass>> {
        let passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passes.get(repository).filter(|pass| Instant::now() < pass.good_until).cloned()
    }

    fn set(&self, repository: &Repository, pass: &Arc<Pass>) {
        let mut passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passes.insert(repository.clone(), Arc::clone(pass));
    }
}

impl Gate {
    /// Sends a request to a registry; when it asks who is there, says so and sends it again.
    ///
    /// # Errors
    /// When there is no answer, a redirect leads where nothing is fetched from, or the user's credentials cannot be had. A status that
    /// is no success is not an error here.
    pub async fn registry(&self, request: &RegistryRequest) -> Result<RegistryAnswer, Error> {
        self.refuse_offline().map_err(|cause| Error::Download { url: shown(&request.url), cause })?;
        let pass = self.logins.get(&request.repository);
        let first = self.follow(request, pass.as_deref()).await?;
        let asked = first.download.status == 401 && !first.strayed;
        if !asked {
            return first.into_answer(pass.as_deref()).await;
        }
        let challenges = challenge::all(first.headers.get_all(WWW_AUTHENTICATE).iter());
        let Some(new) = self.pass(&request.repository, &challenges).await?.map(Arc::new) else {
            return first.into_answer(pass.as_deref()).await;
        };
        let second = self.follow(request, Some(&new)).await?;
        if second.download.status != 401 {
            self.logins.set(&request.repository, &new);
        }
        second.into_answer(Some(&new)).await
    }

    /// One request with the redirects that follow from it.
    async fn follow(&self, request: &RegistryRequest, pass: Option<&Pass>) -> Result<Exchange, Error> {
        let mut url = request.url.clone();
        let home = request.repository.base.origin();
        if url.origin() != home {
            refuse_step(&request.repository.base, &url)?;
        }
        for _ in 0..=limits::DOWNLOAD_REDIRECTS {
            let at_home = url.origin() == home;
            let response = self.send_one(request, &url, pass.filter(|_| at_home)).await?;
            let may_follow = matches!(request.method, Method::GET | Method::HEAD) && response.status().is_redirection();
            let location = response.headers().get(LOCATION).filter(|_| may_follow).cloned();
            let Some(location) = location else {
                let headers = response.headers().clone();
                return Ok(Exchange { headers, strayed: !at_home, download: Download::of(response, url) });
            };
            let next = location.to_str().ok().and_then(|location| url.join(location).ok());
            let Some(next) = next else {
                let cause = HttpError::Protocol("it redirects to something that is not a URL".into());
                return Err(Error::Download { url: shown(&url), cause });
            };
            refuse_step(&url, &next)?;
            url = next;
        }
        let cause = HttpError::Protocol(format!("more than {} redirects", limits::DOWNLOAD_REDIRECTS));
        Err(Error::Download { url: shown(&url), cause })
    }

    async fn send_one(
        &self,
        request: &RegistryRequest,
        url: &Url,
        pass: Option<&Pass>,
    ) -> Result<reqwest::Response, Error> {
        check(url)?;
        let mut sent = self.downloads()?.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        if let Some(pass) = pass {
            sent = sent.header(AUTHORIZATION, pass.header.clone());
        }
        let size = request.body.as_ref().map_or(0, Bytes::len);
        if let Some(body) = &request.body {
            sent = sent.body(body.clone());
        }
        self.answered(sent, url, size).await
    }

    /// The head of the answer. The time for it grows with what is sent.
    async fn answered(
        &self,
        sent: reqwest::RequestBuilder,
        url: &Url,
        size: usize,
    ) -> Result<reqwest::Response, Error> {
        let failed = |cause| Error::Download { url: shown(url), cause };
        let time = limits::DOWNLOAD_STALL + limits::upload_time(size);
        match tokio::time::timeout(time, sent.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let host = url.host_str().unwrap_or_default();
                Err(failed(failure::describe(error, host, self.proxy_shown().as_deref())))
            }
            Err(_) => Err(failed(stalled())),
        }
    }

    /// What the registry wants to see, if the user, or anybody, has it.
    async fn pass(&self, repository: &Repository, challenges: &[Challenge]) -> Result<Option<Pass>, Error> {
        let bearer = challenges.iter().find(|challenge| challenge.scheme == Scheme::Bearer);
        let basic = challenges.iter().any(|challenge| challenge.scheme == Scheme::Basic);
        if bearer.is_none() && !basic {
            return Ok(None);
        }
        let name = repository.name.clone();
        // A helper may ask a person, and a file may lie on a network.
        let login = tokio::task::spawn_blocking(move || Docker::of_user().login(&name)).await;
        let login = login.map_err(|error| Error::Client(error.to_string()))??;
        let refuse = |why: &str| Err(Error::Login { registry: repository.name.clone(), why: why.into() });
        match (bearer, login) {
            (Some(_), Some(login @ Login::Token(_))) => Ok(inject::bearer(&login).map(|header| Pass {
                header,
                redactor: inject::redactor(&login, None),
                of_user: true,
                good_until: Instant::now() + limits::REGISTRY_TOKEN,
            })),
            (Some(challenge), login) => self.trade(repository, challenge, login).await,
            (None, None) => Ok(None),
            (None, Some(login)) => match inject::basic(&login) {
                Some(header) => Ok(Some(Pass {
                    header,
                    redactor: inject::redactor(&login, None),
                    of_user: true,
                    good_until: Instant::now() + limits::REGISTRY_TOKEN,
                })),
                None => refuse("it wants a name and a password, and the docker configuration has a token for it"),
            },
        }
    }
}

/// An answer whose body is still on its way.
struct Exchange {
    headers: HeaderMap,
    strayed: bool,
    download: Download,
}

impl Exchange {
    async fn into_answer(self, pass: Option<&Pass>) -> Result<RegistryAnswer, Error> {
        let Self { mut headers, strayed, mut download } = self;
        // Only the challenge itself is of use, and it was.
        headers.remove(WWW_AUTHENTICATE);
        let (status, length, url) = (download.status, download.length, download.url.clone());
        let body = if status >= 400 {
            let mut said = Vec::new();
            // An error that breaks off, or never ends, says what came of it.
            while let Ok(Some(chunk)) = download.chunk().await {
                said.extend_from_slice(&chunk);
                if said.len() >= limits::REGISTRY_ERROR {
                    said.truncate(limits::REGISTRY_ERROR);
                    break;
                }
            }
            let said = pass.map_or_else(|| said.clone(), |pass| pass.redactor.bytes(said.clone()));
            stream::iter([Ok(Bytes::from(said))]).boxed()
        } else {
            download.into_stream().boxed()
        };
        let known = pass.is_some_and(|pass| pass.of_user);
        Ok(RegistryAnswer { status, headers, length, url, strayed, known, body })
    }
}

/// From https nothing leads to http, and from elsewhere nothing to this machine, where services trust their neighbours.
fn refuse_step(from: &Url, to: &Url) -> Result<(), Error> {
    let local = |url: &Url| url.host_str().is_some_and(is_local);
    let why = if from.scheme() == "https" && to.scheme() != "https" {
        format!("{} leads to it, from https to {}", shown(from), to.scheme())
    } else if local(to) && !local(from) {
        format!("{} leads to it, from elsewhere to this machine", shown(from))
    } else {
        return Ok(());
    };
    Err(Error::Url { url: shown(to), why })
}

//! Downloads through the egress gate, with the project's proxy and certificate authorities.

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture};
use url::Url;

use super::{
    Download, Downloader,
    net::{FromRegistry, NoAnswer, Rest},
};
use crate::egress::{Error, Gate, RegistryRequest};

impl Downloader for Gate {
    fn download<'a>(&'a self, url: &'a Url, rest: Option<&'a Rest>) -> BoxFuture<'a, Result<Download, NoAnswer>> {
        async move {
            let answer = Self::download(self, url, rest).await.map_err(no_answer)?;
            // A weak one says that two versions mean the same, not that they are the same bytes.
            let strong = answer.etag.as_deref().filter(|etag| etag.starts_with('"'));
            let validator = strong.or(answer.last_modified.as_deref()).map(str::to_owned);
            Ok(Download {
                status: answer.status,
                content_length: answer.length,
                content_type: answer.content_type.clone(),
                content_range: answer.content_range.clone(),
                validator,
                url: answer.url.clone(),
                body: answer.into_stream().map_err(why).boxed(),
            })
        }
        .boxed()
    }

    fn registry<'a>(&'a self, request: &'a RegistryRequest) -> BoxFuture<'a, Result<FromRegistry, NoAnswer>> {
        async move {
            let answer = Self::registry(self, request).await.map_err(no_answer)?;
            Ok(FromRegistry {
                headers: answer.headers,
                strayed: answer.strayed,
                known: answer.known,
                download: Download {
                    status: answer.status,
                    content_length: answer.length,
                    content_type: None,
                    content_range: None,
                    validator: None,
                    url: answer.url,
                    body: answer.body.map_err(why).boxed(),
                },
            })
        }
        .boxed()
    }
}

fn no_answer(error: Error) -> NoAnswer {
    let hint = error.hint().map(str::to_owned);
    NoAnswer { why: why(error), hint }
}

/// The gate's own message begins with the URL, as the caller's does.
fn why(error: Error) -> String {
    match error {
        Error::Download { cause, .. } => cause.to_string(),
        Error::Url { why, .. } | Error::Login { why, .. } => why,
        other => other.to_string(),
    }
}

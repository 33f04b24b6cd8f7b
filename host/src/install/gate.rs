//! Downloads through the egress gate, with the project's proxy and certificate authorities.

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture};
use url::Url;

use super::{
    Download, Downloader,
    net::{FromRegistry, NoAnswer},
};
use crate::egress::{Error, Gate, RegistryRequest};

impl Downloader for Gate {
    fn download<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Download, NoAnswer>> {
        async move {
            let answer = Self::download(self, url).await.map_err(no_answer)?;
            Ok(Download {
                status: answer.status,
                content_length: answer.length,
                content_type: answer.content_type.clone(),
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

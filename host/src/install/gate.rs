//! Downloads through the egress gate, with the project's proxy and certificate authorities.

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture};
use url::Url;

use super::{Download, Downloader, net::NoAnswer};
use crate::egress::{Error, Gate};

impl Downloader for Gate {
    fn download<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Download, NoAnswer>> {
        async move {
            let answer = Self::download(self, url).await.map_err(|error| {
                let hint = error.hint().map(str::to_owned);
                // The gate's own message begins with the URL, as the caller's does.
                let why = match error {
                    Error::Download { cause, .. } => cause.to_string(),
                    Error::Url { why, .. } => why,
                    other => other.to_string(),
                };
                NoAnswer { why, hint }
            })?;
            Ok(Download {
                status: answer.status,
                content_length: answer.length,
                content_type: answer.content_type.clone(),
                url: answer.url.clone(),
                body: answer.into_stream().map_err(|error| error.to_string()).boxed(),
            })
        }
        .boxed()
    }
}

//! Downloads through the egress gate, with the project's proxy and certificate authorities.

use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture};
use url::Url;

use super::{Download, Downloader};
use crate::egress::Gate;

impl Downloader for Gate {
    fn download<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Download, String>> {
        async move {
            let answer = Self::download(self, url).await.map_err(|error| error.to_string())?;
            Ok(Download {
                status: answer.status,
                content_length: answer.length,
                content_type: answer.content_type.clone(),
                body: answer.into_stream().map_err(|error| error.to_string()).boxed(),
            })
        }
        .boxed()
    }
}

//! The way of spans to a collector: the HTTP client of OpenTelemetry's exporter, over the gate like everything that leaves.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use tokio::runtime::Handle;

use super::Gate;

/// The longest answer of a collector: it says how many spans it refused.
const MAX_ANSWER: usize = 64 << 10;

/// Sends what an exporter hands over. The exporter has a thread of its own; requests run where the gateway runs.
#[derive(Debug, Clone)]
pub struct Collector {
    gate: Arc<Gate>,
    runtime: Handle,
}

impl Collector {
    /// Over this gate, from the runtime that this is called in.
    #[must_use]
    pub fn new(gate: Arc<Gate>) -> Self {
        Self { gate, runtime: Handle::current() }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let gate = Arc::clone(&self.gate);
        self.runtime.spawn(async move { gate.collect(request).await }).await?
    }
}

impl Gate {
    async fn collect(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.refuse_offline()?;
        let (head, body) = request.into_parts();
        let url = url::Url::parse(&head.uri.to_string())?;
        let request = self.downloads()?.request(head.method, url).headers(head.headers).body(body);
        let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            if text.len() + chunk.len() > MAX_ANSWER {
                return Err("the collector's answer is too long".into());
            }
            text.extend_from_slice(&chunk);
        }
        let mut answer = Response::new(Bytes::from(text));
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }
}

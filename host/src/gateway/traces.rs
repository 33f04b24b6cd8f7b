//! One span for every call, exported by OTLP over HTTP. Spans hold what the log holds, and never arguments. Exporting is the work of a
//! thread of its own; when the collector does not keep up, spans are dropped and calls are not held up.

use std::{sync::Arc, time::SystemTime};

use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanBuilder, SpanKind, Status, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use rig_specs::rtp::ErrorKind;

use super::report::Asked;
use crate::{
    call::Called,
    egress::{Collector, Gate},
};

/// Where OTLP over HTTP takes spans, below the address of a collector.
const PATH: &str = "/v1/traces";

/// The way to a collector.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// Why spans cannot be exported.
#[derive(Debug, thiserror::Error)]
#[error("spans cannot be sent to {endpoint}: {why}")]
pub struct TraceError {
    endpoint: String,
    why: String,
}

impl TraceError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "name the collector as http://host:4318, in --otlp-endpoint or OTEL_EXPORTER_OTLP_ENDPOINT"
    }
}

impl Traces {
    /// To the collector at an address, for example `http://127.0.0.1:4318`.
    ///
    /// # Errors
    /// When the address cannot be used. Whether somebody listens there shows when spans are sent.
    pub fn new(endpoint: &str, gate: Arc<Gate>) -> Result<Self, TraceError> {
        let failed = |why: String| TraceError { endpoint: endpoint.to_owned(), why };
        let url = url::Url::parse(endpoint).map_err(|error| failed(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(failed("it is neither http nor https".into()));
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(gate))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}{PATH}", endpoint.trim_end_matches('/')))
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let resource = Resource::builder_empty()
            .with_service_name("rig")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        let tracer = provider.tracer("rig");
        Ok(Self { provider, tracer })
    }

    /// A call that has ended now.
    pub(super) fn called(&self, asked: &Asked, called: &Called) {
        let (record, answer, end) = (&called.record, &called.answer, SystemTime::now());
        let known = [
            ("rig.tool", asked.tool(called).map(str::to_owned)),
            ("rig.pack", Some(answer.pack.to_string()).filter(|pack| !pack.is_empty())),
            ("rig.outcome", Some(record.outcome.as_str().to_owned())),
            ("error.type", record.error.map(|kind| kind.as_str().to_owned())),
            ("rig.tenant", asked.tenant.clone()),
            ("rig.actor", asked.actor.clone()),
            ("rig.correlation_id", Some(answer.correlation_id.clone())),
        ];
        let attributes = known.into_iter().filter_map(|(key, value)| Some(KeyValue::new(key, value?)));
        // The tool's name is the caller's word until it is known: span names have few values.
        let name =
            record.tool.as_deref().map_or_else(|| asked.does.to_owned(), |tool| format!("{} {tool}", asked.does));
        let builder = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_start_time(end.checked_sub(record.duration).unwrap_or(end))
            .with_attributes(attributes.collect::<Vec<_>>());
        let mut span = self.tracer.build(builder);
        if let Some(kind) = record.error {
            span.set_status(Status::error(ErrorKind::as_str(kind)));
        }
        span.end_with_timestamp(end);
    }

    /// Sends what is left. Takes as long as the collector does, up to the exporter's own timeout.
    pub(super) async fn finish(&self) {
        let provider = self.provider.clone();
        let done = tokio::task::spawn_blocking(move || provider.shutdown()).await;
        if let Ok(Err(error)) = done {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

//! What the gateway counts, for Prometheus. Every label has few values, whatever callers send: names of tools are those of installed
//! packs, paths are templates. Counts are of the whole gateway; no metric names a tenant.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use http::StatusCode;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, text::encode},
    metrics::{MetricType, TypedMetric, counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::call::Called;

/// Upper ends of the histogram's buckets, in seconds: from a call that stays in the sandbox to the longest calls of slow services.
const BUCKETS: [f64; 14] = [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

/// What stands for tools and packs that do not exist.
const UNKNOWN: &str = "unknown";

/// The counts of one gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Sorted<CallLabels, Counter>,
    durations: Sorted<ToolLabels, Histogram>,
    /// What the two above have for a tool and an outcome, found without making labels.
    tools: Mutex<BTreeMap<String, Vec<Counted>>>,
    in_flight: Gauge,
    waiting: Gauge,
    audit_problem: Gauge,
    reloads: Sorted<ResultLabel, Counter>,
    requests: Sorted<RequestLabels, Counter>,
    connections: Gauge,
    trials: Sorted<TrialLabels, Counter>,
}

/// The counts of one outcome of a tool.
type Counted = (&'static str, Counter, Histogram);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct CallLabels {
    pack: String,
    tool: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct ToolLabels {
    pack: String,
    tool: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct TrialLabels {
    version: &'static str,
    outcome: &'static str,
}

/// What is told when it is asked for and not when it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Calls that wait for a person.
    pub waiting: usize,
    /// Whether rows of the audit log cannot be written.
    pub audit_problem: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("rig");
        let (calls, durations, reloads) = (Sorted::default(), Sorted::default(), Sorted::default());
        let (requests, trials) = (Sorted::default(), Sorted::default());
        let [in_flight, waiting, audit_problem, connections] = std::array::from_fn(|_| Gauge::default());
        registry.register("calls", "Calls of tools that have ended", calls.clone());
        registry.register(
            "call_duration_seconds",
            "How long calls took, from the request to the answer",
            durations.clone(),
        );
        registry.register("calls_in_flight", "Calls that run now", in_flight.clone());
        registry.register("approvals_waiting", "Calls that wait for a person", waiting.clone());
        registry.register(
            "audit_problem",
            "1 while rows of the audit log cannot be written, else 0",
            audit_problem.clone(),
        );
        registry.register("reloads", "Times that changed files of the project were read", reloads.clone());
        registry.register("http_requests", "HTTP requests that were answered", requests.clone());
        registry.register("http_connections", "HTTP connections that are open", connections.clone());
        registry.register("canary_calls", "Calls of packs of which a candidate is on trial", trials.clone());
        let tools = Mutex::default();
        Self {
            registry,
            calls,
            durations,
            tools,
            in_flight,
            waiting,
            audit_problem,
            reloads,
            requests,
            connections,
            trials,
        }
    }
}

impl Metrics {
    /// The text that Prometheus reads (OpenMetrics 1.0).
    #[must_use]
    pub fn text(&self, seen: Seen) -> String {
        self.waiting.set(i64::try_from(seen.waiting).unwrap_or(i64::MAX));
        self.audit_problem.set(i64::from(seen.audit_problem));
        let mut text = String::new();
        // A String takes everything.
        let _ = encode(&mut text, &self.registry);
        text
    }

    pub(super) fn called(&self, called: &Called) {
        let (pack, tool) = match &called.record.tool {
            Some(tool) => (&*called.answer.pack, tool.as_str()),
            None => (UNKNOWN, UNKNOWN),
        };
        let outcome = called.record.outcome.as_str();
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let found = tools.get(tool).and_then(|known| known.iter().find(|(of, ..)| *of == outcome));
        let seconds = called.record.duration.as_secs_f64();
        if let Some((_, counter, histogram)) = found {
            counter.inc();
            histogram.observe(seconds);
            return;
        }
        let (pack, tool) = (pack.to_owned(), tool.to_owned());
        let counter = self.calls.of(CallLabels { pack: pack.clone(), tool: tool.clone(), outcome }, Counter::default);
        let histogram = self.durations.of(ToolLabels { pack, tool: tool.clone() }, || Histogram::new(BUCKETS));
        counter.inc();
        histogram.observe(seconds);
        tools.entry(tool).or_default().push((outcome, counter, histogram));
    }

    pub(super) fn request(&self, route: &'static str, status: StatusCode) {
        self.requests.of(RequestLabels { route, status: status.as_u16() }, Counter::default).inc();
    }

    pub(super) fn reload(&self, served: bool) {
        let result = if served { "served" } else { "refused" };
        self.reloads.of(ResultLabel { result }, Counter::default).inc();
    }

    /// A call of a pack that is on trial, by the version that it ran on.
    pub(super) fn on_trial(&self, version: &'static str, outcome: &'static str) {
        self.trials.of(TrialLabels { version, outcome }, Counter::default).inc();
    }

    /// A call that runs until what is given back is dropped.
    pub(super) fn call(&self) -> Open {
        Open::new(&self.in_flight)
    }

    /// A connection that is open until what is given back is dropped.
    pub(super) fn connection(&self) -> Open {
        Open::new(&self.connections)
    }

    /// How many connections are open.
    pub(super) fn connections(&self) -> i64 {
        self.connections.get()
    }
}

/// Something that counts for as long as it is there.
pub(super) struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One metric for each set of labels, told in the order of the labels. The library's own families have the order of a hash map.
struct Sorted<L, M>(Arc<Mutex<BTreeMap<L, M>>>);

impl<L: Ord, M: Clone> Sorted<L, M> {
    fn of(&self, labels: L, make: impl FnOnce() -> M) -> M {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(labels).or_insert_with(make).clone()
    }
}

impl<L, M> Clone for Sorted<L, M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L, M> Default for Sorted<L, M> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<L, M> fmt::Debug for Sorted<L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sorted")
    }
}

impl<L: EncodeLabelSet, M: EncodeMetric + TypedMetric> EncodeMetric for Sorted<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, metric) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            metric.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_sorted_and_counts() {
        let metrics = Metrics::default();
        for route in ["/v1/tools", "/metrics", "/v1/health", "/v1/tools"] {
            metrics.request(route, StatusCode::OK);
        }
        metrics.reload(false);
        let (one, two) = (metrics.connection(), metrics.connection());
        drop(one);
        let text = metrics.text(Seen { waiting: 3, audit_problem: true });
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "rig_calls_in_flight 0",
                "rig_approvals_waiting 3",
                "rig_audit_problem 1",
                r#"rig_reloads_total{result="refused"} 1"#,
                r#"rig_http_requests_total{route="/metrics",status="200"} 1"#,
                r#"rig_http_requests_total{route="/v1/health",status="200"} 1"#,
                r#"rig_http_requests_total{route="/v1/tools",status="200"} 2"#,
                "rig_http_connections 1",
            ]
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
        drop(two);
        assert!(metrics.text(Seen { waiting: 0, audit_problem: false }).contains("rig_http_connections 0\n"));
    }
}

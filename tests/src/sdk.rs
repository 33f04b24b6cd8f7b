//! The official SDKs of the services, as a measure of what a pack sends: [`Sdk`] has an SDK make the call that a tool stands for, and
//! [`compare`] holds the requests of both against each other.
//!
//! Which call of an SDK a tool stands for is said in `tests/sdks/packs/`; what that sends is the SDK's own.

use std::{collections::BTreeMap, path::PathBuf};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Clients, Recorded, Run, Upstream};

/// Headers of the connection and of the program, which say nothing about the call.
const NOT_COMPARED: [&str; 8] = [
    "host",
    "connection",
    "keep-alive",
    "user-agent",
    "accept-encoding",
    "accept-language",
    "content-length",
    "transfer-encoding",
];

/// An SDK that talks to the stand-in as it would to its service.
pub struct Sdk {
    python: PathBuf,
    pack: String,
    env: BTreeMap<String, String>,
    home: TempDir,
}

impl Sdk {
    /// The SDK of a pack's service, driven by `tests/sdks/packs/<pack>.py`. `settings` are variables of its environment: the credentials and settings of the
    /// pack, under the same names.
    #[must_use]
    pub fn new(clients: &Clients, upstream: &Upstream, pack: &str, settings: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let dir = home.path().to_str().expect("temporary paths are UTF-8");
        let (proxy, ca) = (upstream.proxy_url(), upstream.ca_path().to_str().expect("temporary paths are UTF-8"));
        // Each library reads another of these.
        let own = [
            ("HOME", dir),
            ("TMPDIR", dir),
            ("LANG", "C.UTF-8"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("HTTPS_PROXY", &proxy),
            ("https_proxy", &proxy),
            ("SSL_CERT_FILE", ca),
            ("REQUESTS_CA_BUNDLE", ca),
            ("CURL_CA_BUNDLE", ca),
            ("HTTPLIB2_CA_CERTS", ca),
        ];
        let env = own.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { python: clients.sdk_python(), pack: pack.to_owned(), env, home }
    }

    /// Has the SDK make the call that the tool with these arguments stands for, and returns the requests that it sent. What the
    /// stand-in recorded before is forgotten.
    #[must_use]
    #[track_caller]
    pub fn drive(&self, upstream: &Upstream, tool: &str, args: &Value) -> Vec<Recorded> {
        upstream.forget();
        let run = Run::new(self.python.clone(), self.home.path(), self.env.clone(), Vec::new());
        let plan = json!({ "pack": self.pack, "tool": tool, "args": args });
        run.args([concat!(env!("CARGO_MANIFEST_DIR"), "/sdks/drive.py")]).stdin(plan.to_string()).output().ok();
        let requests = upstream.requests();
        upstream.forget();
        requests
    }
}

/// What may differ between a pack and the SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Requests that only the SDK makes: `METHOD /path`, `*` for any segment.
    Request(&'a str),
    /// A header, by its name in lower case.
    Header(&'a str),
    /// A field of the query.
    Query(&'a str),
    /// A field of the body: of a JSON object's outermost level, or of a form.
    Body(&'a str),
}

/// A difference that is right. One that does not show in any request of the case fails the comparison, so that none outlives its
/// reason.
#[derive(Debug, Clone, Copy)]
pub struct Allowed<'a> {
    /// Where.
    pub part: Part<'a>,
    /// Why.
    pub why: &'a str,
}

/// Holds what a pack sent against what the SDK sent for the same call: how many requests, and of each the method, host, path, query
/// (in any order), headers and body (JSON by value, a form by its fields in order).
///
/// # Panics
/// When they differ in anything that is not allowed to, or no longer differ where they are.
#[track_caller]
pub fn compare(ours: &[Recorded], theirs: &[Recorded], allowed: &[Allowed<'_>]) {
    let problems = differences(ours, theirs, allowed);
    let lines = |requests: &[Recorded]| requests.iter().map(Recorded::line).collect::<Vec<_>>().join("\n  ");
    assert!(
        problems.is_empty(),
        "the pack differs from the SDK:\n{}\nthe pack sent:\n  {}\nthe SDK sent:\n  {}",
        problems.join("\n"),
        lines(ours),
        lines(theirs)
    );
}

fn differences(ours: &[Recorded], theirs: &[Recorded], allowed: &[Allowed<'_>]) -> Vec<String> {
    let mut used = vec![false; allowed.len()];
    let theirs: Vec<&Recorded> = theirs.iter().filter(|request| !is_extra(request, allowed, &mut used)).collect();
    let mut problems = Vec::new();
    if ours.len() != theirs.len() {
        problems.push(format!("requests: {} of the pack, {} of the SDK that count", ours.len(), theirs.len()));
    }
    for (n, (our, their)) in ours.iter().zip(theirs).enumerate() {
        let (our, their) = (facts(our), facts(their));
        let names: std::collections::BTreeSet<_> = our.keys().chain(their.keys()).collect();
        for name in names.into_iter().filter(|name| our.get(*name) != their.get(*name)) {
            if let Some(found) = allowed.iter().position(|allowed| name_of(allowed.part).as_ref() == Some(name)) {
                used[found] = true;
            } else {
                let show = |value: Option<&String>| value.map_or("nothing".to_owned(), Clone::clone);
                problems.push(format!(
                    "request {n}, {name}:\n  pack {}\n  SDK  {}",
                    show(our.get(name)),
                    show(their.get(name))
                ));
            }
        }
    }
    for (allowed, _) in allowed.iter().zip(used).filter(|(_, used)| !used) {
        problems.push(format!("{:?} need not be allowed: it does not differ ({})", allowed.part, allowed.why));
    }
    problems
}

/// Whether it is one of the requests that only the SDK makes.
fn is_extra(request: &Recorded, allowed: &[Allowed<'_>], used: &mut [bool]) -> bool {
    let found = allowed.iter().position(|allowed| {
        let Part::Request(pattern) = allowed.part else { return false };
        let (method, path) = pattern.split_once(' ').expect("`METHOD /path`");
        let (wanted, segments) = (path.split('/'), request.path().split('/'));
        method == request.method
            && wanted.clone().count() == segments.clone().count()
            && wanted.zip(segments).all(|(wanted, segment)| wanted == "*" || wanted == segment)
    });
    if let Some(found) = found {
        used[found] = true;
    }
    found.is_some()
}

/// How [`facts`] names a part.
fn name_of(part: Part<'_>) -> Option<String> {
    match part {
        Part::Request(_) => None,
        Part::Header(name) => Some(format!("header {name}")),
        Part::Query(name) => Some(format!("query {name}")),
        Part::Body(name) => Some(format!("body {name}")),
    }
}

/// Everything about a request that counts, by name, so that each difference can be told and allowed by itself.
fn facts(request: &Recorded) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    facts.insert("method".to_owned(), request.method.clone());
    facts.insert("host".to_owned(), format!("{}://{}", request.scheme, request.host));
    // Which characters an SDK encodes is its own affair; what the segments are is not.
    facts.insert("path".to_owned(), format!("{:?}", request.path().split('/').map(decode).collect::<Vec<_>>()));
    let fields = request.query().into_iter().map(|(name, value)| (form_decode(name), form_decode(value)));
    for (name, mut values) in grouped(fields) {
        values.sort();
        facts.insert(format!("query {name}"), format!("{values:?}"));
    }
    for (name, value) in headers(request) {
        facts.insert(format!("header {name}"), value);
    }
    facts.extend(body(request));
    facts
}

fn headers(request: &Recorded) -> impl Iterator<Item = (String, String)> {
    let named = request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let counts = named.filter(|(name, value)| match name.as_str() {
        // Anything, which is what leaving it out means.
        "accept" => value != "*/*",
        // Of nothing.
        "content-type" => !request.body.is_empty(),
        name => !NOT_COMPARED.contains(&name),
    });
    let told = counts.map(|(name, value)| match name.as_str() {
        "content-type" => (name, value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()),
        // Each call has its own.
        "idempotency-key" => (name, if value.is_empty() { "empty".to_owned() } else { "a key".to_owned() }),
        _ => (name, value),
    });
    grouped(told).into_iter().map(|(name, values)| (name, values.join(", ")))
}

/// The fields of a body, and for a form their order.
fn body(request: &Recorded) -> Vec<(String, String)> {
    if request.body.is_empty() {
        return Vec::new();
    }
    let text = || String::from_utf8_lossy(&request.body).into_owned();
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        let text = text();
        let fields: Vec<(String, String)> = text
            .split('&')
            .map(|field| field.split_once('=').unwrap_or((field, "")))
            .map(|(name, value)| (form_decode(name), form_decode(value)))
            .collect();
        let order: Vec<&String> = fields.iter().map(|(name, _)| name).collect();
        let mut facts = vec![("order of the form".to_owned(), format!("{order:?}"))];
        facts.extend(grouped(fields).into_iter().map(|(name, values)| (format!("body {name}"), format!("{values:?}"))));
        return facts;
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(fields)) => {
            fields.into_iter().map(|(name, value)| (format!("body {name}"), value.to_string())).collect()
        }
        Ok(other) => vec![("the body".to_owned(), other.to_string())],
        Err(_) => vec![("the body".to_owned(), text())],
    }
}

fn grouped(fields: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in fields {
        groups.entry(name).or_default().push(value);
    }
    groups
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn form_decode(text: &str) -> String {
    decode(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&str, &str)], body: &str) -> Recorded {
        Recorded {
            scheme: "https",
            method: "POST".into(),
            host: "api.test".into(),
            target: target.into(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: body.into(),
        }
    }

    const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
    const JSON: (&str, &str) = ("content-type", "application/json");

    #[test]
    fn the_same_call_in_another_spelling_is_the_same() {
        let cases = [
            (request("/a%20b?x=1&y=a+b", &[], ""), request("/a b?y=a%20b&x=1", &[("Accept", "*/*")], "")),
            (
                request("/", &[FORM], "a%5Bb%5D=c+d"),
                request("/", &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")], "a[b]=c%20d"),
            ),
            (request("/", &[JSON], r#"{"a":1,"b":[]}"#), request("/", &[JSON], "{\"b\": [], \"a\": 1}")),
            (
                request("/", &[("idempotency-key", "1"), ("user-agent", "x")], ""),
                request("/", &[("Idempotency-Key", "2"), JSON], ""),
            ),
        ];
        for (ours, theirs) in cases {
            assert_eq!(differences(&[ours], &[theirs], &[]), Vec::<String>::new());
        }
    }

    #[test]
    fn what_differs_is_told() {
        let base = || request("/a/b?x=1", &[JSON, ("Authorization", "Bearer t")], r#"{"a":1}"#);
        let mut get = base();
        get.method = "GET".into();
        let mut elsewhere = base();
        elsewhere.host = "other.test".into();
        let cases = [
            (get, "method"),
            (elsewhere, "host"),
            (request("/a%2Fb?x=1", &[JSON, ("Authorization", "Bearer t")], r#"{"a":1}"#), "path"),
            (request("/a/b", &[JSON, ("Authorization", "Bearer t")], r#"{"a":1}"#), "query x"),
            (request("/a/b?x=1&x=1", &[JSON, ("Authorization", "Bearer t")], r#"{"a":1}"#), "query x"),
            (request("/a/b?x=1", &[JSON, ("Authorization", "Basic t")], r#"{"a":1}"#), "header authorization"),
            (request("/a/b?x=1", &[JSON], r#"{"a":1}"#), "header authorization"),
            (request("/a/b?x=1", &[JSON, ("Authorization", "Bearer t")], r#"{"a":"1"}"#), "body a"),
            (request("/a/b?x=1", &[JSON, ("Authorization", "Bearer t")], ""), "body a"),
        ];
        for (theirs, told) in cases {
            let problems = differences(&[base()], &[theirs], &[]);
            assert!(
                problems.iter().any(|text| text.starts_with(&format!("request 0, {told}:"))),
                "{told}: {problems:?}"
            );
        }
        let forms = [request("/", &[FORM], "a=1&b=2"), request("/", &[FORM], "b=2&a=1")];
        assert!(differences(&forms[..1], &forms[1..], &[])[0].starts_with("request 0, order of the form"));
        assert_eq!(
            differences(&[base()], &[base(), base()], &[]),
            ["requests: 1 of the pack, 2 of the SDK that count"]
        );
    }

    #[test]
    fn an_allowance_covers_its_part_and_must_be_needed() {
        let ours = [request("/a?x=1", &[JSON], r#"{"a":1}"#)];
        let theirs =
            [request("/look/up", &[], ""), request("/a?x=2", &[JSON, ("X-Telemetry", "on")], r#"{"a":1,"b":null}"#)];
        let all = [Part::Request("POST /look/*"), Part::Query("x"), Part::Header("x-telemetry"), Part::Body("b")];
        let allowed = all.map(|part| Allowed { part, why: "a reason" });
        assert_eq!(differences(&ours, &theirs, &allowed), Vec::<String>::new());
        for part in all {
            let fewer: Vec<_> = allowed.into_iter().filter(|allowed| allowed.part != part).collect();
            assert!(!differences(&ours, &theirs, &fewer).is_empty(), "{part:?}");
        }
        let unneeded = [Allowed { part: Part::Header("x-gone"), why: "a reason" }];
        assert_eq!(
            differences(&ours, &ours, &unneeded),
            [r#"Header("x-gone") need not be allowed: it does not differ (a reason)"#]
        );
    }
}

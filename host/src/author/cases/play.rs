//! Finds the recorded answer for a request, and says what differs when there is none. Each answer is given once; requests may come in
//! another order than they were recorded in, because those of one call can run at once.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::{
    file::{self, Case, Ignore},
    judge,
    recording::{self, plain_url},
};
use crate::egress::{HttpError, Response, Sent};

/// A request as it must be. What is `None` is not compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub method: String,
    pub url: String,
    pub headers: Option<Vec<(String, String)>>,
    pub slots: Option<Vec<String>>,
    pub body: Option<Vec<u8>>,
}

/// Requests with their answers.
#[derive(Debug, Default)]
pub(super) struct Script {
    steps: Vec<Step>,
    ignore: Ignore,
    problems: Vec<String>,
}

#[derive(Debug)]
struct Step {
    expected: Expected,
    outcome: Result<Response, HttpError>,
    used: bool,
}

impl Script {
    pub(super) fn new(exchanges: Vec<(Expected, Result<Response, HttpError>)>, ignore: &Ignore) -> Self {
        let steps = exchanges.into_iter().map(|(expected, outcome)| Step { expected, outcome, used: false });
        Self { steps: steps.collect(), ignore: ignore.clone(), problems: Vec::new() }
    }

    /// What the case itself says.
    pub(super) fn of_case(case: &Case, exchanges: &[file::Exchange]) -> Self {
        Self::new(exchanges.iter().map(written).collect(), &case.ignore)
    }

    /// The answer for a request. One that is not expected is kept as a problem, and the pack sees a service that cannot be reached.
    pub(super) fn answer(&mut self, sent: &Sent) -> Result<Response, HttpError> {
        let sent = recording::scrubbed(sent.clone());
        let found = self.steps.iter_mut().find(|step| !step.used && fits(&step.expected, &sent, &self.ignore));
        if let Some(step) = found {
            step.used = true;
            return step.outcome.clone();
        }
        let line = format!("{} {}", sent.method, plain_url(&sent.url));
        let unused = |wanted: &dyn Fn(&Step) -> bool| self.steps.iter().position(|step| !step.used && wanted(step));
        let nearest = unused(&|step| path(&step.expected.url) == path(&sent.url)).or_else(|| unused(&|_| true));
        match nearest {
            Some(position) => {
                let step = &mut self.steps[position];
                step.used = true;
                let expected = shown_expected(&step.expected, &self.ignore);
                let found = shown(&sent, &step.expected, &self.ignore);
                let diff = judge::diff(&expected, &found);
                self.problems.push(format!("the request `{line}` is not the one that was expected:\n{diff}"));
            }
            None => self.problems.push(format!("the request `{line}` was not expected")),
        }
        Err(HttpError::Connect("this request is not in the case's recording, and nothing is sent".into()))
    }

    /// What was wrong, once the call has ended.
    pub(super) fn end(&mut self) -> Vec<String> {
        let mut problems = std::mem::take(&mut self.problems);
        for step in self.steps.iter().filter(|step| !step.used) {
            problems.push(format!("the request `{} {}` was not made", step.expected.method, step.expected.url));
        }
        problems
    }
}

/// An exchange of a case as people write it. Bodies were checked when the file was read.
fn written(exchange: &file::Exchange) -> (Expected, Result<Response, HttpError>) {
    let file::Request { json, text, base64, .. } = &exchange.request;
    let body = file::body(json.as_ref(), text.as_deref(), base64.as_deref()).unwrap_or_default();
    let lower = |headers: &BTreeMap<String, String>| {
        headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect::<Vec<_>>()
    };
    let expected = Expected {
        method: exchange.request.method.clone(),
        url: plain_url(&exchange.request.url),
        headers: exchange.request.headers.as_ref().map(lower),
        slots: exchange.request.secrets.clone(),
        body,
    };
    let outcome = match (&exchange.response, exchange.error.as_deref()) {
        (Some(response), _) => {
            let file::Response { status, headers, json, text, base64 } = response;
            let mut headers = lower(headers);
            if json.is_some() && headers.iter().all(|(name, _)| name != "content-type") {
                headers.push(("content-type".into(), "application/json".into()));
            }
            let body = file::body(json.as_ref(), text.as_deref(), base64.as_deref()).unwrap_or_default();
            Ok(Response { status: *status, headers, body: body.unwrap_or_default() })
        }
        (None, kind) => {
            let kind = kind.unwrap_or("connect");
            let why = format!("the case says that there is no answer ({kind})");
            Err(failure(kind, &why).unwrap_or(HttpError::Connect(why)))
        }
    };
    (expected, outcome)
}

/// The failure of that kind, as in WIT.
pub(super) fn failure(kind: &str, why: &str) -> Option<HttpError> {
    let why = why.to_owned();
    Some(match kind {
        "dns" => HttpError::Dns(why),
        "connect" => HttpError::Connect(why),
        "tls" => HttpError::Tls(why),
        "timeout" => HttpError::Timeout(why),
        "too-large" => HttpError::TooLarge(why),
        "protocol" => HttpError::Protocol(why),
        _ => return None,
    })
}

fn fits(expected: &Expected, sent: &Sent, ignore: &Ignore) -> bool {
    shown_expected(expected, ignore) == shown(sent, expected, ignore)
}

fn path(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// A request as text, of both sides alike: what is not compared is left out, and the order that has no meaning is the same.
fn shown(sent: &Sent, like: &Expected, ignore: &Ignore) -> String {
    let expected = Expected {
        method: sent.method.clone(),
        url: sent.url.clone(),
        headers: like.headers.is_some().then(|| sent.headers.clone()),
        slots: like.slots.is_some().then(|| sent.slots.clone()),
        body: like.body.is_some().then(|| sent.body.clone()),
    };
    shown_expected(&expected, ignore)
}

fn shown_expected(request: &Expected, ignore: &Ignore) -> String {
    let mut text = format!("{} {}\n", request.method, without_query(&plain_url(&request.url), ignore));
    let mut headers = request.headers.clone().unwrap_or_default();
    headers.retain(|(name, _)| !ignore.headers.iter().any(|ignored| ignored.eq_ignore_ascii_case(name)));
    // Of one name the order counts, of different ones it does not.
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, value) in headers {
        let _ = writeln!(text, "{name}: {value}");
    }
    if let Some(slots) = request.slots.as_ref().filter(|slots| !slots.is_empty()) {
        let mut slots = slots.clone();
        slots.sort();
        let _ = writeln!(text, "secrets: {}", slots.join(", "));
    }
    match request.body.as_deref() {
        None | Some([]) => {}
        Some(body) => {
            let _ = write!(text, "\n{}", shown_body(body, ignore));
        }
    }
    text
}

fn without_query(url: &str, ignore: &Ignore) -> String {
    let Some((start, query)) = url.split_once('?').filter(|_| !ignore.query.is_empty()) else { return url.to_owned() };
    let name = |field: &str| {
        let name = field.split('=').next().unwrap_or_default();
        percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned()
    };
    let kept: Vec<&str> = query.split('&').filter(|field| !ignore.query.contains(&name(field))).collect();
    if kept.is_empty() { start.to_owned() } else { format!("{start}?{}", kept.join("&")) }
}

fn shown_body(body: &[u8], ignore: &Ignore) -> String {
    if let Ok(mut json) = serde_json::from_slice::<Value>(body) {
        for pointer in &ignore.body {
            remove(&mut json, pointer);
        }
        return format!("{json:#}\n");
    }
    match std::str::from_utf8(body) {
        Ok(text) => format!("{text}\n"),
        Err(_) => format!("{} bytes, sha256 {}\n", body.len(), rig_specs::Sha256::of(body).hex()),
    }
}

fn remove(json: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    match json.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            map.remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(items)) => {
            if let Some(position) = key.parse().ok().filter(|position: &usize| *position < items.len()) {
                items.remove(position);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(toml: &str) -> Script {
        let case: Case = toml::from_str(&format!("name = \"n\"\ntool = \"a.b.c\"\n{toml}")).unwrap();
        Script::of_case(&case, case.http.as_deref().unwrap_or_default())
    }

    fn sent(method: &str, url: &str, body: &str) -> Sent {
        let headers = vec![("accept".into(), "application/json".into())];
        Sent { method: method.into(), url: url.into(), headers, body: body.into(), slots: vec!["TOKEN".into()] }
    }

    #[test]
    fn what_is_left_out_is_not_compared() {
        let mut script = script(
            "http = [{ request = { url = \"https://h/a\" }, response = { status = 200, json = { n = 1 } } },\n\
             { request = { method = \"POST\", url = \"https://h/b\", json = { b = 2, a = 1 } }, error = \"timeout\" }]",
        );
        let timeout = script.answer(&sent("POST", "https://h/b", r#"{"a": 1, "b": 2}"#)).unwrap_err();
        assert_eq!(timeout.kind(), "timeout");
        let answer = script.answer(&sent("GET", "https://h/a", "")).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{\"n\":1}"[..]));
        assert_eq!(answer.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        assert_eq!(script.end(), Vec::<String>::new());
    }

    #[test]
    fn what_differs_is_shown() {
        let mut script = script(
            "http = [{ request = { method = \"POST\", url = \"https://h/a?x=1\", json = { n = 1 }, headers = { Accept = \
             \"text/plain\" }, secrets = [] }, response = { status = 200 } }]",
        );
        let error = script.answer(&sent("POST", "https://h/a?x=2", r#"{"n": 2}"#)).unwrap_err();
        assert_eq!(error.kind(), "connect");
        let problems = script.end();
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        for line in [
            "the request `POST https://h/a?x=2` is not the one that was expected:",
            "- POST https://h/a?x=1",
            "+ POST https://h/a?x=2",
            "- accept: text/plain",
            "+ accept: application/json",
            "+ secrets: TOKEN",
            "-   \"n\": 1",
            "+   \"n\": 2",
        ] {
            assert!(problem.lines().any(|found| found.trim_end() == line), "{line}\n{problem}");
        }
    }

    #[test]
    fn too_many_and_too_few() {
        let mut one = script("http = [{ request = { url = \"https://h/a\" }, response = { status = 200 } }]");
        one.answer(&sent("GET", "https://h/a", "")).unwrap();
        one.answer(&sent("GET", "https://h/a", "")).unwrap_err();
        assert_eq!(one.end(), ["the request `GET https://h/a` was not expected"]);
        let mut none = script("http = [{ request = { url = \"https://h/a\" }, response = { status = 200 } }]");
        assert_eq!(none.end(), ["the request `GET https://h/a` was not made"]);
    }

    #[test]
    fn what_varies_can_be_ignored() {
        let mut script = script(
            "ignore = { query = [\"t\"], headers = [\"Accept\"], body = [\"/at\", \"/list/0\"] }\n\
             http = [{ request = { method = \"POST\", url = \"https://h/a?t=1&x=1\", headers = {}, json = { at = 1, list = [1, 2] } }, \
             response = { status = 200 } }]",
        );
        let sent = sent("POST", "https://h/a?x=1&t=99", r#"{"at": 7, "list": [8, 2]}"#);
        assert_eq!(script.answer(&sent).map(|answer| answer.status), Ok(200));
    }
}

//! Recordings of real services: one file for each file of cases, `tests/recorded/NAME.json`, written by rig and kept in version
//! control.
//!
//! No secret that rig put into a request is in one: requests are recorded as the pack made them, and answers after known secrets were
//! blanked. What remains is what nobody declared. So the values of headers that carry credentials by their name, cookies among them,
//! are blanked, and everything that has the form of a credential. A recording still holds what the service answered: read it before
//! it is published.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{CasesError, FOLDER, judge::Expectation, play::Expected};
use crate::{
    call::sanitise::{REDACTED, is_name, without},
    egress::{Exchange, HttpError, Response, Sent},
};

/// The version of the format.
const FORMAT: u32 = 1;

/// A file of recordings.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recordings {
    format: u32,
    /// By the name of the case.
    pub(super) cases: BTreeMap<String, Recording>,
}

impl Default for Recordings {
    fn default() -> Self {
        Self { format: FORMAT, cases: BTreeMap::new() }
    }
}

/// What one case recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recording {
    /// RFC 3339, UTC.
    pub recorded_at: String,
    /// The id of the call, which packs send as the key of idempotency.
    pub request_id: String,
    /// Settings that the case leaves to the environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// In the order of the answers.
    exchanges: Vec<Recorded>,
    /// What came of the call, when the case itself does not say what must.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    request: Request,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<Answered>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Failed>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    secrets: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Body>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    status: u16,
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Body>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failed {
    kind: String,
    message: String,
}

/// Bytes in the form that people can read best. JSON stands as it was sent, byte for byte.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Body {
    fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Some(Self { base64: Some(STANDARD.encode(bytes)), ..Self::default() });
        };
        // White space around the value would be lost.
        let json = Some(text).filter(|text| text.trim() == *text && text.starts_with(['{', '[']));
        match json.and_then(|text| RawValue::from_string(text.to_owned()).ok()) {
            Some(json) => Some(Self { json: Some(json), ..Self::default() }),
            None => Some(Self { text: Some(text.to_owned()), ..Self::default() }),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let json = self.json.as_ref().map(|json| json.get().as_bytes().to_vec());
        let text = || self.text.as_ref().map(|text| text.as_bytes().to_vec());
        let base64 = || self.base64.as_ref().and_then(|text| STANDARD.decode(text).ok());
        json.or_else(text).or_else(base64).unwrap_or_default()
    }
}

impl Recording {
    /// Of a call that was made now.
    pub(super) fn new(
        request_id: String,
        config: BTreeMap<String, String>,
        exchanges: Vec<Exchange>,
        expected: Option<&Expectation>,
    ) -> Self {
        let exchanges = exchanges.into_iter().map(|Exchange { sent, outcome }| {
            let Sent { method, url, headers, body, slots } = scrubbed(sent);
            let request = Request { method, url, headers, secrets: slots, body: Body::of(&body) };
            match outcome {
                Ok(response) => {
                    let Response { status, headers, body } = response;
                    let (headers, body) = (scrubbed_headers(headers), scrubbed_body(body));
                    let headers = headers.into_iter().filter(|(name, _)| name != "content-length").collect();
                    let response = Answered { status, headers, body: Body::of(&body) };
                    Recorded { request, response: Some(response), error: None }
                }
                Err(error) => {
                    let failed = Failed { kind: error.kind().into(), message: without(&error.to_string()) };
                    Recorded { request, response: None, error: Some(failed) }
                }
            }
        });
        let (output, error) = match expected {
            Some(Expectation::Output(output)) => (Some(scrubbed_json(output.clone())), None),
            Some(Expectation::Error(error)) => (None, Some(error.clone())),
            _ => (None, None),
        };
        let recorded_at = crate::install::index::now().to_string();
        Self { recorded_at, request_id, config, exchanges: exchanges.collect(), output, error }
    }

    /// What came of the call when it was recorded, if that is what must come of it again.
    pub(super) fn expectation(&self) -> Option<Expectation> {
        let error = || self.error.clone().map(Expectation::Error);
        self.output.clone().map(Expectation::Output).or_else(error)
    }

    /// The requests as they must be made again, with their answers.
    pub(super) fn exchanges(&self) -> Vec<(Expected, Result<Response, HttpError>)> {
        let one = |recorded: &Recorded| {
            let Request { method, url, headers, secrets, body } = recorded.request.clone();
            let body = body.as_ref().map(Body::bytes).unwrap_or_default();
            let expected = Expected { method, url, headers: Some(headers), slots: Some(secrets), body: Some(body) };
            let outcome = match (&recorded.response, &recorded.error) {
                (Some(answer), _) => Ok(Response {
                    status: answer.status,
                    headers: answer.headers.clone(),
                    body: answer.body.as_ref().map(Body::bytes).unwrap_or_default(),
                }),
                (None, error) => {
                    let why = error.as_ref().map_or("", |error| &error.message);
                    let kind = error.as_ref().map_or("connect", |error| &error.kind);
                    Err(super::play::failure(kind, why).unwrap_or_else(|| HttpError::Connect(why.to_owned())))
                }
            };
            (expected, outcome)
        };
        self.exchanges.iter().map(one).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exchanges.is_empty() && self.expectation().is_none()
    }
}

/// Where the recordings of a file of cases are.
pub(super) fn path(pack: &Path, cases: &Path) -> PathBuf {
    let stem = cases.file_stem().unwrap_or_default();
    pack.join(FOLDER).join("recorded").join(stem).with_added_extension("json")
}

/// Reads recordings; none when there is no file.
pub(super) fn read(path: &Path) -> Result<Recordings, CasesError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recordings::default()),
        other => {
            other.map_err(|error| CasesError::Io { path: path.to_owned(), what: "read", why: error.to_string() })?
        }
    };
    let malformed = |why: String| CasesError::Malformed { path: path.to_owned(), why };
    let recordings: Recordings = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if recordings.format != FORMAT {
        let found = recordings.format;
        return Err(malformed(format!("it has format {found}, and this rig reads {FORMAT}: record it again")));
    }
    Ok(recordings)
}

/// Writes recordings; a file without any is removed.
pub(super) fn write(path: &Path, recordings: &Recordings) -> Result<(), CasesError> {
    let written = || -> io::Result<()> {
        if recordings.cases.is_empty() {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut text = serde_json::to_string_pretty(recordings)?;
        text.push('\n');
        super::super::publish::replace(path, text.as_bytes())
    };
    written().map_err(|error| CasesError::Io { path: path.to_owned(), what: "written", why: error.to_string() })
}

/// A request without what looks like a credential.
pub(super) fn scrubbed(sent: Sent) -> Sent {
    Sent { url: plain_url(&sent.url), headers: scrubbed_headers(sent.headers), body: scrubbed_body(sent.body), ..sent }
}

/// A URL without what looks like a credential. What was blanked in an answer may have come back in it, percent-encoded.
pub(super) fn plain_url(url: &str) -> String {
    without(&url.replace("%5Bredacted%5D", REDACTED))
}

fn scrubbed_headers(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let scrub = |(name, value): (String, String)| {
        let value = if is_name(&name) { REDACTED.to_owned() } else { without(&value) };
        (name, value)
    };
    headers.into_iter().map(scrub).collect()
}

fn scrubbed_body(body: Vec<u8>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&body) else { return body };
    match serde_json::from_str::<Value>(text) {
        // Untouched where there is nothing to blank, so that what is replayed is what was sent.
        Ok(json) => {
            let scrubbed = scrubbed_json(json.clone());
            if scrubbed == json { body } else { scrubbed.to_string().into_bytes() }
        }
        Err(_) => without(text).into_bytes(),
    }
}

fn scrubbed_json(json: Value) -> Value {
    match json {
        Value::String(text) => Value::String(without(&text)),
        Value::Array(items) => items.into_iter().map(scrubbed_json).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(key, value)| (key, scrubbed_json(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(headers: &[(&str, &str)], body: &[u8], answer: &[u8]) -> Exchange {
        let own =
            |headers: &[(&str, &str)]| headers.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<Vec<_>>();
        let sent = Sent {
            method: "POST".into(),
            url: "https://h/a?api_key=abc&x=1".into(),
            headers: own(headers),
            body: body.to_vec(),
            slots: vec!["KEY".into()],
        };
        Exchange { sent, outcome: Ok(Response { status: 200, headers: own(headers), body: answer.to_vec() }) }
    }

    fn round(exchange: Exchange) -> (String, Expected, Response) {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), Path::new("x/cases.toml"));
        assert_eq!(path, folder.path().join("tests/recorded/cases.json"));
        let mut recordings = read(&path).unwrap();
        let recording = Recording::new("id".into(), BTreeMap::new(), vec![exchange], None);
        recordings.cases.insert("one".into(), recording);
        write(&path, &recordings).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let (expected, outcome) = read(&path).unwrap().cases["one"].exchanges().remove(0);
        (text, expected, outcome.unwrap())
    }

    #[test]
    fn bytes_come_back_as_they_were() {
        for body in [
            &b"{\"big\": 123456789012345678901234567890, \"b\":1,  \"a\":2}"[..],
            b" {\"white\": 1}\n",
            b"plain text",
            b"\xff\xfe",
            b"[1.0e400]",
            b"12",
            b"",
        ] {
            let (_, expected, answer) = round(exchange(&[("x-a", "1")], body, body));
            assert_eq!((expected.body.as_deref(), answer.body.as_slice()), (Some(body), body));
            assert_eq!(answer.headers, [("x-a".to_owned(), "1".to_owned())]);
        }
    }

    #[test]
    fn credentials_that_nobody_declared_are_blanked() {
        let headers = [
            ("authorization", "Bearer one-abc"),
            ("cookie", "session=two-abc"),
            ("set-cookie", "session=three-abc; Path=/"),
            ("x-api-key", "four-abc"),
            ("x-auth-token", "five-abc"),
            ("x-request-id", "kept"),
        ];
        let body = br#"{"token_type": "x", "made": "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "note": "api_key=\"six-abc\""}"#;
        let (text, expected, _) = round(exchange(&headers, body, body));
        for canary in ["one-abc", "two-abc", "three-abc", "four-abc", "five-abc", "six-abc", "ghp_16", "api_key=abc"] {
            assert!(!text.contains(canary), "{canary}: {text}");
        }
        assert!(text.contains("kept") && text.contains("token_type"), "{text}");
        assert_eq!(expected.url, "https://h/a?api_key=[redacted]&x=1");
        // What is made again is compared in the same form.
        let again = scrubbed(exchange(&headers, body, body).sent);
        assert_eq!((again.url, Some(again.body)), (expected.url, expected.body));
    }

    #[test]
    fn files_of_another_format_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        fs::write(&path, "{\"format\": 9, \"cases\": {}}").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("it has format 9, and this rig reads 1"));
        write(&path, &Recordings::default()).unwrap();
        assert!(!path.exists(), "without recordings there is no file");
    }
}

//! Arguments that a pack must not let through: of the wrong shape, or made to lead a request elsewhere.

use percent_encoding::percent_decode_str;
use rig_tests::{Recorded, Reply};
use serde_json::{Value, json};

use super::Service;

/// Texts that mean something in a URL or in a request's head.
const HOSTILE: [&str; 25] = [
    "",
    ".",
    "..",
    "../x",
    "/../../admin",
    "a/b",
    "/a",
    "a/",
    "a?b=c",
    "?",
    "a#b",
    "#",
    "a&b=c",
    "a%2fb",
    "%2e%2e",
    "%2e%2e%2fx",
    "a b",
    "a\r\nX-Evil: 1",
    "a\\b",
    "..\\..",
    "a;b=c",
    "//evil.test",
    "@evil.test:443/x",
    "ünï \u{1F600} \u{2028} \u{0}",
    "{config.X}*",
];

impl Service {
    /// Calls the tool with hostile texts as one of its arguments, which stands in the path. Each time nothing is sent, or what is
    /// sent with an ordinary text, with the hostile one in its place: as one segment, encoded.
    #[track_caller]
    pub(crate) fn path_keeps_its_shape(&self, host: &str, tool: &str, args: &Value, name: &str) {
        self.upstream.on(host, |_| Reply::json(404, json!({})));
        let ordinary = args[name].as_str().expect("an argument that is text");
        let plain = self.requests_of(tool, args);
        assert!(plain[0].path().contains(ordinary), "`{name}` stands in the path of {tool}: {}", plain[0].line());
        let long = "x/".repeat(4000);
        for text in HOSTILE.into_iter().chain([&*long]) {
            let mut args = args.clone();
            args[name] = json!(text);
            let sent = self.requests_of(tool, &args);
            if sent.is_empty() {
                let error = self.error(tool, &args, "validation_error");
                assert_eq!(error["retryable"], false, "{error}");
                continue;
            }
            assert_eq!(sent.len(), plain.len(), "{tool} {text:?}");
            for (sent, plain) in sent.iter().zip(&plain) {
                let moved = moved(sent, plain, ordinary, text);
                assert_eq!(moved, None, "{tool} with {text:?}: {}", sent.line());
            }
        }
    }

    /// The requests of a call, whatever becomes of it.
    pub(super) fn requests_of(&self, tool: &str, args: &Value) -> Vec<Recorded> {
        self.upstream.forget();
        self.call(tool, args);
        self.upstream.requests()
    }

    /// Calls the tool without each of the required arguments, with each argument in every shape that its schema does not have, and
    /// with one that it does not know. Nothing is ever sent. `args` are all arguments of the tool, good ones.
    #[track_caller]
    pub(crate) fn bad_arguments_are_not_sent(&self, tool: &str, required: &[&str], args: &Value) {
        let schema = self.api("GET", &format!("/v1/tools/{tool}"))["input_schema"].clone();
        let mut listed: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        listed.sort_unstable();
        let mut wanted = required.to_vec();
        wanted.sort_unstable();
        assert_eq!(listed, wanted, "what {tool} requires");
        // A tool without arguments has none.
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        assert_eq!(
            properties.keys().collect::<Vec<_>>(),
            args.as_object().expect("an object").keys().collect::<Vec<_>>(),
            "the arguments of {tool}"
        );
        let with = |name: &str, value: Value| {
            let mut args = args.clone();
            args[name] = value;
            args
        };
        let mut bad = vec![with("unknown", json!(1)), json!({ "unknown": 1 })];
        for name in required {
            let mut args = args.clone();
            args.as_object_mut().expect("an object").remove(*name);
            bad.push(args);
        }
        for (name, schema) in &properties {
            for value in [json!(null), json!(true), json!(1.5), json!("text"), json!([["x"]]), json!({ "x": [1] })] {
                if !may_be(schema, &value) {
                    bad.push(with(name, value));
                }
            }
        }
        self.upstream.forget();
        for args in bad {
            let error = self.error(tool, &args, "validation_error");
            assert_eq!(error["retryable"], false, "{tool} {args}: {error}");
            self.upstream.assert_untouched();
        }
    }
}

/// Whether the schema's `type`, or its list of words, lets the value through.
fn may_be(schema: &Value, value: &Value) -> bool {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_kind = |schema: &Value| schema == kind;
    if let Some(words) = schema["enum"].as_array() {
        return words.contains(value);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().any(|schema| may_be(schema, value));
    }
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(is_kind),
        one => is_kind(one),
    }
}

/// Holds a request against the one with an ordinary text in its path: what the hostile text changed but for its own segment.
fn moved(sent: &Recorded, plain: &Recorded, ordinary: &str, text: &str) -> Option<&'static str> {
    let names = |request: &Recorded| request.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = sent.path().split('/').map(decoded).collect();
    let expected: Vec<String> = plain.path().split('/').map(|part| decoded(part).replace(ordinary, text)).collect();
    let places = [
        ("the host", (sent.scheme, &sent.host) == (plain.scheme, &plain.host)),
        ("the method", sent.method == plain.method),
        ("the query", sent.query() == plain.query()),
        ("the headers", names(sent) == names(plain)),
        ("the form of the URL", sent.target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')),
        ("the path", segments == expected),
        // What some servers take for a way up, in any spelling.
        ("the path by dots", !segments[1..].iter().any(|segment| matches!(segment.as_str(), "" | "." | ".."))),
    ];
    places.into_iter().find_map(|(place, is_same)| (!is_same).then_some(place))
}

/// The control: Twilio's own library puts the id into the path as it is.
#[test]
fn an_id_that_is_not_encoded_is_noticed() {
    let service = super::twilio::setup();
    let Some(sdk) = &service.sdk else { return };
    let request = |text: &str| {
        let sent = sdk.drive(&service.upstream, "twilio.calls.status", &json!({ "call_sid": text }));
        sent.into_iter().next().expect("a request")
    };
    let plain = request("ordinary");
    for (text, place) in [("other", None), ("a?b=c", Some("the query")), ("a/b", Some("the path"))] {
        assert_eq!(moved(&request(text), &plain, "ordinary", text), place, "{text}");
    }
}

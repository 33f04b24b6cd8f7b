//! What every pack does when a call goes wrong: checks that take a service, its tools and what is particular to them.

use rig_tests::{Recorded, Reply};
use serde_json::{Value, json};

use super::Service;

/// A call of a tool.
pub(crate) type Call = (&'static str, Value);

/// An answer of the service that refuses a call, and what must come of it.
pub(crate) struct Refusal {
    pub(crate) reply: Reply,
    pub(crate) kind: &'static str,
    pub(crate) code: &'static str,
    pub(crate) retryable: bool,
    /// Words of the first hint; empty where there need not be one.
    pub(crate) hint: &'static str,
}

/// The error of a call that fails.
#[track_caller]
pub(crate) fn error(service: &Service, (tool, args): &Call) -> Value {
    let result = service.call(tool, args);
    assert_eq!((&result["ok"], &result["output"]), (&json!(false), &json!(null)), "{tool} {args}: {result}");
    result["error"].clone()
}

/// Each refusal is told the same way by every tool, and nothing is tried twice.
#[track_caller]
pub(crate) fn refusals_are_told(service: &Service, host: &str, calls: &[Call], refusals: &[Refusal]) {
    for Refusal { reply, kind, code, retryable, hint } in refusals {
        let answer = reply.clone();
        service.on(host, move |_| answer.clone());
        for call in calls {
            service.upstream.forget();
            let error = error(service, call);
            let shown = format!("{} and {reply:?}: {error}", call.0);
            assert_eq!(
                (&error["type"], &error["upstream_code"], &error["retryable"]),
                (&json!(kind), &json!(code), &json!(retryable)),
                "{shown}"
            );
            assert!(error["remediation_hints"][0].as_str().unwrap_or_default().contains(hint), "{shown}");
            assert!(!error["message"].to_string().contains("<h1>"), "{shown}");
            let mut seen: Vec<String> = service.upstream.requests().iter().map(Recorded::line).collect();
            let sent = seen.len();
            seen.dedup();
            assert!(sent > 0 && sent == seen.len(), "{shown}: {seen:?}");
        }
    }
}

/// Answers that make no sense, or break off, are the service's fault, and nothing of them is shown.
#[track_caller]
pub(crate) fn nonsense_is_survived(service: &Service, host: &str, calls: &[Call]) {
    for (reply, kinds) in [
        (Reply::html(200, "<h1>Sign in</h1>"), &["upstream_error"][..]),
        (Reply::new(200, ""), &["upstream_error"]),
        (Reply::new(200, "{\"ok\": true, \"id\": "), &["upstream_error"]),
        (Reply::json(200, json!(null)), &["upstream_error"]),
        (Reply::json(200, json!([])), &["upstream_error"]),
        (Reply::json(200, json!("ok")), &["upstream_error"]),
        (Reply::new(200, vec![0xff; 100]), &["upstream_error"]),
        (Reply::html(500, "<h1>Oh no</h1>"), &["upstream_error"]),
        (Reply::new(500, ""), &["upstream_error"]),
        (Reply::html(503, "<h1>Back soon</h1>"), &["transient"]),
        (Reply::json(200, json!({ "ok": true, "id": "x".repeat(1000) })).cut_at(100), &["transient", "upstream_error"]),
        (Reply::raw(""), &["transient", "upstream_error"]),
    ] {
        let answer = reply.clone();
        service.on(host, move |_| answer.clone());
        for call in calls {
            let error = error(service, call);
            let kind = error["type"].as_str().unwrap();
            assert!(kinds.contains(&kind), "{} and {reply:?}: {error}", call.0);
            let message = error["message"].as_str().unwrap();
            assert!(!message.contains("<h1>") && message.len() < 500, "{} and {reply:?}: {error}", call.0);
        }
    }
    service.on(host, |_| Reply::zeros(64 << 20));
    let error = error(service, &calls[0]);
    assert_eq!(error["type"], "upstream_error", "{error}");
}

/// Arguments that do not fit are refused before anything is sent: those of a good call without one that is required, with one of
/// another type, with one too many, and the pack's own cases.
#[track_caller]
pub(crate) fn bad_arguments_are_not_sent(service: &Service, host: &str, required: &[(Call, &[&str])], more: &[Call]) {
    service.on(host, |_| Reply::json(200, json!({})));
    service.upstream.forget();
    let mut bad = more.to_vec();
    for ((tool, args), names) in required {
        for name in *names {
            for wrong in [json!(null), json!(7), json!([]), json!(true)] {
                let mut args = args.clone();
                args[*name] = wrong;
                bad.push((tool, args));
            }
            let mut args = args.clone();
            args.as_object_mut().unwrap().remove(*name);
            bad.push((tool, args));
        }
        let mut args = args.clone();
        args["surplus"] = json!(1);
        bad.push((tool, args));
    }
    for call in &bad {
        let error = error(service, call);
        assert_eq!(error["type"], "validation_error", "{call:?}: {error}");
    }
    service.upstream.assert_untouched();
}

/// Texts that change a URL when they are put into it as they are.
pub(crate) fn odd_texts() -> Vec<String> {
    let short = [
        "/",
        "/x/",
        "..%2f..",
        "%2e%2e",
        "%252e%252e%252f",
        "...",
        "a\\b",
        "a?b=c",
        "a#b",
        "a&b=c;d",
        "a b+c",
        "//evil.test/x",
        "@evil.test:80",
        "https://evil.test",
        "a\r\nX-Evil: 1",
        "a\0b",
        "ünï 漢字 \u{1F44B}",
        "\u{202e}\u{feff}x",
    ];
    short.iter().map(|text| (*text).to_owned()).chain([long("x"), long("/"), long("\u{1F44B}")]).collect()
}

/// Texts that can be no name of anything: they vanish from a path, lead up in it even when they are encoded, or are longer than any
/// name.
pub(crate) fn no_names() -> Vec<String> {
    let short = ["", ".", "..", "/../x", "a/../../b", "../..", "a/./b", "x/..", "..\\..", "\\.\\"];
    short.iter().map(|text| (*text).to_owned()).chain(["x".repeat(256), "/".repeat(100_000)]).collect()
}

/// The longest text that stands in a path.
fn long(piece: &str) -> String {
    piece.repeat(255)
}

/// Each odd text stays one segment of the path: `call` makes a call with it, and every request goes to one of `paths`, in which
/// `{}` stands for the text. What can be no name is refused before anything is sent.
#[track_caller]
pub(crate) fn a_text_stays_in_its_segment(service: &Service, host: &str, call: impl Fn(&str) -> Call, paths: &[&str]) {
    for text in odd_texts() {
        service.upstream.forget();
        let (tool, args) = call(&text);
        let _ = service.output(tool, &args);
        let sent = service.upstream.requests();
        assert!(!sent.is_empty(), "{tool} with {text:?}");
        for request in sent {
            let fits = paths.iter().any(|path| goes_to(&request, path, &text));
            assert!(fits, "{tool} with {text:?} went to {}", request.target);
            assert_eq!(
                (request.scheme, request.host.as_str(), request.count("x-evil")),
                ("https", host, 0),
                "{text:?}"
            );
        }
        let mut connects = service.upstream.connects();
        connects.retain(|target| *target != format!("{host}:443"));
        assert_eq!(connects, Vec::<String>::new(), "{tool} with {text:?}");
    }
    service.upstream.forget();
    for text in no_names() {
        let error = error(service, &call(&text));
        assert_eq!(error["type"], "validation_error", "{text:.80}: {error}");
    }
    service.upstream.assert_untouched();
}

/// Whether the target is this path, with the text as one segment and no query.
fn goes_to(request: &Recorded, path: &str, text: &str) -> bool {
    let (wanted, segments): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), request.target.split('/').collect());
    let is = |(wanted, segment): (&&str, &&str)| {
        if *wanted != "{}" {
            return wanted == segment;
        }
        !segment.contains('?')
            && percent_encoding::percent_decode_str(segment).decode_utf8().is_ok_and(|name| name == text)
    };
    wanted.len() == segments.len() && wanted.iter().zip(&segments).all(is)
}

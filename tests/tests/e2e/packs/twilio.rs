//! The Twilio pack against its SDK and against what Twilio answers.

use rig_tests::{
    Recorded, Reply,
    sdk::{Allowed, Part},
};
use serde_json::{Value, json};

use super::Service;

const CORE: &str = "api.twilio.com";
const VERIFY: &str = "verify.twilio.com";
const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const SETTINGS: [(&str, &str); 2] =
    [("TWILIO_ACCOUNT_SID", ACCOUNT), ("TWILIO_AUTH_TOKEN", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")];

pub(super) fn setup() -> Service {
    let service = Service::start("twilio", &SETTINGS);
    service.on(CORE, answer).on(VERIFY, answer);
    service
}

/// Objects as Twilio sends them, shortened.
fn answer(request: &Recorded) -> Reply {
    let call = json!({
        "sid": "CA0123456789abcdef0123456789abcdef", "account_sid": ACCOUNT, "status": "completed", "to": "+15558675310",
        "from": "+15017122661", "direction": "outbound-api", "duration": "15", "start_time": "Tue, 31 Aug 2010 20:36:29 +0000",
        "end_time": "Tue, 31 Aug 2010 20:36:44 +0000", "answered_by": null, "price": "-0.03000", "price_unit": "USD"
    });
    let verification = json!({
        "sid": "VE0123456789abcdef0123456789abcdef", "status": "pending", "valid": false, "to": "+15558675310",
        "channel": "sms", "lookup": {}, "date_created": "2026-11-01T10:00:00Z", "date_updated": "2026-11-01T10:00:00Z"
    });
    let account = format!("/2010-04-01/Accounts/{ACCOUNT}");
    match (request.method.as_str(), request.path().strip_prefix(&account).unwrap_or(request.path())) {
        ("POST", "/Messages.json") => Reply::json(
            201,
            json!({
                "sid": "SM0123456789abcdef0123456789abcdef", "account_sid": ACCOUNT, "body": "Hi", "status": "queued",
                "to": "+15558675310", "from": null, "num_segments": "1", "num_media": "0", "price": null,
                "error_code": null, "error_message": null, "date_created": "Thu, 24 Aug 2023 05:01:45 +0000"
            }),
        ),
        ("POST", "/Calls.json") => Reply::json(201, call),
        ("GET", _) => Reply::json(200, call),
        ("POST", path) if path.ends_with("/Verifications") => Reply::json(201, verification),
        ("POST", path) if path.ends_with("/VerificationCheck") => {
            let mut check = verification;
            (check["status"], check["valid"]) = (json!("approved"), json!(true));
            Reply::json(200, check)
        }
        _ => Reply::json(404, json!({ "code": 20404, "message": "not found", "status": 404 })),
    }
}

/// Every tool with all of its arguments, and which of them it requires.
pub(super) fn calls() -> [(&'static str, &'static [&'static str], Value); 5] {
    let (to, from, service) = ("+15558675310", "+15017122661", "VA0123456789abcdef0123456789abcdef");
    [
        ("twilio.sms.send", &["to", "body"], json!({ "to": to, "from_": from, "body": "a&b = ü \u{1F600} +1" })),
        (
            "twilio.calls.create",
            &["to"],
            json!({ "to": to, "from_": from, "url": "https://example.com/?a=b&c", "twiml": "<Response/>" }),
        ),
        ("twilio.calls.status", &["call_sid"], json!({ "call_sid": "CA0123456789abcdef0123456789abcdef" })),
        ("twilio.verify.start", &["service_sid", "to"], json!({ "service_sid": service, "to": to, "channel": "call" })),
        (
            "twilio.verify.check",
            &["service_sid", "to", "code"],
            json!({ "service_sid": service, "to": to, "code": "012345" }),
        ),
    ]
}

#[test]
fn every_tool_sends_what_the_sdk_sends() {
    let service = setup();
    let allowed = [
        Allowed { part: Part::Header("x-twilio-client"), why: "the SDK tells Twilio its name and version" },
        Allowed { part: Part::Header("accept-charset"), why: "HTTP has given this header up, and JSON is UTF-8" },
    ];
    let minimal = [
        ("twilio.sms.send", json!({ "to": "+1555", "body": "x" })),
        (
            "twilio.calls.create",
            json!({ "to": "+1555", "from_": "+1501", "twiml": "<Response><Say>Hi &amp; ü</Say></Response>" }),
        ),
        ("twilio.calls.create", json!({ "to": "client:a b", "from_": "+1501", "url": "https://example.com/" })),
        ("twilio.verify.start", json!({ "service_sid": "VA1", "to": "ada@example.com", "channel": "email" })),
        ("twilio.verify.start", json!({ "service_sid": "VA1", "to": "+1555" })),
    ];
    for (tool, args) in calls().map(|(tool, _, args)| (tool, args)).into_iter().chain(minimal) {
        let output = service.sends_what_the_sdk_sends(tool, &args, &allowed);
        assert!(output["sid"].is_string(), "{tool}: {output}");
    }
}

#[test]
fn a_messaging_service_stands_in_for_a_sender() {
    let settings = [SETTINGS[0], SETTINGS[1], ("TWILIO_MESSAGING_SERVICE_SID", "MG0123456789abcdef0123456789abcdef")];
    let service = Service::start("twilio", &settings);
    service.on(CORE, answer);
    let allowed =
        ["x-twilio-client", "accept-charset"].map(|name| Allowed { part: Part::Header(name), why: "as above" });
    service.sends_what_the_sdk_sends("twilio.sms.send", &json!({ "to": "+1555", "body": "x" }), &allowed);
    service.sends_what_the_sdk_sends(
        "twilio.sms.send",
        &json!({ "to": "+1555", "from_": "+1501", "body": "x" }),
        &allowed,
    );
}

#[test]
fn answers_hold_what_a_caller_acts_on() {
    let service = setup();
    let [message, call, status, started, checked] = calls().map(|(tool, _, args)| service.output(tool, &args));
    assert_eq!(
        message,
        json!({
            "sid": "SM0123456789abcdef0123456789abcdef", "status": "queued", "to": "+15558675310", "from": null, "body": "Hi",
            "num_segments": 1, "error_code": null, "error_message": null, "date_created": "Thu, 24 Aug 2023 05:01:45 +0000"
        })
    );
    assert_eq!(
        (&call["status"], &call["duration"], &call["price"]),
        (&json!("completed"), &json!(15), &json!("-0.03000"))
    );
    assert_eq!(call, status);
    assert_eq!((&started["status"], &started["valid"]), (&json!("pending"), &json!(false)));
    assert_eq!((&checked["status"], &checked["valid"]), (&json!("approved"), &json!(true)));
}

#[test]
fn refusals_of_twilio_are_told() {
    let service = setup();
    let error = |status: u16, code: Option<u32>| {
        let page = "https://www.twilio.com/docs/errors/20003";
        Reply::json(status, json!({ "code": code, "message": "What is wrong", "more_info": page, "status": status }))
    };
    let answers = || {
        [
            (error(400, Some(21211)), "validation_error", "21211", false),
            (error(400, Some(21610)), "permission_error", "21610", false),
            (error(401, Some(20003)), "auth_error", "20003", false),
            (error(403, Some(20403)), "permission_error", "20403", false),
            (error(404, Some(20404)), "not_found", "20404", false),
            (error(409, None), "conflict", "409", false),
            (error(422, None), "validation_error", "422", false),
            (error(429, Some(20429)).header("Retry-After", "17"), "rate_limited", "20429", true),
            (error(500, Some(20500)), "upstream_error", "20500", true),
            (Reply::html(503, "<h1>Unavailable</h1>"), "transient", "503", true),
        ]
    };
    let calls = calls().map(|(tool, _, args)| (tool, args));
    service.answers_become_kinds(CORE, &calls[..3], answers());
    service.answers_become_kinds(VERIFY, &calls[3..], answers());
    service.on(CORE, move |_| error(401, Some(20003)));
    let error = service.error(calls[0].0, &calls[0].1, "auth_error");
    let hints = error["remediation_hints"].to_string();
    assert!(hints.contains("TWILIO_AUTH_TOKEN") && hints.contains("errors/20003"), "{error}");
}

#[test]
fn nonsense_is_the_service_s_fault() {
    let service = setup();
    let calls = calls().map(|(tool, _, args)| (tool, args));
    service.nonsense_is_the_service_s_fault(CORE, &calls[..3]);
    service.nonsense_is_the_service_s_fault(VERIFY, &calls[3..]);
}

#[test]
fn bad_arguments_are_not_sent() {
    let service = setup();
    for (tool, required, args) in calls() {
        service.bad_arguments_are_not_sent(tool, required, &args);
    }
    for (tool, args) in [
        ("twilio.sms.send", json!({ "to": "", "body": "x" })),
        ("twilio.sms.send", json!({ "to": "+1", "body": "" })),
        ("twilio.calls.create", json!({ "to": "+1", "twiml": "<Response/>" })),
        ("twilio.calls.create", json!({ "to": "+1", "from_": "+2" })),
        ("twilio.calls.status", json!({ "call_sid": "" })),
        ("twilio.verify.start", json!({ "service_sid": "VA1", "to": "+1", "channel": "pigeon" })),
    ] {
        service.error(tool, &args, "validation_error");
        service.upstream.assert_untouched();
    }
}

#[test]
fn an_id_cannot_change_the_request() {
    let service = setup();
    let calls = calls();
    service.path_keeps_its_shape(CORE, calls[2].0, &calls[2].2, "call_sid");
    for (tool, _, args) in &calls[3..] {
        service.path_keeps_its_shape(VERIFY, tool, args, "service_sid");
    }
}

#[test]
fn the_account_is_told_when_it_is_missing() {
    let service = Service::start("twilio", &SETTINGS[1..]);
    service.on(CORE, answer);
    let (tool, _, args) = &calls()[0];
    let error = service.call(tool, args)["error"].clone();
    assert!(error["message"].to_string().contains("TWILIO_ACCOUNT_SID"), "{error}");
    service.upstream.assert_untouched();
}

//! The SendGrid pack against its SDK and against what SendGrid answers.

use rig_tests::{Recorded, Reply};
use serde_json::{Value, json};

use super::Service;

const HOST: &str = "api.sendgrid.com";
const SEND: &str = "sendgrid.email.send";
const LIST: &str = "sendgrid.templates.list";

fn setup() -> Service {
    let service = Service::start("sendgrid", &[("SENDGRID_API_KEY", "SG.0123456789abcdefABCDEF.0123456789abcdef")]);
    service.on(HOST, answer);
    service
}

fn answer(request: &Recorded) -> Reply {
    match (request.method.as_str(), request.path()) {
        ("POST", "/v3/mail/send") => Reply::new(202, "").header("X-Message-Id", "14c5d75ce93.dfd.64b469"),
        ("GET", "/v3/templates") => Reply::json(
            200,
            json!({ "templates": [{
                "id": "d-40da60e6872b45fe8e8cf3cd05b6a0ef", "name": "Receipt", "generation": "dynamic",
                "updated_at": "2026-11-01 10:00:00",
                "versions": [{
                    "id": "98b0", "template_id": "d-40da60e6872b45fe8e8cf3cd05b6a0ef", "active": 1, "name": "v1",
                    "subject": "{{subject}}", "updated_at": "2026-11-01 10:00:00", "editor": "code"
                }]
            }] }),
        ),
        _ => Reply::json(404, json!({ "errors": [{ "message": "not found", "field": null, "help": null }] })),
    }
}

fn email() -> Value {
    json!({
        "to": "Ada Lovelace <ada@example.com>", "from_email": "shop@example.com", "subject": "Your order ü",
        "html_content": "<p>\u{1F600} & \"quotes\"</p>", "text_content": "It is\n on its way."
    })
}

#[test]
fn every_tool_sends_what_the_sdk_sends() {
    let service = setup();
    let addresses = |to: &str, from: &str| json!({ "to": to, "from_email": from, "subject": "S", "text_content": "T" });
    let mut html = addresses("a@b.c", "d@e.f");
    html["html_content"] = html.as_object_mut().unwrap().remove("text_content").unwrap();
    for (tool, args) in [
        (SEND, email()),
        (SEND, addresses("a@b.c", "d@e.f")),
        (SEND, addresses("<a@b.c>", "\"Shop, Inc\" <d+x@e.f>")),
        (SEND, html),
        (LIST, json!({})),
        (LIST, json!({ "generations": "legacy" })),
        (LIST, json!({ "generations": "legacy,dynamic" })),
    ] {
        // No difference is allowed.
        service.sends_what_the_sdk_sends(tool, &args, &[]);
    }
}

#[test]
fn answers_hold_what_a_caller_acts_on() {
    let service = setup();
    assert_eq!(service.output(SEND, &email()), json!({ "accepted": true, "message_id": "14c5d75ce93.dfd.64b469" }));
    assert_eq!(
        service.output(LIST, &json!({ "generations": "dynamic" })),
        json!({ "templates": [{
            "id": "d-40da60e6872b45fe8e8cf3cd05b6a0ef", "name": "Receipt", "generation": "dynamic",
            "updated_at": "2026-11-01 10:00:00",
            "versions": [{ "id": "98b0", "name": "v1", "subject": "{{subject}}", "active": true }]
        }] })
    );
}

#[test]
fn refusals_of_sendgrid_are_told() {
    let service = setup();
    let error = |status: u16| {
        let error = json!({ "message": "What is wrong", "field": "from.email", "help": null });
        Reply::json(status, json!({ "errors": [error] }))
    };
    service.answers_become_kinds(
        HOST,
        &[(SEND, email()), (LIST, json!({}))],
        [
            (error(400), "validation_error", "400", false),
            (error(401), "auth_error", "401", false),
            (error(403), "permission_error", "403", false),
            (error(404), "not_found", "404", false),
            (error(409), "conflict", "409", false),
            (error(413), "validation_error", "413", false),
            (error(422), "validation_error", "422", false),
            (error(429).header("Retry-After", "17"), "rate_limited", "429", true),
            (error(500), "upstream_error", "500", true),
            (Reply::html(503, "<h1>Unavailable</h1>"), "transient", "503", true),
        ],
    );
    service.on(HOST, move |_| error(403));
    let error = service.error(SEND, &email(), "permission_error");
    assert_eq!(error["message"], "SendGrid: What is wrong (from.email)");
    assert!(error["remediation_hints"][0].as_str().unwrap().contains("sender that is verified"), "{error}");
}

#[test]
fn nonsense_is_the_service_s_fault() {
    let service = setup();
    service.nonsense_is_the_service_s_fault(HOST, &[(LIST, json!({}))]);
    // The answer to an email has no body that could be nonsense, but it can fail to come.
    for reply in [Reply::raw(""), Reply::raw("garbage\r\n\r\n"), Reply::new(202, "x".repeat(100)).cut_at(50)] {
        service.on(HOST, move |_| reply.clone());
        let error = service.call(SEND, &email())["error"].clone();
        assert!(["upstream_error", "transient"].contains(&error["type"].as_str().unwrap_or_default()), "{error}");
    }
}

#[test]
fn bad_arguments_are_not_sent() {
    let service = setup();
    service.bad_arguments_are_not_sent(SEND, &["to", "from_email", "subject"], &email());
    service.bad_arguments_are_not_sent(LIST, &[], &json!({ "generations": "dynamic" }));
    for (name, value) in [
        ("to", json!("")),
        ("to", json!("nobody")),
        ("to", json!("a@b.c, d@e.f")),
        ("from_email", json!("a@b.c\r\nBcc: x@y.z")),
        ("subject", json!("")),
    ] {
        let mut args = email();
        args[name] = value;
        service.error(SEND, &args, "validation_error");
        service.upstream.assert_untouched();
    }
    let empty = json!({ "to": "a@b.c", "from_email": "d@e.f", "subject": "S" });
    service.error(SEND, &empty, "validation_error");
    service.error(LIST, &json!({ "generations": "dynamic,legacy" }), "validation_error");
    service.upstream.assert_untouched();
}

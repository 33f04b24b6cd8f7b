//! The tools against a stand-in for Twilio.

use rig_sdk::{
    Tool,
    json::{Value, json},
    mock::{self, HttpError, Response},
};

use super::*;

/// What a tool sends for some arguments.
type Sends = fn(&Value) -> String;

/// Method, URL and body of the only request that a tool with these arguments makes.
fn sent<T: Tool>(args: &Value) -> String {
    let _account = mock::config("TWILIO_ACCOUNT_SID", "AC1");
    let mock = mock::http(|_| Ok(Response::json(201, &json!({ "sid": "X1" }))));
    T::call(&args.to_string(), &mock::context()).unwrap();
    let sent = &mock.requests()[0];
    assert_eq!((sent.header("accept"), sent.header("authorization")), (Some("application/json"), None));
    let form = (sent.method == "POST").then_some("application/x-www-form-urlencoded");
    assert_eq!(sent.header("content-type"), form);
    format!("{} {} {}", sent.method, sent.url, sent.text())
}

/// The error of a message that was answered with this.
fn failing(response: Response) -> Error {
    let _account = mock::config("TWILIO_ACCOUNT_SID", "AC1");
    let _mock = mock::http(move |_| Ok(response.clone()));
    send_sms("+1".into(), None, "x".into()).unwrap_err()
}

fn kind(error: &Error) -> String {
    error.to_string().split(':').next().unwrap_or_default().to_owned()
}

#[test]
fn requests_are_forms_under_the_account_or_the_service() {
    let account = "https://api.twilio.com/2010-04-01/Accounts/AC1";
    let service = "https://verify.twilio.com/v2/Services/VA1";
    let cases: [(Sends, Value, String); 9] = [
        (
            sent::<send_sms>,
            json!({ "to": "+1555", "from_": "+1501", "body": "a&b = ü" }),
            format!("POST {account}/Messages.json To=%2B1555&From=%2B1501&Body=a%26b+%3D+%C3%BC"),
        ),
        (sent::<send_sms>, json!({ "to": "t", "body": "b" }), format!("POST {account}/Messages.json To=t&Body=b")),
        (
            sent::<create_call>,
            json!({ "to": "t", "from_": "f", "twiml": "<Response/>" }),
            format!("POST {account}/Calls.json To=t&From=f&Twiml=%3CResponse%2F%3E"),
        ),
        (
            sent::<create_call>,
            json!({ "to": "t", "from_": "f", "twiml": "x", "url": "https://e.com/?a=b" }),
            format!("POST {account}/Calls.json To=t&From=f&Url=https%3A%2F%2Fe.com%2F%3Fa%3Db&Twiml=x"),
        ),
        (sent::<call_status>, json!({ "call_sid": "CA1" }), format!("GET {account}/Calls/CA1.json ")),
        (sent::<call_status>, json!({ "call_sid": "a/x?y" }), format!("GET {account}/Calls/a%2Fx%3Fy.json ")),
        (
            sent::<start_verification>,
            json!({ "service_sid": "VA1", "to": "t" }),
            format!("POST {service}/Verifications To=t&Channel=sms"),
        ),
        (
            sent::<start_verification>,
            json!({ "service_sid": "VA1", "to": "a@b.c", "channel": "email" }),
            format!("POST {service}/Verifications To=a%40b.c&Channel=email"),
        ),
        (
            sent::<check_verification>,
            json!({ "service_sid": "VA1", "to": "t", "code": "0123" }),
            format!("POST {service}/VerificationCheck Code=0123&To=t"),
        ),
    ];
    for (sent, args, expected) in cases {
        assert_eq!(sent(&args), expected, "{args}");
    }
}

#[test]
fn a_messaging_service_stands_in_for_a_sender() {
    let _service = mock::config("TWILIO_MESSAGING_SERVICE_SID", "MG1");
    assert!(sent::<send_sms>(&json!({ "to": "t", "body": "b" })).ends_with(" To=t&MessagingServiceSid=MG1&Body=b"));
    let args = json!({ "to": "t", "from_": "f", "body": "b" });
    assert!(sent::<send_sms>(&args).ends_with(" To=t&From=f&Body=b"));
}

#[test]
fn what_twilio_would_refuse_is_not_sent() {
    let mock = mock::http(|_| Ok(Response::new(200)));
    let call =
        |from_: Option<&str>| create_call("t".into(), from_.map(Into::into), None, None).unwrap_err().to_string();
    assert_eq!(call(None), "validation_error: give `from_`: Twilio calls from a number of the account");
    assert_eq!(call(Some("f")), "validation_error: give `twiml` or `url`: they say what happens in the call");
    let error = send_sms("t".into(), None, "b".into()).unwrap_err();
    assert_eq!(error.to_string(), "auth_error: the setting TWILIO_ACCOUNT_SID is not set");
    assert!(mock.requests().is_empty());
}

#[test]
fn numbers_come_as_texts_too() {
    let _account = mock::config("TWILIO_ACCOUNT_SID", "AC1");
    let _mock = mock::http(|_| {
        let call = json!({
            "sid": "CA1", "status": "completed", "to": "+1", "from": "+2", "duration": "15", "price": "-0.00850",
            "price_unit": "USD", "answered_by": null, "direction": "outbound-api", "start_time": "s", "end_time": 5
        });
        Ok(Response::json(200, &call))
    });
    assert_eq!(
        json!(call_status("CA1".into()).unwrap()),
        json!({
            "sid": "CA1", "status": "completed", "to": "+1", "from": "+2", "duration": 15, "price": "-0.00850",
            "price_unit": "USD", "answered_by": null, "direction": "outbound-api", "start_time": "s", "end_time": null
        })
    );
}

#[test]
fn twilio_s_errors_become_kinds() {
    let cases = [
        (400, Some(21211), "validation_error", false),
        (400, Some(21603), "validation_error", false),
        (400, Some(21408), "permission_error", false),
        (400, Some(21610), "permission_error", false),
        (401, Some(20003), "auth_error", false),
        (403, Some(20003), "permission_error", false),
        (404, Some(20404), "not_found", false),
        (409, None, "conflict", false),
        (422, None, "validation_error", false),
        (429, Some(20429), "rate_limited", true),
        (429, Some(60203), "rate_limited", true),
        (500, Some(20500), "upstream_error", true),
        (503, None, "transient", true),
    ];
    for (status, code, expected, retryable) in cases {
        let body = json!({ "code": code, "message": "Why", "more_info": "https://www.twilio.com/docs/errors/1", "status": status });
        let error = failing(Response::json(status, &body));
        assert_eq!((kind(&error).as_str(), error.is_retryable()), (expected, retryable), "{status} {code:?}");
        let code = code.unwrap_or(u64::from(status));
        assert_eq!((error.code(), error.message()), (Some(&*code.to_string()), "Twilio: Why"));
        assert!(error.hints().iter().any(|hint| hint == "see https://www.twilio.com/docs/errors/1"), "{error:?}");
    }
}

#[test]
fn the_errors_that_are_met_most_say_what_to_do() {
    for (status, code, part) in [
        (401, 20003, "TWILIO_AUTH_TOKEN"),
        (400, 21603, "TWILIO_MESSAGING_SERVICE_SID"),
        (400, 21606, "number of the account"),
        (400, 21211, "with its country"),
        (400, 21610, "asked not to be written to"),
        (400, 21408, "country in the console"),
        (400, 21608, "trial account"),
        (429, 60202, "too many codes were tried"),
        (404, 20404, "check the SIDs"),
    ] {
        let error = failing(Response::json(status, &json!({ "code": code, "message": "Why" })));
        assert!(error.hints()[0].contains(part), "{code}: {:?}", error.hints());
    }
    let limited = Response::json(429, &json!({ "message": "Why" })).header("retry-after", "3");
    assert_eq!(failing(limited).hints(), ["retry after 3 s"]);
}

#[test]
fn a_message_without_a_clear_answer_may_be_on_its_way() {
    let hint = "look whether it was done before making the call again".to_owned();
    for body in ["", "<html>", "[]", "null", r#"{"sid": 7}"#, "{}"] {
        let error = failing(Response::new(201).body(body));
        assert_eq!((kind(&error).as_str(), error.is_retryable()), ("upstream_error", false), "{body}");
        assert!(error.hints().contains(&hint), "{body}: {:?}", error.hints());
    }
    let error = failing(Response::new(502).body("<html>"));
    assert_eq!(error.message(), "Twilio answered with status 502 and no explanation");
    assert!(error.hints().contains(&hint));
    let _account = mock::config("TWILIO_ACCOUNT_SID", "AC1");
    let _mock = mock::http(|_| Err(HttpError::Connect("why".into())));
    assert!(send_sms("t".into(), None, "b".into()).unwrap_err().hints().is_empty());
    assert!(call_status("CA1".into()).unwrap_err().hints().is_empty());
}

#[test]
fn long_words_are_cut() {
    let error = failing(Response::json(400, &json!({ "message": "ä".repeat(5000) })));
    assert_eq!(error.message().chars().count(), 601);
}

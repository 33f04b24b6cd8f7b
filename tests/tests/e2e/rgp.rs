//! The HTTP API as programs use it: every endpoint, over the wire.

use std::{
    io::{BufReader, Read as _, Write as _},
    thread,
    time::{Duration, Instant},
};

use rig_tests::{Answer, Gateway, Project, guest::Guest, packs};
use serde_json::{Value, json};

const SEND: &str = "echo.message.send";
const CALL: &str = "/v1/tools/echo.message.send:call";
const JSON: (&str, &str) = ("content-type", "application/json");

fn echo() -> (Project, Gateway) {
    let project = Project::with(&["echo"]);
    let gateway = Gateway::start(&project);
    (project, gateway)
}

/// The value of one metric; 0 when it has not been counted yet.
fn metric(gateway: &Gateway, name: &str) -> f64 {
    let text = String::from_utf8(gateway.get("/metrics").body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn keys(value: &Value) -> String {
    value.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn health_and_the_description_are_there() {
    let (_project, gateway) = echo();
    let health = gateway.get("/v1/health");
    assert_eq!((health.status, health.json()), (200, json!({ "status": "ok" })));
    assert_eq!(health.header("content-type"), Some("application/json"));
    assert_eq!(health.header("x-content-type-options"), Some("nosniff"));
    let description = gateway.get("/openapi.json").json();
    assert_eq!(description["openapi"], "3.1.0");
    // HEAD is GET without the body: the connection holds nothing more.
    let mut stream = gateway.connect();
    let request = format!("HEAD /v1/health HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", gateway.address());
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = String::new();
    stream.read_to_string(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("content-length: 15\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    gateway.stop().ok();
}

#[test]
fn tools_are_listed_as_the_command_line_lists_them() {
    let (project, gateway) = echo();
    let listed = gateway.get("/v1/tools");
    assert_eq!(listed.json(), project.rig(&["list", "--json"]).ok().json());
    let tag = listed.header("etag").expect("a tag");
    let again = gateway.request("GET", "/v1/tools", &[("if-none-match", tag)], b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("etag"), Some(tag));
    let other = gateway.request("GET", "/v1/tools", &[("if-none-match", "\"other\"")], b"");
    assert_eq!(other.status, 200);

    let one = gateway.get("/v1/tools/echo.message.send");
    assert_eq!(one.json(), listed.json()[0]);
    let detail = gateway.get("/v1/tools/echo.message.nope").refuses(404, "not_found");
    assert!(detail.contains("echo.message.nope"), "{detail}");
    for format in ["openai", "anthropic", "gemini", "mcp"] {
        let exported = project.rig(&["export", "--format", format]).ok().json();
        assert_eq!(gateway.get(&format!("/v1/tools?format={format}")).json(), exported, "{format}");
    }
    let detail = gateway.get("/v1/tools?format=yaml").refuses(422, "invalid_request");
    assert_eq!(detail, "`format` in the query is one of openai, anthropic, gemini, mcp");
    gateway.stop().ok();
}

#[test]
fn a_call_is_answered_with_a_result() {
    let (_project, gateway) = echo();
    let context = json!({ "tenant_id": "t", "request_id": "req-1", "actor": "zoe" });
    let headers = [JSON, ("x-rig-correlation-id", "from-the-header"), ("x-rig-actor-id", "somebody else")];
    let body = json!({ "args": { "message": "é\"\\" }, "context": context }).to_string();
    let answer = gateway.request("POST", CALL, &headers, body.as_bytes());
    let result = answer.json();
    assert_eq!((answer.status, &result["ok"]), (200, &json!(true)));
    assert_eq!(result["output"], json!({ "message": "é\"\\" }));
    assert_eq!(
        (&result["error"], &result["pack"], &result["correlation_id"]),
        (&Value::Null, &json!("echo"), &json!("req-1"))
    );
    assert_eq!(answer.header("x-rig-correlation-id"), Some("req-1"), "the body wins");
    assert_eq!(keys(&result), "correlation_id error interface_hash ok output pack pack_set_version pack_version");

    // From the headers, when the body does not say.
    let answer = gateway.request("POST", CALL, &headers, br#"{"args":{"message":"x"}}"#);
    assert_eq!(answer.header("x-rig-correlation-id"), Some("from-the-header"));
    assert_eq!(answer.json()["correlation_id"], "from-the-header");
    let page = gateway.post("/v1/audit/query", json!({})).json();
    let who = |row: usize| (page["entries"][row]["actor"].clone(), page["entries"][row]["tenant_id"].clone());
    assert_eq!((who(0), who(1)), ((json!("somebody else"), json!("")), (json!("zoe"), json!("t"))));

    // Nobody's id: a new one each time.
    let ids = [(); 2].map(|()| gateway.call(SEND, json!({ "message": "x" }))["correlation_id"].clone());
    assert!(ids[0] != ids[1] && ids[0].as_str().is_some_and(|id| id.len() == 36), "{ids:?}");
    gateway.stop().ok();
}

#[test]
fn failed_calls_are_answers_too() {
    let (_project, gateway) = echo();
    for (tool, body, kind) in [
        (SEND, json!({}), "validation_error"),
        (SEND, json!({ "args": { "message": 5 } }), "validation_error"),
        ("echo.message.nope", json!({ "args": {} }), "not_found"),
        ("%00%0a%22é", json!({}), "not_found"),
    ] {
        let answer = gateway.post(&format!("/v1/tools/{tool}:call"), body);
        let result = answer.json();
        assert_eq!((answer.status, &result["ok"], &result["output"]), (200, &json!(false), &Value::Null), "{tool}");
        assert_eq!(result["error"]["type"], kind, "{result}");
        assert_eq!(keys(&result["error"]), "correlation_id message remediation_hints retryable type upstream_code");
        assert_eq!(result["error"]["correlation_id"], result["correlation_id"]);
        assert_eq!(answer.header("x-rig-correlation-id"), result["correlation_id"].as_str());
    }
    // No body at all is a call without arguments.
    let empty = gateway.request("POST", CALL, &[], b"").json();
    assert_eq!(empty["error"]["type"], "validation_error", "{empty}");
    // What a list for models calls the tool is a name of it too.
    assert_eq!(gateway.call("echo_message_send", json!({ "message": "x" }))["ok"], true);
    let page = gateway.post("/v1/audit/query", json!({ "ok": false })).json();
    assert_eq!(page["total"], 5, "unknown tools are recorded too: {page}");
    gateway.stop().ok();
}

#[test]
fn approvals_are_listed_approved_and_denied() {
    let project = Project::with(&["echo"]);
    project.configure("policy:\n  raise_risk: { 'echo.*': money }\n");
    let gateway = Gateway::start(&project);
    let token = |gateway: &Gateway, message: &str| {
        let error = gateway.call(SEND, json!({ "message": message }))["error"].clone();
        assert_eq!(error["type"], "approval_required", "{error}");
        let hint = error["remediation_hints"][0].as_str().unwrap().to_owned();
        hint.strip_prefix("approve token: ").unwrap().to_owned()
    };
    let (yes, no) = (token(&gateway, "yes"), token(&gateway, "no"));
    let waiting = gateway.get("/v1/approvals").json();
    assert_eq!((&waiting[0]["token"], &waiting[1]["token"]), (&json!(yes), &json!(no)));
    assert_eq!(keys(&waiting[0]), "actor args expires_at requested_at risk_class tenant_id token tool_name");
    assert!((metric(&gateway, "rig_approvals_waiting") - 2.0).abs() < 0.1);

    let path = |token: &str, what: &str| format!("/v1/approvals/{token}:{what}");
    let approve = |token: &str| gateway.request("POST", &path(token, "approve"), &[("x-rig-actor-id", "ann")], b"");
    // What runs is what was stored: a body that says otherwise is refused, and costs the approval nothing.
    let other = gateway.post(&path(&yes, "approve"), json!({ "args": { "message": "other" } }));
    other.refuses(422, "invalid_request");
    let approved = approve(&yes).json();
    assert_eq!((&approved["ok"], &approved["output"]["message"]), (&json!(true), &json!("yes")));
    assert_eq!(approve(&yes).json()["error"]["type"], "not_found", "once");

    let denied = gateway.post(&path(&no, "deny"), json!({}));
    assert_eq!((denied.status, denied.json()), (200, json!({ "denied": true, "token": no })));
    for what in ["approve", "deny"] {
        let answer = gateway.request("POST", &path("never-given-out", what), &[], b"");
        assert_eq!((answer.status, &answer.json()["error"]["type"]), (200, &json!("not_found")), "{what}");
    }
    gateway.request("POST", &path(&no, "undo"), &[], b"").refuses(404, "not_found");
    assert_eq!(gateway.get("/v1/approvals").json(), json!([]));

    let page = gateway.post("/v1/audit/query", json!({ "tool_name": SEND })).json();
    let by: Vec<_> = page["entries"].as_array().unwrap().iter().map(|row| row["decision"]["by"].clone()).collect();
    assert_eq!(by, [json!("somebody at the API"), json!("ann"), Value::Null, Value::Null], "{page}");
    gateway.stop().ok();
}

#[test]
fn audit_queries_are_checked_and_answered() {
    let (_project, gateway) = echo();
    for message in ["a", "b", "c"] {
        let _ = gateway.call(SEND, json!({ "message": message }));
    }
    let page = gateway.post("/v1/audit/query", json!({ "limit": 2, "tool_name": SEND, "ok": true })).json();
    let size = page["entries"].as_array().map(Vec::len);
    assert_eq!((size, &page["total"], &page["has_more"]), (Some(2), &json!(3), &json!(true)));
    for (query, why) in [
        (json!({ "limit": 0 }), "limit is 0: it must be between 1 and 1000"),
        (json!({ "limit": 1001 }), "limit is 1001: it must be between 1 and 1000"),
        (
            json!({ "start_time": "yesterday" }),
            "start_time is `yesterday`, which is no RFC 3339 time such as 2026-11-21T10:00:00Z",
        ),
    ] {
        assert_eq!(gateway.post("/v1/audit/query", query).refuses(422, "invalid_request"), why);
    }
    gateway.post("/v1/audit/query", json!({ "who": "x" })).refuses(422, "invalid_request");
    gateway.stop().ok();
}

#[test]
fn calls_are_counted_and_logged_without_their_arguments() {
    let project = Project::with(&["echo"]);
    let gateway = Gateway::start_with(&project, &["--log-json", "--verbose"]);
    let body =
        json!({ "args": { "message": "canary-in-the-arguments" }, "context": { "actor": "zoe", "request_id": "r-7" } });
    let _ = gateway.post(CALL, body);
    for unknown in ["no.such.tool", "no.such.other"] {
        let _ = gateway.call(unknown, json!({}));
    }
    for (name, value) in [
        (r#"rig_calls_total{pack="echo",tool="echo.message.send",outcome="ok"}"#, 1.0),
        (r#"rig_calls_total{pack="unknown",tool="unknown",outcome="error"}"#, 2.0),
        (r#"rig_call_duration_seconds_count{pack="echo",tool="echo.message.send"}"#, 1.0),
        (r#"rig_http_requests_total{route="/v1/tools/{name}:call",status="200"}"#, 3.0),
        ("rig_calls_in_flight", 0.0),
        ("rig_audit_problem", 0.0),
    ] {
        assert!((metric(&gateway, name) - value).abs() < 0.1, "{name} is not {value}");
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(gateway.get("/metrics").header("content-type"), Some(kind));
    let log = gateway.stop();
    log.lacks("canary-in-the-arguments");
    let lines = log.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let calls: Vec<Value> = lines.filter(|line| line["message"] == "call").collect();
    assert_eq!(calls.len(), 3, "{log}");
    let first = &calls[0];
    assert_eq!((&first["tool"], &first["pack"], &first["outcome"]), (&json!(SEND), &json!("echo"), &json!("ok")));
    assert_eq!((&first["actor"], &first["correlation_id"]), (&json!("zoe"), &json!("r-7")));
    assert!(first["duration_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{first}");
    assert_eq!((&calls[1]["tool"], &calls[1]["error_type"]), (&json!("no.such.tool"), &json!("not_found")));
}

/// A pack whose tool never ends by itself.
fn endless() -> Project {
    let project = Project::empty();
    project
        .offer(&[packs::built("echo"), Guest::new("endless").body("(loop $again (br $again)) (unreachable)").build()]);
    project.install(&["echo", "endless"]);
    project
}

/// Sends a call and leaves it open.
fn begin(gateway: &Gateway) -> std::net::TcpStream {
    let mut stream = gateway.connect();
    let head = format!("POST /v1/tools/endless.probe.run:call HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.address());
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// The sandbox stops within 50 ms, seen from outside by asking for metrics all the time. The best of some tries counts: a busy machine
/// can make any one of them late.
#[test]
fn a_client_that_goes_away_takes_its_call_with_it() {
    const TRIES: usize = 8;
    let project = endless();
    let gateway = Gateway::start(&project);
    let mut best = Duration::MAX;
    for _ in 0..TRIES {
        let stream = begin(&gateway);
        until("the call runs", || metric(&gateway, "rig_calls_in_flight") > 0.5);
        let gone = Instant::now();
        drop(stream);
        until("the call ends", || metric(&gateway, "rig_calls_in_flight") < 0.5);
        best = best.min(gone.elapsed());
    }
    assert!(best < Duration::from_millis(50), "the sandbox ran on for {best:?}");
    let page = gateway.post("/v1/audit/query", json!({ "tool_name": "endless.probe.run", "ok": false })).json();
    assert_eq!(page["total"], TRIES, "each has its row: {page}");
    gateway.stop().ok();
}

#[test]
fn stopping_answers_what_is_in_flight() {
    let project = endless();
    project.configure("policy:\n  timeout_seconds: 2\n");
    let mut gateway = Gateway::start(&project);
    let mut stream = BufReader::new(begin(&gateway));
    until("the call runs", || metric(&gateway, "rig_calls_in_flight") > 0.5);
    gateway.signal("TERM");
    let answer = Answer::read(&mut stream).json();
    assert_eq!(answer["error"]["type"], "timeout", "{answer}");
    until("the gateway ends", || gateway.is_done());
}

#[test]
fn one_connection_carries_many_calls() {
    let (_project, gateway) = echo();
    let mut stream = BufReader::new(gateway.connect());
    for n in 0..50 {
        let body = json!({ "args": { "message": n.to_string() } }).to_string();
        let head = format!(
            "POST {CALL} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            gateway.address(),
            body.len()
        );
        stream.get_mut().write_all(head.as_bytes()).unwrap();
        assert_eq!(Answer::read(&mut stream).json()["output"]["message"], n.to_string());
    }
    gateway.stop().ok();
}

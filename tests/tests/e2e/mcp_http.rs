//! MCP over HTTP, as it is on the wire: sessions and their owners, bad requests, and that a client which goes away ends its call.

use std::{
    io::{BufReader, Write as _},
    thread,
    time::{Duration, Instant},
};

use rig_tests::{Answer, Gateway, Project, guest::Guest, packs};
use serde_json::{Value, json};

const SEND: &str = "echo_message_send";
const ACCEPT: (&str, &str) = ("accept", "application/json, text/event-stream");
const JSON: (&str, &str) = ("content-type", "application/json");
const LEGACY: (&str, &str) = ("mcp-protocol-version", "2025-11-25");
const STATELESS: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

fn post(gateway: &Gateway, headers: &[(&str, &str)], body: &Value) -> Answer {
    gateway.request("POST", "/mcp", &[&[ACCEPT, JSON], headers].concat(), body.to_string().as_bytes())
}

/// The messages of an answer, whether it is one body or a stream.
fn messages(answer: &Answer) -> Vec<Value> {
    if answer.header("content-type") == Some("application/json") {
        return vec![answer.json()];
    }
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| !data.is_empty()).map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn initialize() -> Value {
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })
}

fn open(gateway: &Gateway, headers: &[(&str, &str)]) -> String {
    let answer = post(gateway, headers, &initialize());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("mcp-session-id").expect("a session").to_owned()
}

fn call(id: u64, name: &str, arguments: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name, "arguments": arguments } })
}

fn stateless(mut message: Value) -> Value {
    message["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    message
}

#[test]
fn a_session_is_opened_used_and_ended() {
    let project = Project::with(&["echo"]);
    let gateway = Gateway::start(&project);
    let session = open(&gateway, &[]);
    let headers = [("mcp-session-id", session.as_str()), LEGACY];
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(post(&gateway, &headers, &initialized).status, 202);
    let answer = post(&gateway, &headers, &call(1, SEND, &json!({ "message": "x" })));
    let result = messages(&answer).pop().expect("an answer");
    assert_eq!(result["result"]["structuredContent"], json!({ "message": "x" }), "{result}");
    let ended = gateway.request("DELETE", "/mcp", &headers, b"");
    assert_eq!(ended.status, 202, "{ended:?}");
    let after = post(&gateway, &headers, &call(2, SEND, &json!({ "message": "x" })));
    assert_eq!((after.status, after.json()["error"]["code"].as_i64()), (404, Some(-32000)));
}

#[test]
fn unknown_sessions_are_not_found() {
    let project = Project::with(&["echo"]);
    let gateway = Gateway::start(&project);
    for session in ["00000000-0000-0000-0000-000000000000", "x", ""] {
        let headers = [("mcp-session-id", session), LEGACY];
        for method in ["POST", "GET", "DELETE"] {
            let body = call(1, SEND, &json!({})).to_string();
            let body = if method == "POST" { body.as_bytes() } else { b"" };
            let answer = gateway.request(method, "/mcp", &[&[ACCEPT, JSON], &headers[..]].concat(), body);
            assert_eq!(answer.status, 404, "{method} {session:?}: {answer:?}");
            assert!(answer.json()["error"]["message"].as_str().is_some_and(|why| why.contains("initialize")));
        }
    }
}

#[test]
fn a_session_belongs_to_the_tenant_that_opened_it() {
    let project = Project::with(&["echo"]);
    let made = ["ann", "bob"].map(|tenant| project.rig(&["tenant", "new", tenant, "--json"]).ok().json());
    let word = |made: &Value, key: &str| made[key].as_str().unwrap_or_else(|| panic!("a {key}: {made}")).to_owned();
    let tenant = |n: usize, id: &str| format!("  {id}:\n    tokens: ['{}']\n", word(&made[n], "hash"));
    project.configure(&format!("tenants:\n{}{}", tenant(0, "ann"), tenant(1, "bob")));
    let [ann, bob] = [0, 1].map(|n| format!("Bearer {}", word(&made[n], "token")));
    let gateway = Gateway::start(&project);
    let (ann, bob) = (("authorization", ann.as_str()), ("authorization", bob.as_str()));
    assert_eq!(post(&gateway, &[], &initialize()).status, 401);
    let session = open(&gateway, &[ann]);
    let session = ("mcp-session-id", session.as_str());
    let message = call(1, SEND, &json!({ "message": "x" }));
    assert_eq!(post(&gateway, &[bob, session, LEGACY], &message).status, 404);
    assert_eq!(gateway.request("DELETE", "/mcp", &[bob, session, LEGACY], b"").status, 404);
    // The control: with its own token it is there.
    assert_eq!(post(&gateway, &[ann, session, LEGACY], &message).status, 200);
}

#[test]
fn the_stateless_era_needs_no_session() {
    let project = Project::with(&["echo"]);
    let gateway = Gateway::start(&project);
    let message = stateless(call(1, SEND, &json!({ "message": "x" })));
    let headers = [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", SEND)];
    let answer = post(&gateway, &headers, &message);
    // One answer is one body of JSON.
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json()["result"]["structuredContent"], json!({ "message": "x" }));
    assert_eq!(answer.header("mcp-session-id"), None);
    // What stands in the headers must be what stands in the body.
    for headers in [
        [STATELESS, ("mcp-method", "tools/list"), ("mcp-name", SEND)],
        [STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "another")],
        [LEGACY, ("mcp-method", "tools/call"), ("mcp-name", SEND)],
    ] {
        let answer = post(&gateway, &headers, &message);
        assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (400, Some(-32020)), "{headers:?}");
    }
    let unknown = stateless(call(2, "echo_message_sned", &json!({})));
    let answer =
        post(&gateway, &[STATELESS, ("mcp-method", "tools/call"), ("mcp-name", "echo_message_sned")], &unknown);
    assert_eq!((answer.status, answer.json()["error"]["code"].as_i64()), (200, Some(-32602)));
}

#[test]
fn bad_requests_are_refused_in_json() {
    let project = Project::with(&["echo"]);
    project.configure("limits:\n  args: 1 MiB\n");
    let gateway = Gateway::start(&project);
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x":"{}"}}"#, "x".repeat(3 << 20));
    let body = initialize().to_string();
    for (what, method, headers, body, status) in [
        ("no JSON", "POST", vec![ACCEPT, JSON], "hello", 400),
        ("no message", "POST", vec![ACCEPT, JSON], "[]", 400),
        ("nothing", "POST", vec![ACCEPT, JSON], "", 400),
        ("too deep", "POST", vec![ACCEPT, JSON], &"[".repeat(300), 400),
        ("too long", "POST", vec![ACCEPT, JSON], &long, 413),
        ("another type", "POST", vec![ACCEPT, ("content-type", "text/plain")], &body, 415),
        ("no type", "POST", vec![ACCEPT], &body, 415),
        ("an answer nobody takes", "POST", vec![JSON, ("accept", "text/html")], &body, 406),
        ("no session", "POST", vec![ACCEPT, JSON], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, 400),
        ("another revision", "POST", vec![ACCEPT, JSON, ("mcp-protocol-version", "1999-01-01")], &body, 400),
        ("another method", "PUT", vec![ACCEPT, JSON], &body, 405),
        ("a page of another site", "POST", vec![ACCEPT, JSON, ("origin", "https://evil.example")], &body, 403),
        ("a name of another site", "POST", vec![ACCEPT, JSON, ("host", "evil.example")], &body, 403),
    ] {
        let answer = gateway.request(method, "/mcp", &headers, body.as_bytes());
        assert_eq!(answer.status, status, "{what}: {}", String::from_utf8_lossy(&answer.body));
        let why = answer.json();
        assert!(why.get("error").is_some(), "{what}: {why}");
    }
    // The control: the same body as it should be sent.
    assert_eq!(post(&gateway, &[], &initialize()).status, 200);
}

/// The place that a tool has among the calls that run at once is free again when the call has ended.
/// Whether the call was refused within a time because another one runs; one that runs does not answer.
fn is_limited(stream: &std::net::TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    let mut first = [0];
    if stream.peek(&mut first).is_err() {
        return false;
    }
    let answer = Answer::read(&mut BufReader::new(stream)).json();
    assert_eq!(answer["result"]["_meta"]["rig/error"]["type"], "rate_limited", "{answer}");
    true
}

#[test]
fn a_client_that_goes_away_ends_its_call() {
    let project = Project::empty();
    let endless = Guest::new("endless").body("(loop $again (br $again)) unreachable").build();
    project.offer(&[packs::built("echo"), endless]);
    project.install(&["echo", "endless"]);
    project.configure("policy:\n  timeout_seconds: 60\n  rate_limits:\n    \"endless.*\": { concurrent: 1 }\n");
    let gateway = Gateway::start(&project);
    let body = stateless(call(1, "endless_probe_run", &json!({}))).to_string();
    let send = || {
        let mut stream = gateway.connect();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\naccept: {}\r\ncontent-type: application/json\r\n\
             mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: endless_probe_run\r\n\
             content-length: {}\r\n\r\n{body}",
            gateway.address(),
            ACCEPT.1,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let first = send();
    let began = Instant::now();
    let runs = || String::from_utf8(gateway.get("/metrics").body).unwrap().contains("rig_calls_in_flight 1");
    while !runs() {
        assert!(began.elapsed() < Duration::from_secs(30), "the call does not begin");
        thread::sleep(Duration::from_millis(10));
    }
    // The control: while it runs there is no room for another.
    assert!(is_limited(&send(), Duration::from_secs(30)));
    drop(first);
    let began = Instant::now();
    loop {
        let next = send();
        if !is_limited(&next, Duration::from_millis(300)) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "the call of a client that is gone goes on");
    }
}

#[test]
fn the_end_of_a_session_ends_its_calls() {
    let project = Project::empty();
    let endless = Guest::new("endless").body("(loop $again (br $again)) unreachable").build();
    project.offer(&[endless]);
    project.install(&["endless"]);
    project.configure("policy:\n  timeout_seconds: 60\n");
    let gateway = Gateway::start(&project);
    let session = open(&gateway, &[]);
    let headers = [("mcp-session-id", session.as_str()), LEGACY];
    thread::scope(|scope| {
        let calling = scope.spawn(|| post(&gateway, &headers, &call(1, "endless_probe_run", &json!({}))));
        thread::sleep(Duration::from_millis(500));
        let began = Instant::now();
        assert_eq!(gateway.request("DELETE", "/mcp", &headers, b"").status, 202);
        let _ = calling.join().expect("an answer, or its end");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    });
    // Nothing is left to wait for.
    let began = Instant::now();
    let _ = gateway.stop().ok();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

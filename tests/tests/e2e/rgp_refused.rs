//! What the HTTP API refuses: bad input of every kind, and callers that may not call. Afterwards the gateway serves as before, and
//! nothing of what was refused is left in it.

use std::{
    io::{BufReader, Write as _},
    thread,
    time::{Duration, Instant},
};

use rig_specs::Sha256;
use rig_tests::{Answer, Gateway, Project};
use serde_json::json;

const SEND: &str = "echo.message.send";
const CALL: &str = "/v1/tools/echo.message.send:call";
const JSON: (&str, &str) = ("content-type", "application/json");

/// Serves a call, and has no connection or call left but the one that asks.
#[track_caller]
fn is_as_before(gateway: &Gateway) {
    assert_eq!(gateway.call(SEND, json!({ "message": "x" }))["ok"], true);
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let text = String::from_utf8(gateway.get("/metrics").body).unwrap();
        let left = ["rig_calls_in_flight 0", "rig_http_connections 1"].map(|line| text.lines().any(|l| l == line));
        if left == [true, true] {
            return;
        }
        assert!(Instant::now() < end, "something is left:\n{text}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn echo() -> (Project, Gateway) {
    let project = Project::with(&["echo"]);
    let gateway = Gateway::start(&project);
    (project, gateway)
}

#[test]
fn bad_bodies() {
    let (_project, gateway) = echo();
    let deep = |levels: usize| format!("{{\"args\":{{\"data\":{}1{}}}}}", "[".repeat(levels), "]".repeat(levels));
    let deep = deep(200);
    for (body, status, error, why) in [
        ("{", 400, "invalid_json", "the body cannot be used: EOF while parsing an object at line 1 column 1"),
        ("nonsense", 400, "invalid_json", "the body cannot be used: expected ident at line 1 column 2"),
        ("[]", 400, "invalid_json", "the body cannot be used: expected a JSON object, found an array"),
        ("{\"args\":{}} {}", 400, "invalid_json", "the body cannot be used: trailing characters at line 1 column 13"),
        (deep.as_str(), 400, "invalid_json", "recursion limit exceeded"),
        (r#"{"args":{},"args":{}}"#, 400, "invalid_json", "`args`"),
        (r#"{"args":{"message":"a","message":"b"}}"#, 400, "invalid_json", "`message`"),
        (r#"{"args":{"message":"a","data":{"x":[{"k":1,"\u006b":2}]}}}"#, 400, "invalid_json", "`k`"),
        (r#"{"args":[]}"#, 422, "invalid_request", "`args` must be an object"),
        (
            r#"{"arguments":{}}"#,
            422,
            "invalid_request",
            "the body has a key `arguments`; the keys here are `args` and `context`",
        ),
        (
            r#"{"context":{"actor":7}}"#,
            422,
            "invalid_request",
            "`context` cannot be used: invalid type: integer `7`, expected a string",
        ),
    ] {
        let detail = gateway.request("POST", CALL, &[JSON], body.as_bytes()).refuses(status, error);
        assert!(detail.contains(why), "{body}: {detail}");
    }
    let detail =
        gateway.request("POST", CALL, &[JSON], b"{\"args\":{\"message\":\"\xff\"}}").refuses(400, "invalid_json");
    assert_eq!(detail, "the body is not UTF-8, from byte 20");
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "multipart/form-data; boundary=x",
    ] {
        let answer = gateway.request("POST", CALL, &[("content-type", kind)], br#"{"args":{"message":"x"}}"#);
        let detail = answer.refuses(415, "unsupported_media_type");
        assert_eq!(detail, "send the body as `Content-Type: application/json`", "{kind}");
    }
    gateway.request("POST", CALL, &[], br#"{"args":{"message":"x"}}"#).refuses(415, "unsupported_media_type");
    is_as_before(&gateway);
    gateway.stop().ok();
}

#[test]
fn long_bodies() {
    let (_project, gateway) = echo();
    let long = vec![b' '; 100 << 20];
    let detail = gateway.request("POST", CALL, &[JSON], &long).refuses(413, "payload_too_large");
    assert_eq!(detail, "the body is longer than the 4259840 bytes that are taken here");

    // Without a length, what is too long is found out on the way.
    let mut stream = gateway.connect();
    let head = format!(
        "POST {CALL} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        gateway.address()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = [b"100000\r\n", &long[..1 << 20], b"\r\n"].concat();
    while stream.write_all(&chunk).is_ok() {
        let mut peeked = [0];
        stream.set_nonblocking(true).unwrap();
        let answered = stream.peek(&mut peeked).is_ok();
        stream.set_nonblocking(false).unwrap();
        if answered {
            break;
        }
    }
    Answer::read(&mut BufReader::new(stream)).refuses(413, "payload_too_large");

    // Arguments over their own limit, in a body that is not too long, are the call's matter.
    let result = gateway.call(SEND, json!({ "message": "x".repeat(4 << 20) }));
    assert_eq!(result["error"]["type"], "validation_error");
    is_as_before(&gateway);
    gateway.stop().ok();
}

#[test]
fn unknown_paths_and_methods() {
    let (_project, gateway) = echo();
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/tools",
        "/v1/tools/",
        "/v1/tools/a/b:call",
        "/v1/health/",
        "/v1/approvals/",
        "/../v1/health",
    ] {
        for method in ["GET", "POST"] {
            gateway.request(method, path, &[], b"").refuses(404, "not_found");
        }
    }
    for (method, path, allow) in [
        ("POST", "/v1/health", "GET,HEAD"),
        ("DELETE", "/v1/tools", "GET,HEAD"),
        ("POST", "/v1/tools/echo.message.send", "GET, HEAD"),
        ("GET", CALL, "POST"),
        ("PUT", CALL, "POST"),
        ("OPTIONS", CALL, "POST"),
        ("POST", "/v1/approvals", "GET,HEAD"),
        ("GET", "/v1/approvals/x:approve", "POST"),
        ("GET", "/v1/audit/query", "POST"),
        ("POST", "/openapi.json", "GET,HEAD"),
        ("PATCH", "/metrics", "GET,HEAD"),
        ("BREW", "/v1/health", "GET,HEAD"),
    ] {
        let answer = gateway.request(method, path, &[], b"");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        answer.refuses(405, "method_not_allowed");
    }
    let long = format!("/v1/tools/{}:call", "a".repeat(201));
    let detail = gateway.request("POST", &long, &[], b"").refuses(400, "bad_request");
    assert_eq!(detail, "a name in a path has at most 200 characters");
    gateway.request("POST", "/v1/tools/%ff:call", &[], b"").refuses(400, "bad_request");
    is_as_before(&gateway);
    gateway.stop().ok();
}

/// What comes over the wire, when it is no request that a client would send.
fn raw(gateway: &Gateway, bytes: &[u8]) -> Answer {
    let mut stream = gateway.connect();
    let _ = stream.write_all(bytes);
    Answer::read(&mut BufReader::new(stream))
}

#[test]
fn what_is_no_http() {
    let (_project, gateway) = echo();
    for bytes in [
        &b"nonsense\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    ] {
        raw(&gateway, bytes).refuses(400, "bad_request");
    }
    let many = (0..200).fold(String::new(), |all, n| all + &format!("x-{n}: y\r\n"));
    let many = format!("GET /v1/health HTTP/1.1\r\nhost: localhost\r\n{many}\r\n");
    let long = format!("GET /v1/health HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    let path = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "y".repeat(1 << 20));
    for bytes in [many, long, path] {
        raw(&gateway, bytes.as_bytes()).refuses(431, "headers_too_large");
    }
    // Two lengths, or two framings, are how one request is smuggled inside another.
    for framing in ["content-length: 2\r\ncontent-length: 3", "content-length: x"] {
        let bytes = format!("POST {CALL} HTTP/1.1\r\nhost: localhost\r\n{framing}\r\n\r\n{{}}");
        raw(&gateway, bytes.as_bytes()).refuses(400, "bad_request");
    }
    is_as_before(&gateway);
    gateway.stop().ok();
}

/// Slow because it waits for the gateway's own limits: 10 s for a head, 30 s for a body. All clients wait at once.
#[test]
fn slow_clients() {
    let (_project, gateway) = echo();
    let address = gateway.address();
    let head = format!("POST {CALL} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    thread::scope(|scope| {
        for (begun, least, most, why) in [
            (format!("{head}x: "), 9, 25, "the head of the request did not come in time"),
            (format!("{head}content-length: 99\r\n\r\n{{"), 29, 45, "the body did not come within 30 s"),
        ] {
            let mut stream = gateway.connect();
            scope.spawn(move || {
                let started = Instant::now();
                stream.write_all(begun.as_bytes()).unwrap();
                let mut drip = stream.try_clone().unwrap();
                // A byte now and then does not help.
                thread::spawn(move || {
                    while drip.write_all(b" ").is_ok() && started.elapsed() < Duration::from_secs(40) {
                        thread::sleep(Duration::from_secs(1));
                    }
                });
                let detail = Answer::read(&mut BufReader::new(stream)).refuses(408, "request_timeout");
                assert_eq!(detail, why);
                let took = started.elapsed().as_secs();
                assert!((least..most).contains(&took), "{why}: {took} s");
            });
        }
    });
    is_as_before(&gateway);
    gateway.stop().ok();
}

#[test]
fn wrong_headers_of_our_own() {
    let (_project, gateway) = echo();
    let long = "a".repeat(201);
    for name in ["x-rig-correlation-id", "x-rig-tenant-id", "x-rig-actor-id"] {
        for value in [long.as_str(), "é", "a\tb"] {
            let detail = gateway.request("GET", "/v1/health", &[(name, value)], b"").refuses(400, "bad_request");
            assert_eq!(detail, format!("`{name}` is sent once, with at most 200 visible ASCII characters"));
        }
        let twice = [(name, "a"), (name, "b")];
        gateway.request("GET", "/v1/health", &twice, b"").refuses(400, "bad_request");
    }
    gateway.stop().ok();
}

/// A web page that its reader did not ask to call anything: by a name that points at this machine, and by its own origin. The control
/// is the same page at the gateway that was told to trust it.
#[test]
fn a_web_page_cannot_call() {
    let (project, gateway) = echo();
    let body = br#"{"args":{"message":"stolen"}}"#;
    let rebound = [JSON, ("host", "evil.example:8787"), ("origin", "http://evil.example:8787")];
    let foreign = [JSON, ("origin", "https://evil.example")];
    for (what, headers, why) in [
        ("a rebound name", &rebound[..], "the gateway is not reached by this name"),
        ("another origin", &foreign, "web pages of this origin may not call"),
        ("a sandboxed frame", &[JSON, ("origin", "null")], "web pages of this origin may not call"),
        (
            "another port of this machine",
            &[JSON, ("origin", "http://127.0.0.1:1")],
            "web pages of this origin may not call",
        ),
    ] {
        let answer = gateway.request("POST", CALL, headers, body);
        assert!(answer.refuses(403, "forbidden").contains(why), "{what}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{what}");
    }
    let ask = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    gateway.request("OPTIONS", CALL, &ask, b"").refuses(403, "forbidden");
    let without = [JSON, ("host", "")];
    gateway.request("POST", CALL, &without, body).refuses(400, "bad_request");
    raw(&gateway, b"GET /v1/health HTTP/1.1\r\n\r\n").refuses(400, "bad_request");
    raw(&gateway, b"GET /v1/health HTTP/1.0\r\n\r\n").refuses(400, "bad_request");
    let page = gateway.post("/v1/audit/query", json!({})).json();
    assert_eq!(page["total"], 0, "nothing was called: {page}");
    gateway.stop().ok();

    project.configure("server:\n  allowed_hosts: [evil.example]\n  allowed_origins: ['https://evil.example', 'http://evil.example:8787']\n");
    let gateway = Gateway::start(&project);
    for headers in [&rebound[..], &foreign] {
        let answer = gateway.request("POST", CALL, headers, body);
        assert_eq!((answer.status, &answer.json()["ok"]), (200, &json!(true)));
        assert_eq!(answer.header("access-control-allow-origin"), headers.last().map(|(_, origin)| *origin));
        assert_eq!(answer.header("vary"), Some("origin"));
    }
    let preflight = gateway.request("OPTIONS", CALL, &ask, b"");
    assert_eq!(preflight.status, 204);
    assert!(preflight.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    assert!(preflight.header("access-control-allow-headers").is_some_and(|names| names.contains("x-rig-actor-id")));
    gateway.stop().ok();
}

/// A project with two tenants, each with one token to call and one to approve: `<tenant>-calls`, `<tenant>-approves`.
fn tenants() -> Project {
    let project = Project::with(&["echo"]);
    let hash = |token: &str| Sha256::of(token.as_bytes());
    let tenant = |id: &str, tools: &str| {
        let (calls, approves) = (hash(&format!("{id}-calls")), hash(&format!("{id}-approves")));
        format!("  {id}:\n    tokens: ['{calls}']\n    approvers: ['{approves}']\n    allowed_tools: ['{tools}']\n")
    };
    project.configure(&format!(
        "policy:\n  raise_risk: {{ 'echo.*': money }}\ntenants:\n{}{}",
        tenant("acme", "echo.*"),
        tenant("beta", "github.*")
    ));
    project
}

#[test]
fn tokens_keep_tenants_apart() {
    let project = tenants();
    let gateway = Gateway::start(&project);
    let bearer = |token: &str| format!("Bearer {token}");
    let send = |method: &str, path: &str, token: &str, more: &[(&str, &str)], body: &[u8]| {
        let bearer = bearer(token);
        let headers: Vec<_> =
            [JSON, ("authorization", bearer.as_str())].into_iter().chain(more.iter().copied()).collect();
        gateway.request(method, path, &headers, body)
    };
    // Without a token, or with nobody's: nothing but what is open.
    for (path, method) in [
        ("/v1/tools", "GET"),
        (CALL, "POST"),
        ("/v1/approvals", "GET"),
        ("/metrics", "GET"),
        ("/v1/audit/query", "POST"),
        ("/mcp", "POST"),
        ("/nowhere", "GET"),
    ] {
        let answer = gateway.request(method, path, &[], b"");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"rig\""), "{path}");
        assert_eq!(answer.refuses(401, "unauthorized"), "send the tenant's token as `Authorization: Bearer …`");
        let detail = send(method, path, "guessed", &[], b"").refuses(401, "unauthorized");
        assert_eq!(detail, "nobody has this token", "{path}");
    }
    for path in ["/v1/health", "/openapi.json"] {
        assert_eq!(gateway.get(path).status, 200, "{path}");
    }

    // What a tenant may call is what it sees.
    let tools = |token: &str| send("GET", "/v1/tools", token, &[], b"").json().as_array().map(Vec::len);
    assert_eq!((tools("acme-calls"), tools("beta-calls")), (Some(1), Some(0)));
    send("GET", "/v1/tools/echo.message.send", "beta-calls", &[], b"").refuses(404, "not_found");
    let call = br#"{"args":{"message":"pay"}}"#;
    let denied = send("POST", CALL, "beta-calls", &[], call).json();
    assert_eq!(denied["error"]["type"], "policy_blocked", "{denied}");

    // Nobody calls for another.
    let other = "the token belongs to another tenant than the request names";
    let header = [("x-rig-tenant-id", "acme")];
    assert_eq!(send("POST", CALL, "beta-calls", &header, call).refuses(403, "forbidden"), other);
    let body = br#"{"args":{"message":"pay"},"context":{"tenant_id":"acme"}}"#;
    assert_eq!(send("POST", CALL, "beta-calls", &[], body).refuses(403, "forbidden"), other);

    // Approvals: an approver's, and the own tenant's.
    let asked = send("POST", CALL, "acme-calls", &[], call).json();
    let hint = asked["error"]["remediation_hints"][0].as_str().unwrap().to_owned();
    let token = hint.strip_prefix("approve token: ").unwrap();
    let approve = format!("/v1/approvals/{token}:approve");
    let deny = format!("/v1/approvals/{token}:deny");
    for (method, path) in [
        ("GET", "/v1/approvals"),
        ("POST", &approve),
        ("POST", &deny),
        ("POST", "/v1/audit/query"),
        ("GET", "/metrics"),
    ] {
        let detail = send(method, path, "acme-calls", &[], b"").refuses(403, "forbidden");
        assert_eq!(detail, "this takes a token of `approvers`", "{path}");
    }
    assert_eq!(send("GET", "/v1/approvals", "beta-approves", &[], b"").json(), json!([]));
    for path in [&approve, &deny] {
        let strange = send("POST", path, "beta-approves", &[], b"").json();
        assert_eq!(strange["error"]["type"], "not_found", "{strange}");
    }
    assert_eq!(send("GET", "/v1/approvals", "acme-approves", &[], b"").json()[0]["token"], token);
    assert_eq!(send("POST", &approve, "acme-approves", &[], b"").json()["ok"], true);

    // The audit log shows a tenant its own rows.
    let rows = |token: &str, query: &str| send("POST", "/v1/audit/query", token, &[], query.as_bytes());
    let acme = rows("acme-approves", "{}").json();
    assert!(acme["entries"].as_array().unwrap().iter().all(|row| row["tenant_id"] == "acme"), "{acme}");
    assert_eq!(acme["total"], 2);
    assert_eq!(rows("beta-approves", r#"{"tenant_id":"acme"}"#).refuses(403, "forbidden"), other);
    gateway.stop().ok();
}

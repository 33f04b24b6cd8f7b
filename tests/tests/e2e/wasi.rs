//! Components of other toolchains import WASI. What they find there is virtual: no environment, no arguments, no folders, no
//! sockets; and their HTTP goes through the same gate as that of every other pack.

use std::net::TcpListener;

use rig_tests::{
    Output, Project, Reply, Upstream,
    guest::{FREE, Guest, trace},
};
use serde_json::json;

const ENVIRONMENT: &str = "wasi:cli/environment@0.2.0";
const HTTP: &str = "wasi:http/types@0.2.10";
const HOST: &str = "api.example.com";
/// Where `handle` and `get` put their results.
const RESULT: u32 = FREE;

/// Installs a pack into a new project.
fn installed(guest: &Guest) -> Project {
    let project = Project::empty();
    project.offer(&[guest.build()]);
    project.install(&[guest.id()]);
    project
}

fn run(project: &Project, guest: &Guest) -> Output {
    project.call(&guest.tool(), json!({}))
}

#[test]
fn the_environment_and_the_arguments_are_empty() {
    let guest = Guest::new("curious")
        .import(ENVIRONMENT, "get-environment", "environment", "(param i32)")
        .import(ENVIRONMENT, "get-arguments", "arguments", "(param i32)")
        .import(ENVIRONMENT, "initial-cwd", "cwd", "(param i32)")
        // Three results that the host must overwrite: marks show that it was asked.
        .body(&format!(
            "(memory.fill (i32.const {FREE}) (i32.const 0xaa) (i32.const 36))
             (call $environment (i32.const {FREE}))
             (call $arguments (i32.const {}))
             (call $cwd (i32.const {}))
             (i32.const {FREE}) (i32.const 20)",
            FREE + 8,
            FREE + 16
        ));
    let mut project = installed(&guest);
    project.set_secret("SOME_TOKEN", "cnry-of-the-environment");
    let seen = trace(&run(&project, &guest).output());
    assert_eq!((&seen[4..8], &seen[12..16]), (&[0; 4][..], &[0; 4][..]), "the lengths of both lists: {seen:02x?}");
    assert_eq!(seen[16], 0, "no current folder: {seen:02x?}");
}

#[test]
fn there_are_no_folders() {
    let guest = Guest::new("curious")
        .import("wasi:filesystem/preopens@0.2.6", "get-directories", "directories", "(param i32)")
        .body(&format!(
            "(memory.fill (i32.const {FREE}) (i32.const 0xaa) (i32.const 8))
             (call $directories (i32.const {FREE})) (i32.const {FREE}) (i32.const 8)"
        ));
    let project = installed(&guest);
    let seen = trace(&run(&project, &guest).output());
    assert_eq!(seen[4..8], [0; 4], "{seen:02x?}");
}

#[test]
fn every_socket_is_refused() {
    // In the enumeration of wasi:sockets. Nobody was asked for the name: the answer comes at once, also for one that everybody has.
    const ACCESS_DENIED: u8 = 1;
    const PERMANENT_RESOLVER_FAILURE: u8 = 20;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (tcp, udp, name) = (FREE, FREE + 8, FREE + 16);
    let guest = Guest::new("dialer")
        .import("wasi:sockets/tcp-create-socket@0.2.3", "create-tcp-socket", "tcp", "(param i32 i32)")
        .import("wasi:sockets/udp-create-socket@0.2.3", "create-udp-socket", "udp", "(param i32 i32)")
        .import("wasi:sockets/instance-network@0.2.3", "instance-network", "network", "(result i32)")
        .import("wasi:sockets/ip-name-lookup@0.2.3", "resolve-addresses", "resolve", "(param i32 i32 i32 i32)")
        .text("localhost", "localhost")
        .body(&format!(
            "(call $tcp (i32.const 0) (i32.const {tcp}))
             (call $udp (i32.const 0) (i32.const {udp}))
             (call $resolve (call $network) (global.get $localhost) (i32.const 9) (i32.const {name}))
             (i32.const {FREE}) (i32.const 24)"
        ));
    let project = installed(&guest);
    let seen = trace(&run(&project, &guest).output());
    for (what, at, error) in
        [("tcp", 0, ACCESS_DENIED), ("udp", 8, ACCESS_DENIED), ("a name", 16, PERMANENT_RESOLVER_FAILURE)]
    {
        assert_eq!((seen[at], seen[at + 4]), (1, error), "{what}: {seen:02x?}");
    }
    assert!(listener.accept().is_err(), "something was dialled");
}

#[test]
fn stdin_is_closed_and_stdout_goes_into_the_log() {
    let guest = Guest::new("talker")
        .import("wasi:cli/stdin@0.2.0", "get-stdin", "stdin", "(result i32)")
        .import("wasi:io/streams@0.2.3", "[method]input-stream.blocking-read", "read", "(param i32 i64 i32)")
        .import("wasi:cli/stdout@0.2.0", "get-stdout", "stdout", "(result i32)")
        .import(
            "wasi:io/streams@0.2.3",
            "[method]output-stream.blocking-write-and-flush",
            "write",
            "(param i32 i32 i32 i32)",
        )
        .text("hello", "hello from inside\n")
        .body(&format!(
            "(call $write (call $stdout) (global.get $hello) (i32.const 18) (i32.const {FREE}))
             (call $read (call $stdin) (i64.const 100) (i32.const {}))
             (i32.const {FREE}) (i32.const 32)",
            FREE + 16
        ));
    let project = installed(&guest);
    let output = project.run(["--verbose", "call", &guest.tool(), "{}"]).stdin("of the terminal").output();
    let seen = trace(&output.output());
    assert_eq!(seen[0], 0, "written: {seen:02x?}");
    // An error, and that error is `closed`.
    assert_eq!((seen[16], seen[20]), (1, 1), "{seen:02x?}");
    output.says("hello from inside");
    assert!(!run(&project, &guest).stderr.contains("hello"), "a log is shown when asked for");
}

#[test]
fn an_exit_ends_the_call_and_not_rig() {
    let guest = Guest::new("leaver")
        .import("wasi:cli/exit@0.2.0", "exit", "exit", "(param i32)")
        .body(&format!("(call $exit (i32.const 0)) (i32.const {FREE}) (i32.const 0)"));
    let project = installed(&guest);
    let error = run(&project, &guest).error("internal_error");
    assert!(error["message"].as_str().unwrap().starts_with("the pack crashed"), "{error}");
}

/// A pack that asks for `https://api.example.com/v1/things` through wasi:http, and answers with what `get` of the response gave and,
/// where there is one, with the status.
fn wasi_http(id: &str) -> Guest {
    Guest::new(id)
        .import(HTTP, "[constructor]fields", "fields", "(result i32)")
        .import(HTTP, "[constructor]outgoing-request", "request", "(param i32) (result i32)")
        .import(HTTP, "[method]outgoing-request.set-scheme", "scheme", "(param i32 i32 i32 i32 i32) (result i32)")
        .import(HTTP, "[method]outgoing-request.set-authority", "authority", "(param i32 i32 i32 i32) (result i32)")
        .import(HTTP, "[method]outgoing-request.set-path-with-query", "path", "(param i32 i32 i32 i32) (result i32)")
        .import("wasi:http/outgoing-handler@0.2.10", "handle", "handle", "(param i32 i32 i32 i32)")
        .import(HTTP, "[method]future-incoming-response.subscribe", "subscribe", "(param i32) (result i32)")
        .import("wasi:io/poll@0.2.3", "[method]pollable.block", "block", "(param i32)")
        .import(HTTP, "[method]future-incoming-response.get", "get", "(param i32 i32)")
        .import(HTTP, "[method]incoming-response.status", "status", "(param i32) (result i32)")
        .text("host", HOST)
        .text("target", "/v1/things?a=1")
        .body(&format!(
            "(local.set $i (call $request (call $fields)))
             (drop (call $scheme (local.get $i) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 0)))
             (drop (call $authority (local.get $i) (i32.const 1) (global.get $host) (i32.const {host})))
             (drop (call $path (local.get $i) (i32.const 1) (global.get $target) (i32.const 14)))
             (call $handle (local.get $i) (i32.const 0) (i32.const 0) (i32.const {RESULT}))
             ;; When it was not even accepted, the error stands where that of the response would.
             (if (i32.load8_u (i32.const {RESULT}))
                 (then (i32.store8 (i32.const {inner}) (i32.const 1))
                       (i32.store8 (i32.const {code}) (i32.load8_u (i32.const {refused}))))
                 (else (local.set $j (i32.load (i32.const {refused})))
                       (call $block (call $subscribe (local.get $j)))
                       (call $get (local.get $j) (i32.const {RESULT}))
                       (if (i32.eqz (i32.load8_u (i32.const {inner})))
                           (then (i32.store16 (i32.const {status}) (call $status (i32.load (i32.const {code}))))))))
             (i32.const {inner}) (i32.const 32)",
            host = HOST.len(),
            refused = RESULT + 8,
            inner = RESULT + 16,
            code = RESULT + 24,
            status = RESULT + 40,
        ))
}

/// What came of the request: the status, or the number of the error in wasi:http's `error-code`.
fn outcome(output: &Output) -> Result<u16, u8> {
    let seen = trace(&output.output());
    if seen[0] == 0 { Ok(u16::from_le_bytes([seen[24], seen[25]])) } else { Err(seen[8]) }
}

/// In the enumeration of wasi:http.
const HTTP_REQUEST_DENIED: u8 = 15;

#[test]
fn http_that_was_not_granted_is_denied_without_a_packet() {
    let elsewhere = json!([{ "host": "elsewhere.example.com" }]);
    let other_path = json!([{ "host": HOST, "methods": ["GET"], "paths": ["/v2/*"] }]);
    let other_method = json!([{ "host": HOST, "methods": ["POST"], "paths": ["/*"] }]);
    for network in [json!([]), elsewhere, other_path, other_method] {
        let guest = wasi_http("fetcher").asks("network", network.clone());
        let project = installed(&guest);
        let upstream = Upstream::start();
        upstream.reply(HOST, Reply::new(200, "secret plans"));
        project.configure(&upstream.yaml());
        assert_eq!(outcome(&run(&project, &guest)), Err(HTTP_REQUEST_DENIED), "{network}");
        upstream.assert_untouched();
    }
}

#[test]
fn http_that_was_granted_goes_through_the_gate() {
    let guest = wasi_http("fetcher")
        .asks("network", json!([{ "host": HOST, "methods": ["GET"], "paths": ["/v1/*"] }]))
        .asks("secrets", json!({ "THE_KEY": { "hosts": [HOST], "inject": { "type": "bearer" } } }))
        .slot("THE_KEY");
    let mut project = installed(&guest);
    let upstream = Upstream::start();
    upstream.reply(HOST, Reply::new(418, "tea"));
    project.configure(&upstream.yaml());
    // Without its secret it is not run at all.
    let _ = run(&project, &guest).error("auth_error");
    upstream.assert_untouched();

    project.set_secret("THE_KEY", "cnry-of-wasi-http");
    assert_eq!(outcome(&run(&project, &guest)), Ok(418));
    let request = upstream.request();
    assert_eq!(request.line(), format!("GET https://{HOST}/v1/things?a=1"));
    assert_eq!((request.header("authorization"), request.count("host")), (Some("Bearer cnry-of-wasi-http"), 1));

    // The same rules: redirects are the pack's to follow, and a private address is none of the net's.
    upstream.forget();
    upstream.reply(HOST, Reply::new(302, "").header("Location", "http://169.254.169.254/"));
    assert_eq!(outcome(&run(&project, &guest)), Ok(302));
    assert_eq!(upstream.connects(), [format!("{HOST}:443")]);
}

#[test]
fn packs_without_wasi_are_linked_none() {
    // What the import list says is what there is: nothing of WASI for a pack that asks for none.
    let project = Project::with(&["echo"]);
    let shown = project.rig(&["inspect", "echo", "--json"]).ok().json();
    assert!(shown["imports"].as_array().is_some_and(|imports| !imports.is_empty()), "{shown}");
    assert!(!shown["imports"].to_string().contains("wasi:"), "{shown}");
}

#[test]
fn functions_that_wasi_does_not_have_are_named_at_install() {
    let project = Project::new();
    let bad = rig_tests::packs::importing(&rig_tests::packs::built("echo"), "wasi:random/random@0.2.3");
    project.write("bad.wasm", bad);
    let before = project.state();
    project.rig(&["install", "./bad.wasm", "--yes"]).fails_with(1).explains(&["wasi:random/random@0.2.3", "take"]);
    assert_eq!(project.state(), before);
    assert!(!project.has("rig.lock"));
    // The control: the same interface with a function that it has.
    let good = Guest::new("dice")
        .import("wasi:random/random@0.2.0", "get-random-u64", "random", "(result i64)")
        .body(&format!("(i64.store (i32.const {FREE}) (call $random)) (i32.const {FREE}) (i32.const 8)"));
    let project = installed(&good);
    assert_ne!(trace(&run(&project, &good).output()), trace(&run(&project, &good).output()));
}

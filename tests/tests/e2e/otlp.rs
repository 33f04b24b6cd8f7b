//! Spans of calls: what a collector gets from a gateway that was built with the feature `otlp`. `cargo xtask test` builds that one
//! beside the ordinary program and names it in `RIG_TEST_OTLP_BIN`.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread,
    time::Duration,
};

use rig_tests::{Gateway, Project, packs};
use serde_json::json;

/// How long the last spans may take: the exporter sends every five seconds, and when the gateway ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request as the collector got it.
struct Export {
    head: String,
    body: Vec<u8>,
}

impl Export {
    /// Texts stand in protobuf as they are.
    fn says(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

/// A collector on a port of its own, and what is sent to it. It ends with the test.
fn collector() -> (SocketAddr, mpsc::Receiver<Export>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let mut reader = BufReader::new(stream);
            let (mut head, mut line) = (String::new(), String::new());
            while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                head.push_str(&line.to_ascii_lowercase());
                line.clear();
            }
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                continue;
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = reader.get_mut().write_all(answer);
            if sender.send(Export { head, body }).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

#[test]
fn a_collector_gets_a_span_of_every_call_and_no_arguments() {
    let Some(program) = env::var_os("RIG_TEST_OTLP_BIN") else {
        println!("LEFT OUT: there is no rig with the feature `otlp`; `cargo xtask test` without a filter builds one");
        return;
    };
    let project = Project::running(program.into());
    project.offer(&[packs::built("echo")]);
    project.install(&["echo"]);
    let (address, exports) = collector();
    let gateway = Gateway::start_with(&project, &["--otlp-endpoint", &format!("http://{address}")]);
    let good = gateway.call("echo.message.send", json!({ "message": "planted argument" }));
    assert_eq!(good["ok"], true, "{good}");
    let bad = gateway.call("echo.message.send", json!({ "message": 5 }));
    assert_eq!(bad["error"]["type"], "validation_error", "{bad}");
    gateway.stop().ok();
    let mut sent = vec![exports.recv_timeout(PATIENCE).expect("an export")];
    sent.extend(exports.try_iter());
    for export in &sent {
        assert!(export.head.starts_with("post /v1/traces "), "{}", export.head);
        assert!(export.head.contains("content-type: application/x-protobuf"), "{}", export.head);
        assert!(!export.says("planted argument"), "arguments are nobody's business");
    }
    let ids = [&good, &bad].map(|result| result["correlation_id"].as_str().unwrap().to_owned());
    for text in ["service.name", "call echo.message.send", "rig.outcome", "validation_error", &ids[0], &ids[1]] {
        assert!(sent.iter().any(|export| export.says(text)), "no span says {text}");
    }
}

#[test]
fn a_collector_that_is_not_there_holds_nobody_up() {
    let Some(program) = env::var_os("RIG_TEST_OTLP_BIN") else { return };
    let project = Project::running(program.into());
    project.offer(&[packs::built("echo")]);
    project.install(&["echo"]);
    let gateway = Gateway::start_with(&project, &["--otlp-endpoint", "http://127.0.0.1:1"]);
    for _ in 0..3 {
        assert_eq!(gateway.call("echo.message.send", json!({ "message": "x" }))["ok"], true);
    }
    gateway.stop().ok();
    let refused = project.rig(&["serve", "--port", "0", "--otlp-endpoint", "collector:4318"]);
    refused.fails_with(1).says("spans cannot be sent to collector:4318: it is neither http nor https");
}

//! Lines as clients write them, good and bad.

use super::*;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader, DuplexStream};

const MAX: usize = 1000;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;

struct Talk {
    lines: Lines,
    client: DuplexStream,
    answers: BufReader<DuplexStream>,
    gone: CancellationToken,
}

impl Talk {
    fn new() -> Self {
        let (client, read) = tokio::io::duplex(1 << 20);
        let (write, answers) = tokio::io::duplex(1 << 20);
        let gone = CancellationToken::new();
        Self { lines: Lines::new(read, write, MAX, gone.clone()), client, answers: BufReader::new(answers), gone }
    }

    async fn says(&mut self, text: &str) {
        self.client.write_all(text.as_bytes()).await.unwrap();
    }

    /// The id of the next message that comes through.
    async fn next(&mut self) -> Option<i64> {
        let received = tokio::time::timeout(Duration::from_secs(5), self.lines.receive()).await.unwrap()?;
        match received {
            ClientJsonRpcMessage::Request(request) => Some(request.id.to_string().parse().unwrap()),
            _ => Some(-1),
        }
    }

    /// The code and the id of the next refusal.
    async fn refusal(&mut self) -> (i64, Value) {
        let mut line = String::new();
        self.answers.read_line(&mut line).await.unwrap();
        let message: Value = serde_json::from_str(&line).unwrap();
        (message["error"]["code"].as_i64().unwrap(), message["id"].clone())
    }
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_the_talk_goes_on() {
    let mut talk = Talk::new();
    talk.says(&format!("{INITIALIZE}\n")).await;
    assert_eq!(talk.next().await, Some(1));
    for (line, code, id) in [
        ("hello", -32700, Value::Null),
        ("{\"jsonrpc\":", -32700, Value::Null),
        ("\u{0}", -32700, Value::Null),
        ("[]", -32600, Value::Null),
        ("42", -32600, Value::Null),
        (r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, -32600, Value::from(7)),
        (r#"{"jsonrpc":"2.0","id":"a"}"#, -32600, Value::from("a")),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600, Value::Null),
    ] {
        talk.says(&format!("{line}\n{PING}\n")).await;
        assert_eq!(talk.next().await, Some(2), "{line}");
        assert_eq!(talk.refusal().await, (code, id), "{line}");
    }
    // Nested deeper than anybody needs.
    talk.says(&format!("{}{}\n{PING}\n", "[".repeat(400), "]".repeat(400))).await;
    assert_eq!((talk.next().await, talk.refusal().await.0), (Some(2), -32700));
    // Bytes that are no text.
    talk.client.write_all(b"\"\xff\"\n").await.unwrap();
    talk.says(&format!("{PING}\n")).await;
    assert_eq!((talk.next().await, talk.refusal().await.0), (Some(2), -32700));
}

#[tokio::test]
async fn lines_come_in_any_pieces_and_with_any_end() {
    let mut talk = Talk::new();
    talk.says(&format!("\n\r\n  \n{INITIALIZE}\r\n{PING}\n{PING}")).await;
    assert_eq!((talk.next().await, talk.next().await), (Some(1), Some(2)));
    // A wait that is dropped loses nothing.
    for _ in 0..3 {
        assert!(tokio::time::timeout(Duration::from_millis(5), talk.lines.receive()).await.is_err());
    }
    talk.says("\n").await;
    assert_eq!(talk.next().await, Some(2));
    for byte in format!("{PING}\n").bytes() {
        assert!(tokio::time::timeout(Duration::from_millis(1), talk.lines.receive()).await.is_err());
        talk.client.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(talk.next().await, Some(2));
}

#[tokio::test]
async fn a_line_that_is_too_long_is_left_out_and_not_kept() {
    let mut talk = Talk::new();
    talk.says(&format!("{INITIALIZE}\n")).await;
    assert_eq!(talk.next().await, Some(1));
    // At once, and in pieces; the second is longer than the first read takes.
    for length in [MAX + 1, 300_000] {
        talk.says(&format!("{}\n{PING}\n", "x".repeat(length))).await;
        assert_eq!(talk.next().await, Some(2));
        assert_eq!(talk.refusal().await, (-32600, Value::Null));
    }
    assert!(talk.lines.buffer.capacity() < 3 * CHUNK, "{}", talk.lines.buffer.capacity());
    // One that is just not too long is read.
    let message = r#"{"jsonrpc":"2.0","id":3,"method":"ping","params":{"_meta":{"x":""}}}"#;
    let padded = message.replace(r#""x":"""#, &format!(r#""x":"{}""#, "y".repeat(MAX - message.len())));
    assert_eq!(padded.len(), MAX);
    talk.says(&format!("{padded}\n")).await;
    assert_eq!(talk.next().await, Some(3));
}

/// rmcp ends the talk when something else than a request comes before the era is chosen.
#[tokio::test]
async fn before_the_era_is_chosen_only_requests_pass() {
    const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let mut talk = Talk::new();
    let answer = r#"{"jsonrpc":"2.0","id":9,"result":{}}"#;
    talk.says(&format!("{INITIALIZED}\n{answer}\n{PING}\n{INITIALIZED}\n{INITIALIZE}\n{INITIALIZED}\n")).await;
    assert_eq!((talk.next().await, talk.next().await, talk.next().await), (Some(2), Some(1), Some(-1)));
}

#[tokio::test]
async fn the_end_of_the_input_ends_what_runs() {
    let mut talk = Talk::new();
    talk.says(&format!("{INITIALIZE}\n{PING}")).await;
    drop(talk.client);
    assert!(talk.lines.receive().await.is_some());
    assert!(!talk.gone.is_cancelled());
    assert!(talk.lines.receive().await.is_none(), "a line without an end is no message");
    assert!(talk.gone.is_cancelled());
    talk.lines.close().await.unwrap();
    let mut rest = String::new();
    assert_eq!(talk.answers.read_line(&mut rest).await.unwrap(), 0, "stdout is closed: {rest}");
}

//! A running `rig serve`, on a port of its own, and HTTP to it as plain as a test wants it. No library stands between: what a test
//! sends is what is on the wire.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Child, Output, Project};

/// How long the gateway may take to listen, to answer, or to end. Generous: the machine may be busy with the other tests, and the
/// packs are compiled first.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often the output of the starting gateway is looked at.
const TICK: Duration = Duration::from_millis(5);

/// A running gateway. Killed when dropped.
pub struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Gateway {
    /// `rig serve` in a project, on a free port.
    #[must_use]
    #[track_caller]
    pub fn start(project: &Project) -> Self {
        Self::start_with(project, &[])
    }

    /// As [`Gateway::start`] with more arguments.
    #[must_use]
    #[track_caller]
    pub fn start_with(project: &Project, args: &[&str]) -> Self {
        let serve = ["serve", "--port", "0"].iter().chain(args).copied();
        let mut child = project.run(serve).spawn();
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(address) = address(&child.stderr()) {
                return Self { child, address };
            }
            assert!(!child.is_done(), "the gateway ended instead of serving:\n{}", child.wait());
            assert!(Instant::now() < end, "the gateway does not say where it listens:\n{}", child.stderr());
            thread::sleep(TICK);
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port><path>`
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to stderr so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.child.stderr()
    }

    /// Whether the process has ended.
    pub fn is_done(&mut self) -> bool {
        self.child.is_done()
    }

    /// A connection for requests that no client would send.
    #[must_use]
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the gateway listens");
        stream.set_nodelay(true).expect("a TCP option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP option");
        stream
    }

    /// `GET`.
    #[must_use]
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// `POST` of JSON.
    #[must_use]
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "callers write `json!(…)` in place")]
    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// `POST /v1/tools/{tool}:call`: the ToolResult, which comes with status 200 whether the call succeeded or not.
    #[must_use]
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "callers write `json!(…)` in place")]
    pub fn call(&self, tool: &str, args: Value) -> Value {
        let answer = self.post(&format!("/v1/tools/{tool}:call"), json!({ "args": args }));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// A request on a connection of its own. `Host`, `Content-Length` and `Connection` are added unless the headers hold them.
    #[must_use]
    #[track_caller]
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let own = [("host", self.address.to_string()), ("content-length", body.len().to_string())];
        let own = own.iter().map(|(name, value)| (*name, value.as_str())).chain([("connection", "close")]);
        let given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        for (name, value) in own.filter(|(name, _)| !given(name)).chain(headers.iter().copied()) {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        // A gateway that has heard enough answers and closes; what it did not read is its right not to read.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        Answer::read(&mut BufReader::new(stream))
    }

    /// Sends a signal, for example `TERM`, and does not wait.
    pub fn signal(&self, name: &str) {
        self.child.signal(name);
    }

    /// Kills it as `kill -9` does. Says whether it was still running.
    pub fn kill(self) -> bool {
        self.child.kill()
    }

    /// Asks it to stop, and waits for its end.
    #[must_use]
    #[track_caller]
    pub fn stop(self) -> Output {
        self.child.signal("TERM");
        self.child.wait_within(PATIENCE)
    }
}

/// The first address on loopback that a starting server wrote, once the line is whole.
fn address(log: &str) -> Option<SocketAddr> {
    let whole = &log[..=log.rfind('\n')?];
    let (_, rest) = whole.split_once("http://")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:[]".contains(c)))?;
    rest[..end].trim_end_matches('.').parse().ok()
}

/// An answer of the gateway.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, chunked coding undone.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads one answer; the connection may stay open after it.
    #[must_use]
    #[track_caller]
    pub fn read(stream: &mut impl BufRead) -> Self {
        let line = |stream: &mut dyn BufRead| {
            let mut line = String::new();
            stream.read_line(&mut line).expect("a line of an answer");
            line.trim_end().to_owned()
        };
        let first = line(stream);
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not the first line of an answer: {first:?}"));
        let mut headers = Vec::new();
        loop {
            let line = line(stream);
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Self { status, headers, body: Vec::new() };
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = line(stream);
                let size = u64::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("not a chunk size: {size:?}"));
                (&mut *stream).take(size).read_to_end(&mut answer.body).expect("a chunk");
                assert_eq!(line(stream), "", "the end of a chunk");
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = answer.header("content-length") {
            let length: u64 = length.parse().expect("a length");
            stream.take(length).read_to_end(&mut answer.body).expect("a body");
            assert_eq!(answer.body.len() as u64, length, "the whole body");
        } else {
            stream.read_to_end(&mut answer.body).expect("a body");
        }
        answer
    }

    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", String::from_utf8_lossy(&self.body)))
    }

    /// Expects a refusal: that status, and a body of `error` and `detail`, both told. Returns the detail.
    #[track_caller]
    pub fn refuses(&self, status: u16, error: &str) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let body = self.json();
        assert_eq!(body["error"], error, "{body}");
        let detail = body["detail"].as_str().unwrap_or_default();
        assert!(!detail.is_empty(), "a refusal says why: {body}");
        detail.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_taken_from_a_whole_line() {
        let found = |log| address(log).map(|address| address.to_string());
        assert_eq!(found("rig: serving http://127.0.0.1:80"), None, "the number may go on");
        assert_eq!(found("x\nserving http://127.0.0.1:8080 (2 tools)\n"), Some("127.0.0.1:8080".into()));
        assert_eq!(found("serving http://127.0.0.1:8080/mcp.\n"), Some("127.0.0.1:8080".into()));
        assert_eq!(found("serving http://[::1]:8080\n"), Some("[::1]:8080".into()));
        assert_eq!(found("error: no port\n"), None);
    }

    #[test]
    fn answers_are_read_to_their_end_and_no_further() {
        let wire = "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
                    HTTP/1.1 400 Bad Request\r\nContent-Length: 35\r\n\r\n{\"error\":\"bad\",\"detail\":\"not JSON\"} rest";
        let mut stream = BufReader::new(wire.as_bytes());
        let first = Answer::read(&mut stream);
        assert_eq!((first.status, first.header("a"), &first.body[..]), (200, Some("b"), &b"hello"[..]));
        assert_eq!(Answer::read(&mut stream).refuses(400, "bad"), "not JSON");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).expect("the rest");
        assert_eq!(rest, " rest");
    }
}

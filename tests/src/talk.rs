//! A talk with `rig serve mcp` over its pipes, line by line as it is on the wire. Every line on stdout must be a JSON-RPC message.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Project, rig_path};

/// How long a message may take. Generous: the machine may be busy with the other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// The newest revision with a handshake.
const LEGACY: &str = "2025-11-25";
/// The stateless revision.
const STATELESS: &str = "2026-07-28";

/// A running server and what it has said. Killed when dropped.
pub struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// What came while something else was waited for.
    early: Vec<Value>,
    next: u64,
}

impl Talk {
    /// `rig serve mcp` in a project.
    #[must_use]
    #[track_caller]
    pub fn start(project: &Project) -> Self {
        Self::start_with(project, &[])
    }

    /// With more arguments.
    #[must_use]
    #[track_caller]
    pub fn start_with(project: &Project, args: &[&str]) -> Self {
        let mut command = Command::new(rig_path());
        command.args(["serve", "mcp"]).args(args).current_dir(project.dir()).env_clear().envs(project.env());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("rig starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { return };
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines, early: Vec::new(), next: 1 }
    }

    /// Starts a talk and shakes hands, as a client with those capabilities.
    #[must_use]
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "callers write `json!(…)` in place")]
    pub fn legacy(project: &Project, capabilities: Value) -> Self {
        let mut talk = Self::start(project);
        let info = json!({ "name": "talk", "version": "1" });
        let params = json!({ "protocolVersion": LEGACY, "capabilities": capabilities, "clientInfo": info });
        let hello = talk.request("initialize", params);
        assert_eq!(hello["result"]["protocolVersion"], LEGACY, "{hello}");
        talk.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        talk
    }

    /// Writes a line.
    pub fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        // A server that has gone is noticed when its answer does not come.
        let _ = stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n")).and_then(|()| stdin.flush());
    }

    /// Sends a message.
    pub fn say(&mut self, message: &Value) {
        self.write(&message.to_string());
    }

    /// Sends a request and does not wait. Returns its id.
    #[allow(clippy::needless_pass_by_value, reason = "callers write `json!(…)` in place")]
    pub fn ask(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Sends a request and waits for its answer.
    #[track_caller]
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        self.answer(id)
    }

    /// Sends a request of the stateless era, with what belongs to it, and waits for its answer.
    #[track_caller]
    pub fn stateless(&mut self, method: &str, mut params: Value, capabilities: &Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientInfo": { "name": "talk", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        });
        self.request(method, params)
    }

    /// A call of a tool, by the older era's rules. Returns the whole answer.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "callers write `json!(…)` in place")]
    pub fn call(&mut self, name: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({ "name": name, "arguments": arguments }))
    }

    /// The answer to a request.
    #[track_caller]
    pub fn answer(&mut self, id: u64) -> Value {
        self.find("the answer", |message| message["id"] == id && message.get("method").is_none())
    }

    /// The next message with that method, whoever it answers.
    #[track_caller]
    pub fn told(&mut self, method: &str) -> Value {
        self.find(method, |message| message["method"] == method)
    }

    /// The next message of that kind, if it comes within a time.
    pub fn within(&mut self, time: Duration, is_it: impl Fn(&Value) -> bool) -> Option<Value> {
        if let Some(found) = self.early.iter().position(&is_it) {
            return Some(self.early.remove(found));
        }
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            };
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a message: {line}"));
            assert_eq!(message["jsonrpc"], "2.0", "{line}");
            if is_it(&message) {
                return Some(message);
            }
            self.early.push(message);
        }
    }

    #[track_caller]
    fn find(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let found = self.within(PATIENCE, is_it);
        found.unwrap_or_else(|| panic!("{what} did not come; what came: {:#?}", self.early))
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends stdin, and waits for the end of the process. Returns how long it took and the exit code.
    #[track_caller]
    pub fn end(mut self) -> (Duration, Option<i32>) {
        drop(self.stdin.take());
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return (began.elapsed(), status.code());
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("the server goes on after the end of stdin");
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! MCP over stdio: `rig serve mcp` against a server on the official SDK for Node with one tool that does the same, call by call and
//! with several in flight. Both are spoken to by the same few lines below, so that no client's own time is measured.

use std::{
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    Failure,
    figures::{Bound, Figure},
    measure::median,
    process::Scratch,
};

/// What rig's middle time of one call at a time may be, over the Node server's.
const BOUND: Bound = Bound::AtMost(1.0);

/// The tool, by the name that both servers give it.
const TOOL: &str = "echo_message_send";

/// How often the two take turns, how many calls each turn has, and how many are made before counting begins.
const ROUNDS: usize = 9;
const CALLS: usize = 2_000;
const WARM_UP: usize = 500;

/// How many calls are in flight in the second comparison.
const IN_FLIGHT: usize = 16;

/// The revisions: the one that clients begin with today, and the stateless one.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// Measures both. Nothing when the Node server is not installed: the reason is printed.
pub(crate) fn measure(scratch: &Scratch, args: &str) -> Result<Vec<Figure>, Failure> {
    let clients = std::env::var_os("RIG_BENCH_CLIENTS").unwrap_or_else(|| "target/clients".into());
    let node = Path::new(&clients).join("node");
    let (program, script) = (node.join("node_modules/.bin/node"), node.join("echo-server.mjs"));
    if !node.join(".stamp").is_file() {
        println!("\nMCP over stdio: LEFT OUT: {} is not installed; `cargo xtask clients` does that", node.display());
        return Ok(Vec::new());
    }
    println!("\n{:<12} {:<10} {:>12} {:>12} {:>8}", "MCP", "in flight", "Node p50 µs", "rig p50 µs", "ratio");
    let mut figures = Vec::new();
    for revision in REVISIONS {
        let mut reference = Command::new(&program);
        reference.arg("--preserve-symlinks-main").arg(&script);
        let mut servers = [
            Session::start(reference, revision, args)?,
            Session::start(scratch.rig(&["serve", "mcp"]), revision, args)?,
        ];
        let [reference, rig] = &mut servers;
        if reference.answer()? != rig.answer()? {
            return Err("the two servers do not answer the same".into());
        }
        for in_flight in [1, IN_FLIGHT] {
            let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
            for server in &mut servers {
                server.calls(WARM_UP, in_flight)?;
            }
            for round in 0..ROUNDS {
                for which in [round % 2, 1 - round % 2] {
                    times[which].push(median(servers[which].calls(CALLS, in_flight)?));
                }
            }
            let ratio = median(times[1].iter().zip(&times[0]).map(|(rig, node)| rig / node).collect());
            let [node_p50, rig_p50] = times.map(median);
            println!("{revision:<12} {in_flight:<10} {node_p50:>12.1} {rig_p50:>12.1} {ratio:>8.2}");
            let about = format!("MCP {revision} over stdio, {in_flight} in flight");
            figures.push(Figure::told(format!("Node on the official SDK, {about}, p50"), node_p50, "µs"));
            figures.push(Figure::told(format!("rig, {about}, p50"), rig_p50, "µs"));
            let bound = (in_flight == 1).then_some(BOUND);
            figures.push(Figure::ratio(format!("rig / Node, {about}, p50"), ratio, bound));
        }
    }
    Ok(figures)
}

/// A server with its pipes. Killed when dropped.
struct Session {
    child: Child,
    stdin: BufWriter<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// What stands in `params` of a call.
    params: String,
    next: usize,
}

/// What is read of an answer: enough to know whose it is and that it is one.
#[derive(Deserialize)]
struct Answer<'a> {
    id: Option<usize>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

impl Session {
    fn start(mut command: Command, revision: &str, args: &str) -> Result<Self, Failure> {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = pipes.spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes".into());
        };
        let (stdin, stdout) = (BufWriter::new(stdin), BufReader::new(stdout));
        let about = json!({ "name": "rig-bench", "version": "1.0.0" });
        let is_stateless = revision >= "2026";
        let meta = if is_stateless {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": revision,
                "io.modelcontextprotocol/clientInfo": about,
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            format!(r#","_meta":{meta}"#)
        } else {
            String::new()
        };
        let params = format!(r#"{{"name":"{TOOL}","arguments":{args}{meta}}}"#);
        let mut session = Self { child, stdin, stdout, params, next: 1 };
        if !is_stateless {
            let params = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": about });
            session.send("initialize", &params.to_string())?;
            let (_, result) = session.receive()?;
            let agreed = serde_json::from_str::<Value>(&result)?["protocolVersion"].clone();
            if agreed != revision {
                return Err(format!("the server speaks {agreed} where {revision} was asked for").into());
            }
            session.line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
        }
        Ok(session)
    }

    /// What the tool answers: the structured content.
    fn answer(&mut self) -> Result<Value, Failure> {
        self.call()?;
        let (_, result) = self.receive()?;
        let answer = serde_json::from_str::<Value>(&result)?["structuredContent"].take();
        if answer.is_object() { Ok(answer) } else { Err(format!("the call failed: {result}").into()) }
    }

    /// Makes calls, so many at a time. The microseconds that each took.
    fn calls(&mut self, count: usize, in_flight: usize) -> Result<Vec<f64>, Failure> {
        let first = self.next;
        let (mut started, mut times) = (Vec::with_capacity(count), Vec::with_capacity(count));
        while times.len() < count {
            while started.len() < count && started.len() - times.len() < in_flight {
                started.push(Instant::now());
                self.call()?;
            }
            let (id, result) = self.receive()?;
            let began = id.checked_sub(first).and_then(|at| started.get(at)).ok_or("an answer to nothing")?;
            times.push(began.elapsed().as_secs_f64() * 1e6);
            if !result.contains(r#""structuredContent""#) {
                return Err(format!("the call failed: {result}").into());
            }
        }
        Ok(times)
    }

    fn call(&mut self) -> Result<(), Failure> {
        let params = std::mem::take(&mut self.params);
        let sent = self.send("tools/call", &params);
        self.params = params;
        sent
    }

    fn send(&mut self, method: &str, params: &str) -> Result<(), Failure> {
        let id = self.next;
        self.next += 1;
        self.line(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#))
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.stdin.write_all(line.as_bytes())?;
        self.stdin.write_all(b"\n")?;
        Ok(self.stdin.flush()?)
    }

    /// The next answer: its id and its result as text.
    fn receive(&mut self) -> Result<(usize, String), Failure> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.stdout.read_line(&mut line)? == 0 {
                return Err("the server ended".into());
            }
            match serde_json::from_str::<Answer<'_>>(&line)? {
                Answer { id: Some(id), result: Some(result) } => return Ok((id, result.get().to_owned())),
                Answer { id: Some(_), result: None } => return Err(format!("an error: {line}").into()),
                // A notice of the server.
                Answer { id: None, .. } => {}
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

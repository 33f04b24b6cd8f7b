//! The load generator: a closed loop over HTTP. Each connection sends a request, reads the whole answer, and sends the next.
//!
//! It runs as a process of its own (`rig-bench load …`), on one thread, so that every server shares the machine with the same
//! neighbour. It checks every answer: a fast refusal is not a fast answer.

use std::{
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::Failure;

/// How long the connections run before counting begins.
const WARM_UP: Duration = Duration::from_millis(300);

/// Larger than any answer here; one that is larger is a failure.
const MAX_ANSWER: usize = 1024 * 1024;

/// What a server is asked, over and over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    /// Beside those that every request has.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Stands in every right answer.
    pub(crate) expect: String,
    pub(crate) connections: usize,
    pub(crate) millis: u64,
}

/// What came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Microseconds from the first byte sent to the last byte read, the middle one.
    pub(crate) p50: f64,
    /// The same, exceeded by one answer in a hundred.
    pub(crate) p99: f64,
    /// The longest of all.
    pub(crate) longest: f64,
}

impl Load {
    /// Runs it in another process of this program.
    pub(crate) fn run(&self) -> Result<Found, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        let output = command.arg("load").arg(serde_json::to_string(self)?).output()?;
        if !output.status.success() {
            return Err(format!("the load generator failed: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// The program `rig-bench load`: the load as JSON in, what was found as JSON out.
pub(crate) fn main(load: &str) -> Result<(), Failure> {
    let load: Load = serde_json::from_str(load)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(generate(load))?;
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

async fn generate(load: Load) -> Result<Found, Failure> {
    let from = Instant::now() + WARM_UP;
    let to = from + Duration::from_millis(load.millis);
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        let load = load.clone();
        connections.spawn(async move { connection(&load, from, to).await.map_err(|error| error.to_string()) });
    }
    let mut times: Vec<u64> = Vec::new();
    while let Some(connection) = connections.join_next().await {
        times.extend(connection??);
    }
    times.sort_unstable();
    let at = |part: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
        let index = (times.len() as f64 * part) as usize;
        times.get(index.min(times.len().saturating_sub(1))).map_or(f64::NAN, |nanos| *nanos as f64 / 1e3)
    };
    Ok(Found { rate: times.len() as f64 * 1e3 / load.millis as f64, p50: at(0.5), p99: at(0.99), longest: at(1.0) })
}

/// The times in nanoseconds of the answers that were complete between the two moments.
async fn connection(load: &Load, from: Instant, to: Instant) -> Result<Vec<u64>, Failure> {
    let mut stream = TcpStream::connect(load.address).await?;
    stream.set_nodelay(true)?;
    let headers: Vec<String> = load.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{}Content-Length: {}\r\n\r\n{}",
        load.path,
        load.address,
        headers.concat(),
        load.body.len(),
        load.body
    );
    let (mut times, mut answer) = (Vec::with_capacity(1 << 16), Vec::with_capacity(16 * 1024));
    loop {
        let started = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        read(&mut stream, &mut answer).await?;
        let done = Instant::now();
        if done >= to {
            return Ok(times);
        }
        let is_right = answer.starts_with(b"HTTP/1.1 200") && contains(&answer, load.expect.as_bytes());
        if !is_right {
            return Err(format!("not the answer that was expected: {}", String::from_utf8_lossy(&answer)).into());
        }
        if done >= from {
            times.push(u64::try_from((done - started).as_nanos()).unwrap_or(u64::MAX));
        }
    }
}

/// Reads one answer with a `Content-Length`.
async fn read(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<(), Failure> {
    answer.clear();
    let mut whole = None;
    loop {
        if whole.is_some_and(|whole| answer.len() >= whole) {
            return Ok(());
        }
        if stream.read_buf(answer).await? == 0 {
            return Err(format!("the connection was closed: {}", String::from_utf8_lossy(answer)).into());
        }
        if whole.is_none() {
            whole = length(answer)?;
        }
        if answer.len() > MAX_ANSWER {
            return Err("the answer is too long".into());
        }
    }
}

/// The length of the whole answer, once its head is there.
fn length(answer: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let length = length.ok_or_else(|| format!("an answer without a length: {head}"))??;
    Ok(Some(end + 4 + length))
}

fn contains(answer: &[u8], text: &[u8]) -> bool {
    answer.windows(text.len()).any(|part| part == text)
}

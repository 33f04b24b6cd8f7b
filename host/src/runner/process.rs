//! One running process of a pack: requests go in, answers and log lines come out, and it ends in one place.
//!
//! Any number of calls run at once. A call that is not wanted any more is cancelled; a process that does not let go of it takes no new
//! calls and is killed when its other calls are done, or soon after.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::unix::pipe::{Receiver, Sender},
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{
    cell::{self, Cell, Ended, Held, Isolation, Running},
    frame::{self, Decoder},
    message::{Message, Refusal, Request},
    proxy::Meter,
};
use crate::{
    egress::Traffic,
    sandbox::{CallLog, Level},
};

/// The largest message in either direction: an output of the largest size that can be granted, and what stands around it.
const MAX_FRAME: usize = 64 << 20;
/// Requests that wait to be written. A runner that does not read holds up those who call it, and nobody else.
const QUEUE: usize = 64;
/// How long a call may go on after it was cancelled. Long enough for a pack that tidies up, short enough to be no leak.
const GRACE: Duration = Duration::from_secs(1);
/// How long the other calls of a process may go on that does not let go of a cancelled one.
const DRAIN: Duration = Duration::from_secs(5);
/// Lines that are kept of what a process says outside of calls, for the reason why it ended.
const RECENT: usize = 40;
/// Bytes of one such line.
const MAX_LINE: u64 = 8 << 10;

/// What came of a request.
pub(super) enum Reply {
    /// The result as JSON text.
    Result(String),
    /// The runner or the pack refused.
    Refused(Refusal),
    /// The process ended first; why.
    Gone(String),
}

/// Somebody who waits for an answer.
struct Waiting {
    answer: oneshot::Sender<Reply>,
    log: CallLog,
}

/// A running process. Dropping the last handle ends it.
pub(super) struct Process {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Vec<u8>>,
    meter: Meter,
    /// How far it is kept apart.
    pub(super) level: Isolation,
    pub(super) started: Instant,
}

struct Shared {
    pack: String,
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    next: AtomicU64,
    /// Takes no new calls.
    closing: AtomicBool,
    /// Asks for the end; cancelled as well when it has come.
    kill: CancellationToken,
    /// Why it ended.
    why: OnceLock<String>,
    gone: CancellationToken,
    recent: Mutex<VecDeque<String>>,
    used: Mutex<Instant>,
    key: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.shared.end("rig does not need it any more");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn end(&self, why: &str) {
        let _ = self.why.set(why.to_owned());
        self.closing.store(true, Ordering::Relaxed);
        self.kill.cancel();
    }

    fn take(&self, id: u64) -> Option<Waiting> {
        lock(&self.waiting).remove(&id)
    }

    fn log(&self, id: Option<u64>, level: Level, text: &str) {
        let waiting = lock(&self.waiting);
        // What nobody claims belongs to the one call that runs, if there is only one.
        let one = || waiting.values().next().filter(|_| waiting.len() == 1);
        let call = match id {
            Some(id) => waiting.get(&id),
            None => one(),
        };
        if let Some(call) = call {
            call.log.write(level, text);
        }
        drop(waiting);
        if id.is_none() {
            tracing::debug!(pack = %self.pack, "{text}");
            let mut recent = lock(&self.recent);
            if recent.len() == RECENT {
                recent.pop_front();
            }
            recent.push_back(text.to_owned());
        }
    }

    /// Reads messages until the stream ends or is of no use.
    async fn receive(&self, mut stdout: impl AsyncRead + Unpin) {
        let mut decoder = Decoder::new(MAX_FRAME);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = match stdout.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(read) => read,
            };
            decoder.push(&buffer[..read]);
            loop {
                match decoder.take() {
                    Ok(Some(message)) if self.take_in(message) => {}
                    Ok(None) => break,
                    Ok(Some(_)) => return self.end("something else than its runner wrote to the pipe of its answers"),
                    Err(error) => return self.end(&format!("it sent {error}")),
                }
            }
        }
    }

    /// Whether a message is one of the runner.
    fn take_in(&self, bytes: &[u8]) -> bool {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(bytes) else { return false };
        if message.key.as_deref() != Some(&self.key) {
            return false;
        }
        match (message.method.as_deref(), message.params, message.id) {
            (Some("log"), Some(line), _) => {
                let level = match line.level.as_str() {
                    "debug" => Level::Debug,
                    "warn" => Level::Warn,
                    "error" => Level::Error,
                    _ => Level::Info,
                };
                self.log(line.id, level, &line.message);
            }
            (None, _, Some(id)) => {
                // An answer that nobody waits for any more is the end of a cancelled call.
                if let Some(waiting) = self.take(id) {
                    let reply = match (message.error, message.result) {
                        (Some(refusal), _) => Reply::Refused(refusal),
                        (None, result) => Reply::Result(result.map_or("null", |result| result.get()).to_owned()),
                    };
                    let _ = waiting.answer.send(reply);
                }
            }
            _ => {}
        }
        true
    }

    /// Takes what the pack writes past its runner for its log.
    async fn listen(&self, stderr: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => self.log(None, Level::Warn, String::from_utf8_lossy(&line).trim_end()),
            }
        }
    }

    /// Sees to the end of the process, and to those who still wait for it.
    async fn oversee(self: Arc<Self>, mut held: Held, stdout: Receiver, stderr: Receiver, scratch: TempDir) {
        let reading = async {
            // Not `join`: a child of the pack may hold its log open for ever.
            tokio::select! {
                () = self.receive(stdout) => {}
                () = async { self.listen(stderr).await; std::future::pending().await } => {}
            }
        };
        let ended = tokio::select! {
            () = self.kill.cancelled() => None,
            () = reading => tokio::time::timeout(GRACE, held.ended()).await.ok(),
        };
        held.kill().await;
        let said = lock(&self.recent).iter().rev().find(|line| !line.trim().is_empty()).cloned();
        let said = said.map(|line| format!("; it said: {line}")).unwrap_or_default();
        let _ = self.why.set(match ended {
            Some(Ended::Exit(code)) => format!("it ended by itself with exit code {code}{said}"),
            Some(Ended::Signal(signal)) => format!("it was ended by signal {signal}{said}"),
            Some(Ended::Memory) => format!("it took more memory than it may{said}"),
            Some(Ended::Killed) => format!("it was killed{said}"),
            None => format!("it closed the pipe of its answers{said}"),
        });
        self.closing.store(true, Ordering::Relaxed);
        let why = self.why.get().cloned().unwrap_or_default();
        tracing::debug!(pack = %self.pack, %why, "the process of a pack ended");
        for (_, waiting) in std::mem::take(&mut *lock(&self.waiting)) {
            let _ = waiting.answer.send(Reply::Gone(why.clone()));
        }
        drop(scratch);
        self.gone.cancel();
    }
}

async fn feed(mut stdin: Sender, mut requests: mpsc::Receiver<Vec<u8>>) {
    while let Some(request) = requests.recv().await {
        if stdin.write_all(&request).await.is_err() {
            return;
        }
    }
}

/// A request that was sent. Dropping it before the answer has come gives the call up: asks the pack to stop, and sees to it that it does,
/// without making anybody wait.
pub(super) struct Sent {
    id: u64,
    shared: Arc<Shared>,
    requests: mpsc::Sender<Vec<u8>>,
    /// Taken when the answer has come.
    answer: Option<oneshot::Receiver<Reply>>,
    pub(super) log: CallLog,
}

impl Drop for Sent {
    fn drop(&mut self) {
        let (Some(answer), Ok(executor)) = (self.answer.take(), tokio::runtime::Handle::try_current()) else { return };
        executor.spawn(give_up(self.id, Arc::clone(&self.shared), self.requests.clone(), answer));
    }
}

impl Process {
    /// Starts the process. `scratch` is the folder that its cell names; it goes with the process.
    pub(super) async fn start(pack: &str, cell: &Cell, scratch: TempDir) -> Result<Self, cell::Error> {
        let Running { stdin, stdout, stderr, held } = cell.spawn().await?;
        let (level, meter) = (held.layers().isolation(), held.meter());
        let mut key = [0; 16];
        // Without random numbers the key merely is no surprise to the pack.
        let _ = getrandom::fill(&mut key);
        let shared = Arc::new(Shared {
            pack: pack.to_owned(),
            waiting: Mutex::default(),
            next: AtomicU64::new(1),
            closing: AtomicBool::new(false),
            kill: CancellationToken::new(),
            why: OnceLock::new(),
            gone: CancellationToken::new(),
            recent: Mutex::default(),
            used: Mutex::new(Instant::now()),
            key: hex::encode(key),
        });
        let (requests, queue) = mpsc::channel(QUEUE);
        let gone = shared.gone.clone();
        tokio::spawn(async move { gone.run_until_cancelled(feed(stdin, queue)).await });
        tokio::spawn(Arc::clone(&shared).oversee(held, stdout, stderr, scratch));
        Ok(Self { shared, requests, meter, level, started: Instant::now() })
    }

    /// What the runner is told, so that its messages are known from others.
    pub(super) fn key(&self) -> &str {
        &self.shared.key
    }

    /// Whether it takes calls.
    pub(super) fn is_open(&self) -> bool {
        !self.shared.closing.load(Ordering::Relaxed)
    }

    /// How long nothing was asked of it; nothing while a call runs.
    pub(super) fn idle(&self) -> Option<Duration> {
        lock(&self.shared.waiting).is_empty().then(|| lock(&self.shared.used).elapsed())
    }

    /// Ends it.
    pub(super) fn end(&self, why: &str) {
        self.shared.end(why);
    }

    /// What went over the network since that was last asked.
    pub(super) fn traffic(&self) -> Vec<Traffic> {
        self.meter.take()
    }

    /// Why it ended.
    pub(super) fn why(&self) -> String {
        self.shared.why.get().cloned().unwrap_or_default()
    }

    /// The last lines that it said outside of calls.
    pub(super) fn recent(&self) -> Vec<String> {
        lock(&self.shared.recent).iter().cloned().collect()
    }

    /// Resolves when it has ended.
    pub(super) async fn gone(&self) {
        self.shared.gone.cancelled().await;
    }

    /// Sends a request.
    ///
    /// # Errors
    /// Why it cannot be sent. The pack has seen nothing of it, then.
    pub(super) async fn send(&self, method: &str, params: impl Serialize) -> Result<Sent, String> {
        let shared = &self.shared;
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        let text = serde_json::to_vec(&Request::new(Some(id), method, params)).map_err(|error| error.to_string())?;
        let frame = frame::encode(&text, MAX_FRAME).map_err(|error| error.to_string())?;
        let (answer, receiver) = oneshot::channel();
        let log = CallLog::default();
        lock(&shared.waiting).insert(id, Waiting { answer, log: log.clone() });
        *lock(&shared.used) = Instant::now();
        let sent = tokio::select! {
            biased;
            () = shared.gone.cancelled() => false,
            sent = self.requests.send(frame) => sent.is_ok(),
        };
        if sent {
            let (shared, requests) = (Arc::clone(shared), self.requests.clone());
            return Ok(Sent { id, shared, requests, answer: Some(receiver), log });
        }
        shared.take(id);
        Err(self.why())
    }
}

impl Sent {
    /// Waits for the answer.
    pub(super) async fn answer(&mut self) -> Reply {
        let ended = || Reply::Gone(self.shared.why.get().cloned().unwrap_or_default());
        let Some(answer) = &mut self.answer else { return ended() };
        let reply = tokio::select! {
            biased;
            reply = answer => reply.unwrap_or_else(|_| ended()),
            // It ended between the request and the moment when its waiting calls were told.
            () = self.shared.gone.cancelled() => ended(),
        };
        self.answer = None;
        *lock(&self.shared.used) = Instant::now();
        reply
    }
}

async fn give_up(id: u64, shared: Arc<Shared>, requests: mpsc::Sender<Vec<u8>>, mut answer: oneshot::Receiver<Reply>) {
    let cancel = serde_json::to_vec(&Request::new(None, "cancel", serde_json::json!({ "id": id })));
    if let Some(frame) = cancel.ok().and_then(|text| frame::encode(&text, MAX_FRAME).ok()) {
        let _ = tokio::time::timeout(GRACE, requests.send(frame)).await;
    }
    drop(requests);
    if tokio::time::timeout(GRACE, &mut answer).await.is_ok() {
        return;
    }
    shared.closing.store(true, Ordering::Relaxed);
    let until = Instant::now() + DRAIN;
    while Instant::now() < until && lock(&shared.waiting).len() > 1 && !shared.gone.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    shared.end("a call that was given up did not stop");
}

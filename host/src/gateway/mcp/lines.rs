//! The stdio transport: one JSON message a line, each written and flushed as a whole.
//!
//! rmcp's own transport waits for what runs when its input ends, answers nothing to a line that is no JSON, and reads through a
//! thread of its own where stdin is a socket, as it is under Node. A client that starts its server needs none of that.

use std::{
    future::poll_fn,
    io,
    os::{fd::AsFd, unix::net::UnixStream as StdUnixStream},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use rmcp::{
    ErrorData, RoleServer,
    model::{
        ClientJsonRpcMessage, ClientRequest, GetMeta as _, JsonRpcError, ProtocolVersion, RequestId,
        ServerJsonRpcMessage,
    },
    transport::{Transport, stdio_pipes},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::UnixStream,
    sync::Mutex,
};
use tokio_util::sync::CancellationToken;

/// What is read at once: more than most messages have.
const CHUNK: usize = 64 << 10;

mod alert;

use alert::Alert;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Arc<Mutex<Option<Box<dyn AsyncWrite + Send + Unpin>>>>;

/// Messages over a pair of byte streams.
pub(super) struct Lines {
    read: Reader,
    write: Writer,
    /// What was read and not yet given out.
    buffer: Vec<u8>,
    /// How much of it was searched for the end of a line.
    searched: usize,
    /// How much of it was given out.
    taken: usize,
    max: usize,
    /// Whether the rest of a line that is too long is still to come.
    skipping: bool,
    /// Whether the client has chosen an era. Before that only requests mean something.
    open: bool,
    gone: CancellationToken,
    alert: Alert,
}

/// The process's own streams. `gone` is cancelled when stdin ends.
pub(super) fn stdio(max: usize, gone: CancellationToken) -> Lines {
    if let (Some(read), Some(write)) = (socket(io::stdin().as_fd()), socket(io::stdout().as_fd())) {
        return Lines::new(read, write, max, gone);
    }
    let (read, write) = stdio_pipes();
    Lines::new(read, write, max, gone)
}

/// A stream that is a socket, which some programs give to those they start.
fn socket(stream: std::os::fd::BorrowedFd<'_>) -> Option<UnixStream> {
    let stream = StdUnixStream::from(stream.try_clone_to_owned().ok()?);
    stream.local_addr().ok()?;
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}

impl Lines {
    pub(super) fn new(
        read: impl AsyncRead + Send + Unpin + 'static,
        write: impl AsyncWrite + Send + Unpin + 'static,
        max: usize,
        gone: CancellationToken,
    ) -> Self {
        Self {
            read: Box::new(read),
            write: Arc::new(Mutex::new(Some(Box::new(write)))),
            buffer: Vec::new(),
            searched: 0,
            taken: 0,
            max,
            skipping: false,
            open: false,
            gone,
            alert: Alert::new(),
        }
    }

    /// The next whole line, without its end. None at the end of the input; a line that is too long is an error.
    ///
    /// May be dropped while it waits: what was read stays in the buffer.
    async fn line(&mut self) -> Option<Result<std::ops::Range<usize>, TooLong>> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let end = self.searched + at;
                let line = self.taken..end;
                (self.taken, self.searched) = (end + 1, end + 1);
                if !std::mem::take(&mut self.skipping) {
                    return Some(if line.len() > self.max { Err(TooLong) } else { Ok(line) });
                }
                continue;
            }
            self.searched = self.buffer.len();
            if self.taken > 0 {
                self.buffer.drain(..self.taken);
                self.searched -= self.taken;
                self.taken = 0;
            }
            if self.buffer.len() > self.max {
                self.buffer.clear();
                self.searched = 0;
                if !std::mem::replace(&mut self.skipping, true) {
                    return Some(Err(TooLong));
                }
            }
            self.buffer.reserve(CHUNK);
            match self.read().await {
                Ok(0) | Err(_) => return None,
                Ok(_) => self.alert.beat(),
            }
        }
    }

    /// Reads what there is. While the client is quick, without going to sleep; everything else that is ready runs in between.
    async fn read(&mut self) -> io::Result<usize> {
        while self.alert.is_on() {
            let mut reading = pin!(self.read.read_buf(&mut self.buffer));
            let polled = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await;
            if let Poll::Ready(read) = polled {
                return read;
            }
            tokio::task::yield_now().await;
        }
        self.read.read_buf(&mut self.buffer).await
    }

    /// Whether a message may pass. The first ones choose the era; rmcp takes anything but a request for the end of the talk then.
    fn admits(&mut self, message: &ClientJsonRpcMessage) -> bool {
        if self.open {
            return true;
        }
        let ClientJsonRpcMessage::Request(request) = message else { return false };
        self.open = match &request.request {
            ClientRequest::InitializeRequest(_) => true,
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
            other => other.get_meta().missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty(),
        };
        true
    }
}

async fn refuse(writer: &Writer, error: ErrorData, id: Option<RequestId>) {
    let message = serde_json::to_vec(&JsonRpcError::new(id, error)).unwrap_or_default();
    // A client that cannot be written to is noticed when its input ends.
    let _ = write(writer, message).await;
}

/// A line beyond the limit.
#[derive(Debug)]
struct TooLong;

/// What is wrong with a line that is no message.
fn problem(line: &[u8], error: &serde_json::Error) -> (ErrorData, Option<RequestId>, bool) {
    let Ok(value) = serde_json::from_slice::<Value>(line) else {
        return (ErrorData::parse_error(format!("the line is not JSON: {error}"), None), None, true);
    };
    let id = value.get("id").and_then(|id| serde_json::from_value(id.clone()).ok());
    // A notification is not answered, whatever is wrong with it.
    let notification = value.get("method").is_some() && value.get("id").is_none();
    (ErrorData::invalid_request("the line is not a JSON-RPC message of MCP", None), id, !notification)
}

async fn write(writer: &Writer, mut message: Vec<u8>) -> io::Result<()> {
    message.push(b'\n');
    let mut writer = writer.lock().await;
    let writer = writer.as_mut().ok_or(io::ErrorKind::NotConnected)?;
    writer.write_all(&message).await?;
    writer.flush().await
}

impl Transport<RoleServer> for Lines {
    type Error = io::Error;

    fn send(&mut self, message: ServerJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (text, writer, alert) = (serde_json::to_vec(&message), Arc::clone(&self.write), self.alert.clone());
        async move {
            write(&writer, text?).await?;
            alert.beat();
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let line = match self.line().await {
                None => {
                    self.gone.cancel();
                    return None;
                }
                Some(Err(TooLong)) => {
                    let why = format!("the message is longer than {} bytes; it was left out", self.max);
                    refuse(&self.write, ErrorData::invalid_request(why, None), None).await;
                    continue;
                }
                Some(Ok(range)) => self.buffer[range].trim_ascii(),
            };
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice::<ClientJsonRpcMessage>(line).map_err(|error| problem(line, &error)) {
                Ok(message) if self.admits(&message) => return Some(message),
                Err((error, id, true)) => refuse(&self.write, error, id).await,
                Ok(_) | Err(_) => {}
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.gone.cancel();
        if let Some(mut writer) = self.write.lock().await.take() {
            writer.shutdown().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

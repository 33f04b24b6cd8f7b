//! A connection whose bytes are counted as they pass, so that those of a connection that is kept for later calls are counted with the call
//! that they belong to; and which notices that nothing passes any more.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Shared;
use crate::egress::Passage;

/// How long a connection may stand still. Longer than a service takes for its slowest answer, and than clients keep unused ones.
const IDLE: Duration = Duration::from_mins(10);

/// A connection outside.
pub(super) struct Counted {
    passage: Passage,
    bytes: Arc<Bytes>,
    shared: Arc<Shared>,
    host: String,
}

/// Both directions.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Bytes {
    /// Returns once nothing has passed for [`IDLE`].
    pub(super) async fn idle(&self) {
        let mut before = None;
        loop {
            let now = (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed));
            if before == Some(now) {
                return;
            }
            before = Some(now);
            tokio::time::sleep(IDLE).await;
        }
    }
}

impl Counted {
    pub(super) fn new(passage: Passage, shared: Arc<Shared>, host: String) -> Self {
        Self { passage, bytes: Arc::default(), shared, host }
    }

    pub(super) fn bytes(&self) -> Arc<Bytes> {
        Arc::clone(&self.bytes)
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(self.passage.as_mut().poll_read(cx, buf))?;
        let read = (buf.filled().len() - before) as u64;
        self.bytes.received.fetch_add(read, Ordering::Relaxed);
        if read > 0 {
            self.shared.count(&self.host, |traffic| traffic.bytes_received += read);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.passage.as_mut().poll_write(cx, buf))?;
        self.bytes.sent.fetch_add(written as u64, Ordering::Relaxed);
        self.shared.count(&self.host, |traffic| traffic.bytes_sent += written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.passage.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.passage.as_mut().poll_shutdown(cx)
    }
}

//! A connection's bytes, watched: how long a request's head takes to come, how long an answer waits to be taken, and what hyper
//! answers by itself.
//!
//! hyper has one timeout for the head of a request and the idle time before it. Here they are apart: a client may keep a quiet
//! connection for long, but not send a head byte by byte. One timer does for both: it is set anew when it has fired too early or would
//! fire too late, so that a busy connection does not set one for each request. And hyper's own answers to what is no HTTP have no body; every answer of
//! this gateway has one.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use super::problem::Problem;

/// How long a connection may be quiet between requests. Longer than most clients keep one, so that it is they who close.
const IDLE: Duration = Duration::from_secs(75);
/// Between the first byte of a head and its last. Heads fit into a packet or two; who needs longer means to hold the connection.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a client may refuse to take more of its answer before it is taken for gone.
const WRITE_STALL: Duration = Duration::from_secs(30);

/// What a connection is doing.
#[derive(Debug, Clone, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

/// No part of a request has come.
const WAITING: u8 = 0;
/// A part of a head has come.
const HEAD: u8 = 1;
/// A request is being answered.
const BUSY: u8 = 2;

impl Phase {
    /// A request is here.
    pub(super) fn busy(&self) {
        self.0.store(BUSY, Ordering::Relaxed);
    }

    /// Its answer is made.
    pub(super) fn answered(&self) {
        self.0.store(WAITING, Ordering::Relaxed);
    }

    fn is(&self, phase: u8) -> bool {
        self.0.load(Ordering::Relaxed) == phase
    }
}

/// The connection.
pub(super) struct Wire<S> {
    stream: S,
    phase: Phase,
    /// When a request, or the rest of one, must have come; looked at while one is waited for.
    due: Instant,
    /// Fires then, or before.
    alarm: Option<Pin<Box<Sleep>>>,
    late: bool,
    /// Whether a part of a request came since the connection was last quiet.
    asked: bool,
    /// Runs while nothing can be written.
    stall: Option<Pin<Box<Sleep>>>,
    /// What stands in for hyper's own answer, and how much of it is written.
    own: Option<(Vec<u8>, usize)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, phase: Phase) -> Self {
        Self {
            stream,
            phase,
            due: Instant::now() + IDLE,
            alarm: None,
            late: false,
            asked: false,
            stall: None,
            own: None,
        }
    }

    /// Ends the connection so that the client still reads its answer: closing while unread bytes are there would reset the
    /// connection, and the client could lose what it was told.
    pub(super) async fn close(mut self, patience: Duration) {
        if self.late {
            let late = Problem::timeout("the head of the request did not come in time");
            if self.stream.write_all(late.raw().as_bytes()).await.is_err() {
                return;
            }
        }
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let _ = tokio::time::timeout(patience, tokio::io::copy(&mut self.stream, &mut tokio::io::sink())).await;
    }

    /// Nothing can be read now; an error when something should have come by now.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.phase.is(BUSY) {
            return Poll::Pending;
        }
        let due = self.due;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if alarm.deadline() > due {
            alarm.as_mut().reset(due);
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            if Instant::now() >= due {
                break;
            }
            alarm.as_mut().reset(due);
        }
        // Who sent nothing at all is not told.
        self.late = self.phase.is(HEAD);
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    /// Nothing can be written now; an error when that has been so for too long.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let sleep = self.stall.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    fn written(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match done {
            Poll::Pending => self.poll_stall(cx).map(Err),
            ready @ Poll::Ready(_) => {
                self.stall = None;
                ready
            }
        }
    }

    /// Writes what stands in for hyper's own answer. `bytes` is that answer; it counts as written once the other is.
    fn poll_own(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.own.is_none() {
            self.own = Some((replaced(bytes).filter(|_| !self.phase.is(BUSY))?.into_bytes(), 0));
        }
        let (text, mut at) = self.own.take()?;
        while at < text.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &text[at..]) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(count)) => at += count,
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => {
                    self.own = Some((text, at));
                    return Some(self.poll_stall(cx).map(Err));
                }
            }
        }
        Some(Poll::Ready(Ok(bytes.len())))
    }
}

/// What is written instead of an answer that hyper makes without asking: only those have a bad status and no body.
fn replaced(bytes: &[u8]) -> Option<String> {
    let rest = bytes.strip_prefix(b"HTTP/1.")?.get(1..)?;
    let empty = || bytes.windows(19).any(|part| part == b"content-length: 0\r\n");
    let problem = match rest.get(..5)? {
        b" 400 " => Problem::bad_request("this is not an HTTP/1.1 request"),
        b" 414 " | b" 431 " => Problem::head_too_large(),
        _ => return None,
    };
    empty().then(|| problem.raw())
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before && self.phase.is(WAITING) {
            self.phase.0.store(HEAD, Ordering::Relaxed);
            self.due = Instant::now() + HEAD_TIME;
            self.asked = true;
        }
        match read {
            Poll::Pending => {
                if self.asked && self.phase.is(WAITING) {
                    // The request that came was answered: the quiet time begins.
                    (self.asked, self.due) = (false, Instant::now() + IDLE);
                }
                self.poll_due(cx).map(Err)
            }
            ready @ Poll::Ready(_) => ready,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(own) = self.poll_own(cx, bytes) {
            return own;
        }
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(own) = slices.first().and_then(|first| self.poll_own(cx, first)) {
            return own;
        }
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_without_a_body_are_replaced() {
        let bare = |status: &str| format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        for (status, word) in [
            ("400 Bad Request", "bad_request"),
            ("431 Request Header Fields Too Large", "headers_too_large"),
            ("414 URI Too Long", "headers_too_large"),
        ] {
            let text = replaced(bare(status).as_bytes()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("content-length: {}", body.len())), "{text}");
            assert!(body.starts_with(&format!("{{\"error\":\"{word}\"")), "{text}");
        }
        for text in
            [bare("200 OK"), bare("404 Not Found"), "HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\n".into()]
        {
            assert_eq!(replaced(text.as_bytes()), None, "{text}");
        }
        assert_eq!(replaced(b"HTTP/1.1"), None);
    }
}

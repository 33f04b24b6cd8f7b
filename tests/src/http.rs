//! A small HTTP/1.1 server side for tests, written out so that a test sees what was on the wire (order and spelling of
//! headers, the target as sent) and can answer what no library would send. Not for anything but loopback.

use std::{future::Future, io, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    sync::Barrier,
    time::sleep,
};

/// The longest line of a request's head. Longer than any header that a pack may send.
const MAX_LINE: u64 = 128 * 1024;
/// The size of the pieces in which large bodies are written.
const CHUNK: usize = 64 * 1024;

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// `https` when it came through TLS, else `http`.
    pub scheme: &'static str,
    /// As sent, for example `POST`.
    pub method: String,
    /// The host that the client asked for: of the `CONNECT`, of an absolute target, or of the `Host` header. Without a port.
    pub host: String,
    /// Path and query as sent.
    pub target: String,
    /// Names as sent, in order.
    pub headers: Vec<(String, String)>,
    /// The body, chunked coding undone.
    pub body: Vec<u8>,
}

impl Recorded {
    /// The first value of a header, whatever the spelling of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How often a header was sent.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count()
    }

    /// The part of the target before `?`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The fields of the query as sent, not decoded, in order.
    #[must_use]
    pub fn query(&self) -> Vec<(&str, &str)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        query.split('&').filter(|f| !f.is_empty()).map(|field| field.split_once('=').unwrap_or((field, ""))).collect()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("body is not JSON ({error}): {}", String::from_utf8_lossy(&self.body)))
    }

    /// `METHOD scheme://host/target`, to compare whole conversations.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {}://{}{}", self.method, self.scheme, self.host, self.target)
    }
}

/// What to answer, and how badly.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
    delay: Duration,
    together: Option<Arc<Barrier>>,
}

#[derive(Debug, Clone)]
enum Body {
    Whole(Vec<u8>),
    /// Announces the whole, sends that many bytes and hangs up.
    Cut(Vec<u8>, usize),
    /// Announces the whole, sends that many bytes and nothing more.
    Stalled(Vec<u8>, usize),
    /// Pieces of that size with a pause after each.
    Trickle(Vec<u8>, usize, Duration),
    /// That many bytes with an honest length.
    Zeros(u64),
    /// Never ends; no length is announced.
    Endless,
    /// No HTTP at all unless the bytes are; then hangs up.
    Raw(Vec<u8>),
    /// Takes the request and says nothing until the client gives up.
    Silent,
}

impl Reply {
    /// Any body. `Content-Length` is added; everything else is up to [`Reply::header`].
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(body.into()), delay: Duration::ZERO, together: None }
    }

    /// JSON.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "callers write `json!(…)` in place")]
    pub fn json(status: u16, value: Value) -> Self {
        Self::new(status, value.to_string()).header("Content-Type", "application/json; charset=utf-8")
    }

    /// HTML.
    #[must_use]
    pub fn html(status: u16, text: &str) -> Self {
        Self::new(status, text).header("Content-Type", "text/html; charset=utf-8")
    }

    /// That many zero bytes, honestly announced.
    #[must_use]
    pub fn zeros(size: u64) -> Self {
        Self { body: Body::Zeros(size), ..Self::new(200, "") }
    }

    /// A body that never ends.
    #[must_use]
    pub fn endless() -> Self {
        Self { body: Body::Endless, ..Self::new(200, "") }
    }

    /// Exactly these bytes instead of an answer, then the connection closes. No bytes: it just closes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { body: Body::Raw(bytes.into()), ..Self::new(200, "") }
    }

    /// No answer at all while the client waits.
    #[must_use]
    pub fn silent() -> Self {
        Self { body: Body::Silent, ..Self::new(200, "") }
    }

    /// A file with a mark for its version, as static servers answer for it: the rest of it, when that is asked for of that version.
    #[must_use]
    pub fn file(request: &Recorded, bytes: &[u8], etag: &str) -> Self {
        let from =
            request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let same = request.header("if-range").is_none_or(|mark| mark == etag);
        let reply = match from.filter(|from: &usize| same && *from < bytes.len()) {
            None => Self::new(200, bytes),
            Some(from) => {
                let (last, size) = (bytes.len() - 1, bytes.len());
                Self::new(206, &bytes[from..]).header("Content-Range", &format!("bytes {from}-{last}/{size}"))
            }
        };
        reply.header("Accept-Ranges", "bytes").header("ETag", etag)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Waits before answering.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits until as many others wait as the barrier says: nobody is answered who asks one after the other.
    #[must_use]
    pub fn together(mut self, barrier: &Arc<Barrier>) -> Self {
        self.together = Some(Arc::clone(barrier));
        self
    }

    /// Announces the whole body and hangs up after that many bytes of it.
    #[must_use]
    pub fn cut_at(mut self, size: usize) -> Self {
        self.body = Body::Cut(self.whole(), size);
        self
    }

    /// Announces the whole body and says nothing more after that many bytes of it.
    #[must_use]
    pub fn stall_at(mut self, size: usize) -> Self {
        self.body = Body::Stalled(self.whole(), size);
        self
    }

    /// Sends the body in pieces of that size with a pause after each.
    #[must_use]
    pub fn trickle(mut self, piece: usize, pause: Duration) -> Self {
        self.body = Body::Trickle(self.whole(), piece.max(1), pause);
        self
    }

    fn whole(&mut self) -> Vec<u8> {
        match &mut self.body {
            Body::Whole(bytes) => std::mem::take(bytes),
            other => panic!("{other:?} cannot be cut or slowed down"),
        }
    }

    /// Writes the answer; says whether the connection can take another request.
    async fn write(self, head_only: bool, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<bool> {
        sleep(self.delay).await;
        if let Some(barrier) = &self.together {
            barrier.wait().await;
        }
        let length = match &self.body {
            Body::Whole(bytes) | Body::Cut(bytes, _) | Body::Stalled(bytes, _) | Body::Trickle(bytes, ..) => {
                Some(bytes.len() as u64)
            }
            Body::Zeros(size) => Some(*size),
            Body::Endless => None,
            Body::Raw(bytes) => {
                out.write_all(bytes).await?;
                out.flush().await?;
                return Ok(false);
            }
            Body::Silent => std::future::pending().await,
        };
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str(&length.map_or("Connection: close\r\n\r\n".into(), |n| format!("Content-Length: {n}\r\n\r\n")));
        out.write_all(head.as_bytes()).await?;
        if head_only {
            out.flush().await?;
            return Ok(length.is_some());
        }
        match &self.body {
            Body::Whole(bytes) => out.write_all(bytes).await?,
            Body::Cut(bytes, size) => {
                out.write_all(&bytes[..(*size).min(bytes.len())]).await?;
                out.flush().await?;
                return Ok(false);
            }
            Body::Stalled(bytes, size) => {
                out.write_all(&bytes[..(*size).min(bytes.len())]).await?;
                out.flush().await?;
                std::future::pending::<()>().await;
            }
            Body::Trickle(bytes, piece, pause) => {
                for piece in bytes.chunks(*piece) {
                    out.write_all(piece).await?;
                    out.flush().await?;
                    sleep(*pause).await;
                }
            }
            Body::Zeros(size) => {
                let zeros = vec![0; CHUNK];
                let mut left = *size;
                while left > 0 {
                    let piece = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
                    out.write_all(&zeros[..piece]).await?;
                    left -= piece as u64;
                }
            }
            Body::Endless => {
                let zeros = vec![0; CHUNK];
                loop {
                    out.write_all(&zeros).await?;
                }
            }
            Body::Raw(_) | Body::Silent => unreachable!("answered above"),
        }
        out.flush().await?;
        Ok(true)
    }
}

/// What the first line of a request asks for.
pub(crate) struct Head {
    pub(crate) method: String,
    /// As sent: a path, an absolute URL, or `host:port` for `CONNECT`.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads up to the empty line; nothing when the client is done.
pub(crate) async fn read_head(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<Head>> {
    let Some(first) = read_line(stream).await? else { return Ok(None) };
    let mut words = first.splitn(3, ' ');
    let (Some(method), Some(target), Some(_)) = (words.next(), words.next(), words.next()) else {
        return Err(io::Error::other(format!("not a request line: {first:?}")));
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(Some(Head { method, target, headers }));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other(format!("not a header: {line:?}")))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

async fn read_line(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if stream.take(MAX_LINE).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\r\n").ok_or_else(|| io::Error::other("line without CRLF"))?;
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

async fn read_body(head: &Head, stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = read_line(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let size = u64::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
                .map_err(|_| io::Error::other(format!("not a chunk size: {line:?}")))?;
            (&mut *stream).take(size).read_to_end(&mut body).await?;
            read_line(stream).await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    if let Some(length) = head.header("content-length") {
        let length = length.parse().map_err(|_| io::Error::other("not a length"))?;
        stream.take(length).read_to_end(&mut body).await?;
        if body.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body)
}

/// Where a connection leads.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) scheme: &'static str,
    /// Known from a `CONNECT`; otherwise each request names it.
    pub(crate) host: Option<String>,
}

/// Answers the requests of one connection until either side ends it. `first` is a head that was read already.
pub(crate) async fn serve<S, F, A>(stream: S, origin: &Origin, mut first: Option<Head>, mut answer: F) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: FnMut(Recorded) -> A,
    A: Future<Output = Reply>,
{
    let mut stream = BufReader::new(stream);
    loop {
        let head = match first.take() {
            Some(head) => head,
            None => match read_head(&mut stream).await? {
                Some(head) => head,
                None => return Ok(()),
            },
        };
        if head.header("expect").is_some() {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let body = read_body(&head, &mut stream).await?;
        let (named, target) = split_target(&head);
        let host = origin.host.clone().unwrap_or(named);
        let head_only = head.method == "HEAD";
        let Head { method, headers, .. } = head;
        let reply = answer(Recorded { scheme: origin.scheme, method, host, target, headers, body }).await;
        if !reply.write(head_only, stream.get_mut()).await? {
            return stream.get_mut().shutdown().await;
        }
    }
}

/// The host that a request names, without its port, and its path with the query.
fn split_target(head: &Head) -> (String, String) {
    let absolute = head.target.split_once("://").map(|(_, rest)| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        (&rest[..end], if end == rest.len() { "/" } else { &rest[end..] })
    });
    let (authority, target) = absolute.unwrap_or((head.header("host").unwrap_or_default(), &head.target));
    (without_port(authority).to_owned(), target.to_owned())
}

/// `host` of `host:port`.
pub(crate) fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        302 => "Found",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        _ => "Answer",
    }
}

//! A virtual WASI 0.2 for components that other toolchains made: clocks, random numbers, stdout and stderr into the pack's log,
//! and `wasi:http` through the egress gate. The environment and the arguments are empty, there are no preopened folders (files
//! are `rig:pack/storage`), stdin is closed, and every socket operation is refused. Linked only where WASI is imported.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use tokio::io::AsyncWrite;
use wasmtime::{
    Result,
    component::{Linker, ResourceTable},
};
use wasmtime_wasi::{
    WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError},
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::{
    client::Changes,
    log::{CallLog, Level},
};
use crate::{
    egress::{self, CallEgress, HttpError},
    sandbox::instance::State,
};

/// The bytes that one write to stdout or stderr may hold, and the longest line before it is broken.
const WRITE_CHUNK: usize = 64 << 10;

/// What WASI needs of one call.
pub(in crate::sandbox) struct WasiState {
    ctx: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    gate: GateHooks,
}

impl WasiState {
    /// What was sent that may have changed something.
    pub(in crate::sandbox) fn changes(&self) -> &Changes {
        &self.gate.1
    }
}

impl State {
    fn wasi(&mut self) -> &mut WasiState {
        self.wasi.get_or_insert_with(|| {
            let mut ctx = WasiCtxBuilder::new();
            ctx.stdout(LogStream { log: self.log.clone(), level: Level::Info });
            ctx.stderr(LogStream { log: self.log.clone(), level: Level::Warn });
            ctx.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
            let gate = GateHooks(self.reach.egress.clone(), Changes::default());
            Box::new(WasiState { ctx: ctx.build(), table: ResourceTable::new(), http: WasiHttpCtx::new(), gate })
        })
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi();
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let wasi = self.wasi();
        WasiHttpCtxView { hooks: &mut wasi.gate, table: &mut wasi.table, ctx: &mut wasi.http }
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

/// Sends what `wasi:http` asks for through the gate, buffered like `rig:pack/http`.
struct GateHooks(Option<Arc<CallEgress>>, Changes);

type Sent = std::result::Result<
    (http::Response<WasiBody>, Box<dyn Future<Output = std::result::Result<(), Error>> + Send>),
    Error,
>;

impl WasiHttpHooks for GateHooks {
    fn set_host_header(&mut self) -> bool {
        // The gate takes the host from the URL and refuses a second one.
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _errors: Box<dyn Future<Output = std::result::Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        self.1.request(request.method().as_str());
        let egress = self.0.clone();
        Box::new(async move {
            let egress = egress.ok_or(Error::HttpRequestDenied)?;
            let (parts, body) = request.into_parts();
            let body = Limited::new(body, egress::limits::REQUEST_BODY).collect().await;
            let body =
                body.map_err(|_| Error::HttpRequestBodySize(Some(egress::limits::REQUEST_BODY as u64)))?.to_bytes();
            let mut headers = Vec::with_capacity(parts.headers.len());
            for (name, value) in &parts.headers {
                // The length of a buffered body is known; the guest's own word on it has been checked by the layer above.
                if name != http::header::CONTENT_LENGTH {
                    let value = value.to_str().map_err(|_| Error::HttpProtocolError)?;
                    headers.push((name.as_str().to_owned(), value.to_owned()));
                }
            }
            let request = egress::Request {
                method: parts.method.as_str().to_owned(),
                url: parts.uri.to_string(),
                headers,
                body: (!body.is_empty()).then(|| body.to_vec()),
                timeout: options.and_then(total_timeout),
            };
            let answer = egress.send(request).await.map_err(wasi_error)?;
            let mut response = http::Response::builder().status(answer.status);
            for (name, value) in &answer.headers {
                response = response.header(name, value);
            }
            let body = Full::new(Bytes::from(answer.body)).map_err(Error::from).boxed_unsync();
            let response = response.body(body).map_err(|_| Error::HttpProtocolError)?;
            let done: Box<dyn Future<Output = std::result::Result<(), Error>> + Send> = Box::new(async { Ok(()) });
            Ok((response, done))
        })
    }
}

/// The gate has one limit for the whole exchange; the guest's phases add up to it.
fn total_timeout(options: RequestOptions) -> Option<Duration> {
    let phases = [options.connect_timeout, options.first_byte_timeout, options.between_bytes_timeout];
    phases.into_iter().flatten().reduce(Duration::saturating_add)
}

fn wasi_error(error: HttpError) -> Error {
    match error {
        HttpError::Denied(_) => Error::HttpRequestDenied,
        HttpError::InvalidRequest(_) => Error::HttpRequestUriInvalid,
        HttpError::Dns(why) => Error::DnsError { rcode: Some(why), info_code: None },
        HttpError::Connect(_) => Error::ConnectionRefused,
        HttpError::Tls(_) => Error::TlsProtocolError,
        HttpError::Timeout(_) => Error::ConnectionTimeout,
        HttpError::TooLarge(_) => Error::HttpResponseBodySize(None),
        HttpError::Protocol(_) => Error::HttpProtocolError,
    }
}

/// Stdout or stderr of a guest: whole lines go to the log.
#[derive(Clone)]
struct LogStream {
    log: CallLog,
    level: Level,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(LineWriter::new(self.clone()))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(LineWriter::new(self.clone()))
    }
}

struct LineWriter {
    stream: LogStream,
    partial: Vec<u8>,
}

impl LineWriter {
    fn new(stream: LogStream) -> Self {
        Self { stream, partial: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() >= WRITE_CHUNK {
                self.flush_line();
            }
        }
    }

    fn flush_line(&mut self) {
        let line = std::mem::take(&mut self.partial);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\n', '\r']);
        if !line.is_empty() {
            self.stream.log.write(self.stream.level, line);
        }
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.flush_line();
    }
}

impl OutputStream for LineWriter {
    fn write(&mut self, bytes: Bytes) -> std::result::Result<(), StreamError> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> std::result::Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> std::result::Result<usize, StreamError> {
        Ok(WRITE_CHUNK)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LineWriter {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LineWriter {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

//! The listeners: the proxy's own protocol (RFC 9110, sections 7 and 9.3.6), and connections that are known by their address.

use std::{sync::Arc, time::Duration};

use base64::Engine as _;
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        CONNECTION, CONTENT_TYPE, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
        UPGRADE,
    },
};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq as _;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::TcpListener,
    task::JoinSet,
};

use super::{Counted, Shared};
use crate::egress::{HttpError, limits};

/// How long a request's head may take to come. It comes from the same machine.
const HEAD: Duration = Duration::from_secs(10);

type Answer = Response<Either<Full<Bytes>, Incoming>>;

/// Serves the proxy until it is dropped.
pub(super) async fn requests(shared: Arc<Shared>, listener: TcpListener) {
    let mut open = JoinSet::new();
    loop {
        let Ok(room) = Arc::clone(&shared.room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while open.try_join_next().is_some() {}
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        open.spawn(async move {
            let passages = tokio::sync::Mutex::new(JoinSet::new());
            let service = hyper::service::service_fn(|request| answer(&shared, &passages, request));
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_headers(limits::HEADERS)
                .max_buf_size(limits::HEADER_BYTES)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
            drop(served);
            // What was connected through goes on, in this task, so that it ends with the cell and keeps its place in the room.
            let mut passages = passages.into_inner();
            while passages.join_next().await.is_some() {}
            drop(room);
        });
    }
}

/// Passes connections to a granted port on, until it is dropped.
pub(super) async fn connections(shared: Arc<Shared>, port: u16, listener: TcpListener) {
    let mut open = JoinSet::new();
    loop {
        let Ok(room) = Arc::clone(&shared.room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while open.try_join_next().is_some() {}
        let _ = stream.set_nodelay(true);
        let host = stream.local_addr().ok().and_then(|address| shared.names.host(address.ip()));
        let shared = Arc::clone(&shared);
        open.spawn(async move {
            // There is no way to say why not: the program expects TLS. It sees the connection end.
            if let Some(host) = host
                && let Ok(passage) = shared.open(&format!("{host}:{port}")).await
            {
                relay(stream, passage).await;
            }
            drop(room);
        });
    }
}

/// Copies both ways until either side ends or nothing passes any more.
async fn relay(mut near: impl AsyncRead + AsyncWrite + Unpin, mut far: Counted) {
    let bytes = far.bytes();
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        () = bytes.idle() => {}
    }
}

async fn answer(
    shared: &Arc<Shared>,
    passages: &tokio::sync::Mutex<JoinSet<()>>,
    request: Request<Incoming>,
) -> Result<Answer, std::convert::Infallible> {
    if !is_allowed(shared.password.as_deref(), request.headers().get(PROXY_AUTHORIZATION)) {
        let mut refused = said(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "rig's proxy is for the pack alone");
        refused.headers_mut().insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"rig\""));
        return Ok(refused);
    }
    Ok(if request.method() == Method::CONNECT {
        connect(shared, passages, request).await
    } else {
        forward(shared, passages, request).await
    })
}

fn is_allowed(password: Option<&str>, sent: Option<&HeaderValue>) -> bool {
    let Some(password) = password else { return true };
    let expected = base64::engine::general_purpose::STANDARD.encode(format!("rig:{password}"));
    let sent = sent.and_then(|sent| sent.as_bytes().strip_prefix(b"Basic ")).unwrap_or_default();
    sent.ct_eq(expected.as_bytes()).into()
}

/// A connection through, unread.
async fn connect(
    shared: &Arc<Shared>,
    passages: &tokio::sync::Mutex<JoinSet<()>>,
    request: Request<Incoming>,
) -> Answer {
    let Some(authority) = request.uri().authority().filter(|authority| authority.port().is_some()).cloned() else {
        return said(StatusCode::BAD_REQUEST, "CONNECT needs a host and a port");
    };
    let passage = match shared.open(authority.as_str()).await {
        Ok(passage) => passage,
        Err(error) => return refused(&error),
    };
    passages.lock().await.spawn(async move {
        if let Ok(near) = hyper::upgrade::on(request).await {
            relay(TokioIo::new(near), passage).await;
        }
    });
    Response::new(Either::Left(Full::default()))
}

/// A request in the clear, sent on over a connection of its own.
async fn forward(
    shared: &Arc<Shared>,
    passages: &tokio::sync::Mutex<JoinSet<()>>,
    mut request: Request<Incoming>,
) -> Answer {
    let (Some("http"), Some(authority)) = (request.uri().scheme_str(), request.uri().authority().cloned()) else {
        return said(
            StatusCode::BAD_REQUEST,
            "this is rig's proxy: it takes CONNECT for https, and http requests with the whole URL",
        );
    };
    let target = if authority.port().is_some() { authority.to_string() } else { format!("{authority}:80") };
    let passage = match shared.open(&target).await {
        Ok(passage) => passage,
        Err(error) => return refused(&error),
    };
    strip(request.headers_mut());
    let (Ok(host), Some(path)) = (
        HeaderValue::from_str(authority.as_str()),
        request.uri().path_and_query().map_or(Some("/"), |p| Some(p.as_str())),
    ) else {
        return said(StatusCode::BAD_REQUEST, "the host cannot be sent");
    };
    let Ok(path) = path.parse() else { return said(StatusCode::BAD_REQUEST, "the path cannot be sent") };
    *request.uri_mut() = path;
    request.headers_mut().insert(HOST, host);

    let bytes = passage.bytes();
    let (mut sender, connection) =
        match hyper::client::conn::http1::handshake::<_, Incoming>(TokioIo::new(passage)).await {
            Ok(parts) => parts,
            Err(error) => return said(StatusCode::BAD_GATEWAY, &format!("{authority}: {error}")),
        };
    let mut open = passages.lock().await;
    while open.try_join_next().is_some() {}
    open.spawn(async move {
        tokio::select! {
            _ = connection => {}
            () = bytes.idle() => {}
        }
    });
    drop(open);
    match sender.send_request(request).await {
        Ok(mut answer) => {
            strip(answer.headers_mut());
            answer.map(Either::Right)
        }
        Err(error) => said(StatusCode::BAD_GATEWAY, &format!("{authority}: {error}")),
    }
}

/// Takes out what is meant for the next hop only.
fn strip(headers: &mut http::HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let fixed = [
        CONNECTION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        PROXY_AUTHORIZATION,
        PROXY_AUTHENTICATE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ];
    for name in named.into_iter().chain(fixed) {
        headers.remove(name);
    }
}

/// What the pack's developer reads in a log: why, in the words of the gate.
fn refused(error: &HttpError) -> Answer {
    let status = match error {
        HttpError::Denied(_) | HttpError::Dns(_) => StatusCode::FORBIDDEN,
        HttpError::InvalidRequest(_) => StatusCode::BAD_REQUEST,
        HttpError::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    said(status, &error.to_string())
}

fn said(status: StatusCode, why: &str) -> Answer {
    let mut answer = Response::new(Either::Left(Full::from(format!("rig: {why}\n"))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

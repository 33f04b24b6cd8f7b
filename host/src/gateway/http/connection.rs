//! One connection from its first byte to its end. It ends when the client goes, when it is quiet for long, or when the gateway
//! stops; what a request started goes with it.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use axum::{body::Body, response::Response};
use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{
    Server,
    guard::Local,
    wire::{Phase, Wire},
};

/// The head of a request: far more than tokens and a path need.
const MAX_HEAD: usize = 64 << 10;
/// How long a closed connection is still read, so that a client that is sending gets to its answer.
const LINGER: Duration = Duration::from_secs(2);

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, std::convert::Infallible>> + Send>>;

/// Serves one connection, which came to the address `local`. `hurry` ends it without waiting for anything.
pub(super) async fn serve(
    server: Arc<Server>,
    local: Local,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    hurry: CancellationToken,
) {
    let phase = Phase::default();
    let wire = Wire::new(stream, phase.clone());
    let stopping = server.gateway.stopping().clone();
    let local = Arc::new(local);
    let service = service_fn(move |request: Request<Incoming>| -> Answering {
        phase.busy();
        let (server, phase, local) = (Arc::clone(&server), phase.clone(), Arc::clone(&local));
        Box::pin(async move {
            let response = server.answer(&local, request).await;
            if server.gateway.metrics().connections() > 1 {
                // Writing an answer wakes its client, and the machine turns to it at once. Answers that are ready together go out
                // together, and wake fewer.
                tokio::task::yield_now().await;
            }
            phase.answered();
            Ok(response)
        })
    });
    let mut builder = http1::Builder::new();
    // The times are kept by the wire.
    builder.header_read_timeout(None).max_header_size(MAX_HEAD);
    let mut connection = builder.serve_connection(TokioIo::new(wire), service);
    let mut told = false;
    let mut stop = Box::pin(stopping.cancelled());
    let whole = poll_fn(|cx| {
        if !told && stop.as_mut().poll(cx).is_ready() {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        match connection.poll_without_shutdown(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    });
    tokio::select! {
        () = whole => {}
        () = hurry.cancelled() => return,
    }
    let wire = connection.into_parts().io.into_inner();
    tokio::select! {
        () = wire.close(LINGER) => {}
        () = hurry.cancelled() => {}
    }
}

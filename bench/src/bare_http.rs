//! The floor of the gateway: an axum handler that runs the component in a fresh instance, with the same engine settings, and nothing
//! else. The body of the request is the arguments, the body of the answer is the output; nothing is parsed, checked or recorded.
//!
//! It runs as a process of its own (`rig-bench bare-http`), as the gateway does.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
    serve::ListenerExt,
};
use tokio::net::TcpListener;

use crate::{
    Failure,
    bare::Bare,
    rig::{self, Pipeline},
};

/// The program `rig-bench bare-http`: serves until it is killed; the first line on stderr names the address.
pub(crate) fn main() -> Result<(), Failure> {
    let packs = rig::packs()?;
    let pipeline = Pipeline::new(&packs)?;
    let bare = Arc::new(Bare::new(pipeline.engine(), &packs.echo)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("serving http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            // Without it, an answer of two segments waits for the other side's delayed acknowledgement.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, Router::new().route("/call", post(call)).with_state(bare)).await?;
        Ok(())
    })
}

async fn call(State(bare): State<Arc<Bare>>, body: Bytes) -> Response {
    let Ok(args) = String::from_utf8(body.into()) else { return StatusCode::BAD_REQUEST.into_response() };
    match bare.call(&args).await {
        Ok(output) => ([(header::CONTENT_TYPE, "application/json")], output).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

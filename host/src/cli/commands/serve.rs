//! `rig serve`: the gateway, until it is told to stop.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use rig_host::{
    gateway::{Gateway, http, mcp},
    project::Project,
};
use tokio::{net::TcpListener, runtime, signal::unix};

use crate::cli::{
    args::{Listen, Serve, ServeWhat, Transport},
    logs,
    report::{Failure, exit},
    session::Session,
};

pub fn run(session: &Session, args: &Serve) -> Result<u8, Failure> {
    let project = session.project()?;
    logs::start(session.ui, args.listen.log_json);
    let stdio = matches!(&args.what, Some(ServeWhat::Mcp(mcp)) if mcp.transport == Transport::Stdio);
    let runtime = if stdio {
        // One client: its messages and calls stay on one thread, which costs far less than handing each to another.
        runtime::Builder::new_current_thread().enable_all().build()
    } else {
        // A guest that computes for long holds a thread, and one thread is always there for everybody else.
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        runtime::Builder::new_multi_thread().worker_threads(cores.max(2)).enable_all().build()
    };
    let runtime = runtime.map_err(|error| Failure::of(&error, "run `rig doctor`"))?;
    let ended = runtime.block_on(serve(session, project, args));
    runtime.shutdown_background();
    ended
}

async fn serve(session: &Session, project: Project, args: &Serve) -> Result<u8, Failure> {
    let server = project.config().server.clone();
    #[cfg(feature = "otlp")]
    let gate = session.gate(&project)?;
    let gateway = Gateway::open(project, &session.home, session.offline).await?;
    #[cfg(feature = "otlp")]
    if let Some(endpoint) = args.listen.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) {
        gateway.trace(rig_host::gateway::Traces::new(endpoint, gate)?);
    }
    for (pack, why) in &gateway.live().broken {
        tracing::error!(%pack, %why, "the tools of a pack are not served");
    }
    tokio::spawn(Arc::clone(&gateway).follow());
    tokio::spawn(stop_on_signal(Arc::clone(&gateway)));
    match &args.what {
        Some(ServeWhat::Mcp(mcp)) if mcp.transport == Transport::Stdio => {
            mcp::stdio(&gateway, mcp.tenant.clone(), mcp.actor.clone()).await;
        }
        what => {
            let address = address(&args.listen, &server.host, server.port).await?;
            let what = if what.is_some() { http::Serves::Mcp } else { http::Serves::All };
            let ready = gateway.check_address(address)?;
            let listener = TcpListener::bind(ready).await.map_err(|error| {
                Failure::of(&error, "choose another address or port: --port, or server.port in rig.yaml")
                    .context(&format!("cannot listen on {address}"))
            })?;
            let bound = listener.local_addr().unwrap_or(address);
            session.ui.note(&format!("rig serves {} on http://{bound}", what.describe()));
            http::serve(Arc::clone(&gateway), listener, what).await;
        }
    }
    let left = gateway.stop().await;
    if left > 0 {
        session.ui.warn(&format!("{left} calls were still running and were cut off"));
    }
    Ok(exit::DONE)
}

/// The address that was asked for, or the project's.
async fn address(listen: &Listen, host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let host = listen.host.as_deref().unwrap_or(host);
    let port = listen.port.unwrap_or(port);
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let found = tokio::task::spawn_blocking({
        let host = host.to_owned();
        move || std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port)).map(|mut all| all.next())
    });
    match found.await {
        Ok(Ok(Some(address))) => Ok(address),
        _ => Err(Failure::new(format!("`{host}` is not an address of this machine"))
            .with_hint("use an IP address such as 127.0.0.1, or `localhost`")),
    }
}

/// The first signal lets calls in flight finish; a second one does not wait for them.
async fn stop_on_signal(gateway: Arc<Gateway>) {
    let (Ok(mut term), Ok(mut int)) =
        (unix::signal(unix::SignalKind::terminate()), unix::signal(unix::SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping: no new calls; those in flight may finish");
    gateway.stopping().cancel();
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    std::process::exit(i32::from(exit::FAILED));
}

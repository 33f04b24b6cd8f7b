//! Stands in for the services that packs talk to. A CONNECT proxy on loopback answers for every host that a test names: it
//! ends the TLS itself, with a certificate for that host from an authority of the test's own. So packs are tested over real
//! TLS under their real host names, and a test reads what was on the wire.
//!
//! `rig` finds it through `network.proxy` and `network.extra_ca` of `rig.yaml` ([`Upstream::yaml`]).

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

use crate::{
    http::{Origin, Recorded, Reply, read_head, serve, without_port},
    tls::{Authority, Flaw},
};

type Handler = Arc<dyn Fn(&Recorded) -> Reply + Send + Sync>;

/// The running proxy with its stand-ins; stops when dropped.
pub struct Upstream {
    address: SocketAddr,
    ca: PathBuf,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
    _dir: TempDir,
}

struct Shared {
    handlers: Mutex<BTreeMap<String, Handler>>,
    flaws: Mutex<BTreeMap<String, Flaw>>,
    authority: Mutex<Authority>,
    connects: Mutex<Vec<String>>,
    requests: Mutex<Vec<Recorded>>,
}

impl Upstream {
    /// Starts the proxy on a free port. No host answers yet.
    #[must_use]
    pub fn start() -> Self {
        let authority = Authority::new();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let ca = dir.path().join("test-ca.pem");
        fs::write(&ca, authority.pem()).expect("write the authority's certificate");
        let shared = Arc::new(Shared {
            handlers: Mutex::default(),
            flaws: Mutex::default(),
            authority: Mutex::new(authority),
            connects: Mutex::default(),
            requests: Mutex::default(),
        });
        let (runtime, listener) = listen();
        let address = listener.local_addr().expect("an address");
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, ca, shared, runtime: Some(runtime), _dir: dir }
    }

    /// Answers all requests to a host, over TLS and in the clear. A later call for the same host takes over.
    pub fn on(&self, host: &str, answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> &Self {
        lock(&self.shared.handlers).insert(host.to_owned(), Arc::new(answer));
        self
    }

    /// Answers all requests to a host the same way.
    pub fn reply(&self, host: &str, reply: Reply) -> &Self {
        self.on(host, move |_| reply.clone())
    }

    /// Ends the proxy; the authority's file stays. Its address refuses connections from now on.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        }
    }

    /// Shows a bad certificate for a host.
    pub fn flaw(&self, host: &str, flaw: Flaw) -> &Self {
        lock(&self.shared.flaws).insert(host.to_owned(), flaw);
        self
    }

    /// Every request that arrived whole, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.requests).clone()
    }

    /// The one request that arrived; fails when there were more or none.
    #[must_use]
    pub fn request(&self) -> Recorded {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "expected one request, saw {:?}", lines(&requests));
        requests.remove(0)
    }

    /// The targets of every `CONNECT`, refused ones included: `host:port` each.
    #[must_use]
    pub fn connects(&self) -> Vec<String> {
        lock(&self.shared.connects).clone()
    }

    /// Fails when anything at all was asked of the proxy.
    pub fn assert_untouched(&self) {
        let (connects, requests) = (self.connects(), self.requests());
        assert!(connects.is_empty() && requests.is_empty(), "connects {connects:?}, requests {:?}", lines(&requests));
    }

    /// Forgets what was recorded.
    pub fn forget(&self) {
        lock(&self.shared.connects).clear();
        lock(&self.shared.requests).clear();
    }

    /// For `network.proxy`.
    #[must_use]
    pub fn proxy_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A PEM file, for `network.extra_ca`.
    #[must_use]
    pub fn ca_path(&self) -> &Path {
        &self.ca
    }

    /// The `network` section of a `rig.yaml` that leads here.
    #[must_use]
    pub fn yaml(&self) -> String {
        format!("network:\n  proxy: {}\n  extra_ca:\n    - {}\n", self.proxy_url(), self.ca.display())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One worker thread and a listener on loopback that runs on it.
pub(crate) fn listen() -> (Runtime, TcpListener) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("start a runtime for a test server");
    // Bound by the standard library, so that tests which are async themselves can start servers too.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
    listener.set_nonblocking(true).expect("a socket of our own");
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener).expect("a socket of our own")
    };
    (runtime, listener)
}

/// A panic of a handler fails its own test; the others still want to read what was recorded.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lines(requests: &[Recorded]) -> Vec<String> {
    requests.iter().map(Recorded::line).collect()
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // A client that breaks off is part of many tests; what arrived whole is recorded.
        tokio::spawn(async move { drop(proxy(stream, &shared).await) });
    }
}

async fn proxy(stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let Some(head) = read_head(&mut stream).await? else { return Ok(()) };
    if head.method != "CONNECT" {
        let origin = Origin { scheme: "http", host: None };
        return serve(stream, &origin, Some(head), |request| shared.answer(request)).await;
    }
    lock(&shared.connects).push(head.target.clone());
    let host = without_port(&head.target).to_owned();
    if !lock(&shared.handlers).contains_key(&host) {
        stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?;
        return stream.shutdown().await;
    }
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    if head.target.ends_with(":80") {
        let origin = Origin { scheme: "http", host: Some(host) };
        return serve(stream, &origin, None, |request| shared.answer(request)).await;
    }
    let flaw = lock(&shared.flaws).get(&host).copied();
    let acceptor = lock(&shared.authority).acceptor(&host, flaw);
    let tls = acceptor.accept(stream).await?;
    let origin = Origin { scheme: "https", host: Some(host) };
    serve(tls, &origin, None, |request| shared.answer(request)).await
}

impl Shared {
    #[allow(clippy::unused_async, reason = "the shape that `serve` wants")]
    async fn answer(&self, request: Recorded) -> Reply {
        lock(&self.requests).push(request.clone());
        let handler = lock(&self.handlers).get(&request.host).cloned();
        handler.map_or_else(|| Reply::html(502, "<h1>no stand-in for this host</h1>"), |handler| handler(&request))
    }
}

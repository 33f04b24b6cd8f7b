//! Serves a folder over HTTP on loopback: an index and the components it names. Paths can be made to answer badly.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

use crate::{
    http::{Origin, Recorded, Reply, serve},
    upstream::{listen, lock},
};

type Change = Arc<dyn Fn(&Recorded, Vec<u8>) -> Reply + Send + Sync>;

/// The running server; stops when dropped.
pub struct IndexServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    dir: PathBuf,
    changes: Mutex<BTreeMap<String, Change>>,
    requests: Mutex<Vec<Recorded>>,
}

impl IndexServer {
    /// Serves the files below `dir` on a free port.
    #[must_use]
    pub fn start(dir: &Path) -> Self {
        let shared = Arc::new(Shared { dir: dir.to_owned(), changes: Mutex::default(), requests: Mutex::default() });
        let (runtime, listener) = listen();
        let address = listener.local_addr().expect("an address");
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, runtime: Some(runtime) }
    }

    /// `http://127.0.0.1:<port>/<name>`
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Answers a path that way, whether the file exists or not.
    pub fn set(&self, name: &str, reply: Reply) -> &Self {
        self.change(name, move |_| reply.clone())
    }

    /// Makes the answer for a path out of the file's bytes (none when there is no such file).
    pub fn change(&self, name: &str, reply: impl Fn(Vec<u8>) -> Reply + Send + Sync + 'static) -> &Self {
        self.answer(name, move |_, bytes| reply(bytes))
    }

    /// As [`IndexServer::change`], for answers that depend on the request.
    pub fn answer(&self, name: &str, reply: impl Fn(&Recorded, Vec<u8>) -> Reply + Send + Sync + 'static) -> &Self {
        lock(&self.shared.changes).insert(format!("/{name}"), Arc::new(reply));
        self
    }

    /// Answers all paths from the folder again.
    pub fn restore(&self) -> &Self {
        lock(&self.shared.changes).clear();
        self
    }

    /// Every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.requests).clone()
    }

    /// How often a path was asked for.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        lock(&self.shared.requests).iter().filter(|request| request.path() == format!("/{name}")).count()
    }
}

impl Drop for IndexServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move { drop(answer(stream, &shared).await) });
    }
}

async fn answer(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let origin = Origin { scheme: "http", host: None };
    serve(stream, &origin, None, |request| std::future::ready(shared.reply(&request))).await
}

impl Shared {
    fn reply(&self, request: &Recorded) -> Reply {
        let path = request.path().to_owned();
        lock(&self.requests).push(request.clone());
        let file = fs::read(self.dir.join(path.trim_start_matches('/')));
        let change = lock(&self.changes).get(&path).cloned();
        match (change, file) {
            (Some(change), file) => change(request, file.unwrap_or_default()),
            (None, Ok(bytes)) => Reply::new(200, bytes),
            (None, Err(_)) => Reply::html(404, "<h1>404 Not Found</h1>"),
        }
    }
}

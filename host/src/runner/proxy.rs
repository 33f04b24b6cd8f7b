//! The way out of a cell: an HTTP proxy, a name server and a listener for each granted port, all inside the cell's own network, accepted
//! from here. What they are asked for is opened by the egress gate or refused; nothing is read on the way through but counted.
//!
//! Programs that use a proxy find it in their environment. Those that do not ask for a name, are given an address of the cell's loopback
//! that stands for that name, and connect to it: the connection is known by the address. A name that is not granted does not exist.

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    net::{TcpListener, UdpSocket},
    sync::Semaphore,
    task::JoinSet,
};

use crate::egress::{Gate, Reach, Traffic};

mod count;
mod names;
mod serve;

use count::Counted;
use names::Names;

/// Connections of one cell at once. SDKs keep a pool of ten or so for each host; each connection here takes one outside and two buffers.
const CONNECTIONS: usize = 256;

/// Hosts that are counted one by one. A pack makes up as many names as it likes, and each would take memory.
const HOSTS: usize = 256;

/// Where the connections of a cell may lead.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Opens them.
    pub gate: Arc<Gate>,
    /// Says which.
    pub reach: Arc<Reach>,
}

/// What the proxy listens on.
#[derive(Debug)]
pub(super) struct Listeners {
    proxy: std::net::TcpListener,
    names: Option<std::net::UdpSocket>,
    ports: Vec<(u16, std::net::TcpListener)>,
}

impl Listeners {
    /// Those that were made inside a cell: the proxy's, the name server's, and one for each port.
    pub(super) fn cell(files: Vec<OwnedFd>, ports: &[u16]) -> io::Result<Self> {
        let mut files = files.into_iter();
        let mut next = || files.next().ok_or_else(|| io::Error::other("a listener is missing"));
        let (proxy, names) = (next()?.into(), Some(next()?.into()));
        let ports = ports.iter().map(|port| Ok((*port, next()?.into()))).collect::<io::Result<_>>()?;
        Ok(Self { proxy, names, ports })
    }

    /// A proxy in the machine's own network.
    pub(super) fn machine(proxy: std::net::TcpListener) -> Self {
        Self { proxy, names: None, ports: Vec::new() }
    }
}

/// Runs until it is dropped, and ends its connections then.
#[derive(Debug)]
pub(super) struct Proxy {
    shared: Arc<Shared>,
    /// Dropped with it, and the tasks with them.
    _tasks: JoinSet<()>,
}

/// Counts what goes through a proxy.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Shared>);

impl Meter {
    /// What went through so far, by host. What was counted is not counted again.
    #[must_use]
    pub fn take(&self) -> Vec<Traffic> {
        let mut traffic = self.0.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *traffic).into_values().collect()
    }
}

#[derive(Debug)]
struct Shared {
    destination: Destination,
    /// What a client has to say, where others than the cell reach the proxy.
    password: Option<String>,
    names: Names,
    traffic: Mutex<BTreeMap<String, Traffic>>,
    room: Arc<Semaphore>,
}

impl Proxy {
    pub(super) fn start(destination: Destination, on: Listeners, password: Option<String>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            names: Names::new(Arc::clone(&destination.reach)),
            destination,
            password,
            traffic: Mutex::default(),
            room: Arc::new(Semaphore::new(CONNECTIONS)),
        });
        let mut tasks = JoinSet::new();
        on.proxy.set_nonblocking(true)?;
        tasks.spawn(serve::requests(Arc::clone(&shared), TcpListener::from_std(on.proxy)?));
        if let Some(socket) = on.names {
            socket.set_nonblocking(true)?;
            tasks.spawn(names::answer(Arc::clone(&shared), UdpSocket::from_std(socket)?));
        }
        for (port, listener) in on.ports {
            listener.set_nonblocking(true)?;
            tasks.spawn(serve::connections(Arc::clone(&shared), port, TcpListener::from_std(listener)?));
        }
        Ok(Self { shared, _tasks: tasks })
    }

    pub(super) fn meter(&self) -> Meter {
        Meter(Arc::clone(&self.shared))
    }
}

impl Shared {
    /// Opens a connection to `host:port` and counts what passes.
    async fn open(self: &Arc<Self>, authority: &str) -> Result<Counted, crate::egress::HttpError> {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase();
        let opened = self.destination.gate.tunnel(&self.destination.reach, authority).await;
        match opened {
            Ok(passage) => {
                self.count(&host, |traffic| traffic.connections += 1);
                Ok(Counted::new(passage, Arc::clone(self), host))
            }
            Err(error) => {
                self.count(&host, |traffic| traffic.refused += 1);
                Err(error)
            }
        }
    }

    fn count(&self, host: &str, add: impl FnOnce(&mut Traffic)) {
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = traffic.get_mut(host) {
            return add(known);
        }
        // A name has at most 253 characters, and no blanks; what is none, or one too many, is counted together.
        let is_name = host.len() <= 253 && host.bytes().all(|byte| byte.is_ascii_graphic());
        let host = if is_name && traffic.len() < HOSTS { host } else { "*" };
        let known =
            traffic.entry(host.to_owned()).or_insert_with(|| Traffic { host: host.to_owned(), ..Traffic::default() });
        add(known);
    }
}

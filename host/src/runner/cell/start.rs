//! rig's side of a cell: starts it, holds its ends, and ends it.

use std::{
    collections::BTreeSet,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::{
    net::sockopt::{Timeout, set_socket_timeout},
    pipe::{PipeFlags, pipe_with},
};
use tokio::{
    io::Interest,
    net::{
        UnixDatagram,
        unix::pipe::{Receiver, Sender},
    },
};

use super::{
    ARGUMENT, Cell, CellLimits, Ended, Error, Isolation, Layer, Layers,
    group::Group,
    message::{self, Plan, ProxyAddress, Report},
};
use crate::runner::proxy::{Destination, Listeners, Meter, Proxy};

/// How long a cell may take to start. It takes some ten milliseconds; a machine that is busy is waited for.
const START: Duration = Duration::from_secs(20);

/// A program that runs in a cell. Dropping it ends the cell.
#[derive(Debug)]
pub struct Running {
    /// What it reads.
    pub stdin: Sender,
    /// What it writes.
    pub stdout: Receiver,
    /// What it writes beside that.
    pub stderr: Receiver,
    /// Everything else of it.
    pub held: Held,
}

/// rig's hold of a cell. Dropping it ends the cell.
#[derive(Debug)]
pub struct Held {
    layers: Layers,
    lacks: Vec<(Layer, String)>,
    proxy: Proxy,
    end: End,
}

/// What ends the cell when it is dropped.
#[derive(Debug)]
struct End {
    socket: Option<UnixDatagram>,
    ended: Option<Ended>,
    child: Option<Child>,
    group: Option<Group>,
}

impl Cell {
    /// Starts the program.
    ///
    /// # Errors
    /// [`Error::Missing`] when this machine lacks a layer and [`Cell::level`] asks for all, [`Error::Program`] when the program is not
    /// there or cannot be read.
    pub async fn spawn(&self) -> Result<Running, Error> {
        let mut layers: BTreeSet<Layer> = Layer::ALL.into();
        let mut lacks = Vec::new();
        loop {
            match self.attempt(&layers, &lacks).await {
                Err(Error::Missing { layer, why }) if self.level == Isolation::Reduced && layers.remove(&layer) => {
                    if layer == Layer::Namespaces {
                        layers.remove(&Layer::Root);
                    }
                    lacks.push((layer, why));
                }
                other => return other,
            }
        }
    }

    async fn attempt(&self, layers: &BTreeSet<Layer>, lacks: &[(Layer, String)]) -> Result<Running, Error> {
        let failed = |error: std::io::Error| Error::Setup(error.to_string());
        let destination = Destination { gate: Arc::clone(&self.gate), reach: Arc::clone(&self.network) };
        let group = Group::make(&self.limits);
        // Without a network of its own the proxy's port is the machine's, where others reach it: they lack the password.
        let outside = if layers.contains(&Layer::Namespaces) {
            None
        } else {
            let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            Some((listener, ProxyAddress { port, password: Some(uuid::Uuid::new_v4().simple().to_string()) }))
        };
        let plan = Plan {
            program: Some(self.program.clone()),
            args: self.args.clone(),
            env: self.env.clone(),
            read_only: self.read_only.clone(),
            listed: self.listed.clone(),
            scratch: self.scratch.clone(),
            limits: self.limits,
            layers: layers.clone(),
            ports: self.network.ports(),
            groups: group.iter().map(|group| group.path().to_path_buf()).collect(),
            proxy: outside.as_ref().map(|(_, address)| address.clone()),
            proxy_variables: self.proxy_variables || outside.is_some(),
        };
        let password = plan.proxy.as_ref().and_then(|address| address.password.clone());
        let (launcher, ports) = (self.launcher.clone(), plan.ports.clone());
        let started = tokio::task::spawn_blocking(move || start(&launcher, &plan))
            .await
            .map_err(|error| Error::Setup(error.to_string()))?;
        let started = started.map_err(|report| self.error(report))?;
        let listeners = match outside {
            Some((proxy, _)) => Ok(Listeners::machine(proxy)),
            None => Listeners::cell(started.listeners, &ports),
        };
        let proxy = Proxy::start(destination, listeners.map_err(failed)?, password).map_err(failed)?;
        // The standard library has no type for a socket of packets in order; whether it can be read is the same for all.
        let socket = std::os::unix::net::UnixDatagram::from(started.socket);
        socket.set_nonblocking(true).map_err(failed)?;
        let socket = UnixDatagram::from_std(socket).map_err(failed)?;
        Ok(Running {
            stdin: Sender::from_owned_fd(started.stdin).map_err(failed)?,
            stdout: Receiver::from_owned_fd(started.stdout).map_err(failed)?,
            stderr: Receiver::from_owned_fd(started.stderr).map_err(failed)?,
            held: Held {
                layers: Layers(layers.clone()),
                lacks: lacks.to_vec(),
                proxy,
                end: End { socket: Some(socket), ended: None, child: Some(started.child), group },
            },
        })
    }

    fn error(&self, report: Report) -> Error {
        match report {
            Report::Missing { layer, why } => Error::Missing { layer, why },
            Report::Program { why } => Error::Program { program: self.program.clone(), why },
            Report::Setup { why } => Error::Setup(why),
            Report::Ready | Report::Ended { .. } => Error::Setup("it ended before it was ready".into()),
        }
    }
}

struct Started {
    child: Child,
    socket: OwnedFd,
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
    listeners: Vec<OwnedFd>,
}

/// Starts rig as the cell and waits until the program in it runs. Blocks.
fn start(launcher: &std::path::Path, plan: &Plan) -> Result<Started, Report> {
    let failed = |why: String| Report::Setup { why };
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|error| failed(error.to_string()));
    let (near, far) = message::pair().map_err(|error| failed(error.to_string()))?;
    let (stdin_inside, stdin) = pipe()?;
    let (stdout, stdout_inside) = pipe()?;
    let (stderr, stderr_inside) = pipe()?;
    let mut child = Command::new(launcher)
        .arg(ARGUMENT)
        .env_clear()
        // A Ctrl-C at rig's terminal is rig's to answer.
        .process_group(0)
        .stdin(Stdio::from(far))
        .stdout(Stdio::from(stdout_inside))
        .stderr(Stdio::from(stderr_inside))
        .spawn()
        .map_err(|error| failed(format!("{}: {error}", launcher.display())))?;
    let talk = || -> Result<Vec<OwnedFd>, Report> {
        set_socket_timeout(&near, Timeout::Recv, Some(START)).map_err(|error| failed(error.to_string()))?;
        message::send(&near, plan, &[stdin_inside.as_fd()]).map_err(failed)?;
        match message::receive::<Report>(&near).map_err(|error| failed(error.to_string()))? {
            Some((Report::Ready, listeners)) => Ok(listeners),
            Some((report, _)) => Err(report),
            None => Err(failed("it ended before it was ready".into())),
        }
    };
    match talk() {
        Ok(listeners) => Ok(Started { child, socket: near, stdin, stdout, stderr, listeners }),
        Err(report) => {
            drop(near);
            let _ = child.wait();
            Err(report)
        }
    }
}

impl Held {
    /// The layers that hold.
    #[must_use]
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    /// The layers that this machine lacks, and what the kernel said.
    #[must_use]
    pub fn lacks(&self) -> &[(Layer, String)] {
        &self.lacks
    }

    /// Counts what goes through the proxy.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.proxy.meter()
    }

    /// Waits until the cell has ended by itself, and says how. Can be asked again.
    pub async fn ended(&mut self) -> Ended {
        self.end.ended().await
    }

    /// Ends the cell with everything in it, and waits until that is done.
    pub async fn kill(mut self) {
        let child = self.end.hang_up();
        let _ = tokio::task::spawn_blocking(move || child.map(|mut child| child.wait())).await;
    }
}

impl End {
    async fn ended(&mut self) -> Ended {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let said = match &self.socket {
            Some(socket) => socket.async_io(Interest::READABLE, || message::receive::<Report>(socket)).await,
            None => Ok(None),
        };
        let ended = match said {
            Ok(Some((Report::Ended { how }, _))) => how,
            _ => Ended::Killed,
        };
        let by_group = self.group.as_ref().is_some_and(Group::was_full);
        let ended = if ended == Ended::Killed && by_group { Ended::Memory } else { ended };
        self.ended = Some(ended.clone());
        ended
    }

    /// Closes the socket, at which the second start ends everything and then itself.
    fn hang_up(&mut self) -> Option<Child> {
        self.socket = None;
        self.child.take()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let (child, group) = (self.hang_up(), self.group.take());
        // Somebody has to take note of its end, and here is nobody who could wait.
        if child.is_some() || group.is_some() {
            std::thread::spawn(move || {
                let _ = child.map(|mut child| child.wait());
                drop(group);
            });
        }
    }
}

/// The layers that a cell on this machine lacks, and what the kernel said. Blocks for some ten milliseconds.
pub(super) fn lacking(launcher: &std::path::Path, scratch: &std::path::Path) -> Result<Vec<(Layer, String)>, Error> {
    let mut plan = Plan {
        program: None,
        args: Vec::new(),
        env: Vec::new(),
        read_only: Vec::new(),
        listed: Vec::new(),
        scratch: scratch.to_path_buf(),
        limits: CellLimits::default(),
        layers: Layer::ALL.into(),
        ports: Vec::new(),
        groups: Vec::new(),
        proxy: None,
        proxy_variables: false,
    };
    let mut lacks = Vec::new();
    loop {
        match start(launcher, &plan) {
            Ok(mut started) => {
                drop(started.socket);
                let _ = started.child.wait();
                return Ok(lacks);
            }
            Err(Report::Missing { layer, why }) if plan.layers.remove(&layer) => {
                if layer == Layer::Namespaces && plan.layers.remove(&Layer::Root) {
                    lacks.push((Layer::Root, "it needs the namespaces".into()));
                }
                lacks.push((layer, why));
            }
            Err(Report::Setup { why } | Report::Program { why } | Report::Missing { why, .. }) => {
                return Err(Error::Setup(why));
            }
            Err(Report::Ready | Report::Ended { .. }) => return Err(Error::Setup("it ended early".into())),
        }
    }
}

//! What rig and the parts of a cell say to each other: one JSON value a packet, with open files beside it.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{CellLimits, Ended, Layer};

/// One packet. A program's arguments and environment are a few KiB; the kernel's own limit for a packet is about 200.
const PACKET: usize = 128 << 10;

/// Files in one packet: stdin, or the listeners of the ports that are granted.
pub(super) const FILES: usize = 64;

/// What a cell is to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plan {
    /// None only looks whether the layers can be had.
    pub program: Option<PathBuf>,
    pub args: Vec<OsString>,
    pub env: Vec<(OsString, OsString)>,
    pub read_only: Vec<PathBuf>,
    pub listed: Vec<PathBuf>,
    pub scratch: PathBuf,
    pub limits: CellLimits,
    pub layers: BTreeSet<Layer>,
    /// The ports that are listened on in the cell, beside the proxy's and the name server's.
    pub ports: Vec<u16>,
    /// Folders of control groups that are made for it, to be entered first.
    pub groups: Vec<PathBuf>,
    /// Where the proxy is: known before where that is outside the cell, else set once it listens.
    pub proxy: Option<ProxyAddress>,
    /// Whether the program is told so.
    pub proxy_variables: bool,
}

/// Where the proxy is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ProxyAddress {
    pub port: u16,
    /// Where others on the machine reach the proxy too.
    pub password: Option<String>,
}

/// What comes back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Report {
    /// The program runs, or the layers were had. With the namespaces, the listeners come along: proxy, names, ports.
    Ready,
    /// A layer could not be had.
    Missing { layer: Layer, why: String },
    /// The program could not be started.
    Program { why: String },
    /// Something else went wrong.
    Setup { why: String },
    /// It is over.
    Ended { how: Ended },
}

/// Why a cell or a part of it does not start: what is reported.
pub(super) type Outcome<T> = Result<T, Report>;

/// Turns what went wrong into a report.
pub(super) trait Explain<T> {
    /// A layer that cannot be had.
    fn lacking(self, layer: Layer, doing: &str) -> Outcome<T>;

    /// Anything else.
    fn setup(self, doing: &str) -> Outcome<T>;
}

impl<T, E: std::fmt::Display> Explain<T> for Result<T, E> {
    fn lacking(self, layer: Layer, doing: &str) -> Outcome<T> {
        self.map_err(|error| Report::Missing { layer, why: format!("{doing}: {error}") })
    }

    fn setup(self, doing: &str) -> Outcome<T> {
        self.map_err(|error| Report::Setup { why: format!("{doing}: {error}") })
    }
}

/// A pair of sockets that keep packets apart, and do not survive the start of another program.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Sends one packet.
pub(super) fn send<T: Serialize>(socket: impl AsFd, value: &T, files: &[BorrowedFd<'_>]) -> Result<(), String> {
    let text = serde_json::to_vec(value).map_err(|error| error.to_string())?;
    if text.len() > PACKET {
        return Err(format!("arguments and environment are longer than {} KiB", PACKET >> 10));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
        return Err("too many files at once".into());
    }
    let flags = SendFlags::NOSIGNAL;
    sendmsg(socket, &[IoSlice::new(&text)], &mut beside, flags).map(drop).map_err(|error| error.to_string())
}

/// Receives one packet; `None` when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut text = vec![0; PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut text)], &mut beside, RecvFlags::CMSG_CLOEXEC);
    let received = match received {
        Ok(received) => received,
        Err(Errno::CONNRESET) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let files = beside.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => files.collect(),
        _ => Vec::new(),
    });
    let files: Vec<OwnedFd> = files.collect();
    if received.bytes == 0 {
        return Ok(None);
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::other("a packet was cut short"));
    }
    let value = serde_json::from_slice(&text[..received.bytes])?;
    Ok(Some((value, files)))
}

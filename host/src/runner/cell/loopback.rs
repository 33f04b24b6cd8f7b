//! The network inside a cell: a loopback interface, and listeners on it that rig accepts from.

use std::{
    net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use super::{
    Layer,
    message::{Explain as _, Outcome, Plan, ProxyAddress},
};

/// Turns the interface on: a route message that sets its flag (`rtnetlink(7)`), which the kernel acknowledges.
fn switch_on() -> Result<(), String> {
    const NEW_LINK: u16 = 16;
    const ERROR: u16 = 2;
    const REQUEST_WITH_ACK: u16 = 1 | 4;
    const UP: u32 = 1;
    /// The loopback interface is the first one of every network namespace.
    const LOOPBACK: i32 = 1;

    let mut message = Vec::with_capacity(32);
    // Header: length, type, flags, sequence, sender.
    message.extend_from_slice(&32_u32.to_ne_bytes());
    message.extend_from_slice(&NEW_LINK.to_ne_bytes());
    message.extend_from_slice(&REQUEST_WITH_ACK.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    // Interface: family and padding, type, index, flags, which of the flags change.
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&LOOPBACK.to_ne_bytes());
    message.extend_from_slice(&UP.to_ne_bytes());
    message.extend_from_slice(&UP.to_ne_bytes());

    let said = |error: rustix::io::Errno| error.to_string();
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).map_err(said)?;
    send(&socket, &message, SendFlags::empty()).map_err(said)?;
    let mut answer = [0_u8; 256];
    let (received, _) = recv(&socket, &mut answer[..], RecvFlags::empty()).map_err(said)?;
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(ERROR), Some(0)) if received >= 20 => Ok(()),
        (Some(ERROR), Some(code)) => Err(std::io::Error::from_raw_os_error(-code).to_string()),
        _ => Err("the kernel's answer is not understood".into()),
    }
}

/// Switches the interface on and listens: for the proxy, for questions about names, and on every port that is granted.
pub(super) fn listen(plan: &mut Plan) -> Outcome<Vec<OwnedFd>> {
    switch_on().lacking(Layer::Namespaces, "switching the loopback interface on")?;
    let tcp = |address, port| {
        let bound = TcpListener::bind(SocketAddrV4::new(address, port));
        bound.lacking(Layer::Namespaces, &format!("listening on port {port} of the cell's network"))
    };
    let proxy = tcp(Ipv4Addr::LOCALHOST, 0)?;
    let port = proxy.local_addr().lacking(Layer::Namespaces, "listening in the cell's network")?.port();
    let names = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53))
        .lacking(Layer::Namespaces, "answering questions about names")?;
    let mut files = vec![OwnedFd::from(proxy), OwnedFd::from(names)];
    for port in &plan.ports {
        files.push(tcp(Ipv4Addr::UNSPECIFIED, *port)?.into());
    }
    plan.proxy = Some(ProxyAddress { port, password: None });
    Ok(files)
}

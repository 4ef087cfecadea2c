//! Where whole frames are read and written.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};
use nix::{
    ifaddrs::getifaddrs,
    sys::{
        socket::{
            AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, bind, setsockopt, socket,
            sockopt,
        },
        time::{TimeVal, TimeValLike as _},
    },
};

use crate::host::Namespace;

/// Every frame of the interface, without end of patience for the reader.
pub(crate) fn listen(interface: &LinkAddr) -> io::Result<OwnedFd> {
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::EthAll,
    )?;
    bind(socket.as_raw_fd(), interface)?;
    setsockopt(&socket, sockopt::RcvBufForce, &(32 << 20))?;
    setsockopt(
        &socket,
        sockopt::ReceiveTimeout,
        &TimeVal::milliseconds(100),
    )?;
    Ok(socket)
}

/// An interface's link-level address.
pub(crate) fn ethernet(host: &Namespace, interface: &str) -> Result<LinkAddr> {
    let addresses = host.within(|| getifaddrs().map(Vec::from_iter))??;
    addresses
        .into_iter()
        .filter(|address| address.interface_name == interface)
        .find_map(|address| address.address?.as_link_addr().copied())
        .with_context(|| format!("there is no {interface}"))
}

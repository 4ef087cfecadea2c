//! The kernel's TCP sockets in this network namespace, by the netlink protocol `sock_diag`.

use std::{io, net::IpAddr};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};
use netlink_packet_sock_diag::{
    SockDiagDestroy, SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};

/// More than the kernel puts into one datagram.
const ROOM: usize = 1 << 16;

/// A way to ask for sockets, and to destroy them.
pub(super) struct Diag(Socket);

impl Diag {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self(socket))
    }

    /// The sockets of both families that are in one of `states`, with what the kernel tells of their traffic.
    pub(super) fn list(&self, states: &StateFlags) -> io::Result<Vec<InetResponse>> {
        let mut found = Vec::new();
        for id in [SocketId::new_v4(), SocketId::new_v6()] {
            let message = SockDiagMessage::InetRequest(request(id, states.clone()));
            self.send(message, NLM_F_REQUEST | NLM_F_DUMP)?;
            while self.receive(|response| found.push(response))? {}
        }
        Ok(found)
    }

    /// Whether this very socket is still there. Waits until nobody is at it: what was being sent or
    /// received on it then is done.
    pub(super) fn is_there(&self, id: &SocketId) -> bool {
        let message = SockDiagMessage::InetRequest(request(id.clone(), StateFlags::all()));
        let ask = || {
            self.send(message, NLM_F_REQUEST | NLM_F_ACK)?;
            let mut is_there = false;
            while self.receive(|_| is_there = true)? {}
            io::Result::Ok(is_there)
        };
        ask().unwrap_or(false)
    }

    /// Ends a connection at both ends.
    pub(super) fn destroy(&self, id: &SocketId) -> io::Result<()> {
        let request = request(id.clone(), StateFlags::all());
        let message = SockDiagDestroy::new(SockDiagMessage::InetRequest(request));
        self.send(message, NLM_F_REQUEST | NLM_F_ACK)?;
        while self.receive(|_| {})? {}
        Ok(())
    }

    fn send<M: NetlinkSerializable + Into<NetlinkPayload<M>>>(
        &self,
        message: M,
        flags: u16,
    ) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        let mut message = NetlinkMessage::new(header, message.into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.0.send(&bytes, 0)?;
        Ok(())
    }

    /// Takes in one datagram; false if nothing follows.
    fn receive(&self, mut tell: impl FnMut(InetResponse)) -> io::Result<bool> {
        let mut bytes = Vec::with_capacity(ROOM);
        self.0.recv(&mut bytes, 0)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<SockDiagMessage>::deserialize(rest).map_err(io::Error::other)?;
            let length = message.header.length as usize;
            let payload = message.payload;
            if let NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) = payload {
                tell(*response);
            } else if let NetlinkPayload::Error(error) = payload {
                // Without a code it is an acknowledgement.
                return error.code.map_or(Ok(false), |_code| Err(error.to_io()));
            } else if let NetlinkPayload::Done(done) = payload {
                return match done.code {
                    0 => Ok(false),
                    code => Err(io::Error::from_raw_os_error(code.abs())),
                };
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(true)
    }
}

fn request(socket_id: SocketId, states: StateFlags) -> InetRequest {
    InetRequest {
        family: match socket_id.source_address {
            IpAddr::V4(_) => AF_INET,
            IpAddr::V6(_) => AF_INET6,
        },
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO,
        states,
        socket_id,
    }
}

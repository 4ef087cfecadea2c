//! The network interfaces of this machine, by rtnetlink.

use std::{io, net::IpAddr};

use futures_util::TryStreamExt as _;
use netlink_packet_route::{
    address::{AddressAttribute, AddressMessage},
    link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp},
};

use super::clsact::blocking;

/// A network interface.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) index: u32,
    pub(super) name: String,
    /// What its packets begin with.
    pub(super) layer: LinkLayerType,
    /// Whether it is a card, real or virtio, and no software device.
    pub(super) is_hardware: bool,
    pub(super) is_loopback: bool,
    pub(super) is_up: bool,
    /// Whether packets from elsewhere come by it: not so by a loopback, or a dummy with an address.
    pub(super) brings_packets: bool,
    /// The bond or bridge it is a port of.
    pub(super) master: Option<u32>,
    /// The interface it is a VLAN on.
    pub(super) below: Option<u32>,
    /// The XDP programs attached: by the driver, by the kernel, by the card.
    pub(super) xdp: Vec<u32>,
}

impl Device {
    /// Whether its packets begin with an Ethernet header, by which the guard
    /// finds its way. Those of a tun device or a WireGuard interface do not.
    pub(super) const fn has_ethernet(&self) -> bool {
        matches!(self.layer, LinkLayerType::Ether | LinkLayerType::Loopback)
    }
}

/// Lists them.
pub(super) fn list() -> io::Result<Vec<Device>> {
    let messages: Vec<LinkMessage> = blocking(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(io::Error::other)
    })?;
    Ok(messages.iter().filter_map(device).collect())
}

/// The host's own addresses, each with the number of its interface.
pub(super) fn addresses() -> io::Result<Vec<(u32, IpAddr)>> {
    let messages: Vec<AddressMessage> = blocking(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        let request = handle.address().get().execute();
        request.try_collect().await.map_err(io::Error::other)
    })?;
    Ok(messages.iter().filter_map(address).collect())
}

fn address(message: &AddressMessage) -> Option<(u32, IpAddr)> {
    let (mut local, mut peer) = (None, None);
    for attribute in &message.attributes {
        if let AddressAttribute::Local(found) = attribute {
            local = Some(*found);
        } else if let AddressAttribute::Address(found) = attribute {
            peer = Some(*found);
        }
    }
    // Without a peer, the one is the other, and need not be told.
    Some((message.header.index, local.or(peer)?))
}

fn device(message: &LinkMessage) -> Option<Device> {
    let mut name = None;
    let mut xdp = Vec::new();
    let flags = message.header.flags;
    let is_loopback = flags.contains(LinkFlags::Loopback);
    let (mut is_hardware, mut brings_packets) = (!is_loopback, !is_loopback);
    let (mut master, mut link, mut is_vlan) = (None, None, false);
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(found) = attribute {
            name = Some(found.clone());
        } else if let LinkAttribute::Xdp(attributes) = attribute {
            xdp = attributes.iter().filter_map(program).collect();
        } else if let LinkAttribute::LinkInfo(infos) = attribute {
            is_hardware &= !infos.iter().any(is_software);
            brings_packets &= !infos.contains(&LinkInfo::Kind(InfoKind::Dummy));
            is_vlan = infos.contains(&LinkInfo::Kind(InfoKind::Vlan));
        } else if let LinkAttribute::Controller(index) = attribute {
            master = Some(*index);
        } else if let LinkAttribute::Link(index) = attribute {
            link = Some(*index);
        }
    }
    Some(Device {
        index: message.header.index,
        name: name?,
        layer: message.header.link_layer_type,
        is_hardware,
        is_loopback,
        is_up: flags.contains(LinkFlags::Up),
        brings_packets,
        master,
        // Other kinds name their peer there.
        below: link.filter(|_| is_vlan),
        xdp,
    })
}

fn program(attribute: &LinkXdp) -> Option<u32> {
    if let LinkXdp::ProgId(id)
    | LinkXdp::DrvProgId(id)
    | LinkXdp::SkbProgId(id)
    | LinkXdp::HwProgId(id) = attribute
    {
        Some(*id).filter(|id| *id != 0)
    } else {
        None
    }
}

/// Software devices say what kind they are; cards do not.
fn is_software(info: &LinkInfo) -> bool {
    matches!(info, LinkInfo::Kind(kind) if *kind != InfoKind::Other("virtio_net".into()))
}

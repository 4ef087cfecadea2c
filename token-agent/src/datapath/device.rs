//! The network interfaces of this machine, by rtnetlink.

use std::io;

use futures_util::TryStreamExt as _;
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp,
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

fn device(message: &LinkMessage) -> Option<Device> {
    let mut name = None;
    let mut xdp = Vec::new();
    let mut is_hardware = !message.header.flags.contains(LinkFlags::Loopback);
    for attribute in &message.attributes {
        if let LinkAttribute::IfName(found) = attribute {
            name = Some(found.clone());
        } else if let LinkAttribute::Xdp(attributes) = attribute {
            xdp = attributes.iter().filter_map(program).collect();
        } else if let LinkAttribute::LinkInfo(infos) = attribute {
            is_hardware &= !infos.iter().any(is_software);
        }
    }
    Some(Device {
        index: message.header.index,
        name: name?,
        layer: message.header.link_layer_type,
        is_hardware,
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

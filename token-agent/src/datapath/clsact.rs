//! The older way to TC ingress: a filter on the clsact qdisc, for kernels
//! before 6.6 and for hosts that use it already.

use std::{future::Future, io};

use aya::programs::tc::{self, SchedClassifierLink, TcAttachType, TcError, TcHandle};
use futures_util::TryStreamExt as _;
use netlink_packet_route::tc::{TcAttribute, TcFilterBpfOption, TcHeader, TcMessage, TcOption};
use nix::{errno::Errno, net::if_::if_indextoname};

use super::error::{DatapathError, errno};

/// The lowest number comes first: the guard sees a packet before any other filter.
pub(super) const PRIORITY: u16 = 1;

/// The guard's own, so that it is found again without the agent that attached it.
pub(super) const HANDLE: TcHandle = TcHandle::new(0, 0x7a6b);

/// Adds the qdisc; false if it was there.
pub(super) fn add_qdisc(name: &str) -> Result<bool, DatapathError> {
    match tc::qdisc_add_clsact(name) {
        Ok(()) => Ok(true),
        Err(TcError::AlreadyAttached) => Ok(false),
        Err(error) if errno(&error) == Some(Errno::EEXIST as i32) => Ok(false),
        Err(error) => Err(DatapathError::Attach(error.into())),
    }
}

/// A filter on the qdisc.
#[derive(Debug)]
pub(super) struct Filter {
    /// The BPF program behind it, if it is such a filter.
    pub(super) program: Option<u32>,
}

/// The filter at ingress that has the guard's priority and handle.
pub(super) fn filter(ifindex: u32) -> io::Result<Option<Filter>> {
    let filters = filters(ifindex, Side::Ingress)?;
    let ours = filters.iter().find(|message| is_ours(&message.header));
    Ok(ours.map(|message| Filter {
        program: message.attributes.iter().find_map(program),
    }))
}

/// Takes the guard's filter off, and a qdisc that was added for it. What is not
/// there is fine. A qdisc on which there are other filters stays: somebody else
/// has come to use it. So does one without the guard's filter: it is not the
/// one that was added, the interface or the qdisc was made anew since.
pub(super) fn remove(ifindex: u32, is_qdisc_ours: bool) -> Result<(), DatapathError> {
    let found = filter(ifindex).map_err(DatapathError::Interfaces)?;
    if found.is_none() {
        return Ok(());
    }
    remove_filter(ifindex)?;
    for side in [Side::Ingress, Side::Egress] {
        let others = filters(ifindex, side).map_err(DatapathError::Interfaces)?;
        if !is_qdisc_ours || !others.is_empty() {
            return Ok(());
        }
    }
    remove_qdisc(ifindex)
}

#[derive(Clone, Copy)]
enum Side {
    Egress,
    Ingress,
}

/// The filters there are; none if there is no such qdisc or interface.
fn filters(ifindex: u32, side: Side) -> io::Result<Vec<TcMessage>> {
    let listed = blocking(async move {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        let request = handle.traffic_filter(ifindex.cast_signed()).get();
        let request = match side {
            Side::Egress => request.egress(),
            Side::Ingress => request.ingress(),
        };
        request.execute().try_collect().await.map_err(reason)
    });
    match listed {
        Err(error) if is_absence(error.raw_os_error()) => Ok(Vec::new()),
        other => other,
    }
}

fn is_ours(filter: &TcHeader) -> bool {
    u32::from(filter.handle) == u32::from(HANDLE) && filter.info >> 16 == u32::from(PRIORITY)
}

fn program(attribute: &TcAttribute) -> Option<u32> {
    let TcAttribute::Options(options) = attribute else {
        return None;
    };
    options.iter().find_map(|option| {
        if let TcOption::Bpf(TcFilterBpfOption::ProgId(id)) = option {
            Some(*id)
        } else {
            None
        }
    })
}

fn remove_filter(ifindex: u32) -> Result<(), DatapathError> {
    let Some(name) = name(ifindex) else {
        return Ok(());
    };
    let filter =
        match SchedClassifierLink::attached(&name, TcAttachType::Ingress, PRIORITY, HANDLE, None) {
            Ok(filter) => filter,
            Err(error) if is_absence(error.raw_os_error()) => return Ok(()),
            Err(source) => return Err(DatapathError::Interfaces(source)),
        };
    match aya::programs::Link::detach(filter) {
        Err(error) if !is_absence(errno(&error)) => Err(DatapathError::Attach(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes the qdisc with all its filters; that it or the interface is gone is fine.
pub(super) fn remove_qdisc(ifindex: u32) -> Result<(), DatapathError> {
    let removed = blocking(async move {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        let mut request = handle.qdisc().del(ifindex.cast_signed());
        let message = request.message_mut();
        message.header.parent = netlink_packet_route::tc::TcHandle::CLSACT;
        message.header.handle = netlink_packet_route::tc::TcHandle {
            major: 0xffff,
            minor: 0,
        };
        request.execute().await.map_err(reason)
    });
    match removed {
        Err(error) if !is_absence(error.raw_os_error()) => Err(DatapathError::Interfaces(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn reason(error: rtnetlink::Error) -> io::Error {
    if let rtnetlink::Error::NetlinkError(message) = error {
        message.to_io()
    } else {
        io::Error::other(error)
    }
}

/// Whether the kernel says that there is no such interface, qdisc or filter.
fn is_absence(number: Option<i32>) -> bool {
    matches!(
        number.map(Errno::from_raw),
        Some(Errno::EINVAL | Errno::ENODEV | Errno::ENOENT | Errno::ENXIO)
    )
}

/// Runs `future` to its end on a thread and a runtime of its own: callers may
/// or may not be on a runtime's thread.
pub(super) fn blocking<T: Send>(
    future: impl Future<Output = io::Result<T>> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(future)
        });
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread failed")))
    })
}

fn name(ifindex: u32) -> Option<String> {
    if_indextoname(ifindex).ok()?.into_string().ok()
}

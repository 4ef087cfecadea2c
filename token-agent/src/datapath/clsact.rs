//! The older way to TC: filters on the clsact qdisc, for kernels before 6.6 and
//! for hosts that use it already.

use std::{future::Future, io};

use aya::programs::tc::{self, SchedClassifierLink, TcError, TcHandle};
use futures_util::TryStreamExt as _;
use netlink_packet_route::tc::{TcAttribute, TcFilterBpfOption, TcHeader, TcMessage, TcOption};
use nix::{errno::Errno, net::if_::if_indextoname};

use super::{
    error::{DatapathError, errno},
    place::{Place, Role, Side},
};

/// Our own, so that a filter is found again without the agent that attached it.
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

/// The BPF programs behind the filters of one side, in the order in which they run.
#[derive(Debug)]
pub(super) struct Filters {
    /// Those before ours; none where a filter is no such one.
    pub(super) before: Vec<Option<u32>>,
    /// Ours, if it is there.
    pub(super) ours: Option<u32>,
}

/// The filters on the side of `place`, as its program finds them.
pub(super) fn look(ifindex: u32, place: Place) -> io::Result<Filters> {
    let filters = filters(ifindex, place.side)?;
    let program = |message: &TcMessage| message.attributes.iter().find_map(program);
    let is_ours = |message: &&TcMessage| is_of(place.role, &message.header);
    // What stands for all filters of a priority has no handle.
    let is_filter = |message: &&TcMessage| u32::from(message.header.handle) != 0;
    let before = filters.iter().filter(is_filter).take_while(|m| !is_ours(m));
    Ok(Filters {
        before: before.map(program).collect(),
        ours: filters.iter().find(is_ours).and_then(program),
    })
}

/// Whether there are filters of ours, on either side.
pub(super) fn has_ours(ifindex: u32) -> Result<bool, DatapathError> {
    for side in Side::ALL {
        let filters = filters(ifindex, side).map_err(DatapathError::Interfaces)?;
        let is_ours = |message: &TcMessage| {
            let of = |role| is_of(role, &message.header);
            of(Role::Guard) || of(Role::Witness)
        };
        if filters.iter().any(is_ours) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes the filter at `place` off; that it is not there is fine.
pub(super) fn remove(ifindex: u32, place: Place) -> Result<(), DatapathError> {
    let found = look(ifindex, place).map_err(DatapathError::Interfaces)?;
    let (Some(_), Some(name)) = (found.ours, name(ifindex)) else {
        return Ok(());
    };
    let Place { role, side } = place;
    let link =
        SchedClassifierLink::attached(&name, side.attach_type(), role.priority(), HANDLE, None);
    let filter = match link {
        Ok(filter) => filter,
        Err(error) if is_absence(error.raw_os_error()) => return Ok(()),
        Err(source) => return Err(DatapathError::Interfaces(source)),
    };
    match aya::programs::Link::detach(filter) {
        Err(error) if !is_absence(errno(&error)) => Err(DatapathError::Attach(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes the qdisc and our filters. One on which there are others stays: somebody else has
/// come to use it. That it is not there is fine.
pub(super) fn remove_qdisc(ifindex: u32) -> Result<(), DatapathError> {
    for place in Place::ALL {
        remove(ifindex, place)?;
    }
    for side in Side::ALL {
        let others = filters(ifindex, side).map_err(DatapathError::Interfaces)?;
        if !others.is_empty() {
            return Ok(());
        }
    }
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

fn is_of(role: Role, filter: &TcHeader) -> bool {
    u32::from(filter.handle) == u32::from(HANDLE) && filter.info >> 16 == u32::from(role.priority())
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

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
    let messages: Vec<TcMessage> = blocking(async move {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        let filters = handle.traffic_filter(ifindex.cast_signed()).get().ingress();
        filters
            .execute()
            .try_collect()
            .await
            .map_err(io::Error::other)
    })?;
    let ours = messages.iter().find(|message| is_ours(&message.header));
    Ok(ours.map(|message| Filter {
        program: message.attributes.iter().find_map(program),
    }))
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

/// Removes the guard's filter; that it or the interface is gone is fine.
pub(super) fn remove_filter(ifindex: u32) -> Result<(), DatapathError> {
    let Some(name) = name(ifindex) else {
        return Ok(());
    };
    let filter =
        SchedClassifierLink::attached(&name, TcAttachType::Ingress, PRIORITY, HANDLE, None)
            .map_err(DatapathError::Interfaces)?;
    match aya::programs::Link::detach(filter) {
        Ok(()) => Ok(()),
        Err(error) if errno(&error) == Some(Errno::ENOENT as i32) => Ok(()),
        Err(error) => Err(DatapathError::Attach(error)),
    }
}

/// Removes the qdisc with all its filters; that it or the interface is gone is fine.
pub(super) fn remove_qdisc(ifindex: u32) -> Result<(), DatapathError> {
    if name(ifindex).is_none() {
        return Ok(());
    }
    let removed = blocking(async move {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        let mut request = handle.qdisc().del(ifindex as i32);
        let message = request.message_mut();
        message.header.parent = netlink_packet_route::tc::TcHandle::CLSACT;
        message.header.handle = netlink_packet_route::tc::TcHandle {
            major: 0xffff,
            minor: 0,
        };
        request.execute().await.map_err(|error| {
            if let rtnetlink::Error::NetlinkError(message) = error {
                message.to_io()
            } else {
                io::Error::other(error)
            }
        })
    });
    match removed {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.raw_os_error(), Some(number) if number == Errno::ENOENT as i32 || number == Errno::EINVAL as i32) => {
            Ok(())
        }
        Err(source) => Err(DatapathError::Interfaces(source)),
    }
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

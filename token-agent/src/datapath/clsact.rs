//! The older way to TC ingress: a filter on the clsact qdisc, for kernels
//! before 6.6 and for hosts that use it already.

use std::{future::Future, io};

use aya::programs::tc::{self, SchedClassifierLink, TcAttachType, TcError, TcHandle};
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

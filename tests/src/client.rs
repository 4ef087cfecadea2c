//! A client that is a kernel's: what it sends goes in whatever segments its TCP makes of it.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket,
    sockopt::{KeepAlive, TcpKeepCount, TcpKeepIdle, TcpKeepInterval, TcpMaxSeg},
};

use crate::host::{Namespace, PATIENCE};

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// What arrived and was not asked for yet.
    rest: Vec<u8>,
}

impl Client {
    /// Connects from a host.
    ///
    /// # Errors
    /// If that fails.
    pub fn connect(host: &Namespace, server: SocketAddr) -> Result<Self> {
        Self::over(host.within(|| TcpStream::connect_timeout(&server, PATIENCE))??)
    }

    /// The same, in segments that are at most so long, options included: 88 or more.
    ///
    /// # Errors
    /// If that fails.
    pub fn connect_cutting(host: &Namespace, server: SocketAddr, longest: u32) -> Result<Self> {
        let connect = || -> Result<TcpStream> {
            let family = if server.is_ipv4() {
                AddressFamily::Inet
            } else {
                AddressFamily::Inet6
            };
            let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
            setsockopt(&socket, TcpMaxSeg, &longest)?;
            connect(socket.as_raw_fd(), &SockaddrStorage::from(server))?;
            Ok(socket.into())
        };
        Self::over(host.within(connect)??)
    }

    fn over(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            rest: Vec::new(),
        })
    }

    /// Its own address.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.stream.local_addr()?)
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// If the connection is gone, or the server takes no more.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Has the kernel ask whether the server is still there after a second without traffic, and every
    /// second again; and give up after two questions that were not answered.
    ///
    /// # Errors
    /// The kernel's.
    pub fn probe(&self) -> Result<()> {
        setsockopt(&self.stream, TcpKeepIdle, &1)?;
        setsockopt(&self.stream, TcpKeepInterval, &1)?;
        setsockopt(&self.stream, TcpKeepCount, &2)?;
        Ok(setsockopt(&self.stream, KeepAlive, &true)?)
    }

    /// Closes its side.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn close(&mut self) -> Result<()> {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// The same connection, to write on while this one reads.
    ///
    /// # Errors
    /// The kernel's.
    pub fn twin(&self) -> Result<Self> {
        Ok(Self {
            stream: self.stream.try_clone()?,
            rest: Vec::new(),
        })
    }

    /// The status of the next answer, if it comes in that time.
    ///
    /// # Errors
    /// If the connection is gone, or the time over.
    pub fn answer(&mut self, most: Duration) -> Result<u16> {
        Ok(self.answer_with_body(most)?.0)
    }

    /// The same, and its body.
    ///
    /// # Errors
    /// If the connection is gone, or the time over.
    pub fn answer_with_body(&mut self, most: Duration) -> Result<(u16, Vec<u8>)> {
        self.stream.set_read_timeout(Some(most))?;
        let head = String::from_utf8(self.read_past(b"\r\n\r\n")?)?.to_ascii_lowercase();
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        let mut body = Vec::new();
        if head.contains("transfer-encoding: chunked") {
            loop {
                let line = String::from_utf8(self.read_past(b"\r\n")?)?;
                let size = usize::from_str_radix(line.trim(), 16)?;
                body.extend(self.take(size)?);
                self.take(2)?;
                if size == 0 {
                    break;
                }
            }
        } else if let Some((_, after)) = head.split_once("content-length:") {
            body = self.take(after.lines().next().unwrap_or_default().trim().parse()?)?;
        }
        Ok((status, body))
    }

    /// Waits until the server has closed its side.
    ///
    /// # Errors
    /// If it sends something else, or the time is over.
    pub fn wait_for_end(&mut self, most: Duration) -> Result<()> {
        self.stream.set_read_timeout(Some(most))?;
        let more = self.stream.read(&mut [0])?;
        ensure!(
            more == 0 && self.rest.is_empty(),
            "more than an answer came"
        );
        Ok(())
    }

    /// The next so many bytes, whatever they are.
    ///
    /// # Errors
    /// If the connection is gone, or the time over.
    pub fn read_exactly(&mut self, count: usize, most: Duration) -> Result<Vec<u8>> {
        self.stream.set_read_timeout(Some(most))?;
        self.take(count)
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>> {
        while self.rest.len() < count {
            self.read()?;
        }
        let rest = self.rest.split_off(count);
        Ok(std::mem::replace(&mut self.rest, rest))
    }

    /// All bytes up to these, with them.
    fn read_past(&mut self, end: &[u8]) -> Result<Vec<u8>> {
        let mut from = 0;
        loop {
            let windows = self.rest[from..].windows(end.len());
            if let Some(at) = { windows }.position(|bytes| bytes == end) {
                return self.take(from + at + end.len());
            }
            from = self.rest.len().saturating_sub(end.len() - 1);
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<()> {
        let mut bytes = [0; 1 << 16];
        let count = loop {
            match self.stream.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                count => break count?,
            }
        };
        ensure!(count > 0, "the server closed the connection");
        self.rest.extend(&bytes[..count]);
        Ok(())
    }
}

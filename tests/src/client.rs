//! A client that is a kernel's: what it sends goes in whatever segments its TCP makes of it.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

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
        let stream = host.within(|| TcpStream::connect_timeout(&server, PATIENCE))??;
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

    /// Closes its side.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn close(&mut self) -> Result<()> {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// The status of the next answer, if it comes in that time.
    ///
    /// # Errors
    /// If the connection is gone, or the time over.
    pub fn answer(&mut self, most: Duration) -> Result<u16> {
        self.stream.set_read_timeout(Some(most))?;
        let head = loop {
            if let Some(end) = self.rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let rest = self.rest.split_off(end + 4);
                break String::from_utf8(std::mem::replace(&mut self.rest, rest))?;
            }
            self.read()?;
        };
        let head = head.to_ascii_lowercase();
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        if head.contains("transfer-encoding: chunked") {
            self.skip_past(b"0\r\n\r\n")?;
        } else if let Some((_, after)) = head.split_once("content-length:") {
            let length: usize = after.lines().next().unwrap_or_default().trim().parse()?;
            while self.rest.len() < length {
                self.read()?;
            }
            self.rest.drain(..length);
        }
        Ok(status)
    }

    /// The next so many bytes, whatever they are.
    ///
    /// # Errors
    /// If the connection is gone, or the time over.
    pub fn read_exactly(&mut self, count: usize, most: Duration) -> Result<Vec<u8>> {
        self.stream.set_read_timeout(Some(most))?;
        while self.rest.len() < count {
            self.read()?;
        }
        Ok(self.rest.drain(..count).collect())
    }

    fn skip_past(&mut self, end: &[u8]) -> Result<()> {
        loop {
            if let Some(at) = self.rest.windows(end.len()).position(|bytes| bytes == end) {
                self.rest.drain(..at + end.len());
                return Ok(());
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<()> {
        let mut bytes = [0; 4_096];
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

//! Reading what they logged.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use anyhow::{Context as _, Result};

use super::Make;

/// A request that an application got.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who sent it.
    pub peer: SocketAddr,
    /// Method and target.
    pub request: String,
    /// All credentials in it.
    pub credentials: Vec<String>,
}

impl Entry {
    /// Whether this token is among its credentials.
    #[must_use]
    pub fn bears(&self, token: &str) -> bool {
        self.credentials.iter().any(|text| text.contains(token))
    }
}

/// What was heard of each client: the bytes, and how they ended.
pub type Heard = HashMap<SocketAddr, (Vec<u8>, String)>;

/// Those that were answered with success: what a server refuses reaches no application.
pub(super) fn requests(make: Make, path: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for line in lines(path)?.lines() {
        let mut parts = line.split('\t');
        let (Some(peer), Some(status), Some(request)) = (parts.next(), parts.next(), parts.next())
        else {
            // A server's own notices.
            continue;
        };
        if status == "200" {
            entries.push(Entry {
                peer: address(peer).with_context(|| line.to_owned())?,
                request: request.into(),
                credentials: parts
                    .map(|text| match make {
                        Make::Haproxy => {
                            bytes(text).map(|bytes| String::from_utf8_lossy(&bytes).into())
                        }
                        Make::Nginx | Make::Node | Make::Python => Ok(text.to_owned()),
                    })
                    .collect::<Result<_>>()?,
            });
        }
    }
    Ok(entries)
}

pub(super) fn heard(path: &Path) -> Result<Heard> {
    let mut heard = Heard::new();
    for line in lines(path)?.lines() {
        let (peer, what) = line.split_once('\t').context("a tab")?;
        let (heard, end) = heard
            .entry(address(peer).with_context(|| line.to_owned())?)
            .or_insert_with(|| (Vec::new(), "open".into()));
        if matches!(what, "fin" | "reset") {
            *end = what.into();
        } else {
            // A connection after the last one's end, from the same address.
            *end = "open".into();
            heard.extend(bytes(what)?);
        }
    }
    Ok(heard)
}

/// From hexadecimal; nothing if it is none.
fn bytes(text: &str) -> Result<Vec<u8>> {
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(Vec::new());
    }
    text.as_bytes()
        .chunks(2)
        .map(|digits| Ok(u8::from_str_radix(str::from_utf8(digits)?, 16)?))
        .collect()
}

/// Without the last one if that is being written.
fn lines(path: &Path) -> Result<String> {
    let log = fs::read(path).unwrap_or_default();
    let end = log
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    Ok(String::from_utf8_lossy(&log[..end]).into_owned())
}

/// Of `address port`.
fn address(text: &str) -> Result<SocketAddr> {
    let (host, port) = text.split_once(' ').context("an address and a port")?;
    let host: IpAddr = host.parse()?;
    Ok(SocketAddr::new(host.to_canonical(), port.parse()?))
}

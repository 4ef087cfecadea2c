//! The guard's programs and maps, loaded but attached to nothing.

use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use token_agent::{
    config::{self, Config},
    datapath::{Datapath, Program, ServiceNumber},
    token::key::HashKey,
};
use token_agent_common::{
    digest::Digest,
    packet::{Headers, Segment},
    reason::Reason,
    verdict::{Audience, TokenEntry, TokenState},
};

use crate::frame::{ACK, Frame, RST, SYN};

/// A loaded guard.
#[derive(Debug)]
pub struct Guard {
    /// The programs and maps.
    pub kernel: Datapath,
    key: HashKey,
    /// How many connections were opened.
    opened: u32,
    _dir: TempDir,
}

/// Where a counter stands: service (0 for none), enforcement, reason.
pub type Place = (u32, bool, Reason);

/// A time far from every other one here, in nanoseconds.
pub const HOUR: u64 = 3_600_000_000_000;

/// Nanoseconds since the Unix epoch.
#[must_use]
pub fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.expect("after 1970").as_nanos()).expect("before 2554")
}

/// Reads `text` as a configuration file in `dir`.
///
/// # Errors
/// What is wrong with it.
pub fn configuration(dir: &Path, text: &str) -> Result<Config> {
    let path = dir.join("config.toml");
    fs::write(&path, text)?;
    Ok(config::load(&path)?.config)
}

impl Guard {
    /// Loads a guard with these `[[service]]` sections.
    ///
    /// # Errors
    /// The kernel's, above all if this does not run as root.
    pub fn load(services: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let text = format!("[datapath]\ninterfaces = [\"lo\"]\nmax_tokens = 1024\n{services}");
        let config = configuration(dir.path(), &text)?;
        let key = HashKey::load_or_create(dir.path(), false)?;
        let kernel = Datapath::load(&config, &key).context("loading the guard")?;
        Ok(Self {
            kernel,
            key,
            opened: 0,
            _dir: dir,
        })
    }

    /// The digest of a token.
    #[must_use]
    pub fn digest(&self, token: &str) -> Digest {
        self.key.digest(token.as_bytes())
    }

    /// Makes a token known.
    ///
    /// # Errors
    /// The kernel's.
    pub fn put(&mut self, token: &str, entry: TokenEntry) -> Result<()> {
        Ok(self.kernel.put_token(&self.digest(token), &entry)?)
    }

    /// Makes a token known that is valid for every service.
    ///
    /// # Errors
    /// The kernel's.
    pub fn allow(&mut self, token: &str) -> Result<()> {
        self.put(token, entry(TokenState::Active, Audience::EVERY))
    }

    /// The counters that are not zero, by service (0 for none), enforcement and reason.
    ///
    /// # Errors
    /// The kernel's.
    pub fn counters(&self) -> Result<BTreeMap<Place, u64>> {
        Ok(self
            .kernel
            .counters()?
            .into_iter()
            .map(|counter| {
                let service = counter.service.unwrap_or(ServiceNumber(0)).0;
                ((service, counter.enforced, counter.reason), counter.count)
            })
            .collect())
    }

    /// Whether the frame passes, and what was counted; it is the first of its connection.
    ///
    /// # Errors
    /// The kernel's.
    pub fn run(&mut self, program: Program, frame: &[u8]) -> Result<(bool, Vec<(Place, u64)>)> {
        let frame = self.open(frame)?;
        self.go_on(program, &frame)
    }

    /// Has the server offer the connection that `frame` opens. Whatever was known of one between the
    /// same ports is over then. Gives the frame with the connection's sequence numbers.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(&mut self, frame: &[u8]) -> Result<Vec<u8>> {
        let mut frame = frame.to_vec();
        let mut headers = Headers::new();
        headers.fill(&frame);
        let mut segment = Segment::NONE;
        if headers.frame(frame.len() as u32, &mut segment) != token_agent_common::packet::Frame::Tcp
        {
            return Ok(frame);
        }
        // No connection begins again with the numbers it had.
        self.opened += 1;
        let sequence = segment.sequence.wrapping_add(self.opened);
        let at = segment.options as usize - 16;
        frame[at..at + 4].copy_from_slice(&sequence.to_be_bytes());
        let offer = Frame {
            client: address(segment.flow.server),
            server: address(segment.flow.client),
            client_port: segment.flow.server_port,
            server_port: segment.flow.client_port,
            sequence: segment.acknowledgment.wrapping_sub(1),
            acknowledgment: sequence,
            flags: SYN | ACK,
            vlans: Vec::new(),
            payload: Vec::new(),
        };
        // The server has not got the one before any more, so numbers like its may be used again.
        self.witness(&Frame {
            flags: RST,
            ..offer.clone()
        })?;
        self.witness(&offer)?;
        Ok(frame)
    }

    /// Has the witness see a server's packet; says whether it passes.
    ///
    /// # Errors
    /// The kernel's.
    pub fn witness(&mut self, packet: &Frame) -> Result<bool> {
        let ran = self.kernel.rehearse(Program::Witness, &packet.build(), 1)?;
        Ok(ran.passed)
    }

    /// The same for a frame of a connection that may be known.
    ///
    /// # Errors
    /// The kernel's.
    pub fn go_on(&mut self, program: Program, frame: &[u8]) -> Result<(bool, Vec<(Place, u64)>)> {
        let before = self.counters()?;
        let passed = self.kernel.rehearse(program, frame, 1)?.passed;
        let counted = self
            .counters()?
            .into_iter()
            .map(|(counter, count)| (counter, count - before.get(&counter).unwrap_or(&0)))
            .filter(|(_, count)| *count > 0)
            .collect();
        Ok((passed, counted))
    }
}

fn address(address: token_agent_common::abi::Address) -> IpAddr {
    std::net::Ipv6Addr::from(address.octets()).to_canonical()
}

/// An entry valid from an hour ago for an hour to come.
#[must_use]
pub fn entry(state: TokenState, audience: Audience) -> TokenEntry {
    TokenEntry::new(now() - HOUR, now() + HOUR, audience, state)
}

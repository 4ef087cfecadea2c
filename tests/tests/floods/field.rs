//! Where floods are let loose.

use std::{collections::BTreeMap, fs, net::SocketAddr};

use anyhow::{Context as _, Result, ensure};
use token_agent_tests::{
    client::Client,
    ground::HOOKS,
    host::{Agent, Nginx, PATIENCE, Pair, wait_for},
    raw::{Peer, Wire},
    request::request,
    said::{done, samples},
};

/// The service's port.
const PORT: u16 = 8080;

/// How many clients are served meanwhile.
const GUESTS: usize = 6;

/// A server behind the guard, clients that are served, and a wire for those who want to prevent it.
pub(crate) struct Field<'a> {
    pub(crate) pair: &'a Pair,
    pub(crate) wire: Wire,
    pub(crate) agent: Agent<'a>,
    pub(crate) good: String,
    pub(crate) guests: Vec<Client>,
    /// How many of their requests were answered.
    pub(crate) answered: u64,
    memory: BTreeMap<String, u64>,
    _nginx: Nginx,
}

/// Tries `flood` with each hook, on hosts of its own, with these lines of `[datapath]`; all of the memory that
/// maps had before they must have after it, and no more.
pub(crate) fn each_hook(
    datapath: &str,
    server: &str,
    flood: impl Fn(&mut Field<'_>) -> Result<()>,
) -> Result<()> {
    for hook in HOOKS {
        let pair = Pair::new()?;
        let mut field = Field::new(&pair, hook, datapath, server)?;
        flood(&mut field)
            .and_then(|()| field.assert_same_memory())
            .with_context(|| format!("with {hook}, when {} were answered", field.answered))?;
    }
    Ok(())
}

impl<'a> Field<'a> {
    fn new(pair: &'a Pair, hook: &str, datapath: &str, server: &str) -> Result<Self> {
        let nginx = Nginx::start(&pair.server, &[&format!("{PORT} {server}")])?;
        let agent = Agent::start(
            &pair.server,
            &format!(
                "[datapath]\ninterfaces = [\"eth0\"]\nhook = \"{hook}\"\n{datapath}\n\
                 [[service]]\nname = \"web\"\nlisten = [\"*:{PORT}\"]\n"
            ),
        )?;
        let (_, good) = agent.issue(&[])?;
        let mut field = Self {
            wire: Wire::open(pair)?,
            memory: memory(&agent)?,
            pair,
            agent,
            good,
            guests: Vec::new(),
            answered: 0,
            _nginx: nginx,
        };
        ensure!(!field.memory.is_empty(), "the agent has maps");
        for _ in 0..GUESTS {
            let guest = field.connect()?;
            field.guests.push(guest);
        }
        field.assert_served()?;
        Ok(field)
    }

    pub(crate) fn server(&self) -> SocketAddr {
        SocketAddr::from(([10, 77, 0, 2], PORT))
    }

    /// A request that is allowed.
    pub(crate) fn request(&self) -> String {
        request("GET", "", &self.good, "")
    }

    /// A connection of the client's kernel.
    pub(crate) fn connect(&self) -> Result<Client> {
        Client::connect(&self.pair.client, self.server())
    }

    /// A peer with the address of that number, that has connected if the guard let it.
    pub(crate) fn peer(&self, number: u16) -> Result<Peer> {
        let mut peer = self.wire.peer_at(source(number), self.server());
        peer.connect()?;
        Ok(peer)
    }

    /// Has a client send a request, which must be answered.
    pub(crate) fn serve(&mut self, client: &mut Client) -> Result<()> {
        client.send(self.request().as_bytes())?;
        let status = client.answer(PATIENCE)?;
        ensure!(status == 200, "{status}");
        self.answered += 1;
        Ok(())
    }

    /// All who were there before are served.
    pub(crate) fn assert_served(&mut self) -> Result<()> {
        let mut guests = std::mem::take(&mut self.guests);
        for guest in &mut guests {
            self.serve(guest).context("who was there before")?;
        }
        self.guests = guests;
        Ok(())
    }

    /// Who comes now is served; for a connection of its own.
    pub(crate) fn assert_open(&mut self) -> Result<()> {
        let mut client = self.connect()?;
        self.serve(&mut client).context("who comes now")
    }

    /// How many requests and packets were counted for this reason.
    pub(crate) fn counted(&self, reason: &str) -> Result<u64> {
        let reason = format!("reason=\"{reason}\"");
        let samples = samples(&self.agent)?;
        let counts = samples.iter().filter(|(name, _)| {
            name.starts_with("token_agent_requests_total") && name.contains(&reason)
        });
        Ok(counts.map(|(_, count)| count).sum())
    }

    /// All that was counted, by reason.
    pub(crate) fn reasons(&self) -> Result<BTreeMap<String, u64>> {
        let samples = samples(&self.agent)?;
        let mut reasons = BTreeMap::new();
        for (name, count) in &samples {
            let reason = name.split("reason=\"").nth(1);
            if let Some(reason) = reason.and_then(|rest| rest.split('"').next())
                && name.starts_with("token_agent_requests_total")
            {
                *reasons.entry(reason.to_owned()).or_default() += count;
            }
        }
        Ok(reasons)
    }

    /// How much of a table is used, as `status` tells.
    pub(crate) fn used(&self, table: &str) -> Result<u64> {
        let status = done(&self.agent, &["status"])?;
        let maps = status["maps"].as_array().context("maps")?;
        let map = maps.iter().find(|map| map["name"] == table);
        let used = map.and_then(|map| map["used"].as_u64());
        used.with_context(|| format!("no {table} in {status}"))
    }

    /// The same, as the metrics tell.
    pub(crate) fn measured(&self, table: &str) -> Result<u64> {
        let name = format!("token_agent_map_entries{{map=\"{table}\"}}");
        let samples = samples(&self.agent)?;
        samples.get(&name).copied().context(name)
    }

    /// Waits until so much of a table is used, and no more.
    pub(crate) fn wait_for_used(&self, table: &str, wanted: u64) -> Result<()> {
        wait_for("room", || Ok(self.used(table)? <= wanted))
            .with_context(|| format!("{table} has {:?}", self.used(table)))
    }

    fn assert_same_memory(&self) -> Result<()> {
        let now = memory(&self.agent)?;
        ensure!(now == self.memory, "{:?} became {now:?}", self.memory);
        Ok(())
    }
}

/// Addresses of the peers on the wire.
pub(crate) fn source(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([10, 78, high, low], 20_000 + number % 40_000))
}

/// What each of the agent's maps takes of the kernel's memory, by its number.
fn memory(agent: &Agent<'_>) -> Result<BTreeMap<String, u64>> {
    let mut memory = BTreeMap::new();
    let folder = format!("/proc/{}/fdinfo", agent.id()?);
    for entry in fs::read_dir(folder)? {
        // It may have been closed.
        let info = fs::read_to_string(entry?.path()).unwrap_or_default();
        let fields: BTreeMap<_, _> = info
            .lines()
            .filter_map(|line| line.split_once(':'))
            .collect();
        if let (Some(id), Some(locked)) = (fields.get("map_id"), fields.get("memlock")) {
            memory.insert(id.trim().to_owned(), locked.trim().parse()?);
        }
    }
    Ok(memory)
}

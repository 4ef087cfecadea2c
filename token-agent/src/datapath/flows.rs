//! The kernel's tables of connections. They alone go on from one run of the agent
//! to the next: what they know of a connection is known nowhere else, and
//! without it nothing more of the connection passes.

use std::path::Path;

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapData, MapError, MapInfo, MapType},
    programs::{SchedClassifier, TestRun, TestRunOptions},
};
use token_agent_common::{
    abi::{Address, FlowKey, Usage},
    stream::{Buffer, Offers, Page, Slot, Witness},
};

use super::{
    MapUse,
    error::DatapathError,
    maps::{read, take},
    object,
    pins::Pins,
};
use crate::config::Datapath;

/// One of the tables: what it is, and what is in it.
struct Table {
    name: &'static str,
    kind: MapType,
    key: usize,
    value: usize,
    /// `None` if there are as many as the programs say.
    entries: Option<u32>,
}

/// All of them, with the sizes that are asked for.
fn tables(config: &Datapath) -> [Table; 11] {
    let flows = config.max_flows;
    let buffers = config.unacked_buffers;
    let pages = pages(config);
    let hash = |name, kind, key, value| Table {
        name,
        kind,
        key,
        value,
        entries: Some(flows),
    };
    let array = |name, value, entries| Table {
        name,
        kind: MapType::Array,
        key: size_of::<u32>(),
        value,
        entries,
    };
    let stack = |name, entries| Table {
        name,
        kind: MapType::Stack,
        key: 0,
        value: size_of::<u32>(),
        entries: Some(entries),
    };
    let key = size_of::<FlowKey>();
    [
        hash("FLOWS", MapType::Hash, key, size_of::<u32>()),
        hash("OFFERS", MapType::LruHash, key, size_of::<Offers>()),
        hash(
            "SOURCES",
            MapType::Hash,
            size_of::<Address>(),
            size_of::<u64>(),
        ),
        array("SLOTS", size_of::<Slot>(), Some(flows)),
        array("WITNESSES", size_of::<Witness>(), Some(flows)),
        array("BUFFERS", size_of::<Buffer>(), Some(buffers)),
        array("PAGES", size_of::<Page>(), Some(pages)),
        array("USAGE", size_of::<u64>(), None),
        stack("FREE_SLOTS", flows),
        stack("FREE_BUFFERS", buffers),
        stack("FREE_PAGES", pages),
    ]
}

/// How many pages there are for what is kept: two for each buffer. Most connections need one.
const fn pages(config: &Datapath) -> u32 {
    2 * config.unacked_buffers
}

/// Has the tables made with the sizes that are asked for, pinned in `pins` if it is given.
pub(super) fn size<'a>(loader: &mut EbpfLoader<'a>, config: &Datapath, pins: Option<&Pins>) {
    for table in tables(config) {
        if let Some(entries) = table.entries {
            loader.map_max_entries(table.name, entries);
        }
        if let Some(pins) = pins {
            loader.map_pin_path(table.name, pins.table(table.name));
        }
    }
}

/// The tables, to be kept in order.
pub(super) struct Flows {
    usage: Array<MapData, u64>,
    max_flows: u32,
    max_buffers: u32,
    max_pages: u32,
}

impl Flows {
    pub(super) fn new(object: &mut Ebpf, config: &Datapath) -> Result<Self, DatapathError> {
        Ok(Self {
            usage: take(object, "USAGE")?,
            max_flows: config.max_flows,
            max_buffers: config.unacked_buffers,
            max_pages: pages(config),
        })
    }

    /// How full they are.
    pub(super) fn usage(&self) -> Result<[MapUse; 3], DatapathError> {
        let count = |of: Usage| {
            let count = self.usage.get(&(of as u32), 0).map_err(read("USAGE"))?;
            Ok(u32::try_from(count).unwrap_or(0))
        };
        Ok([
            MapUse {
                name: "flows",
                used: count(Usage::Slots)?,
                capacity: self.max_flows,
            },
            MapUse {
                name: "unacked_buffers",
                used: count(Usage::Buffers)?,
                capacity: self.max_buffers,
            },
            MapUse {
                name: "unacked_pages",
                used: count(Usage::Pages)?,
                capacity: self.max_pages,
            },
        ])
    }

    /// Has the kernel side go through the table once, and forget the connections that are over.
    /// It does so by itself, a little for each connection that begins; this gives back what is
    /// held meanwhile, and keeps the counts of what is used near the truth.
    pub(super) fn sweep(&self, program: &SchedClassifier) -> Result<(), DatapathError> {
        /// How many slots one run looks at.
        const BATCH: u64 = 4_096;
        // The shortest frame that a run of a program takes.
        let frame = [0; 14];
        let ever = self
            .usage
            .get(&(Usage::SlotsEver as u32), 0)
            .map_err(read("USAGE"))?;
        let runs = u32::try_from(ever.div_ceil(BATCH)).unwrap_or(u32::MAX);
        for _ in 0..runs {
            let options = TestRunOptions {
                data_in: Some(&frame),
                ..TestRunOptions::new()
            };
            program
                .test_run(options)
                .map_err(|source| DatapathError::Program {
                    program: object::SWEEP,
                    source,
                })?;
        }
        Ok(())
    }
}

/// The tables' names.
pub(super) const NAMES: [&str; 11] = [
    "FLOWS",
    "OFFERS",
    "SOURCES",
    "SLOTS",
    "WITNESSES",
    "BUFFERS",
    "USAGE",
    "FREE_SLOTS",
    "FREE_BUFFERS",
    "PAGES",
    "FREE_PAGES",
];

/// Removes what is pinned of the tables, by whatever version.
pub(super) fn remove(pins: &Pins) -> Result<(), DatapathError> {
    pins.remove_tables(&NAMES)
}

/// Makes sure that what is pinned, if anything, are tables that this version can go on with. Says
/// whether it goes on with them.
pub(super) fn prepare(pins: &Pins, config: &Datapath) -> Result<bool, DatapathError> {
    // Without a guard, connections went on unseen.
    let goes_on = !pins.list()?.is_empty()
        && tables(config)
            .iter()
            .all(|table| table.fits(&pins.table(table.name)).unwrap_or(false));
    if !goes_on {
        remove(pins)?;
    }
    Ok(goes_on)
}

impl Table {
    fn fits(&self, path: &Path) -> Result<bool, MapError> {
        let info = MapInfo::from_pin(path)?;
        Ok(info.map_type()? == self.kind
            && info.key_size() as usize == self.key
            && info.value_size() as usize == self.value
            && self
                .entries
                .is_none_or(|entries| info.max_entries() == entries))
    }
}

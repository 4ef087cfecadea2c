//! What a schedule is about, and how much of everything there is in it.

use crate::model::{plan::Favourite, random::Random};

/// What a schedule is about, so that things come together that need each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Theme {
    /// Nothing in particular.
    Anything,
    /// Bodies that wait to be asked for, and answers that do not ask for them.
    Waiting,
    /// Other protocols.
    Upgrade,
    /// Bodies in chunks.
    Chunks,
    /// Connections that end, and others between the same ports.
    Reuse,
    /// Tokens that are revoked meanwhile.
    Time,
    /// A guard that cannot keep all there is.
    Memory,
}

/// How much of everything there is in one schedule, in percent: most have a little of some things.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taste {
    pub(super) theme: Theme,
    /// Segments that are in order, where the server waits for them.
    pub(super) order: usize,
    /// Bytes of another version.
    pub(super) versions: usize,
    /// Losses and the like behind the guard.
    pub(super) faults: usize,
    /// The same for the server's packets.
    pub(super) reply_faults: usize,
    /// Flags and numbers that are not as they should be.
    pub(super) forgery: usize,
    /// FINs.
    pub(super) fins: usize,
    /// Things that the application does.
    pub(super) application: usize,
    /// Long waits.
    pub(super) waits: usize,
    /// Further attempts to connect.
    pub(super) attempts: usize,
    /// Segments that fit the SYN cookie.
    pub(super) cookies: usize,
    /// How far cookies come in a minute, if that is not far.
    pub(super) minute: Option<i32>,
}

impl Taste {
    pub(super) fn new(random: &mut Random) -> Self {
        let theme = random.pick(&[
            Theme::Anything,
            Theme::Anything,
            Theme::Anything,
            Theme::Waiting,
            Theme::Upgrade,
            Theme::Chunks,
            Theme::Chunks,
            Theme::Chunks,
            Theme::Chunks,
            Theme::Chunks,
            Theme::Chunks,
            Theme::Reuse,
            Theme::Reuse,
            Theme::Time,
            Theme::Memory,
        ]);
        let mut some = |choices: &[usize]| random.pick(choices);
        let mut taste = Self {
            theme,
            order: some(&[0, 20, 50, 50, 80]),
            versions: some(&[0, 10, 30, 50, 50]),
            faults: some(&[0, 10, 25, 50]),
            reply_faults: some(&[0, 0, 0, 10, 30]),
            forgery: some(&[0, 0, 0, 5, 20]),
            fins: some(&[0, 3, 3, 15]),
            application: some(&[0, 0, 5, 20]),
            waits: some(&[0, 0, 5, 15]),
            attempts: some(&[0, 0, 0, 0, 10]),
            cookies: some(&[0, 0, 0, 0, 0, 0, 10, 30]),
            minute: None,
        };
        match theme {
            Theme::Anything | Theme::Memory => {}
            Theme::Chunks => {
                taste.order = some(&[50, 80, 95]);
                taste.faults = some(&[0, 0, 10, 25]);
            }
            Theme::Waiting | Theme::Upgrade => taste.application = some(&[10, 30]),
            Theme::Reuse => {
                taste.attempts = some(&[0, 10, 30, 30]);
                taste.application = some(&[0, 10, 20]);
                taste.forgery = some(&[0, 5, 20]);
            }
            Theme::Time => taste.waits = some(&[5, 15, 30]),
        }
        if taste.cookies > 0 && random.percent(30) {
            let far = random.pick(&[2, 60, 100, 200, 66_000]);
            taste.minute = Some(random.pick(&[far, -far]));
        }
        taste
    }

    pub(super) const fn favourite(&self) -> Option<Favourite> {
        match self.theme {
            Theme::Waiting => Some(Favourite::Expecting),
            Theme::Upgrade => Some(Favourite::Upgrade),
            Theme::Chunks => Some(Favourite::Chunked),
            Theme::Memory => Some(Favourite::Long),
            Theme::Anything | Theme::Reuse | Theme::Time => None,
        }
    }
}

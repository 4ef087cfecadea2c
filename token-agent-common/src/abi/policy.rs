//! What the agent wants of the kernel: of all, and of one service.

use bytemuck::{Pod, Zeroable};

use crate::{digest::KeyWords, http1::CredentialRule};

/// Of how many interfaces it may be known whom they face.
pub const INTERFACES: u32 = 4_096;

/// Whom an interface faces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub enum Facing {
    /// Clients come in by it.
    Clients = 1,
    /// Clients go out by it to a service.
    Service = 2,
}

/// Whether a service's verdicts are carried out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u32)]
pub enum Mode {
    /// Denied requests are dropped.
    Enforce = 0,
    /// Everything passes; what would have been denied is counted and reported.
    Monitor = 1,
}

/// What a service asks for.
#[derive(Clone, Copy, Debug, Eq, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct ServicePolicy {
    credential: CredentialRule,
    /// Until when `override_mode` holds: nanoseconds since the Unix epoch, 0 for not at all.
    override_until: u64,
    mode: u32,
    override_mode: u32,
    options: u32,
    reserved: u32,
}

impl ServicePolicy {
    /// A policy without an override; `options` are bits of [`option`](crate::http1::option).
    #[must_use]
    pub const fn new(credential: CredentialRule, mode: Mode, options: u32) -> Self {
        Self {
            credential,
            override_until: 0,
            mode: mode as u32,
            override_mode: 0,
            options,
            reserved: 0,
        }
    }

    /// The same with `mode` in force until `until` (nanoseconds since the Unix
    /// epoch; `u64::MAX` for good).
    #[must_use]
    pub const fn overridden(mut self, mode: Mode, until: u64) -> Self {
        self.override_mode = mode as u32;
        self.override_until = until;
        self
    }

    /// Where the credential is.
    #[inline(always)]
    #[must_use]
    pub const fn credential(&self) -> &CredentialRule {
        &self.credential
    }

    /// Bits of [`option`](crate::http1::option).
    #[inline(always)]
    #[must_use]
    pub const fn options(&self) -> u32 {
        self.options
    }

    /// Whether the time decides which mode is in force.
    #[inline(always)]
    #[must_use]
    pub const fn is_overridden(&self) -> bool {
        self.override_until != 0
    }

    /// Whether verdicts are carried out at `now`, in nanoseconds since the Unix
    /// epoch. Without an override `now` does not matter.
    #[inline(always)]
    #[must_use]
    pub const fn enforces(&self, now: u64) -> bool {
        let mode = if now < self.override_until {
            self.override_mode
        } else {
            self.mode
        };
        mode != Mode::Monitor as u32
    }
}

/// What holds for every service: the one value of the settings map.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Settings {
    key: KeyWords,
    /// What to add to the kernel's TAI clock to have UTC, in nanoseconds (wrapping).
    tai_to_utc: u64,
    /// How many connections one source may have.
    quota: u64,
    /// 1 if some interface faces a service.
    is_zoned: u64,
    /// 1 if data of connections that do not exist is answered.
    answers: u64,
}

impl Settings {
    /// The hash key; how far TAI is ahead of UTC on this host, in seconds
    /// (`adjtimex(2)`: 0 unless a time daemon set it); how many connections one source may have.
    #[must_use]
    pub const fn new(key: KeyWords, tai_offset: i32, quota: u32) -> Self {
        Self {
            key,
            tai_to_utc: (-(tai_offset as i64) * 1_000_000_000) as u64,
            quota: quota as u64,
            is_zoned: 0,
            answers: 0,
        }
    }

    /// The same with interfaces that face a service: the map of interfaces tells which.
    #[must_use]
    pub const fn zoned(mut self) -> Self {
        self.is_zoned = 1;
        self
    }

    /// The same with data of connections that do not exist answered by a RST: once what is older than
    /// the guard was seen to, until when it may yet turn out to exist.
    #[must_use]
    pub const fn answering(mut self) -> Self {
        self.answers = 1;
        self
    }

    /// Whether data of connections that do not exist is answered.
    #[inline(always)]
    #[must_use]
    pub const fn answers(&self) -> bool {
        self.answers != 0
    }

    /// Whether some interface faces a service.
    #[inline(always)]
    #[must_use]
    pub const fn is_zoned(&self) -> bool {
        self.is_zoned != 0
    }

    /// How many connections one source may have.
    #[inline(always)]
    #[must_use]
    pub const fn quota(&self) -> u64 {
        self.quota
    }

    /// The hash key.
    #[inline(always)]
    #[must_use]
    pub const fn key(&self) -> &KeyWords {
        &self.key
    }

    /// Nanoseconds since the Unix epoch, from the kernel's TAI clock.
    #[inline(always)]
    #[must_use]
    pub const fn utc(&self, tai: u64) -> u64 {
        tai.wrapping_add(self.tai_to_utc)
    }
}

/// Key of the set of (audience, service) pairs: there for each service of each audience.
#[derive(Clone, Copy, Debug, Eq, Hash, Pod, PartialEq, Zeroable)]
#[repr(C)]
pub struct AudienceKey {
    /// [`crate::verdict::Audience::number`].
    pub audience: u32,
    /// The service's number.
    pub service: u32,
}

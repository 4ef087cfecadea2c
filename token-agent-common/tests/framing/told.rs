//! What reading a connection comes to: the same for the core and for the reference.

use token_agent_common::reason::Reason;

/// A request whose head was read whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Request {
    /// Offset of the byte behind the head.
    pub(crate) end: usize,
    /// The credential's digest, or why there is none.
    pub(crate) credential: Result<[u8; 16], Reason>,
    pub(crate) content_length: u64,
    pub(crate) is_chunked: bool,
    /// The first eight bytes, zero-padded.
    pub(crate) method: [u8; 8],
    pub(crate) is_connect: bool,
    pub(crate) wants_upgrade: bool,
    pub(crate) expects_continue: bool,
}

/// Where reading ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Between two requests.
    Between,
    /// In an opaque stretch, with so many bytes left of it.
    Opaque(u64),
    /// Within bytes that decide.
    Deciding,
    /// At something that is not to pass.
    Denied(Reason),
}

/// All that was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Told {
    pub(crate) requests: Vec<Request>,
    /// Offset and length of each opaque stretch, as far as it was there.
    pub(crate) opaque: Vec<(usize, usize)>,
    pub(crate) end: End,
}

/// Where the credential is: header and scheme in lower case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credential {
    pub(crate) header: &'static str,
    /// Empty for none.
    pub(crate) scheme: &'static str,
    /// Whether any visible character may stand in it.
    pub(crate) is_visible: bool,
}

pub(crate) const BEARER: Credential = Credential {
    header: "authorization",
    scheme: "bearer",
    is_visible: false,
};

pub(crate) const API_KEY: Credential = Credential {
    header: "x-api-key",
    scheme: "",
    is_visible: true,
};

/// The key the credentials are hashed with.
pub(crate) const KEY: [u8; 32] = [7; 32];

pub(crate) fn digest(token: &[u8]) -> [u8; 16] {
    let hash = blake3::keyed_hash(&KEY, token);
    hash.as_bytes()[..16].try_into().unwrap()
}

impl Told {
    /// Fails unless the core, which is to have told this, agrees with the `reference`. What
    /// the reference judges at a line's end, the core may deny before.
    pub(crate) fn check(&self, reference: &Self) -> Result<(), String> {
        let is_early = matches!((self.end, reference.end), (End::Denied(_), End::Deciding));
        if self.requests == reference.requests
            && self.opaque == reference.opaque
            && (self.end == reference.end || is_early)
        {
            return Ok(());
        }
        Err(format!("core: {self:#?}\nreference: {reference:#?}"))
    }
}

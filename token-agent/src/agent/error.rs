//! Why the agent did not do what it was asked to.

use crate::{
    datapath::DatapathError,
    store::{Revision, StoreError},
    token::{RandomError, TokenId, format::PrefixError, policy::PolicyError},
};

/// What can go wrong with a request. No message holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The request contradicts itself.
    #[error("{0}")]
    BadRequest(&'static str),
    /// Work for the agent panicked or was cancelled.
    #[error("the agent's work was broken off")]
    Broken(#[source] tokio::task::JoinError),
    /// The kernel cannot be read or changed.
    #[error("cannot {operation} in the kernel")]
    Kernel {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        #[source]
        source: Box<DatapathError>,
    },
    /// What is to be revoked can be nobody's credential. It is not repeated: it may hold one.
    #[error("secret {number} is no credential: {why}; nothing was revoked")]
    NoCredential {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The change is durable, but the kernel does not hold it.
    #[error(
        "the change is stored (revision {revision}), but the kernel does not hold it yet; the agent keeps trying, `token-agent status` tells when it does"
    )]
    NotEnforced {
        /// The store's revision.
        revision: Revision,
        /// What the kernel said.
        #[source]
        source: Box<DatapathError>,
    },
    /// No such lifetime.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The configured prefix is none; the configuration's reader does not let that happen.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// No randomness.
    #[error("cannot mint a token")]
    Random(#[from] RandomError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel's map of audiences would overflow.
    #[error(
        "tokens are for too many different sets of services; issue it for every service, for one alone, or for a set that another token is for"
    )]
    TooManyAudiences,
    /// No service of the name asked for. The name is not repeated: it may be anything.
    #[error("no such service; `token-agent status` lists them")]
    UnknownService,
    /// No token of this id.
    #[error("no such token: {0}")]
    UnknownToken(TokenId),
}

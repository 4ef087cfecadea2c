//! Test hosts: network namespaces of our own, with real servers and the agent in them.
//!
//! Everything made here is taken away again when it is dropped, whatever became
//! of the test: processes first, then pins, then namespaces. Processes end with
//! the one that started them, even if that is killed.

mod agent;
mod bpffs;
mod command;
mod curl;
mod namespace;
mod nginx;
mod pair;
mod patience;
mod process;

pub use agent::{Agent, binary};
pub use command::run;
pub use curl::{authority, bearer, curl, is_denied};
pub use namespace::Namespace;
pub use nginx::Nginx;
pub use pair::{End, Pair, join};
pub use patience::{PATIENCE, wait_for};
pub use process::Process;

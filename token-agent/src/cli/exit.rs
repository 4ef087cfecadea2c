//! How a command ended: the exit codes scripts rely on.

use std::io;
use std::process::ExitCode;

use super::usage::Usage;
use crate::{
    client::ClientError, config::ConfigErrors, daemon::StartError, datapath::DatapathError,
    wire::Code,
};

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    /// Enforcing, but not all is as it should be.
    Degraded = 3,
    NotEnforcing = 4,
    /// The daemon is not reachable.
    Unreachable = 69,
    NotPermitted = 77,
    /// The configuration is invalid.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Tells of an error and gives the code that goes with it.
pub(super) fn report(error: &anyhow::Error) -> Exit {
    if is_output_closed(error) {
        // Whoever read it has seen enough.
        return Exit::Done;
    }
    eprintln!("token-agent: {error:#}");
    code_of(error)
}

fn code_of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(code_of_one).unwrap_or(Exit::Failed)
}

fn code_of_one(error: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if error.is::<Usage>() {
        Some(Exit::Usage)
    } else if error.is::<ConfigErrors>() {
        Some(Exit::Config)
    } else if let Some(error) = error.downcast_ref::<ClientError>() {
        Some(match error {
            ClientError::Forbidden { .. } => Exit::NotPermitted,
            ClientError::Problem(problem) => code_of_problem(problem.code),
            ClientError::Protocol { .. } => Exit::Failed,
            ClientError::Unreachable { .. } => Exit::Unreachable,
        })
    } else if matches!(error.downcast_ref(), Some(StartError::NotPermitted { .. }))
        || matches!(error.downcast_ref(), Some(DatapathError::NotPermitted))
    {
        Some(Exit::NotPermitted)
    } else {
        let error = error.downcast_ref::<io::Error>()?;
        (error.kind() == io::ErrorKind::PermissionDenied).then_some(Exit::NotPermitted)
    }
}

const fn code_of_problem(code: Code) -> Exit {
    match code {
        Code::BadRequest | Code::TooLarge => Exit::Usage,
        Code::NotPermitted => Exit::NotPermitted,
        Code::Overloaded => Exit::Unreachable,
        Code::Internal
        | Code::Kernel
        | Code::NoRoom
        | Code::NotEnforced
        | Code::NotFound
        | Code::Policy
        | Code::Timeout
        | Code::UnknownService
        | Code::UnknownToken => Exit::Failed,
    }
}

/// Whether nobody reads the output any more. A daemon that does not read what it is asked is another matter: it
/// may not have done it.
fn is_output_closed(error: &anyhow::Error) -> bool {
    let is_of_the_daemon = error.chain().any(|error| error.is::<ClientError>());
    !is_of_the_daemon && error.chain().any(is_closed_pipe)
}

fn is_closed_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::Error;

    use super::*;
    use crate::wire::Problem;

    #[test]
    fn every_error_has_its_code() {
        let problem = |code| Error::from(ClientError::Problem(Problem::new(code, "")));
        let io = |kind: io::ErrorKind| Error::from(io::Error::from(kind)).context("cannot open");
        for (error, exit) in [
            (Error::msg("whatever"), Exit::Failed),
            (Usage::new("so not").into(), Exit::Usage),
            (Error::from(ConfigErrors(Vec::new())), Exit::Config),
            (
                Error::from(StartError::NotPermitted { missing: vec!["x"] })
                    .context("cannot start"),
                Exit::NotPermitted,
            ),
            (
                Error::from(ClientError::Unreachable {
                    path: "/x".into(),
                    source: io::ErrorKind::NotFound.into(),
                }),
                Exit::Unreachable,
            ),
            (
                Error::from(ClientError::Forbidden { path: "/x".into() }),
                Exit::NotPermitted,
            ),
            (
                Error::from(DatapathError::NotPermitted).context("cannot start"),
                Exit::NotPermitted,
            ),
            (io(io::ErrorKind::PermissionDenied), Exit::NotPermitted),
            (io(io::ErrorKind::NotFound), Exit::Failed),
            (problem(Code::BadRequest), Exit::Usage),
            (problem(Code::NotPermitted), Exit::NotPermitted),
            (problem(Code::UnknownToken), Exit::Failed),
            (problem(Code::NotEnforced), Exit::Failed),
            (problem(Code::Overloaded), Exit::Unreachable),
        ] {
            assert_eq!(code_of(&error), exit, "{error:#}");
        }
    }

    #[test]
    fn only_a_closed_output_is_success() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        let path = || "/x".into();
        assert!(is_output_closed(&closed().into()));
        assert!(is_output_closed(&Error::from(closed()).context("list")));
        assert!(!is_output_closed(&Error::from(io::Error::other("full"))));
        for daemon in [
            ClientError::Unreachable {
                path: path(),
                source: closed(),
            },
            ClientError::Protocol {
                path: path(),
                source: closed().into(),
            },
        ] {
            assert!(!is_output_closed(&Error::from(daemon).context("revoke")));
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_contract() {
        let codes = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Degraded,
            Exit::NotEnforcing,
            Exit::Unreachable,
            Exit::NotPermitted,
            Exit::Config,
        ];
        assert_eq!(codes.map(|exit| exit as u8), [0, 1, 2, 3, 4, 69, 77, 78]);
    }
}

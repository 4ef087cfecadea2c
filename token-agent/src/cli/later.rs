//! What is known and not in this version: asking for it is an error that says so.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};

use super::exit::Exit;
use crate::token::format::{may_hold_a_token, without_tokens};

/// Commands.
const COMMANDS: [&str; 19] = [
    "audit",
    "backup",
    "bugreport",
    "completions",
    "digest",
    "export",
    "fleet",
    "import",
    "inspect",
    "key",
    "man",
    "recover",
    "reload",
    "restore",
    "rotate",
    "rotation",
    "selftest",
    "throttle",
    "top",
];

/// Options, with their commands.
const OPTIONS: [(&str, &str); 6] = [
    ("issue", "--output"),
    ("issue", "--scope"),
    ("list", "--unused"),
    ("revoke", "--family"),
    ("revoke", "--owner"),
    ("revoke", "--wait"),
];

/// Tells what is wrong with a command line, in the parser's words where it is not in the tables. The parser
/// repeats what it cannot read; a token is left out.
pub(super) fn explain(error: &clap::Error) -> ExitCode {
    let command = std::env::args_os()
        .filter_map(|arg| arg.into_string().ok())
        .find(|arg| OPTIONS.iter().any(|(command, _)| command == arg));
    match planned(error, command.as_deref()) {
        Some(what) => {
            eprintln!("token-agent: {what} is known, but not in this version");
            Exit::Usage.into()
        }
        None => {
            let told = error.render().to_string();
            if may_hold_a_token(&told) {
                eprint!("{}", without_tokens(&told));
            } else {
                // Where it cannot be printed there is nobody to tell.
                let _ = error.print();
            }
            // Help and version are no errors.
            if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Done.into()
            }
        }
    }
}

/// What was asked for, if it is in the tables.
fn planned(error: &clap::Error, command: Option<&str>) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    if let Some(asked) = text(ContextKind::InvalidSubcommand) {
        return COMMANDS.contains(&asked).then(|| format!("`{asked}`"));
    }
    let asked = text(ContextKind::InvalidArg)?.split(['=', ' ']).next()?;
    let is_asked = |(of, option): &&(&str, &str)| Some(*of) == command && *option == asked;
    OPTIONS
        .iter()
        .find(is_asked)
        .map(|(command, option)| format!("`{command} {option}`"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    fn told(line: &str) -> Option<String> {
        let args: Vec<_> = line.split(' ').collect();
        let error = Cli::try_parse_from(&args).unwrap_err();
        planned(&error, args.get(1).copied())
    }

    #[test]
    fn what_is_planned_is_told_so() {
        for command in COMMANDS {
            let line = format!("token-agent {command} whatever --and more");
            assert_eq!(told(&line), Some(format!("`{command}`")));
        }
        for (line, option) in [
            ("token-agent revoke --owner x", "`revoke --owner`"),
            ("token-agent revoke --owner=x", "`revoke --owner`"),
            ("token-agent revoke --family f-1", "`revoke --family`"),
            ("token-agent revoke t-1 --wait 5s", "`revoke --wait`"),
            ("token-agent issue --scope x", "`issue --scope`"),
            ("token-agent issue --output file:x", "`issue --output`"),
            ("token-agent list --unused 3d", "`list --unused`"),
        ] {
            assert_eq!(told(line).as_deref(), Some(option), "{line}");
        }
        for line in [
            "token-agent nonsense",
            "token-agent list --scope x",
            "token-agent",
        ] {
            assert_eq!(told(line), None, "{line}");
        }
    }
}

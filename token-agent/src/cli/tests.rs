use clap::CommandFactory;

use super::Cli;

fn parses(line: &str) -> bool {
    Cli::read(line.split(' ')).is_ok()
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn the_commands_of_the_contract_are_there() {
    for line in [
        "token-agent run --config /x",
        "token-agent check --config /x --host --json",
        "token-agent status --wait 5s --quiet",
        "token-agent --socket /x issue --owner a --purpose b --service c --service d --ttl 1h",
        "token-agent issue --owner a --purpose b --not-before 2030-01-01T00:00:00Z",
        "token-agent list --owner a --service b --state pending --expiring 3d --limit 4",
        "token-agent show t-0000000000000001",
        "token-agent revoke t-0000000000000001 t-0000000000000002 --reason x --dry-run",
        "token-agent revoke --stdin",
        "token-agent revoke --all --yes",
        "token-agent explain --service s --method M --path /p --id t-0000000000000001 --exit-code",
        "token-agent explain --service s --stdin",
        "token-agent guard s --mode monitor --for 10m",
        "token-agent events --follow --verdict deny --reason revoked --service s --token t --client ::1",
        "token-agent doctor",
        "token-agent detach --interface a b --yes",
        "token-agent detach --all",
        "token-agent version",
    ] {
        assert!(parses(line), "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "token-agent revoke",
        "token-agent revoke --all --stdin",
        "token-agent revoke t-0000000000000001 --all",
        "token-agent issue --owner a",
        "token-agent issue --owner a --purpose b --ttl 1w",
        "token-agent detach",
        "token-agent detach --all --interface a",
        "token-agent guard s",
        "token-agent guard s --mode off",
        "token-agent explain --service s --stdin --id t-0000000000000001",
        "token-agent events --client nobody",
        "token-agent --socket /x run",
        "token-agent run --socket /x",
        "token-agent --json run",
        "token-agent run --quiet",
    ] {
        assert!(!parses(line), "{line}");
    }
}

//! The table of connections is full of real ones, or of those of one source.

use std::time::Duration;

use anyhow::{Result, ensure};
use token_agent_tests::{client::Client, host::wait_for};

use crate::field::{Field, each_hook};

/// How long one waits for an answer that is not to come.
const WHILE: Duration = Duration::from_millis(300);

/// Who comes now is not served, though the server would.
fn assert_shut(field: &Field<'_>) -> Result<()> {
    let mut client = field.connect()?;
    client.send(field.request().as_bytes())?;
    ensure!(client.answer(WHILE).is_err(), "there was room for one more");
    Ok(())
}

/// Fills up with connections that are each served once, until so many are there.
fn fill(field: &mut Field<'_>, most: u64) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    while field.guests.len() as u64 + (clients.len() as u64) < most {
        let mut client = field.connect()?;
        field.serve(&mut client)?;
        clients.push(client);
    }
    Ok(clients)
}

/// Two that fit no more, and one that is served when others have gone.
fn try_full(field: &mut Field<'_>, most: u64) -> Result<()> {
    let clients = fill(field, most)?;
    ensure!(field.used("flows")? == most);
    ensure!(field.measured("flows")? == most);
    ensure!(field.counted("table_full")? == 0);
    assert_shut(field)?;
    assert_shut(field)?;
    ensure!(field.used("flows")? == most);
    ensure!(field.counted("table_full")? >= 2);
    field.assert_served()?;
    drop(clients);
    field.wait_for_used("flows", field.guests.len() as u64)?;
    field.assert_open()?;
    field.assert_served()
}

#[test]
fn of_all() -> Result<()> {
    let sizes = "max_flows = 64\nmax_flows_per_source = 64";
    each_hook(sizes, "", |field| try_full(field, 64))
}

/// Others have room.
#[test]
fn of_one_source() -> Result<()> {
    let sizes = "max_flows = 1024\nmax_flows_per_source = 32";
    each_hook(sizes, "", |field| {
        try_full(field, 32)?;
        let clients = fill(field, 32)?;
        let request = field.request();
        for number in 0..40 {
            let mut other = field.peer(number)?;
            other.data(0, request.as_bytes()).send()?;
            let is_served = other.wait(token_agent_tests::host::PATIENCE, |other| {
                other.is_answered()
            })?;
            ensure!(is_served, "another source, {number}");
        }
        assert_shut(field)?;
        drop(clients);
        wait_for("the source to have room", || Ok(field.used("flows")? <= 6))?;
        field.assert_open()
    })
}

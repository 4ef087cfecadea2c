//! Data of connections that are not there, and of one that is, by somebody who does not know its numbers.

use anyhow::{Result, ensure};
use token_agent_tests::{
    host::wait_for,
    raw::flags::{ACK, FIN, PSH, RST, SYN},
};

use crate::field::{Field, each_hook, source};

const SMALL: &str = "max_flows = 1024";

/// So many at a time: no queue on the way has less room.
const BURST: u64 = 100;
const BURSTS: u64 = 200;

/// Sends bursts of what `send` makes of a number, each once the one before was counted for the reason, and looks
/// whether clients are served all the while.
fn burst(
    field: &mut Field<'_>,
    reason: &str,
    send: impl Fn(&Field<'_>, u64) -> Result<()>,
) -> Result<()> {
    let before = field.counted(reason)?;
    for burst in 0..BURSTS {
        for number in burst * BURST..(burst + 1) * BURST {
            send(field, number)?;
        }
        if burst % 20 == 19 {
            field.assert_served()?;
            let sent = (burst + 1) * BURST;
            wait_for("what was sent to be counted", || {
                Ok(field.counted(reason)? >= before + sent)
            })?;
        }
    }
    let counted = field.counted(reason)? - before;
    ensure!(counted == BURST * BURSTS, "{reason}: {counted}");
    Ok(())
}

#[test]
fn of_no_connection() -> Result<()> {
    each_hook(SMALL, "", |field| {
        let flows = field.used("flows")?;
        let request = field.request();
        burst(field, "no_flow", |field, number| {
            let peer = field.wire.peer_at(source(number as u16), field.server());
            let flags = [ACK, PSH | ACK, FIN | ACK][number as usize % 3];
            peer.segment(flags, number as i32, request.as_bytes())
                .send()
        })?;
        ensure!(field.used("flows")? == flows);
        ensure!(field.used("unacked_buffers")? <= flows);
        let reasons = field.reasons()?;
        ensure!(reasons.len() == 2, "{reasons:?}");
        Ok(())
    })
}

#[test]
fn of_a_connection_whose_numbers_are_not_known() -> Result<()> {
    each_hook(SMALL, "", |field| {
        let flows = field.used("flows")?;
        let request = field.request();
        let guest = field.guests[0].address()?;
        burst(field, "bad_packet", |field, number| {
            let peer = field.wire.peer_at(guest, field.server());
            // All over both sequence spaces.
            let far = (number as u32).wrapping_mul(0x9e37_79b9);
            let flags = [ACK, PSH | ACK, FIN | ACK, FIN | PSH | ACK][number as usize % 4];
            peer.segment(flags, far.cast_signed(), request.as_bytes())
                .acknowledging(far.rotate_left(13).cast_signed())
                .send()
        })?;
        // These the server is asked about, or they are as good as lost; in any case nothing ends by them.
        for number in 0..BURST * BURSTS {
            let far = (number as u32).wrapping_mul(0x9e37_79b9).cast_signed();
            let peer = field.wire.peer_at(guest, field.server());
            let flags = [SYN, RST, RST | ACK][number as usize % 3];
            peer.segment(flags, far, b"").send()?;
            if number % 2_000 == 0 {
                field.assert_served()?;
            }
        }
        field.assert_served()?;
        ensure!(field.used("flows")? == flows);
        Ok(())
    })
}

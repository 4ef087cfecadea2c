//! Rule 8: what makes the server see another stream.

use anyhow::Result;
use token_agent::datapath::Program;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    conversation::{ALLOWED, Conversation, dropped},
    frame::{ACK, DATA, FIN, Frame, RST, SYN, URG},
    rows::{PROGRAMS, bearer, guard},
};

use super::on_a_connection;

#[test]
fn urgent_data_is_dropped_wherever_it_is() -> Result<()> {
    on_a_connection(|it| {
        for flags in [DATA | URG, ACK | URG, ACK | FIN | URG] {
            assert_eq!(it.send_with(flags, 0, "")?, dropped(Reason::BadPacket));
            assert_eq!(
                it.send_with(flags, 0, bearer("good"))?,
                dropped(Reason::BadPacket)
            );
        }
        for flags in [SYN | FIN, SYN | RST, SYN | ACK, FIN, FIN | RST | ACK] {
            assert_eq!(
                it.send_with(flags, 0, "")?,
                dropped(Reason::BadPacket),
                "{flags:x}"
            );
        }
        for flags in [0, SYN, FIN] {
            assert_eq!(
                it.send_with(flags, 0, "GET")?,
                dropped(Reason::BadPacket),
                "{flags:x}"
            );
        }
        Ok(())
    })
}

#[test]
fn options_that_change_the_stream_mean_nothing() -> Result<()> {
    const MULTIPATH: [u8; 4] = [30, 4, 0, 0];
    const FAST_OPEN: [u8; 4] = [34, 4, 0, 0];
    // What follows the header becomes part of it.
    fn with_options(segment: &Frame) -> Vec<u8> {
        let mut frame = segment.build();
        frame[46] = (5 + segment.payload.len() as u8 / 4) << 4;
        frame
    }
    for program in PROGRAMS {
        let mut guard = guard()?;
        let mut it = Conversation::closed(&mut guard, program, 1);
        let syn = |it: &Conversation<'_>, options: &[u8]| {
            with_options(&it.segment(SYN, u32::MAX, options))
        };
        let once = syn(&it, &MULTIPATH);
        assert!(it.guard.go_on(program, &once)?.0, "it is made another one");
        let twice = syn(&it, &[MULTIPATH, MULTIPATH].concat());
        assert!(!it.guard.go_on(program, &twice)?.0);
        let good = bearer("good");
        let refused = [MULTIPATH.to_vec(), [FAST_OPEN, FAST_OPEN].concat()];
        for (options, outcome) in [
            (&refused[0], dropped(Reason::NoFlow)),
            (&refused[1], dropped(Reason::NoFlow)),
            (&FAST_OPEN.to_vec(), ALLOWED),
        ] {
            let client = it.segment(ACK, 0, "");
            let offer = with_options(&Frame {
                client: client.server,
                server: client.client,
                client_port: client.server_port,
                server_port: client.client_port,
                sequence: client.acknowledgment.wrapping_sub(1),
                acknowledgment: client.sequence,
                flags: SYN | ACK,
                payload: options.clone(),
                ..client
            });
            it.guard.kernel.rehearse(Program::Witness, &offer, 1)?;
            assert_eq!(it.send(0, good.as_str())?, outcome, "{options:?}");
        }
        // Nor where a connection is known to which it says nothing new.
        let twice = syn(&it, &[MULTIPATH, MULTIPATH].concat());
        assert!(!it.guard.go_on(program, &twice)?.0);
    }
    Ok(())
}

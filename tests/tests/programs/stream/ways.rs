//! Rule 7: nothing comes by another way.

use anyhow::Result;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    conversation::{ALLOWED, PASSED, dropped},
    rows::bearer,
};

use super::{len, on_a_connection, upload};

#[test]
fn who_has_what_never_passed_is_cut_off() -> Result<()> {
    on_a_connection(|it| {
        let good = bearer("good");
        assert_eq!(it.send(0, good.as_str())?, ALLOWED);
        it.ack(len(&good) + 1)?;
        assert_eq!(
            it.send(len(&good), good.as_str())?,
            dropped(Reason::UnguardedPath)
        );
        Ok(())
    })
}

#[test]
fn a_body_may_be_acknowledged_as_it_passes() -> Result<()> {
    on_a_connection(|it| {
        let head = upload(1_000);
        assert_eq!(it.send(0, head.as_str())?, ALLOWED);
        assert_eq!(it.send(len(&head) + 500, vec![b'x'; 500])?, PASSED);
        assert_eq!(it.send(len(&head), vec![b'x'; 500])?, PASSED);
        it.ack(len(&head) + 1_000)?;
        assert_eq!(it.send(len(&head) + 1_000, bearer("good"))?, ALLOWED);
        Ok(())
    })
}

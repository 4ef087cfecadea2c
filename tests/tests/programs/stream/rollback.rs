//! Rule 6: a denied segment has not happened.

use anyhow::Result;
use token_agent_common::reason::Reason;
use token_agent_tests::{
    conversation::{ALLOWED, dropped},
    rows::bearer,
};

use super::{len, on_a_connection};

#[test]
fn nothing_is_left_of_a_denied_segment() -> Result<()> {
    on_a_connection(|it| {
        let first = bearer("good");
        let both = first.clone() + &bearer("revoked");
        assert_eq!(it.send(0, both.as_str())?, dropped(Reason::Revoked));
        assert_eq!(it.send(0, both.as_str())?, dropped(Reason::Revoked));
        let parts = both.split_at(first.len() + 10);
        assert_eq!(it.send(0, parts.0)?, ALLOWED);
        assert_eq!(it.send(len(parts.0), parts.1)?, dropped(Reason::Revoked));
        let other = bearer("good");
        assert_eq!(it.send(len(parts.0), &other[10..])?, ALLOWED);
        Ok(())
    })
}

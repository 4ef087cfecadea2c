//! What the server's answers mean for what its client may send.

use super::{Connection, Place, flag};
use crate::{reason::Reason, stream::inquiry::Answer};

impl Connection {
    /// Whether the server speaks another protocol now that nobody could ask for, or behind
    /// whose request something has passed as HTTP.
    #[inline(always)]
    pub(super) const fn has_changed_unasked(&self, answer: Answer, acked: u64) -> bool {
        if self.place.is_tunnel() {
            return false;
        }
        let asked = self.flags & (flag::UPGRADE | flag::CONNECT | flag::SPOKE);
        match answer {
            // It cannot have agreed to what it does not have.
            Answer::Switching => asked != flag::UPGRADE || !self.has_delivered(acked),
            Answer::Success => asked == flag::CONNECT | flag::SPOKE,
            Answer::None | Answer::Interim | Answer::Other | Answer::Unclear => false,
        }
    }

    /// Whether the server has agreed to speak the protocol that it was asked for, in time.
    #[inline(always)]
    pub(super) const fn is_agreed(&self, answer: Answer) -> bool {
        let asked = self.flags & (flag::UPGRADE | flag::CONNECT | flag::SPOKE);
        match answer {
            Answer::Switching => asked == flag::UPGRADE,
            Answer::Success => asked == flag::CONNECT,
            Answer::None | Answer::Interim | Answer::Other | Answer::Unclear => false,
        }
    }

    /// Draws the consequences of the server's answer, before new bytes of the client pass.
    #[inline(always)]
    pub(super) const fn heed(&mut self, answer: Answer, acked: u64) -> Result<(), Reason> {
        if self.flags & flag::SPOKE == 0 {
            let asked = self.flags & (flag::UPGRADE | flag::CONNECT);
            let agreed = self.is_agreed(answer);
            if agreed && !self.has_delivered(acked) {
                // It cannot have agreed to what it does not have.
                return Err(Reason::UpgradeRefused);
            }
            if agreed {
                self.place = Place::TUNNEL;
            }
            match answer {
                Answer::None | Answer::Interim => {}
                Answer::Unclear if asked != 0 => return Err(Reason::UpgradeRefused),
                Answer::Unclear | Answer::Switching | Answer::Success | Answer::Other => {
                    self.flags &= !(flag::UPGRADE | flag::CONNECT);
                }
            }
        }
        Ok(())
    }

    /// Draws the consequences of an answer to who announced a body and may wait to be asked for it. Some
    /// servers that answer before they have the body take what follows for the next request; others wait
    /// for it all the same. So nothing passes, unless all of it was there.
    #[inline(always)]
    pub(super) const fn heed_early(&mut self, answer: Answer, acked: u64) -> Result<(), Reason> {
        if self.flags & flag::EXPECT != 0 {
            let has_all = self.place.is_between() && acked >= self.next;
            match answer {
                Answer::None | Answer::Interim => {}
                Answer::Switching | Answer::Success | Answer::Other | Answer::Unclear
                    if has_all =>
                {
                    self.flags &= !flag::EXPECT;
                }
                Answer::Switching | Answer::Success | Answer::Other | Answer::Unclear => {
                    return Err(Reason::AnsweredEarly);
                }
            }
        }
        Ok(())
    }
}

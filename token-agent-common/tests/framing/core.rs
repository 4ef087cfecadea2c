//! The core, fed a connection's bytes as segments, which are cut anywhere.

use token_agent_common::{
    digest::KeyWords,
    http1::{Charset, CredentialRule, Head, Place, Rules},
    name::Name,
    window::{CAPACITY, Cursor, Window},
};

use crate::told::{Credential, End, KEY, Request, Told};

/// Reads `stream` from a connection's start, the segments as long as `cuts` say, over and
/// over. Wherever the place of the stream is enough to go on from, every other segment
/// gets no more.
pub(crate) fn follow(stream: &[u8], credential: Credential, options: u32, cuts: &[usize]) -> Told {
    let rule = rule(credential);
    let key = KeyWords::new(&KEY);
    let rules = Rules {
        credential: &rule,
        key: &key,
        options,
    };
    let mut follower = Follower {
        stream,
        head: Head::new(&key),
        rules,
        window: Window::new(),
        at: 0,
        told: Told {
            requests: Vec::new(),
            opaque: Vec::new(),
            end: End::Between,
        },
    };
    follower.head.begin_connection(options);
    let mut rest = stream;
    for (number, &cut) in cuts.iter().cycle().enumerate() {
        if rest.is_empty() {
            break;
        }
        let segment;
        (segment, rest) = rest.split_at(cut.clamp(1, rest.len()));
        if number % 2 == 1 && (follower.head.is_between() || follower.head.is_opaque()) {
            follower.forget_all_but_the_place();
        }
        if follower.segment(segment).is_err() {
            return follower.told;
        }
    }
    let head = &follower.head;
    assert_eq!(head.opaque() > 0, head.is_opaque());
    follower.told.end = if head.is_opaque() {
        End::Opaque(head.opaque())
    } else if head.is_between() {
        End::Between
    } else {
        End::Deciding
    };
    follower.told
}

fn rule(credential: Credential) -> CredentialRule {
    CredentialRule::new(
        Name::new(credential.header).unwrap(),
        Name::new(credential.scheme).unwrap(),
        if credential.is_visible {
            Charset::Visible
        } else {
            Charset::B64Token
        },
    )
}

/// Something was denied, which has been told.
struct Denied;

struct Follower<'a> {
    stream: &'a [u8],
    head: Head,
    rules: Rules<'a>,
    window: Window,
    /// Offset in the stream.
    at: usize,
    told: Told,
}

impl Follower<'_> {
    /// Leaves in memory what another connection's head could have left there.
    fn forget_all_but_the_place(&mut self) {
        let place: Place = self.head.place();
        self.head = Head::new(self.rules.key);
        let other = format!(
            "\r\nPUT / HTTP/1.1\r\nX_y: z\r\nX-Api-Key: {0}\r\nAuthorization: Bearer {0}",
            "k".repeat(150)
        );
        let mut cursor = Cursor {
            at: 0,
            end: self.window.fill(other.as_bytes()),
        };
        while !self.head.is_hashing() {
            let read = self.head.read(&self.window, &mut cursor, &self.rules);
            read.unwrap();
        }
        self.head.resume(place);
        assert!(!self.head.is_hashing());
    }

    fn segment(&mut self, mut rest: &[u8]) -> Result<(), Denied> {
        while !rest.is_empty() {
            let opaque = self.head.opaque();
            let used = if opaque > 0 {
                let count = usize::try_from(opaque).unwrap().min(rest.len());
                self.told_opaque(count);
                self.head.pass(count as u64);
                self.at += count;
                count
            } else {
                self.window(&rest[..rest.len().min(CAPACITY)])?
            };
            rest = &rest[used..];
        }
        Ok(())
    }

    fn told_opaque(&mut self, count: usize) {
        match self.told.opaque.last_mut() {
            Some((start, len)) if *start + *len == self.at => *len += count,
            _ => self.told.opaque.push((self.at, count)),
        }
    }

    /// Reads deciding bytes, and says how many there were.
    fn window(&mut self, piece: &[u8]) -> Result<usize, Denied> {
        let rest = &self.stream[self.at..];
        assert!(rest.starts_with(piece));
        // As in the kernel, the window was full of other bytes, which stay behind the end: the worst of them
        // would be what follows.
        self.window.fill(&rest[..rest.len().min(CAPACITY)]);
        self.window.seal(piece.len() as u32);
        let mut cursor = Cursor {
            at: 0,
            end: piece.len() as u32,
        };
        let mut is_idle = false;
        while cursor.at < cursor.end && !self.head.is_opaque() {
            let start = cursor.at;
            let read = self.head.read(&self.window, &mut cursor, &self.rules);
            if let Err(reason) = read {
                self.told.end = End::Denied(reason);
                return Err(Denied);
            }
            assert!(cursor.at <= cursor.end, "read beyond the end");
            let used = cursor.at - start;
            assert!(used > 0 || !is_idle, "two calls without progress");
            is_idle = used == 0;
            self.at += used as usize;
            self.hash();
            if self.head.is_complete() {
                self.request();
            }
        }
        Ok(cursor.at as usize)
    }

    fn hash(&mut self) {
        while self.head.is_hashing() {
            self.head.hash();
        }
    }

    fn request(&mut self) {
        self.head.finish();
        self.hash();
        assert!(self.head.is_finished());
        let head = &self.head;
        self.told.requests.push(Request {
            end: self.at,
            credential: head.credential().map(|digest| *digest.as_bytes()),
            content_length: head.content_length(),
            is_chunked: head.is_chunked(),
            method: head.method(),
            is_connect: head.is_connect(),
            wants_upgrade: head.wants_upgrade(),
            expects_continue: head.expects_continue(),
        });
        self.head.go_on();
    }
}

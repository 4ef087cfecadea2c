//! Bodies longer than every window and every buffer.

use anyhow::{Result, ensure};
use token_agent_tests::{client::Client, model::random::Random};

use crate::{
    application::Digest,
    pattern::Pattern,
    place::{Case, LONG, Scene},
};

/// The longest upload.
const GIBIBYTE: u64 = 1 << 30;

/// Its longest chunk. Of much shorter ones more would be on their way than is kept to be compared with repetitions.
pub(crate) const CHUNK: usize = 4 << 20;

/// How a body is framed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Framing {
    /// By its length.
    Length,
    /// By chunks of all sizes up to this.
    Chunks(usize),
}

/// A body that is being cut into chunks.
struct Chunks {
    sizes: Random,
    /// Of the body, and of the chunk at hand.
    left: usize,
    of_chunk: usize,
    framed: Vec<u8>,
}

impl Chunks {
    fn new(length: u64) -> Self {
        Self {
            sizes: Random::new(length),
            left: usize::try_from(length).expect("64 bits"),
            of_chunk: 0,
            framed: Vec::new(),
        }
    }

    fn frame(&mut self, mut block: &[u8], longest: usize) -> &[u8] {
        self.framed.clear();
        while !block.is_empty() {
            if self.of_chunk == 0 {
                self.of_chunk = self.left.min(self.sizes.between(1, longest));
                self.framed
                    .extend(format!("{:x}\r\n", self.of_chunk).bytes());
            }
            let (part, rest) = block.split_at(block.len().min(self.of_chunk));
            self.framed.extend_from_slice(part);
            block = rest;
            self.left -= part.len();
            self.of_chunk -= part.len();
            if self.of_chunk == 0 {
                self.framed.extend(b"\r\n");
            }
        }
        &self.framed
    }
}

/// Uploads a body of this length and waits for the answer.
pub(crate) fn upload(
    scene: &Scene<'_>,
    client: &mut Client,
    target: &str,
    length: u64,
    framing: Framing,
) -> Result<()> {
    let more = match framing {
        Framing::Length => format!("Content-Length: {length}\r\n"),
        Framing::Chunks(_) => "Transfer-Encoding: chunked\r\n".into(),
    };
    client.send(scene.request("POST", target, &more).as_bytes())?;
    let mut hasher = blake3::Hasher::new();
    let mut pattern = Pattern::new(length, length, &scene.bait());
    let mut chunks = Chunks::new(length);
    while let Some(block) = pattern.next() {
        hasher.update(block);
        match framing {
            Framing::Length => client.send(block)?,
            Framing::Chunks(longest) => client.send(chunks.frame(block, longest))?,
        }
    }
    if matches!(framing, Framing::Chunks(_)) {
        client.send(b"0\r\n\r\n")?;
    }
    let hash = hasher.finalize();
    scene.expect(&format!("/{target}"), Digest { length, hash });
    let status = client.answer(LONG)?;
    ensure!(status == 200, "{target}: {status}");
    Ok(())
}

pub(crate) const CASES: &[Case] = &[
    ("a gibibyte of known length", |scene| {
        gibibyte(scene, Framing::Length)
    }),
    ("a gibibyte in chunks", |scene| {
        gibibyte(scene, Framing::Chunks(CHUNK))
    }),
];

fn gibibyte(scene: &Scene<'_>, framing: Framing) -> Result<()> {
    let mut client = scene.connect()?;
    upload(scene, &mut client, "gibibyte", GIBIBYTE, framing)?;
    // The connection is as good as before.
    upload(scene, &mut client, "after", 100_000, framing)
}

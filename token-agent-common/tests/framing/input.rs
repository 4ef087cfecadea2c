//! What a fuzzer's input stands for, and what is to hold for every one.
//!
//! The first byte chooses the service's options (its lowest four bits) and `X-Api-Key`
//! for the credential (`0x40`): `0` to `?` are all options with `Authorization`, `@` to
//! `O` with `X-Api-Key`. Each of the next three is the length of a segment less one, over
//! and over. The rest is what the client sends.

use token_agent_common::http1::option::PROXY_PROTOCOL;

use crate::{
    core, reference,
    told::{API_KEY, BEARER},
};

/// What the input is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// A connection from its start.
    Head,
    /// The body of a chunked request, and what follows.
    Chunked,
    /// The start of a connection that is to have a PROXY header.
    Proxy,
}

/// Panics unless the core reads `input` as the reference does, and at any cut the same.
pub(crate) fn check(target: Target, input: &[u8]) {
    let Some(([choice, cuts @ ..], sent)) = input.split_first_chunk::<4>() else {
        return;
    };
    let credential = if choice & 0x40 != 0 { API_KEY } else { BEARER };
    let (options, stream) = match target {
        Target::Head => (choice & 0xf, sent.to_vec()),
        Target::Chunked => {
            let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
            let options = u32::from(choice & 0xf) & !PROXY_PROTOCOL;
            (options as u8, [head, sent].concat())
        }
        Target::Proxy => (choice & 0xf | PROXY_PROTOCOL as u8, sent.to_vec()),
    };
    let options = options.into();
    let cuts = cuts.map(|cut| usize::from(cut) + 1);
    let cut = core::follow(&stream, credential, options, &cuts);
    let whole = core::follow(&stream, credential, options, &[usize::MAX]);
    assert_eq!(cut, whole);
    let reference = reference::follow(&stream, credential, options);
    if let Err(difference) = whole.check(&reference) {
        panic!("{difference}");
    }
}

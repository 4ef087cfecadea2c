//! IP fragments.

use super::Case;

pub(super) const CASES: &[Case] = &[
    Case::new("A112b", "GET / HTTP/1.1\r\n", |play| {
        play.real(0..16).fragments(&[8, 16]).send()
    }),
    Case::new("A113", "aaaaabbbbbccccc", |play| {
        play.real(0..15).fragments(&[16, 24]).reversed().send()
    }),
    Case::new("A137", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", |play| {
        play.real(0..28).fragments(&[24]).send()
    })
    .ipv6(),
];

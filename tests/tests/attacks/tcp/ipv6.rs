//! IPv6's extension headers.

use super::Case;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// `PadN` over six bytes.
const PADDING: [u8; 6] = [1, 4, 0, 0, 0, 0];
/// An option no one knows and everyone skips.
const UNKNOWN: u8 = 0x1e;

pub(super) const CASES: &[Case] = &[
    Case::new("A130", "aaaaa", |play| play.real(0..5).send()).ipv6(),
    Case::new("A131", "aaaaa", |play| {
        play.real(0..5).extension(HOP_BY_HOP, &PADDING).send()
    })
    .ipv6(),
    Case::new("A132", "aaaaa", |play| {
        play.real(0..5).extension(DESTINATION, &PADDING).send()
    })
    .ipv6(),
    Case::new("A135", "aaaaa", |play| {
        // More padding in a row than is allowed.
        let mut options = Vec::new();
        while options.len() < 998 {
            let length = (998 - options.len()).min(257);
            options.extend([1, u8::try_from(length - 2)?]);
            options.resize(options.len() + length - 2, 0);
        }
        play.real(0..5).extension(DESTINATION, &options).send()
    })
    .ipv6(),
    Case::new("A135b", "aaaaa", |play| {
        let option = [&[UNKNOWN, 255][..], &[0; 255]].concat();
        let options = [option.repeat(4), vec![1, 0]].concat();
        play.real(0..5).extension(DESTINATION, &options).send()
    })
    .ipv6(),
    Case::new("A135c", "aaaaa", |play| {
        let options = [[UNKNOWN, 0].repeat(8), PADDING.to_vec()].concat();
        play.real(0..5).extension(DESTINATION, &options).send()
    })
    .ipv6(),
    Case::new("A135e", "aaaaa", |play| {
        play.real(0..5)
            .extension(HOP_BY_HOP, &PADDING)
            .extension(DESTINATION, &PADDING)
            .extension(FRAGMENT, &[0, 0, 0, 0, 0, 7])
            .extension(DESTINATION, &PADDING)
            .send()
    })
    .ipv6(),
    Case::new("A139", "aaaaa", |play| {
        let route = [&[0, 0, 0, 0, 0, 0][..], &[0xfd; 16]].concat();
        play.real(0..5).extension(ROUTING, &route).send()
    })
    .ipv6(),
    Case::new("A140", "aaaaa", |play| {
        let route = [&[4, 0, 0, 0, 0, 0][..], &[0xfd; 16]].concat();
        play.real(0..5).extension(ROUTING, &route).send()
    })
    .ipv6(),
    Case::new("A146", "aaaaa", |play| {
        play.decoy(0..5).ip_length(0).send()?;
        play.real(0..5).send()
    })
    .ipv6(),
    Case::new("A148", "aaaaa", |play| play.real(0..5).ttl(1).send()).ipv6(),
];

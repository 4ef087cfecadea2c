//! An ordinary request, of which one byte is another.

use crate::{core, reference, told};

/// One with names of many lengths, values that one look at a line does not see the end of, and bytes that are
/// allowed but rare.
fn request() -> Vec<u8> {
    let mut request = b"POST /v1/items/17?q=a&x=%20b HTTP/1.1\r\n\
        Host: api.example\r\n\
        Accept: */*\r\n\
        Referer: /a\r\n\
        Upgrade-X: y\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
        X-B3: 1\r\n\
        Authorization: Bearer abcdefgh-ABCDEFGH.01234567_tuvwxyz/mnopq\r\n\
        Accept-Language: de\r\n\
        X-Sixteen-Letter: e\r\n\
        Cookie: a=\xc3\xa4\x80; b=\tc\xff\r\n\
        X-Long: "
        .to_vec();
    request.extend_from_slice(&[b'z'; 120]);
    request.extend_from_slice(b"\r\nContent-Length: 3\r\nExpectx: y\r\n\r\nabc");
    request
}

#[test]
fn every_change_of_one_byte_is_judged_by_the_reference() {
    let request = request();
    for at in 0..request.len() {
        for byte in 0..=u8::MAX {
            let mut changed = request.clone();
            changed[at] = byte;
            let whole = core::follow(&changed, told::BEARER, 0, &[usize::MAX]);
            let reference = reference::follow(&changed, told::BEARER, 0);
            if let Err(difference) = whole.check(&reference) {
                panic!("{:?}\n{difference}", crate::shown(&changed));
            }
            // Cut before the byte and behind it.
            let cut = core::follow(&changed, told::BEARER, 0, &[at.max(1), 1, usize::MAX]);
            assert_eq!(cut, whole, "{:?} cut at {at}", crate::shown(&changed));
        }
    }
}

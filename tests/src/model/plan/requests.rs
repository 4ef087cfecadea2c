//! Requests, good and bad.

use super::{Favourite, Plan};
use crate::model::{
    guard::{ENDING, GOOD, OTHER, REVOKED},
    random::Random,
};

/// Appends a request that is, or in some version becomes, one that must not be served.
pub(super) fn attack(plan: &mut Plan, random: &mut Random, number: usize) {
    match random.below(16) {
        0..4 => bare(plan, random, number),
        4..8 => with_length(plan, random, number),
        8..11 => chunked(plan, random, number),
        11 => expecting(plan, random, number),
        12 => upgrade(plan, random, number),
        13 => odd(plan, random, number),
        14 => long_head(plan, random, number),
        _ => {
            let text = request("CONNECT", "a:1", random, "");
            plan.push(text);
        }
    }
}

/// The same, of that kind.
pub(super) fn favourite(plan: &mut Plan, random: &mut Random, number: usize, favourite: Favourite) {
    match favourite {
        Favourite::Expecting => expecting(plan, random, number),
        Favourite::Upgrade => upgrade(plan, random, number),
        Favourite::Chunked if random.percent(30) => with_length(plan, random, number),
        Favourite::Chunked => chunked(plan, random, number),
        Favourite::Long => long_head(plan, random, number),
    }
}

/// Appends a request that must be served.
pub(super) fn honest(plan: &mut Plan, random: &mut Random, number: usize, room: usize) {
    let token = random.pick(&[GOOD, OTHER]);
    let filler = "x".repeat(random.between(0, 400));
    let head = format!(
        "/{number} HTTP/1.1\r\nHost: a\r\nx: {filler}\r\nAuthorization: Bearer {token}\r\n"
    );
    let size = random.between(0, room);
    let body = body(random, size);
    match random.below(5) {
        0 | 1 => plan.push(format!("GET {head}\r\n")),
        2 | 3 => {
            plan.push(format!("POST {head}Content-Length: {}\r\n\r\n", body.len()));
            plan.mark();
            plan.push(body);
        }
        _ => {
            plan.push(format!("POST {head}Transfer-Encoding: chunked\r\n\r\n"));
            let mut rest = &body[..];
            while !rest.is_empty() {
                let size = random.between(1, rest.len());
                let (chunk, after) = rest.split_at(size);
                plan.mark();
                plan.push(format!("{size:x}\r\n"));
                plan.push(chunk);
                plan.push("\r\n");
                rest = after;
            }
            plan.mark();
            plan.push("0\r\n");
            plan.mark();
            if random.percent(20) {
                plan.push("x: y\r\n");
                plan.mark();
            }
            plan.push("\r\n");
        }
    }
}

/// Bytes that no parser may take for requests.
fn body(random: &mut Random, size: usize) -> Vec<u8> {
    let forbidden = format!("\r\n\r\nGET /no HTTP/1.1\r\nAuthorization: Bearer {REVOKED}\r\n\r\n");
    let start = random.below(forbidden.len());
    let text = forbidden.bytes().cycle();
    text.skip(start).take(size).collect()
}

fn request(method: &str, target: &str, random: &mut Random, more: &str) -> String {
    let token = token(random);
    format!("{method} {target} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n{more}\r\n")
}

fn token(random: &mut Random) -> &'static str {
    random.pick(&[GOOD, GOOD, GOOD, OTHER, OTHER, REVOKED, ENDING, ENDING])
}

/// A token, which in another version is another one.
fn token_site(plan: &mut Plan, random: &mut Random) {
    let token = token(random);
    let other = if token == REVOKED { GOOD } else { REVOKED };
    plan.site(token, other);
}

/// The line with the credential, which in another version may be none.
fn credential(plan: &mut Plan, random: &mut Random) {
    if random.percent(10) {
        plan.site("Authorization", "Xuthorization");
    } else {
        plan.push("Authorization");
    }
    plan.push(": Bearer ");
    token_site(plan, random);
    plan.push("\r\n");
}

/// The end of a head, which in another version goes on with what follows.
fn end(plan: &mut Plan, random: &mut Random) {
    if random.percent(20) {
        plan.site("\r\n", "X:");
    } else {
        plan.push("\r\n");
    }
    plan.mark();
}

fn bare(plan: &mut Plan, random: &mut Random, number: usize) {
    plan.push(format!("GET /{number} HTTP/1.1\r\n"));
    credential(plan, random);
    end(plan, random);
}

/// A body that is a request, or in another version is not.
fn hidden(plan: &mut Plan, random: &mut Random, number: usize) -> usize {
    let text = request("GET", &format!("/hidden{number}"), random, "");
    let text = text.replace([GOOD, OTHER][random.below(2)], REVOKED);
    plan.mark();
    match random.below(3) {
        0 => plan.push(&text),
        1 => plan.site(&text, "x".repeat(text.len())),
        _ => plan.site("x".repeat(text.len()), &text),
    }
    plan.mark();
    // More than a guard keeps for the sake of what stands around it.
    let more = if random.percent(30) {
        random.between(1, 300)
    } else {
        0
    };
    plan.push("x".repeat(more));
    plan.mark();
    text.len() + more
}

fn with_length(plan: &mut Plan, random: &mut Random, number: usize) {
    plan.push(format!("POST /{number} HTTP/1.1\r\n"));
    credential(plan, random);
    let mut body = Plan::default();
    let length = format!("{:02}", hidden(&mut body, random, number));
    if random.percent(10) {
        plan.site("Content-Length: ", "Xontent-Length: ");
    } else {
        plan.push("Content-Length: ");
    }
    match random.below(4) {
        0 | 1 => plan.site(&length, &"000"[..length.len()]),
        2 => plan.site(&"000"[..length.len()], &length),
        _ => plan.push(length),
    }
    plan.push("\r\n");
    end(plan, random);
    append(plan, body);
}

fn chunked(plan: &mut Plan, random: &mut Random, number: usize) {
    plan.push(format!("POST /{number} HTTP/1.1\r\n"));
    credential(plan, random);
    if random.percent(10) {
        plan.site("Transfer-Encoding", "Xransfer-Encoding");
    } else {
        plan.push("Transfer-Encoding");
    }
    plan.push(": chunked\r\n");
    end(plan, random);
    let most = random.pick(&[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 8, 8, 24]);
    let count = random.between(0, most);
    for _ in 0..count {
        let mut body = Plan::default();
        let mut size = hidden(&mut body, random, number);
        if count > 8 {
            // So many that not all can be kept apart.
            body.push("x".repeat(80));
            size += 80;
        }
        let size = format!("{size:03x}");
        plan.mark();
        match random.below(4) {
            0 | 1 => plan.push(&size),
            2 => plan.site(&size, "000"),
            _ => plan.site(&size, "001"),
        }
        if random.percent(10) {
            plan.push(";a=b");
        }
        plan.push("\r\n");
        append(plan, body);
        plan.push("\r");
        plan.mark();
        plan.push("\n");
    }
    plan.mark();
    plan.site("0", "9");
    plan.push("\r\n");
    plan.mark();
    if random.percent(30) {
        plan.push("x: y\r\n");
        plan.mark();
    }
    if random.percent(10) {
        credential(plan, random);
    }
    plan.push("\r\n");
}

fn expecting(plan: &mut Plan, random: &mut Random, number: usize) {
    plan.push(format!("POST /{number} HTTP/1.1\r\n"));
    credential(plan, random);
    let mut body = Plan::default();
    let length = hidden(&mut body, random, number);
    plan.push(format!(
        "Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
    ));
    append(plan, body);
}

fn upgrade(plan: &mut Plan, random: &mut Random, number: usize) {
    plan.push(format!("GET /{number} HTTP/1.1\r\n"));
    credential(plan, random);
    plan.push("Connection: Upgrade\r\nUpgrade: ");
    match random.below(4) {
        0 => plan.site("websocket", "webrocket"),
        1 => plan.push("h2c"),
        _ => plan.push("websocket"),
    }
    plan.push("\r\n");
    end(plan, random);
    hidden(plan, random, number);
}

/// What is not strict.
fn odd(plan: &mut Plan, random: &mut Random, number: usize) {
    let token = token(random);
    let chunked = "Transfer-Encoding: chunked\r\n";
    let hidden = format!("GET /odd HTTP/1.1\r\nAuthorization: Bearer {REVOKED}\r\n\r\n");
    let length = hidden.len();
    let text = match random.below(12) {
        0 => format!("GET /{number}\r\n"),
        1 => format!("GET /{number} HTTP/1.1\nAuthorization: Bearer {token}\n\n"),
        2 => format!("GET /{number} HTTP/1.1\r\nAuthorization:\r\n Bearer {token}\r\n\r\n"),
        3 => format!("GET /{number} HTTP/1.1\r\nAuthorization : Bearer {token}\r\n\r\n"),
        4 => {
            request(
                "POST",
                "/odd",
                random,
                &format!("Content-Length: {length}\r\n{chunked}"),
            ) + &hidden
        }
        5 => {
            request(
                "POST",
                "/odd",
                random,
                &format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
            ) + &hidden
        }
        6 => {
            request("POST", "/odd", random, "Transfer-Encoding: xchunked\r\n")
                + "0\r\n\r\n"
                + &hidden
        }
        7 => {
            request("POST", "/odd", random, chunked).replace("/1.1", "/1.0") + "0\r\n\r\n" + &hidden
        }
        8 => request(
            "GET",
            "/odd",
            random,
            &format!("Authorization: Bearer {REVOKED}\r\n"),
        ),
        9 => request("GET", "/odd", random, "").replace("HTTP/1.1", "HTTP/2.0"),
        10 => request("GET", "/odd", random, "").replace("TO", "T,O"),
        _ => {
            request(
                "POST",
                "/odd",
                random,
                &format!("Content_Length: {length}\r\n"),
            ) + &hidden
        }
    };
    plan.push(text);
}

/// A head that is in more than one segment of any size in use here, with its credential last.
fn long_head(plan: &mut Plan, random: &mut Random, number: usize) {
    let filler = "x".repeat(random.between(100, 3_000));
    plan.push(format!("GET /{number} HTTP/1.1\r\nx: {filler}\r\n"));
    plan.mark();
    credential(plan, random);
    end(plan, random);
}

fn append(plan: &mut Plan, other: Plan) {
    let start = plan.bytes.len();
    plan.sites.extend(other.sites.into_iter().map(|mut site| {
        site.at += start;
        site
    }));
    plan.marks
        .extend(other.marks.iter().map(|mark| mark + start));
    plan.push(other.bytes);
}

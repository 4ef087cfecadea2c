//! Bytes that come early, late or twice.

use std::time::Duration;

use super::{Attack, find, place};

pub(super) const ALL: &[Attack] = &[
    Attack::new("R2-reverse", "the second half first", |front, peer| {
        let denied = front.denied("GET", "");
        let cut = find(&denied, "tka_") + 20;
        peer.data(place(cut), &denied[cut..]).send()?;
        peer.data(0, &denied[..cut]).send()
    }),
    Attack::new(
        "R2-three",
        "the last third, the first and the second",
        |front, peer| {
            let denied = front.denied("GET", "");
            let (one, two) = (denied.len() / 3, 2 * denied.len() / 3);
            peer.data(place(two), &denied[two..]).send()?;
            peer.data(0, &denied[..one]).send()?;
            peer.data(place(one), &denied[one..two]).send()
        },
    ),
    Attack::new(
        "R2-islands",
        "every other byte, and then the rest",
        |front, peer| {
            let denied = front.denied("GET", "");
            for start in [1, 0] {
                for at in (start..denied.len()).step_by(2) {
                    peer.data(place(at), &denied[at..=at]).send()?;
                }
            }
            Ok(())
        },
    ),
    Attack::new(
        "R2-body",
        "a body's end and a request before the body's beginning",
        |front, peer| {
            let post = front.passed("POST", "Content-Length: 100\r\n");
            let stream = [&post, &[b'b'; 100][..], &front.denied("GET", "")].concat();
            let cut = post.len() + 50;
            peer.data(0, &post).send()?;
            peer.data(place(cut), &stream[cut..]).send()?;
            peer.data(place(post.len()), &stream[post.len()..cut])
                .send()
        },
    ),
    Attack::new(
        "R2-body-only",
        "the same, cut where the body ends",
        |front, peer| {
            let post = front.passed("POST", "Content-Length: 100\r\n");
            let stream = [&post, &[b'b'; 100][..], &front.denied("GET", "")].concat();
            let (middle, end) = (post.len() + 50, post.len() + 100);
            peer.data(0, &post).send()?;
            peer.data(place(end), &stream[end..]).send()?;
            peer.data(place(middle), &stream[middle..end]).send()?;
            peer.data(place(post.len()), &stream[post.len()..middle])
                .send()
        },
    ),
    Attack::new(
        "R2-straddle",
        "from within what was received to within a request",
        |front, peer| {
            let post = front.passed("POST", "Content-Length: 100\r\n");
            let stream = [&post, &[b'b'; 100][..], &front.denied("GET", "")].concat();
            let cut = post.len() + 80;
            peer.data(0, &stream[..cut]).send()?;
            peer.pause(Duration::from_millis(50))?;
            let from = post.len() - 10;
            let middle = post.len() + 130;
            peer.data(place(from), &stream[from..middle]).send()?;
            peer.data(place(middle - 40), &stream[middle - 40..]).send()
        },
    ),
    Attack::new(
        "R2-past",
        "other bytes where a request was, and one behind them",
        |front, peer| {
            let passed = front.passed("GET", "");
            peer.data(0, &passed).send()?;
            peer.pause(Duration::from_millis(100))?;
            let past = vec![b'Z'; passed.len()];
            peer.data(0, &[past, front.denied("GET", "")].concat())
                .send()
        },
    ),
    Attack::new(
        "R2-past-body",
        "a body's beginning where a request was",
        |front, peer| {
            // Whoever reads what was there again takes the rest for a body.
            let passed = front.passed("GET", "X: yyyyyyyyyyyyyyyyyy\r\n");
            peer.data(0, &passed).send()?;
            peer.pause(Duration::from_millis(100))?;
            let past = front.passed("POST", "Content-Length: 1000\r\n");
            assert_eq!(past.len(), passed.len());
            peer.data(0, &past).send()?;
            peer.data(0, &[&past[..], &front.denied("GET", "")].concat())
                .send()
        },
    ),
    Attack::new(
        "R2-before",
        "five hundred bytes before the stream",
        |front, peer| {
            let before = vec![b'Z'; 500];
            peer.data(-500, &[before, front.denied("GET", "")].concat())
                .send()
        },
    ),
    Attack::new(
        "R2-before-decoy",
        "a valid request before the stream",
        |front, peer| {
            let before = front.passed("POST", "Content-Length: 1000\r\n");
            let start = -place(before.len());
            peer.data(start, &[before, front.denied("GET", "")].concat())
                .send()
        },
    ),
    Attack::new(
        "R2-far",
        "valid requests as far away as numbers go",
        |front, peer| {
            let (decoy, denied) = (front.decoy("GET", ""), front.denied("GET", ""));
            for far in [
                1 << 20,
                1 << 30,
                i32::MAX - 5_000,
                i32::MIN,
                -(1 << 30),
                -(1 << 20),
            ] {
                peer.data(far, &decoy).send()?;
            }
            let cut = denied.len() / 2;
            peer.data(0, &denied[..cut]).send()?;
            peer.data(place(cut), &denied[cut..]).send()
        },
    ),
    Attack::new(
        "R2-tail",
        "the end of the second request first",
        |front, peer| {
            let passed = front.passed("GET", "");
            let stream = [&passed[..], &front.denied("GET", "")].concat();
            let cut = passed.len() + 30;
            peer.data(place(cut), &stream[cut..]).send()?;
            peer.data(0, &stream[..cut]).send()
        },
    ),
    Attack::new("R2-chunk", "a chunk before its size", |front, peer| {
        let head = front.passed("POST", "Transfer-Encoding: chunked\r\n");
        let denied = front.denied("GET", "");
        let end = format!("{:x}\r\n", 5);
        let stream = [&head, end.as_bytes(), b"hello\r\n0\r\n\r\n", &denied].concat();
        let cut = head.len() + end.len();
        peer.data(place(cut), &stream[cut..]).send()?;
        peer.data(0, &stream[..cut]).send()
    }),
];

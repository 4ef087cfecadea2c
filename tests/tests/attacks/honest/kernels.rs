//! Those whose TCP is a kernel's.

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::ensure;
use token_agent_tests::{client::Client, host::PATIENCE, servers::Door};

use super::{Honest, SOON};

pub(super) const ALL: &[Honest] = &[
    Honest {
        id: "E09",
        what: "a window that closes, is probed and opens again",
        run: |scene| {
            // Its buffer is small, and it reads nothing for a second.
            let slow = SocketAddr::new(scene.server().ip(), Door::Web.slow_listener());
            let mut client = Client::connect(&scene.ground.pair.client, slow)?;
            let body = "b".repeat(100_000);
            let length = format!("Content-Length: {}\r\n", body.len());
            client.send((scene.request("POST", "e09", &length) + &body).as_bytes())?;
            client.answer(PATIENCE).map(|status| vec![status])
        },
    },
    Honest {
        id: "E13",
        what: "every byte in a segment of its own",
        run: |scene| {
            let mut client = scene.client()?;
            for byte in scene.request("GET", "e13", "").bytes() {
                client.send(&[byte])?;
            }
            client.answer(SOON).map(|status| vec![status])
        },
    },
    Honest {
        id: "E14",
        what: "an upload in frames of 64 KiB",
        run: |scene| {
            let mut client = scene.client()?;
            let body = scene.bait().repeat(30_000);
            let length = format!("Content-Length: {}\r\n", body.len());
            client.send((scene.request("POST", "upload/e14", &length) + &body).as_bytes())?;
            let first = client.answer(PATIENCE)?;
            client.send(scene.request("GET", "e14", "").as_bytes())?;
            Ok(vec![first, client.answer(SOON)?])
        },
    },
    Honest {
        id: "E14v6",
        what: "the same over IPv6, with flow labels",
        run: |scene| {
            let server = SocketAddr::new("fd77::2".parse()?, scene.server().port());
            let mut client = Client::connect(&scene.ground.pair.client, server)?;
            let body = scene.bait().repeat(10_000);
            let length = format!("Content-Length: {}\r\n", body.len());
            client.send((scene.request("POST", "upload/e14", &length) + &body).as_bytes())?;
            let first = client.answer(PATIENCE)?;
            client.send(scene.request("GET", "e14", "").as_bytes())?;
            Ok(vec![first, client.answer(SOON)?])
        },
    },
    Honest {
        id: "E19",
        what: "a request and the end of the client's side, and then the answer",
        run: |scene| {
            let mut client = scene.client()?;
            client.send(scene.request("GET", "e19", "").as_bytes())?;
            client.close()?;
            client.answer(SOON).map(|status| vec![status])
        },
    },
    Honest {
        id: "E28",
        what: "ten requests in one segment",
        run: |scene| {
            let mut client = scene.client()?;
            client.send(scene.request("GET", "e28", "").repeat(10).as_bytes())?;
            (0..10).map(|_| client.answer(SOON)).collect()
        },
    },
    Honest {
        id: "E31",
        what: "an expectation, and the body later",
        run: |scene| {
            let mut client = scene.client()?;
            let more = "Expect: 100-continue\r\nContent-Length: 5\r\n";
            client.send(scene.request("POST", "upload/e31", more).as_bytes())?;
            let first = client.answer(SOON)?;
            thread::sleep(Duration::from_millis(300));
            client.send(b"hello")?;
            let then = client.answer(SOON)?;
            client.send(scene.request("GET", "e31", "").as_bytes())?;
            Ok(vec![first, then, client.answer(SOON)?])
        },
    },
    Honest {
        id: "E34",
        what: "chunks with extensions, leading zeros, upper-case digits and trailers",
        run: |scene| {
            let mut client = scene.client()?;
            let chunk = scene.bait();
            let zeros = "0".repeat(8);
            let more = "Transfer-Encoding: chunked\r\n";
            let mut body = scene.request("POST", "upload/e34", more);
            for _ in 0..50 {
                body += &format!("{zeros}{:X};name=value\r\n{chunk}\r\n", chunk.len());
            }
            body += "0\r\nX-Trailer: y\r\n\r\n";
            client.send(body.as_bytes())?;
            let first = client.answer(SOON)?;
            client.send(scene.request("GET", "e34", "").as_bytes())?;
            Ok(vec![first, client.answer(SOON)?])
        },
    },
    Honest {
        id: "E36",
        what: "ninety fields, cookies of 7 and 15 KB, and the credential behind all",
        run: |scene| {
            let mut client = scene.client()?;
            let fields: String = (0..90).map(|at| format!("X-{at}: v\r\n")).collect();
            let cookies = [7_000, 15_000].map(|size| format!("Cookie: {}\r\n", "c".repeat(size)));
            let begin = format!(
                "GET /e36 HTTP/1.1\r\nHost: a\r\n{fields}{}",
                cookies.concat()
            );
            let credential = format!("Authorization: Bearer {}\r\n\r\n", scene.ground.good);
            client.send((begin + &credential).as_bytes())?;
            client.answer(SOON).map(|status| vec![status])
        },
    },
    Honest {
        id: "E38",
        what: "the beginning of an upload of 5 GB, which then breaks off; and a request",
        run: |scene| {
            let mut client = scene.client()?;
            let more = "Content-Length: 5000000000\r\n";
            client.send(scene.request("POST", "upload/e38", more).as_bytes())?;
            client.send(scene.bait().repeat(10_000).as_bytes())?;
            let mut client = scene.client()?;
            client.send(scene.request("GET", "e38", "").as_bytes())?;
            client.answer(SOON).map(|status| vec![status])
        },
    },
    Honest {
        id: "E42",
        what: "probes that connect and close, and one that stays",
        run: |scene| {
            let _stays = scene.client()?;
            for _ in 0..20 {
                scene.client()?;
            }
            let mut client = scene.client()?;
            client.send(scene.request("GET", "e42", "").as_bytes())?;
            client.answer(SOON).map(|status| vec![status])
        },
    },
    Honest {
        id: "E47",
        what: "a multipart body with ends of heads and beginnings of requests in it",
        run: |scene| {
            let mut client = scene.client()?;
            let part = format!("--b\r\nContent-Type: text/plain{}", scene.bait());
            let body = part.repeat(300) + "--b--\r\n";
            let more = format!(
                "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n",
                body.len()
            );
            client.send(scene.request("POST", "upload/e47", &more).as_bytes())?;
            for part in body.as_bytes().chunks(997) {
                client.send(part)?;
            }
            let first = client.answer(SOON)?;
            client.send(scene.request("GET", "e47", "").as_bytes())?;
            Ok(vec![first, client.answer(SOON)?])
        },
    },
    Honest {
        id: "keep-alive",
        what: "a hundred requests on one connection, some with a body",
        run: |scene| {
            let mut client = scene.client()?;
            for round in 0..100 {
                let request = if round % 3 == 0 {
                    scene.request("POST", "upload/kept", "Content-Length: 5\r\n") + "hello"
                } else {
                    scene.request("GET", "kept", "")
                };
                client.send(request.as_bytes())?;
                ensure!(client.answer(SOON)? == 200, "round {round}");
            }
            Ok(vec![200])
        },
    },
    Honest {
        id: "idle",
        what: "a head that is begun, and finished two seconds later",
        run: |scene| {
            let mut client = scene.client()?;
            let request = scene.request("GET", "idle", "");
            let (begin, end) = request.split_at(request.len() / 2);
            client.send(begin.as_bytes())?;
            thread::sleep(Duration::from_secs(2));
            client.send(end.as_bytes())?;
            client.answer(SOON).map(|status| vec![status])
        },
    },
];

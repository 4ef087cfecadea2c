//! Much data, one way or the other.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{setsockopt, sockopt::TcpCongestion};
use token_agent_tests::host::Pair;

use crate::host::{ADDRESS, BULK};

/// What is written at once, in bytes.
const PIECE: usize = 256 << 10;

/// Serves `GET /N`, which gets N bytes, and uploads, on a thread that ends with this process.
pub(crate) fn serve(pair: &Pair) -> Result<()> {
    let listener = pair
        .server
        .within(|| TcpListener::bind((ADDRESS, BULK)))??;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                if let Err(error) = answer(&stream) {
                    eprintln!("the server: {error:#}");
                }
            });
        }
    });
    Ok(())
}

/// Uploads so much; how long it took until it was answered.
pub(crate) fn upload(pair: &Pair, token: &str, length: u64) -> Result<Duration> {
    upload_over(&connect(pair)?, token, length)
}

/// The same as fast as it goes: some of what a kernel may have against congestion sends at a pace, by what it measures
/// itself, and each run at another.
pub(crate) fn upload_unpaced(pair: &Pair, token: &str, length: u64) -> Result<Duration> {
    let stream = connect(pair)?;
    setsockopt(&stream, TcpCongestion, &OsString::from("reno"))?;
    upload_over(&stream, token, length)
}

fn upload_over(mut stream: &TcpStream, token: &str, length: u64) -> Result<Duration> {
    let head = format!(
        "POST /up HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    );
    let started = Instant::now();
    stream.write_all(head.as_bytes())?;
    pour(stream, length)?;
    let mut answer = BufReader::new(stream);
    ensure!(
        read_head(&mut answer)?.starts_with("HTTP/1.1 200"),
        "it was not taken"
    );
    Ok(started.elapsed())
}

/// Downloads so much.
pub(crate) fn download(pair: &Pair, token: &str, length: u64) -> Result<()> {
    let stream = connect(pair)?;
    let head =
        format!("GET /{length} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n");
    (&stream).write_all(head.as_bytes())?;
    let mut answer = BufReader::with_capacity(PIECE, &stream);
    ensure!(
        read_head(&mut answer)?.starts_with("HTTP/1.1 200"),
        "it was not given"
    );
    drain(&mut answer, length)
}

fn connect(pair: &Pair) -> Result<TcpStream> {
    let stream = pair
        .client
        .within(|| TcpStream::connect((ADDRESS, BULK)))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn answer(stream: &TcpStream) -> Result<()> {
    let mut request = BufReader::with_capacity(PIECE, stream);
    let head = read_head(&mut request)?;
    let mut out = stream;
    if let Some(rest) = head.strip_prefix("GET /") {
        let length = rest.split(' ').next().context("a path")?.parse()?;
        write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
        return pour(stream, length);
    }
    let length = head.split("Content-Length: ").nth(1).context("a length")?;
    drain(&mut request, length.trim_end().parse()?)?;
    Ok(out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?)
}

fn read_head(from: &mut BufReader<impl std::io::Read>) -> Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        ensure!(
            from.read_line(&mut head)? > 0,
            "it ends in the middle of a head"
        );
    }
    Ok(head)
}

fn pour(mut stream: &TcpStream, length: u64) -> Result<()> {
    let piece = vec![b'x'; PIECE];
    let mut left = length;
    while left > 0 {
        let now = left.min(PIECE as u64);
        stream.write_all(&piece[..usize::try_from(now)?])?;
        left -= now;
    }
    Ok(())
}

fn drain(from: &mut BufReader<impl std::io::Read>, length: u64) -> Result<()> {
    let mut left = length;
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let most = usize::try_from(left.min(PIECE as u64))?;
        let count = from.read(&mut piece[..most])?;
        ensure!(count > 0, "it ends before all of it is there");
        left -= count as u64;
    }
    Ok(())
}

//! The application: a server on hyper that tells what it got.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context as Task, Poll},
};

use anyhow::{Context as _, Result};
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use token_agent_tests::host::Namespace;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};

use crate::pattern::Pattern;

/// A body that arrived, or was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Digest {
    pub(crate) length: u64,
    pub(crate) hash: blake3::Hash,
}

/// What arrived whole, by its target.
type Arrived = Arc<Mutex<HashMap<String, Vec<Digest>>>>;

/// The server. It ends when dropped.
pub(crate) struct Application {
    _runtime: Runtime,
    arrived: Arrived,
}

/// What is answered: a line, or so much of a pattern.
enum Answer {
    Line(Option<Bytes>),
    Pattern(Pattern),
}

/// The pattern of what is asked for as `/download/LENGTH`.
pub(crate) fn download(length: u64) -> Pattern {
    Pattern::new(length, length, "")
}

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            length: bytes.len() as u64,
            hash: blake3::hash(bytes),
        }
    }
}

impl Application {
    /// Starts it.
    pub(crate) fn start(host: &Namespace, port: u16) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let address = SocketAddr::from(([0; 4], port));
        let listener = host.within(move || handle.block_on(listen(address)))??;
        let arrived = Arrived::default();
        runtime.spawn(accept(listener, Arc::clone(&arrived)));
        Ok(Self {
            _runtime: runtime,
            arrived,
        })
    }

    /// What arrived for this target since this was asked last.
    pub(crate) fn take(&self, target: &str) -> Vec<Digest> {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.remove(target).unwrap_or_default()
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4_096).context("cannot listen")
}

async fn accept(listener: TcpListener, arrived: Arrived) {
    loop {
        // A client that is gone already: the next one.
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        tokio::spawn(serve(stream, Arc::clone(&arrived)));
    }
}

async fn serve(stream: TcpStream, arrived: Arrived) {
    let answer = service_fn(|request| answer(request, &arrived));
    // Whoever was not answered says so.
    let _ = http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

async fn answer(request: Request<Incoming>, arrived: &Arrived) -> Result<Response<Answer>> {
    let (parts, mut body) = request.into_parts();
    let mut length = 0;
    let mut hasher = blake3::Hasher::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            length += data.len() as u64;
            hasher.update(&data);
        }
    }
    let target = parts.uri.to_string();
    let answer = match target.strip_prefix("/download/") {
        Some(length) => Answer::Pattern(download(length.parse()?)),
        None => Answer::Line(Some(format!("{length} {}\n", hasher.finalize()).into())),
    };
    let digest = Digest {
        length,
        hash: hasher.finalize(),
    };
    let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    arrived.entry(target).or_default().push(digest);
    Ok(Response::new(answer))
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Line(line) => line.take(),
            Self::Pattern(pattern) => pattern.next().map(Bytes::copy_from_slice),
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Line(None))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Line(line) => {
                hyper::body::SizeHint::with_exact(line.as_ref().map_or(0, |line| line.len() as u64))
            }
            // In chunks.
            Self::Pattern(_) => hyper::body::SizeHint::default(),
        }
    }
}

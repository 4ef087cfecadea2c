//! Connections: how many, how long, how large.

use std::convert::Infallible;
use std::io;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use axum::{Router, body::Body, extract::Request, http::Response};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_stream::{
    Stream, StreamExt,
    wrappers::{TcpListenerStream, UnixListenerStream},
};
use tower::ServiceExt;
use tracing::{debug, warn};

use super::peer::Gatekeeper;
use crate::wire::{Actor, Code, Problem};

/// What one listener grants.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections it holds at once; those beyond are refused politely.
    pub connections: usize,
    /// How long a request's head may take, and how long a connection may rest between two.
    pub head_time: Duration,
    /// How long a connection takes requests. The one it is at then may take as
    /// long again, whoever is slow, unless its answer is [`Endless`].
    pub lifetime: Duration,
}

impl Limits {
    /// For the control socket: its users are trusted, and may follow events for long.
    pub const CONTROL: Self = Self {
        connections: 64,
        head_time: Duration::from_secs(10),
        lifetime: Duration::from_secs(30),
    };
    /// For the metrics, which anyone who reaches the port may read.
    pub const METRICS: Self = Self {
        connections: 16,
        head_time: Duration::from_secs(5),
        lifetime: Duration::from_secs(10),
    };
}

/// The largest head of a request, in bytes.
const HEAD_SIZE: usize = 16 * 1024;

/// The most header fields of a request.
const HEAD_FIELDS: usize = 64;

/// How long requests may go on when the agent ends.
const GRACE: Duration = Duration::from_secs(5);

/// How long a refusal waits to be asked for, and how long it may take to be taken.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Set for a connection whose answer has no end by its nature. A request has it as an extension.
#[derive(Clone, Debug, Default)]
pub(super) struct Endless(Arc<AtomicBool>);

impl Endless {
    /// The connection may last.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tells that the agent ends.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// What tells it, and who is told.
    #[must_use]
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Waits until the agent ends. Cancel safe.
    pub async fn wait(&mut self) {
        // An error means that nobody can tell any more: the agent ends as well.
        let _ = self.0.wait_for(|ends| *ends).await;
    }
}

/// Answers on the control socket until the agent ends.
pub async fn serve_control(
    listener: UnixListener,
    router: Router,
    limits: Limits,
    keeper: Gatekeeper,
    shutdown: Shutdown,
) {
    let streams = UnixListenerStream::new(listener);
    serve(streams, limits, shutdown, |stream, connection| {
        let router = router.clone();
        async move {
            match admitted(&stream, keeper).await {
                Some(actor) => connection.serve(stream, router, Some(actor)).await,
                None => {
                    let why = "only root and the group of the control socket may do this";
                    refuse(stream, &Problem::new(Code::NotPermitted, why)).await;
                }
            }
        }
    })
    .await;
}

/// Answers on the metrics' port until the agent ends.
pub async fn serve_metrics(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: Shutdown,
) {
    let streams = TcpListenerStream::new(listener);
    serve(streams, limits, shutdown, |stream, connection| {
        connection.serve(stream, router.clone(), None)
    })
    .await;
}

/// Has `answer` care for each of the `streams` as it is accepted, until the agent ends.
async fn serve<S, F>(
    mut streams: impl Stream<Item = io::Result<S>> + Unpin,
    limits: Limits,
    mut shutdown: Shutdown,
    answer: impl Fn(S, Connection) -> F,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut door = Door::new(limits, shutdown.clone());
    loop {
        let accepted = tokio::select! {
            accepted = streams.next() => accepted,
            () = shutdown.wait() => break,
        };
        match accepted {
            Some(Ok(stream)) => door.pass(stream, &answer),
            Some(Err(error)) => pause(&error).await,
            // A listener never comes to its end.
            None => break,
        }
    }
    door.close().await;
}

/// Counts the connections of one listener.
struct Door {
    limits: Limits,
    shutdown: Shutdown,
    places: Arc<Semaphore>,
    /// Refusing takes a moment, too.
    refusals: Arc<Semaphore>,
    connections: JoinSet<()>,
}

impl Door {
    fn new(limits: Limits, shutdown: Shutdown) -> Self {
        Self {
            limits,
            shutdown,
            places: Arc::new(Semaphore::new(limits.connections)),
            refusals: Arc::new(Semaphore::new(limits.connections)),
            connections: JoinSet::new(),
        }
    }

    /// Has `serve` care for `stream` if there is a place for it.
    fn pass<S, F>(&mut self, stream: S, serve: impl FnOnce(S, Connection) -> F)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        // Those that ended are forgotten here, so that their number stays bounded.
        while self.connections.try_join_next().is_some() {}
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            let connection = Connection {
                limits: self.limits,
                shutdown: self.shutdown.clone(),
            };
            let served = serve(stream, connection);
            self.connections.spawn(async move {
                served.await;
                drop(place);
            });
        } else if let Ok(place) = Arc::clone(&self.refusals).try_acquire_owned() {
            let most = format!("at most {} connections at once", self.limits.connections);
            self.connections.spawn(async move {
                refuse(stream, &Problem::new(Code::Overloaded, most)).await;
                drop(place);
            });
        }
    }

    /// Waits for the connections to end, but not for long.
    async fn close(mut self) {
        let all = async { while self.connections.join_next().await.is_some() {} };
        if timeout(GRACE, all).await.is_err() {
            debug!("broke off connections that did not end");
        }
    }
}

/// What holds for one connection.
struct Connection {
    limits: Limits,
    shutdown: Shutdown,
}

impl Connection {
    /// Answers the requests of one connection, all of them by `actor`.
    async fn serve<S>(mut self, stream: S, router: Router, actor: Option<Actor>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let endless = Endless::default();
        let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(endless.clone());
            answer(router.clone(), actor.clone(), request)
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_time)
            .max_buf_size(HEAD_SIZE)
            .max_headers(HEAD_FIELDS)
            .serve_connection(TokioIo::new(stream), service);
        let mut served = std::pin::pin!(served);
        let lifetime = self.limits.lifetime;
        let is_overdue = async {
            sleep(lifetime).await;
            if endless.is_set() {
                std::future::pending::<()>().await;
            }
        };
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = is_overdue => {
                served.as_mut().graceful_shutdown();
                match timeout(lifetime, served).await {
                    Ok(ended) => ended,
                    Err(_elapsed) => {
                        debug!("broke off a connection that took too long");
                        return;
                    }
                }
            }
            () = self.shutdown.wait() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, "a connection broke off");
        }
    }
}

async fn answer(
    router: Router,
    actor: Option<Actor>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let mut request = request.map(Body::new);
    if let Some(actor) = actor {
        request.extensions_mut().insert(actor);
    }
    router.oneshot(request).await
}

async fn admitted(stream: &UnixStream, keeper: Gatekeeper) -> Option<Actor> {
    let peer = stream.peer_cred().ok()?;
    tokio::task::spawn_blocking(move || keeper.admit(&peer))
        .await
        .ok()?
}

/// Says why before hanging up.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, problem: &Problem) {
    let body = serde_json::to_string(problem).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 {} Refused\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        problem.status,
        body.len(),
    );
    // A client that did not ask yet does not expect an answer, and would not understand it.
    let _ = timeout(REFUSAL_TIME, stream.read(&mut [0; 1024])).await;
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Hanging up on a request that was not read would take the answer back.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    // Whether it was heard is not our concern.
    let _ = timeout(REFUSAL_TIME, told).await;
}

/// After an error such as too many open files, accepting at once would only burn time.
async fn pause(error: &io::Error) {
    warn!(%error, "cannot accept a connection");
    sleep(Duration::from_millis(100)).await;
}

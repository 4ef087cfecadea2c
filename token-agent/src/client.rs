//! The other end of the control socket: what the command line asks the daemon.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time::timeout};
use zeroize::Zeroizing;

use crate::wire::{Event, Problem};

/// How long an answer may take: longer than the daemon gives itself.
const PATIENCE: Duration = Duration::from_secs(40);

/// Why the daemon did not answer as wished.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket may not be used.
    #[error("may not use the control socket {}: only root and its group may", path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
    },
    /// Refused, and why.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// Something else than the daemon, or another version of it, or it died.
    #[error("the answer on {} cannot be understood", path.display())]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nobody is there.
    #[error("no token-agent answers on {}; is `token-agent run` running?", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// Asks the daemon behind one socket.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the daemon behind `socket`; it connects when it is asked for something.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// Asks for `path`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.answer(Method::GET, path, Bytes::new()).await
    }

    /// Sends `body` to `path`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let json = serde_json::to_vec(body).map_err(|error| self.protocol(error))?;
        // Wiped when the request is done with it: it may hold secrets.
        let body = Bytes::from_owner(Zeroizing::new(json));
        self.answer(Method::POST, path, body).await
    }

    /// Asks for `path`, a stream of events.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(&self, path: &str) -> Result<Events<'_>, ClientError> {
        let response = self
            .within(self.send(Method::GET, path, Bytes::new()))
            .await?;
        if response.status() == StatusCode::OK {
            Ok(Events {
                client: self,
                body: response.into_body(),
                buffer: Vec::new(),
                told: 0,
            })
        } else {
            Err(self.problem(response).await)
        }
    }

    /// What it is if the daemon does not answer in time.
    #[must_use]
    pub fn timed_out(&self) -> ClientError {
        self.unreachable(io::ErrorKind::TimedOut.into())
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        self.within(async {
            let response = self.send(method, path, body).await?;
            if !response.status().is_success() {
                return Err(self.problem(response).await);
            }
            let bytes = self.collect(response).await?;
            serde_json::from_slice(&bytes).map_err(|error| self.protocol(error))
        })
        .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|error| self.unreachable(error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.protocol(error))?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "token-agent")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.protocol(error))?;
        sender
            .send_request(request)
            .await
            .map_err(|error| self.protocol(error))
    }

    async fn problem(&self, response: Response<Incoming>) -> ClientError {
        let status = response.status();
        match self.collect(response).await {
            Err(error) => error,
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(problem) => ClientError::Problem(problem),
                Err(_) => self.protocol(format!("status {status} without a problem")),
            },
        }
    }

    async fn collect(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = response.into_body().collect().await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| self.protocol(error))
    }

    async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        timeout(PATIENCE, answer)
            .await
            .unwrap_or_else(|_elapsed| Err(self.timed_out()))
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        let path = self.socket.clone();
        if source.kind() == io::ErrorKind::PermissionDenied {
            ClientError::Forbidden { path }
        } else {
            ClientError::Unreachable { path, source }
        }
    }

    fn protocol(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        ClientError::Protocol {
            path: self.socket.clone(),
            source: source.into(),
        }
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Events<'c> {
    client: &'c Client,
    body: Incoming,
    buffer: Vec<u8>,
    /// How much of the buffer was told.
    told: usize,
}

impl Events<'_> {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError::Protocol`].
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            let rest = &self.buffer[self.told..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let event = serde_json::from_slice(&rest[..end]);
                self.told += end + 1;
                return event.map(Some).map_err(|error| self.client.protocol(error));
            }
            self.buffer.drain(..self.told);
            self.told = 0;
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.client.protocol(error)),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.buffer.extend_from_slice(bytes);
                    }
                }
            }
        }
    }
}

//! hyper's server. Slow, since it is given one byte at a time, to know which one it was waiting for.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    fmt,
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    rt::{Read, ReadBufCursor, Write},
    server::conn::http1,
    service::service_fn,
};

use super::{Parser, ServedRequest, credential};

/// The server.
#[derive(Clone, Copy, Debug)]
pub struct Hyper;

impl Parser for Hyper {
    fn name(&self) -> &'static str {
        "hyper"
    }

    fn served(&self, stream: &[u8], has_ended: bool) -> Vec<ServedRequest> {
        let served = Rc::new(RefCell::new(Vec::new()));
        let position = Rc::new(Cell::new(0));
        let io = Stream {
            bytes: stream,
            has_ended,
            position: Rc::clone(&position),
        };
        let service = service_fn(|request: Request<Incoming>| {
            let served = Rc::clone(&served);
            let mut shown = show(&request);
            shown.head_end = position.get();
            let index = served.borrow().len();
            served.borrow_mut().push(shown);
            async move {
                if request.into_body().collect().await.is_ok() {
                    served.borrow_mut()[index].is_complete = true;
                }
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let server = http1::Builder::new().half_close(true).clone();
        let mut connection = pin!(server.serve_connection(io, service));
        // Nothing but itself wakes it.
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut is_done = false;
        while !is_done && woken.0.swap(false, Ordering::Relaxed) {
            is_done = connection.as_mut().poll(&mut context).is_ready();
        }
        served.take()
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn show(request: &Request<Incoming>) -> ServedRequest {
    let fields = request.headers().iter();
    ServedRequest {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        credentials: fields
            .filter_map(|(name, value)| credential::token(name.as_ref(), value.as_bytes()))
            .collect(),
        head_end: 0,
        is_complete: false,
    }
}

/// What the client has sent, byte by byte; what is answered goes nowhere.
struct Stream<'a> {
    bytes: &'a [u8],
    has_ended: bool,
    position: Rc<Cell<usize>>,
}

impl Read for Stream<'_> {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let at = self.position.get();
        match self.bytes.get(at) {
            Some(&byte) => {
                buffer.put_slice(&[byte]);
                self.position.set(at + 1);
                Poll::Ready(Ok(()))
            }
            None if self.has_ended => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }
}

impl Write for Stream<'_> {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

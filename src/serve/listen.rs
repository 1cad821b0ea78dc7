//! Edge: accepts connections, with or without TLS, answers HTTP/1.1 on them, and drains them at the end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::patience::{Pulse, Watched};
use super::places::Places;
use super::{Address, ConnectionLimits, Drain, Peer};

/// What answers requests; every failure is a response.
pub trait Handler: Send + Sync + 'static {
    /// The response to a request; its extensions have the [`Address`] and, over TLS, the [`Peer`].
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Full<Bytes>>> + Send;
}

/// One listener and what is done with its connections.
pub struct Listen<H> {
    /// Where connections come in.
    pub listener: TcpListener,
    /// TLS, unless the port is a plain one.
    pub tls: Option<TlsAcceptor>,
    /// What answers.
    pub handler: Arc<H>,
    /// What callers may take.
    pub limits: ConnectionLimits,
    /// When to stop.
    pub drain: Drain,
}

/// Serves until the drain has begun and no connection is left, or the drain's time is over.
pub async fn serve<H: Handler>(listen: Listen<H>) {
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let end = async {
        listen.drain.begun().await;
        let begun = Instant::now();
        sleep(listen.limits.linger.min(listen.limits.drain)).await;
        connections.close();
        tokio::select! {
            () = connections.wait() => {}
            () = sleep_until(begun + listen.limits.drain) => {
                tracing::warn!(connections = connections.len(), "drain time is over with connections open");
            }
        }
    };
    tokio::select! {
        () = accept(&listen, &connections, &cut) => {}
        () = end => {}
    }
    cut.cancel();
}

/// Accepts for ever, during a drain too: callers that have not heard of it are answered like all others.
async fn accept<H: Handler>(listen: &Listen<H>, connections: &TaskTracker, cut: &CancellationToken) {
    let places = Places::new(&listen.limits);
    loop {
        let (stream, peer) = match listen.listener.accept().await {
            Ok(accepted) => accepted,
            Err(problem) => {
                // Mostly too many open files; the next try would fail as quickly.
                tracing::warn!(%problem, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let pulse = Pulse::start();
        let Some(place) = places.enter(peer.ip(), &pulse) else {
            tracing::warn!(peer = %peer.ip(), "too many connections");
            continue;
        };
        let connection = Connection {
            handler: Arc::clone(&listen.handler),
            limits: listen.limits.clone(),
            drain: listen.drain.clone(),
            address: Address(peer.ip()),
            pulse,
        };
        let (tls, cut) = (listen.tls.clone(), cut.clone());
        connections.spawn(async move {
            tokio::select! {
                () = connection.open(stream, tls) => {}
                () = place.out.cancelled() => {}
                () = cut.cancelled() => {}
            }
        });
    }
}

struct Connection<H> {
    handler: Arc<H>,
    limits: ConnectionLimits,
    drain: Drain,
    address: Address,
    pulse: Arc<Pulse>,
}

impl<H: Handler> Connection<H> {
    async fn open(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        if let Err(problem) = stream.set_nodelay(true) {
            tracing::debug!(%problem, "cannot set TCP_NODELAY");
        }
        let Some(tls) = tls else { return self.serve(stream, None).await };
        match timeout(self.limits.handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let peer = Peer::showing(shown);
                self.serve(stream, Some(peer)).await;
            }
            Ok(Err(problem)) => tracing::debug!(%problem, "handshake failed"),
            Err(_) => tracing::debug!("handshake took too long"),
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(self, stream: S, peer: Option<Peer>) {
        let pulse = &self.pulse;
        let service = service_fn(|mut request: Request<Incoming>| {
            pulse.busy();
            request.extensions_mut().insert(self.address);
            if let Some(peer) = &peer {
                request.extensions_mut().insert(peer.clone());
            }
            let (handler, drain) = (&self.handler, &self.drain);
            async move {
                let mut response = handler.answer(request).await;
                if drain.has_begun() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                pulse.idle();
                Ok::<_, Infallible>(response)
            }
        });
        let stream = TokioIo::new(Watched::new(stream, Arc::clone(pulse)));
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(None)
                .max_header_size(self.limits.header_bytes)
                .max_buf_size(BUFFER)
                .serve_connection(stream, service)
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = pulse.exhausted(&self.limits) => {
                connection.as_mut().graceful_shutdown();
                timeout(GOODBYE, connection.as_mut()).await.unwrap_or(Ok(()))
            }
        };
        if let Err(problem) = ended {
            tracing::debug!(%problem, "connection ended");
        }
    }
}

/// What a connection may have read in advance. It keeps this while it rests, and hyper's default is 400 KiB.
const BUFFER: usize = 32 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const GOODBYE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::serve::{CertificateStore, Peers, tls_config};

    struct Fine;

    impl Handler for Fine {
        async fn answer(&self, _: Request<Incoming>) -> Response<Full<Bytes>> {
            Response::new(Full::new(Bytes::from_static(b"fine")))
        }
    }

    /// The far end of a served connection, without sockets so that paused time passes only when all wait.
    fn connected(drain: &Drain) -> DuplexStream {
        let (far, near) = duplex(64 * 1024);
        let limits = ConnectionLimits::default();
        let (address, drain) = (Address(IpAddr::from([127, 0, 0, 1])), drain.clone());
        let connection = Connection { handler: Arc::new(Fine), limits, drain, address, pulse: Pulse::start() };
        tokio::spawn(connection.serve(near, None));
        far
    }

    async fn ask(far: &mut DuplexStream) -> String {
        far.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut had = Vec::new();
        while !had.ends_with(b"fine") {
            assert_ne!(far.read_buf(&mut had).await.unwrap(), 0, "closed: {:?}", String::from_utf8_lossy(&had));
        }
        String::from_utf8(had).unwrap()
    }

    /// What comes until the server closes, and after how many seconds it does.
    async fn until_closed(far: &mut DuplexStream) -> (String, u64) {
        let begun = Instant::now();
        let mut had = Vec::new();
        far.read_to_end(&mut had).await.unwrap();
        (String::from_utf8(had).unwrap(), begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_rests_longer_than_the_api_server_keeps_it_but_not_for_ever() {
        let mut far = connected(&Drain::default());
        for rest in [120, 90, 179] {
            sleep(Duration::from_secs(rest)).await;
            assert!(ask(&mut far).await.starts_with("HTTP/1.1 200 OK"), "after {rest} s");
        }
        assert_eq!(until_closed(&mut far).await, (String::new(), 180));
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_must_come_in_time_however_slowly_it_drips() {
        for asked_before in [false, true] {
            let mut far = connected(&Drain::default());
            if asked_before {
                ask(&mut far).await;
            }
            sleep(Duration::from_secs(45)).await;
            let begun = Instant::now();
            far.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            while far.write_all(b"a: b\r\n").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
            let lasted = begun.elapsed().as_secs();
            assert!((10..=12).contains(&lasted), "cut after {lasted} s");
        }
    }

    /// Sends three bytes a second, until they cannot be sent, and then waits.
    async fn drip(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
        for byte in bytes {
            sleep(Duration::from_millis(300)).await;
            if to.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_must_be_over_in_time_however_slowly_it_drips() {
        let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
        for (what, sent) in
            [("silence", &hello[..0]), ("half a greeting", &hello), ("no TLS", b"GET / HTTP/1.1\r\n\r\n")]
        {
            let peers = Arc::new(Peers::new(None).unwrap());
            let tls = tls_config(Arc::new(CertificateStore::default()), peers).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (limits, drain) = (ConnectionLimits::default(), Drain::default());
            let tls = Some(TlsAcceptor::from(Arc::new(tls)));
            let serving = tokio::spawn(serve(Listen { listener, tls, handler: Arc::new(Fine), limits, drain }));
            let begun = Instant::now();
            let mut far = TcpStream::connect(address).await.unwrap();
            let (mut from, mut to) = far.split();
            let mut had = Vec::new();
            tokio::select! {
                read = from.read_to_end(&mut had) => drop(read),
                () = drip(&mut to, sent) => {}
            }
            let lasted = begun.elapsed().as_secs();
            let at_once = what == "no TLS";
            assert_eq!(lasted >= 5, !at_once, "{what}: closed after {lasted} s");
            assert!(lasted <= 6, "{what}: closed after {lasted} s");
            serving.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_has_a_size() {
        let mut far = connected(&Drain::default());
        let long = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(17 * 1024));
        far.write_all(long.as_bytes()).await.unwrap();
        let (answer, _) = until_closed(&mut far).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_leaves_resting_connections_open_and_closes_each_with_its_next_answer() {
        let drain = Drain::default();
        let mut far = connected(&drain);
        assert!(!ask(&mut far).await.contains("connection: close"));
        drain.begin();
        sleep(Duration::from_secs(95)).await;
        assert!(ask(&mut far).await.contains("connection: close"));
        assert_eq!(until_closed(&mut far).await, (String::new(), 0));
    }
}

//! What one caller, or all together, may take of a listener.

use std::time::Duration;

/// Limits of a listener's connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Connections at one time; a further one gets the place of one that rests, first of the address that has most.
    pub connections: usize,
    /// Connections at one time from one address; a further one gets the place of one of them that rests.
    pub connections_per_address: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a request's header may take from its first byte.
    pub header: Duration,
    /// How long a connection may rest between requests.
    pub idle: Duration,
    /// Bytes of a request's header.
    pub header_bytes: usize,
    /// How long a drain lasts at least, for calls that are still on their way here.
    pub linger: Duration,
    /// How long a drain lasts at most.
    pub drain: Duration,
}

impl ConnectionLimits {
    /// Limits of the port of the probes, which has few callers: a kubelet asks on a new connection each time, and
    /// whoever reads metrics opens a new one when the old one is closed.
    #[must_use]
    pub fn of_probes(&self) -> Self {
        ConnectionLimits {
            connections: 64,
            connections_per_address: 16,
            header: Duration::from_secs(2),
            idle: Duration::from_secs(10),
            ..self.clone()
        }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            connections: 4096,
            connections_per_address: 1024,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(10),
            // The API server keeps idle connections for 90 s and never repeats a POST that met a closed one,
            // so it must always be the API server that closes.
            idle: Duration::from_secs(180),
            header_bytes: 16 * 1024,
            linger: Duration::from_secs(10),
            drain: Duration::from_secs(100),
        }
    }
}

//! A service that is away or silent costs its own route only.

use std::net::SocketAddr;

use futures::future::join_all;

use crate::gateway::{Gateway, kept};
use crate::recorder::{Recorders, listener, record};
use crate::rendered::{Family, UPSTREAMS};
use crate::wire::{exchange, statuses};

/// A call for each upstream.
const CALLS: [&str; 6] = [
    "GET /kong/x",
    "GET /storage/local/1",
    "GET /hub-adapter/kong/datastore/7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d",
    "GET /message-broker/healthz",
    "POST /po/stream_logs",
    "GET /analysis/healthz",
];

#[tokio::test]
async fn a_service_that_is_away_costs_its_own_route_until_it_is_back() {
    let upstreams = Recorders::start(Family::Ipv4).await;
    for away in 0..UPSTREAMS.len() {
        let mut addresses = upstreams.addresses.clone();
        let (port, gone) = kept(Family::Ipv4);
        addresses[away] = gone;
        let gateway = Gateway::before(&addresses);
        let mut want = [200; 6];
        want[away] = 502;
        assert_eq!(answers(gateway.address).await, want, "{}", UPSTREAMS[away]);
        let back = port.listen(8).unwrap();
        tokio::spawn(record(back, UPSTREAMS[away], String::new(), <_>::default(), <_>::default()));
        assert_eq!(answers(gateway.address).await, [200; 6], "{} is back", UPSTREAMS[away]);
    }
}

#[tokio::test]
async fn a_service_that_says_nothing_costs_its_own_route() {
    let upstreams = Recorders::start(Family::Ipv4).await;
    for silent in 0..UPSTREAMS.len() {
        // Connections are made, and nobody ever takes them.
        let nobody = listener(Family::Ipv4).await;
        let mut addresses = upstreams.addresses.clone();
        addresses[silent] = nobody.local_addr().unwrap();
        // Whoever asks for an analysis's health waits less long than anybody else.
        let patience = ["120s", "5s"].map(|real| (format!("proxy_read_timeout {real};"), "proxy_read_timeout 300ms;"));
        let patience = patience.each_ref().map(|(real, short)| (real.as_str(), *short));
        let gateway = Gateway::changed(Family::Ipv4, &addresses, &patience);
        let mut want = [200; 6];
        want[silent] = 504;
        let (all, meanwhile) = tokio::join!(answers(gateway.address), exchange(gateway.address, HEALTHY));
        assert_eq!((all, statuses(&meanwhile)), (want, vec![200]), "{}", UPSTREAMS[silent]);
    }
}

#[tokio::test]
async fn a_gateway_starts_while_every_service_is_away() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let ports = UPSTREAMS.map(|_| kept(family));
        let addresses = ports.each_ref().map(|(_, address)| *address);
        let gateway = Gateway::before(&addresses);
        let healthy = exchange(gateway.address, HEALTHY).await;
        assert_eq!((statuses(&healthy), answers(gateway.address).await), (vec![200], [502; 6]));
    }
}

#[tokio::test]
async fn whoever_sends_many_log_lines_at_once_is_slowed_and_then_refused_and_nothing_else_is() {
    let upstreams = Recorders::start(Family::Ipv4).await;
    let gateway = Gateway::changed(Family::Ipv4, &upstreams.addresses, &[("burst=100 delay=20;", "burst=10;")]);
    let all = async |call: &str| {
        let sent = format!("{call} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let calls: Vec<_> = (0..AT_ONCE).map(|_| exchange(gateway.address, sent.as_bytes())).collect();
        join_all(calls).await.iter().map(|answer| statuses(answer)[0]).collect::<Vec<u16>>()
    };
    let begun = std::time::Instant::now();
    let lines = all("POST /po/stream_logs").await;
    let slowed = begun.elapsed();
    assert!(
        slowed >= std::time::Duration::from_millis(400),
        "ten wait for 50 ms each, and all had an answer after {slowed:?}"
    );
    let others = all("GET /message-broker/healthz").await;
    let count = |wanted: u16| lines.iter().filter(|status| **status == wanted).count();
    assert_eq!(count(200) + count(429), AT_ONCE, "{lines:?}");
    assert!((11..AT_ONCE).contains(&count(200)), "one and the ten that wait pass at least: {lines:?}");
    assert_eq!(others, [200; AT_ONCE]);
    // One that waits for its answers is never refused.
    let gateway = Gateway::before(&upstreams.addresses);
    for _ in 0..30 {
        let answer =
            exchange(gateway.address, b"POST /po/stream_logs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert_eq!(statuses(&answer), [200]);
    }
}

/// What each route answers.
async fn answers(gateway: SocketAddr) -> [u16; 6] {
    let mut answers = [0; 6];
    for (call, answer) in CALLS.iter().zip(&mut answers) {
        let sent = format!("{call} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        *answer = statuses(&exchange(gateway, sent.as_bytes()).await)[0];
    }
    answers
}

const AT_ONCE: usize = 60;
const HEALTHY: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

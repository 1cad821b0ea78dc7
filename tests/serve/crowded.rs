//! Who takes more than his part of a port: others are answered all the same.

use std::net::{Ipv4Addr, SocketAddr};

use flamewarden::app::start;
use tokio::net::{TcpSocket, TcpStream};

use crate::client::{Caller, Connection};
use crate::server::{PATIENCE, Place, review};

/// A connection from 127.0.0.N that says nothing.
async fn silent(last: u8, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test]
async fn resting_connections_of_few_addresses_keep_nobody_out() {
    let place = Place::mounted();
    let mut settings = place.settings();
    (settings.connections.connections, settings.connections.connections_per_address) = (8, 4);
    let running = start(&settings, flamewarden::rules::judge).await.unwrap();
    let address = running.webhook.unwrap();
    let caller = Caller::trusting(&place.generation("first"));
    let mut kept = caller.connect(address).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..8 {
        for last in 2..6 {
            held.push(silent(last, address).await);
        }
        let asked = async {
            let mut new = caller.connect(address).await.unwrap();
            // The one that was there first rests longest, and its address has less than others.
            for connection in [&mut kept, &mut new] {
                let answer = connection.post("/validate", review()).await.unwrap().answer();
                assert_eq!(answer, ("u-1".to_owned(), false, Some(403)));
            }
        };
        assert!(tokio::time::timeout(PATIENCE, asked).await.is_ok());
    }
}

#[tokio::test]
async fn the_kubelet_is_answered_beside_whoever_rests_at_the_probes() {
    let place = Place::mounted();
    let running = place.start().await;
    let mut held = Vec::new();
    for (what, from) in [("its own address", 1..2), ("many addresses", 2..12)] {
        for last in from {
            for _ in 0..64 {
                held.push(silent(last, running.probes).await);
            }
        }
        let asked = async { Connection::plain(running.probes).await.fetch("/livez").await.status };
        assert_eq!(tokio::time::timeout(PATIENCE, asked).await, Ok(200), "beside {what}");
    }
}

//! A Keycloak realm as far as the REST API asks one: its published key, on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::LazyLock;
use std::thread;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::RealmSettings;

/// The realm, and the key that it signs with.
pub(crate) struct Realm {
    /// Where it answers, for as long as the tests run.
    pub(crate) address: String,
    pub(crate) key: EcdsaKeyPair,
}

impl Realm {
    /// The tests' own, in which analyses get no clients.
    pub(crate) fn of_tests() -> RealmSettings {
        RealmSettings { keycloak: REALM.address.clone(), secret: None }
    }
}

/// The realm of this process.
pub(crate) static REALM: LazyLock<Realm> = LazyLock::new(|| {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = key.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let published = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": base64(x), "y": base64(y),
    }]});
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().flatten().for_each(|caller| answer(caller, &published)));
    Realm { address, key }
});

/// Whoever hangs up is answered no more.
fn answer(mut caller: TcpStream, published: &Value) {
    let mut asked = Vec::new();
    let mut piece = [0; 4096];
    while !asked.ends_with(b"\r\n\r\n") {
        match caller.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(length) => asked.extend_from_slice(&piece[..length]),
        }
    }
    let known = asked.starts_with(b"GET /realms/flame/protocol/openid-connect/certs HTTP/1.1\r\n");
    let (status, body) = if known { ("200 OK", published.to_string()) } else { ("404 Not Found", String::new()) };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let _ = caller.write_all((head + &body).as_bytes());
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

//! What is agreed on before the first request, and with whom.

use std::fs;

use flamewarden::app::start;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Caller;
use crate::server::{Place, review};

#[tokio::test]
async fn only_http_1_1_is_offered() {
    let place = Place::mounted();
    let running = place.start().await;
    let caller = Caller::trusting(&place.generation("first"));
    let both = caller.clone().speaking(&["h2", "http/1.1"]).connect(running.webhook.unwrap()).await.unwrap();
    assert_eq!(both.protocol.as_deref(), Some(b"http/1.1".as_slice()));
    let silent = caller.clone().connect(running.webhook.unwrap()).await.unwrap();
    assert_eq!(silent.protocol, None);
    assert!(caller.speaking(&["h2"]).connect(running.webhook.unwrap()).await.is_err());
}

#[tokio::test]
async fn tls_1_1_is_refused_by_its_version() {
    let place = Place::mounted();
    let running = place.start().await;
    for (version, alert) in [(0x02, Some(70)), (0x03, None)] {
        let mut stream = TcpStream::connect(running.webhook.unwrap()).await.unwrap();
        stream.write_all(&hello(version)).await.unwrap();
        let mut record = [0; 7];
        stream.read_exact(&mut record).await.unwrap();
        let had = (record[0] == 21).then_some(record[6]);
        assert_eq!(had, alert, "record {record:?} to a hello of version 3.{version}");
    }
}

/// A ClientHello that offers one version, ECDHE-ECDSA, P-256 and what goes with them.
fn hello(version: u8) -> Vec<u8> {
    let suites = [0xc0, 0x2b, 0xc0, 0x09, 0x00, 0x2f];
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..], // groups: secp256r1
        &[0, 11, 0, 2, 1, 0],            // points: uncompressed
        &[0, 13, 0, 4, 0, 2, 4, 3],      // signatures: ecdsa_secp256r1_sha256
        &[0, 23, 0, 0],                  // extended master secret
    ]
    .concat();
    let mut body = vec![3, version];
    body.extend([7; 32]);
    body.push(0);
    body.extend([0, suites.len() as u8]);
    body.extend(suites);
    body.extend([1, 0, 0, extensions.len() as u8]);
    body.extend(extensions);
    let mut message = vec![1, 0, 0, body.len() as u8];
    message.extend(body);
    let mut record = vec![22, 3, 1, 0, message.len() as u8];
    record.extend(message);
    record
}

/// A client's certificate and key, of an authority whose PEM comes first.
fn client(name: &str) -> (String, String, String) {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap().pem();
    (ca_pem, leaf, key.serialize_pem())
}

#[tokio::test]
async fn where_a_client_certificate_is_asked_for_nobody_else_gets_an_answer() {
    let place = Place::mounted();
    let (authority, good, good_key) = client("apiserver-to-webhook");
    let (other_authority, stranger, stranger_key) = client("apiserver-to-webhook");
    let (named_authority, named, named_key) = client("somebody-else");
    let file = place.policies().join("client-ca");
    fs::write(&file, format!("{authority}{named_authority}")).unwrap();
    let mut settings = place.settings();
    settings.client_authorities = Some(file);
    settings.client_name = Some("apiserver-to-webhook".to_owned());
    let running = start(&settings, flamewarden::rules::judge).await.unwrap();
    let folder = place.generation("first");
    for (what, caller, answered) in [
        ("the right one", Caller::showing(&folder, &good, &good_key), true),
        ("none", Caller::trusting(&folder), false),
        ("another authority's", Caller::showing(&folder, &stranger, &stranger_key), false),
        ("another name", Caller::showing(&folder, &named, &named_key), false),
    ] {
        // In TLS 1.3 the client learns of a refusal only when it reads.
        let response = match caller.connect(running.webhook.unwrap()).await {
            Ok(mut connection) => connection.post("/validate", review()).await.ok(),
            Err(_) => None,
        };
        assert_eq!(response.map(|response| response.status), answered.then_some(200), "{what}");
    }
    drop(other_authority);
}

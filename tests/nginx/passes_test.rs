//! Every call of the FLAME SDK, of the message broker and of the orchestrator arrives, as it is expected whole.

use crate::gateway::{Gateway, tried};
use crate::recorder::{Arrived, Recorders};
use crate::rendered::{ANALYSIS, Family, HOSTS, PROJECT, UPSTREAMS, printed};
use crate::wire::{exchange, statuses};

/// Call, body, upstream, and the line that arrives there; `{A}` and `{P}` stand for the ids.
const CALLS: &[(&str, &str, &str, &str)] = &[
    // The SDK, as it asks for data.
    ("GET /hub-adapter/kong/datastore/{P}", "", "hub-adapter", "GET /kong/datastore/{P}"),
    ("GET /kong/{P}-fhir/fhir/Patient?_summary=count", "", "kong", "GET /{P}-fhir/fhir/Patient?_summary=count"),
    (
        "GET /kong/{P}-fhir/fhir/Patient?identifier=http://example.org/a//b;c/../ids|0815&_id=%2e%2e%2F%25%00",
        "",
        "kong",
        "GET /{P}-fhir/fhir/Patient?identifier=http://example.org/a//b;c/../ids|0815&_id=%2e%2e%2F%25%00",
    ),
    (
        "GET /kong/{P}-fhir/fhir/Observation?code=http%3A%2F%2Floinc.org%7C718-7&date=ge2020-01-01T00:00:00+01:00&x=a?b\\\u{ff}",
        "",
        "kong",
        "GET /{P}-fhir/fhir/Observation?code=http%3A%2F%2Floinc.org%7C718-7&date=ge2020-01-01T00:00:00+01:00&x=a?b\\\u{ff}",
    ),
    (
        "GET /kong/{P}-fhir/fhir/Patient/1/$everything?_count=1&",
        "",
        "kong",
        "GET /{P}-fhir/fhir/Patient/1/$everything?_count=1&",
    ),
    ("GET /kong/{P}-s3/s3", "", "kong", "GET /{P}-s3/s3"),
    (
        "GET /kong/{P}-s3/s3/a%20table,%20f%C3%BCr%20%5Ball%5D.csv",
        "",
        "kong",
        "GET /{P}-s3/s3/a%20table,%20f%C3%BCr%20[all].csv",
    ),
    ("GET /kong/{P}-s3/s3/sub/..data/.hidden/a..b.csv", "", "kong", "GET /{P}-s3/s3/sub/..data/.hidden/a..b.csv"),
    ("GET /kong/{P}-s3/s3/what%3Fis%23this", "", "kong", "GET /{P}-s3/s3/what%3Fis%23this"),
    ("HEAD /kong/{P}-s3/s3/table.csv", "", "kong", "HEAD /{P}-s3/s3/table.csv"),
    ("POST /kong/{P}-fhir/fhir/Patient/_search", "name=a", "kong", "POST /{P}-fhir/fhir/Patient/_search"),
    (
        "POST /kong/{P}-fhir/fhir/Patient/1/Observation/_search",
        "",
        "kong",
        "POST /{P}-fhir/fhir/Patient/1/Observation/_search",
    ),
    // Results.
    ("PUT /storage/final/", "result", "storage", "PUT /final/"),
    ("PUT /storage/final", "result", "storage", "PUT /final"),
    ("PUT /storage/final/localdp", "result", "storage", "PUT /final/localdp"),
    ("PUT /storage/intermediate/", "result", "storage", "PUT /intermediate/"),
    ("PUT /storage/local/", "result", "storage", "PUT /local/"),
    ("GET /storage/intermediate/{P}?node_id={A}", "", "storage", "GET /intermediate/{P}?node_id={A}"),
    ("GET /storage/local/{P}", "", "storage", "GET /local/{P}"),
    ("GET /storage/local/tags", "", "storage", "GET /local/tags"),
    ("GET /storage/local/tags/my-tag", "", "storage", "GET /local/tags/my-tag"),
    // Messages.
    ("GET /message-broker/healthz", "", "message-broker", "GET /healthz"),
    ("GET /message-broker/analyses/{A}/participants", "", "message-broker", "GET /analyses/{A}/participants"),
    ("GET /message-broker/analyses/{A}/participants/self", "", "message-broker", "GET /analyses/{A}/participants/self"),
    ("POST /message-broker/analyses/{A}/messages", "{}", "message-broker", "POST /analyses/{A}/messages"),
    (
        "POST /message-broker/analyses/{A}/messages/subscriptions",
        "{}",
        "message-broker",
        "POST /analyses/{A}/messages/subscriptions",
    ),
    (
        "DELETE /message-broker/analyses/{A}/messages/subscriptions",
        "",
        "message-broker",
        "DELETE /analyses/{A}/messages/subscriptions",
    ),
    // Log lines.
    ("POST /po/stream_logs", "{}", "orchestrator", "POST /po/stream_logs"),
    // From the node to the analysis.
    ("GET /analysis/healthz", "", "analysis", "GET /healthz"),
    ("POST /analysis/token_refresh", "{}", "analysis", "POST /token_refresh"),
    ("POST /analysis/partner_status", "{}", "analysis", "POST /partner_status"),
    ("POST /analysis/webhook", "{}", "analysis", "POST /webhook"),
    // Letters that are encoded without need: what is matched is what goes on.
    ("GET /%6bong/{P}-s3/%733/a%2Db", "", "kong", "GET /{P}-s3/s3/a-b"),
    ("POST /po/stream%5Flogs", "{}", "orchestrator", "POST /po/stream_logs"),
    ("GET /hub-adapter/kong/datastore/%37{P}", "", "hub-adapter", "GET /kong/datastore/{P}"),
];

#[tokio::test]
async fn every_call_of_the_sdk_and_to_the_analysis_arrives_whole() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let upstreams = Recorders::start(family).await;
        let gateway = Gateway::before(&upstreams.addresses);
        for (call, body, upstream, line) in CALLS {
            // One digit of the id is encoded in one of the calls.
            let call = call.replace("%37{P}", &format!("%37{}", &PROJECT[1..]));
            let ids = |text: &str| text.replace("{A}", ANALYSIS).replace("{P}", PROJECT);
            let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            let sent =
                format!("{} HTTP/1.1\r\nHost: nginx\r\n{OWN}Connection: close\r\n{length}\r\n{body}", ids(&call));
            let answer = exchange(gateway.address, &bytes(&sent)).await;
            let caller = if family == Family::Ipv4 { "127.0.0.1" } else { "::1" };
            let host = HOSTS[UPSTREAMS.iter().position(|name| name == upstream).unwrap()];
            let head = format!(
                "{} HTTP/1.1\r\nHost: {host}\r\nX-Real-IP: {caller}\r\nX-Forwarded-For: {caller}\r\nX-Forwarded-Proto: http\r\n\
                 {length}{OWN}\r\n",
                ids(line)
            );
            let want = vec![Arrived { upstream, head, body: (*body).to_owned() }];
            assert_eq!((statuses(&answer), upstreams.take()), (vec![200], want), "{call}");
        }
        let healthy =
            exchange(gateway.address, b"GET /healthz HTTP/1.1\r\nHost: nginx\r\nConnection: close\r\n\r\n").await;
        assert_eq!((statuses(&healthy), healthy.ends_with(b"\r\n\r\nhealthy")), (vec![200], true));
        assert_eq!((gateway.log(), upstreams.take()), (String::new(), Vec::new()));
    }
}

#[tokio::test]
async fn nginx_takes_the_configuration_of_each_kind_of_cluster_without_a_word() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let upstreams = Recorders::start(family).await;
        for changes in [&[][..], &[("policies/orchestrator.yaml", "namespace: analyses", "namespace: flame")]] {
            let output = tried(&printed(family, changes), family, &upstreams.addresses);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), said), (Some(0), String::new()), "{family:?}");
        }
    }
}

/// Headers that a caller adds and an upstream gets.
const OWN: &str = "Authorization: Bearer token\r\napikey: key\r\nAccept: application/json\r\nx-amz-date: today\r\n";

fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
}

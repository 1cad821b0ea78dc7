//! What is no call of FLAME's is refused, and nothing of it arrives anywhere.

use crate::gateway::Gateway;
use crate::recorder::{Arrived, Recorders};
use crate::rendered::{ANALYSIS, Family, PROJECT, UPSTREAMS};
use crate::wire::{exchange, statuses};

/// Why, method and target as bytes, and the answer. `{A}` and `{P}` stand for the ids.
const CALLS: &[(&str, &[u8], u16)] = &[
    // Methods.
    ("Kong: data is read, not written", b"PUT /kong/{P}-s3/s3/table.csv", 403),
    ("Kong: data is not deleted", b"DELETE /kong/{P}-s3/s3/table.csv", 403),
    ("Kong: data is not changed", b"PATCH /kong/{P}-fhir/fhir/Patient/1", 403),
    ("Kong: POST to a type stores a resource", b"POST /kong/{P}-fhir/fhir/Patient", 403),
    ("Kong: POST to the root is a bundle of writes", b"POST /kong/{P}-fhir/fhir", 403),
    ("Kong: only a search ends so, and of FHIR only", b"POST /kong/{P}-s3/s3/_search", 403),
    ("Kong: what only begins like a search", b"POST /kong/{P}-fhir/fhir/Patient/_searches", 403),
    ("Kong: what follows a search", b"POST /kong/{P}-fhir/fhir/Patient/_search/x", 403),
    ("Kong: a search is not deleted", b"DELETE /kong/{P}-fhir/fhir/Patient/_search", 403),
    ("Kong: OPTIONS", b"OPTIONS /kong/{P}-fhir/fhir", 403),
    ("results are not deleted", b"DELETE /storage/local/1", 403),
    ("results are not posted", b"POST /storage/final/", 403),
    ("a project's data store is not deleted", b"DELETE /hub-adapter/kong/datastore/{P}", 403),
    ("a project's data store is not made", b"POST /hub-adapter/kong/datastore/{P}", 403),
    ("participants are read", b"POST /message-broker/analyses/{A}/participants", 403),
    ("participants are not deleted", b"DELETE /message-broker/analyses/{A}/participants/self", 403),
    ("messages are sent", b"GET /message-broker/analyses/{A}/messages", 403),
    ("messages are not deleted", b"DELETE /message-broker/analyses/{A}/messages", 403),
    ("subscriptions are not put", b"PUT /message-broker/analyses/{A}/messages/subscriptions", 403),
    ("the broker's health is read", b"POST /message-broker/healthz", 403),
    ("log lines are sent", b"GET /po/stream_logs", 403),
    ("log lines are not put", b"PUT /po/stream_logs", 403),
    ("nothing is deleted in an analysis", b"DELETE /analysis/webhook", 403),
    ("TRACE", b"TRACE /kong/{P}-s3/s3", 405),
    ("CONNECT to a path", b"CONNECT /kong/{P}-s3/s3", 405),
    ("CONNECT to another host", b"CONNECT kong-admin:8001", 400),
    ("methods are in capitals", b"get /kong/{P}-s3/s3", 400),
    ("a method of WebDAV", b"PROPFIND /storage/local/1", 403),
    // Paths beside the ways.
    ("the root", b"GET /", 404),
    ("Kong needs its slash", b"GET /kong", 404),
    ("what only begins like Kong", b"GET /kongfoo/x", 404),
    ("Kong by another case", b"GET /KONG/{P}-s3/s3", 404),
    ("Kong by another case of one letter", b"GET /konG/{P}-s3/s3", 404),
    ("storage has three kinds", b"GET /storage/global/1", 404),
    ("storage by itself", b"GET /storage/", 404),
    ("what only begins like a kind", b"GET /storage/finally", 404),
    ("a kind by another case", b"GET /storage/Final/", 404),
    ("storage's own health", b"GET /storage/healthz", 404),
    ("another project's data", b"GET /hub-adapter/kong/datastore/11111111-1111-4111-8111-111111111111", 404),
    ("every project's data", b"GET /hub-adapter/kong/datastore", 404),
    ("the data store of this project", b"DELETE /hub-adapter/kong/datastore/{P}-fhir", 404),
    ("a project and something behind it", b"GET /hub-adapter/kong/datastore/{P}/x", 404),
    ("a project with a slash", b"GET /hub-adapter/kong/datastore/{P}/", 404),
    ("a project in capitals", b"GET /hub-adapter/kong/datastore/7B1C9D20-5a4e-4f6b-9c3d-2e1f0a9b8c7d", 404),
    ("Kong's settings by the adapter", b"GET /hub-adapter/kong/analysis/{A}", 404),
    ("the adapter's start of analyses", b"POST /hub-adapter/analysis/initialize", 404),
    ("the orchestrator by the adapter", b"GET /hub-adapter/po/status", 404),
    (
        "another analysis's participants",
        b"GET /message-broker/analyses/11111111-1111-4111-8111-111111111111/participants",
        404,
    ),
    (
        "another analysis's messages",
        b"POST /message-broker/analyses/11111111-1111-4111-8111-111111111111/messages",
        404,
    ),
    ("what only begins like participants", b"GET /message-broker/analyses/{A}/participantsXYZ/anything", 404),
    ("participants with a slash", b"GET /message-broker/analyses/{A}/participants/", 404),
    ("what only begins like itself", b"GET /message-broker/analyses/{A}/participants/selfish", 404),
    ("itself and more", b"GET /message-broker/analyses/{A}/participants/self/x", 404),
    ("the data store, read by its name", b"GET /hub-adapter/kong/datastore/{P}-fhir", 404),
    ("the data store by an encoded query", b"GET /hub-adapter/kong/datastore/{P}%3Fdetailed=true", 404),
    ("another participant", b"GET /message-broker/analyses/{A}/participants/other", 404),
    ("messages to all", b"POST /message-broker/analyses/{A}/messages/broadcast", 404),
    ("messages to all, deleted", b"DELETE /message-broker/analyses/{A}/messages/broadcast", 404),
    ("subscriptions with a slash", b"POST /message-broker/analyses/{A}/messages/subscriptions/", 404),
    ("every analysis", b"GET /message-broker/analyses", 404),
    ("what only begins like health", b"GET /healthzzz", 404),
    ("the broker's health and more", b"GET /message-broker/healthz/x", 404),
    ("what only begins like log lines", b"POST /po/stream_logs_evil", 404),
    ("log lines with a slash", b"POST /po/stream_logs/", 404),
    ("the orchestrator's creation", b"POST /po/", 404),
    ("the orchestrator's creation without a slash", b"POST /po", 404),
    ("the orchestrator's stop", b"PUT /po/stop/{A}", 404),
    ("the orchestrator's deletion", b"DELETE /po/delete/{A}", 404),
    ("the orchestrator's clean-up", b"DELETE /po/cleanup/all", 404),
    ("the analysis needs its slash", b"GET /analysis", 404),
    ("nginx's own status", b"GET /nginx_status", 404),
    // Dot segments, however they are written.
    ("out of storage", b"GET /storage/final/../../kong/x", 400),
    ("out of a kind", b"GET /storage/local/../admin", 400),
    ("up at the end", b"GET /kong/{P}-s3/s3/..", 400),
    ("up at the end before a query", b"GET /kong/{P}-s3/s3/..?a=b", 400),
    ("a dot segment", b"GET /kong/./{P}-s3/s3", 400),
    ("encoded dots", b"GET /storage/final/%2e%2e/admin", 400),
    ("encoded dots in capitals", b"GET /storage/final/%2E%2E/admin", 400),
    ("one dot encoded", b"GET /storage/final/.%2e/admin", 400),
    ("an encoded slash", b"GET /storage/final/..%2fadmin", 400),
    ("an encoded slash in capitals", b"GET /kong/a%2Fb", 400),
    ("all of it encoded", b"GET /storage/final/%2e%2e%2fadmin", 400),
    ("encoded twice", b"GET /storage/final/%252e%252e%252fadmin", 400),
    ("encoded thrice", b"GET /kong/%25252e%25252e/x", 400),
    ("an encoded percent sign", b"GET /kong/a%25b", 400),
    ("dots with a semicolon", b"GET /kong/x/..;/admin", 400),
    ("dots with a backslash", b"GET /kong/x\\..\\admin", 400),
    ("dots with an encoded backslash", b"GET /kong/x%5c..%5cadmin", 400),
    ("an encoded backslash in capitals", b"GET /kong/x%5Cy", 400),
    ("up beyond the root", b"GET /../kong/x", 400),
    ("up and down again to an exact path", b"GET /po/x/../stream_logs", 400),
    // Slashes, semicolons, backslashes.
    ("doubled slash at the beginning", b"GET //kong/x", 400),
    ("doubled slash within", b"GET /kong//x", 400),
    ("doubled slash in an exact path", b"POST /po//stream_logs", 400),
    ("doubled slash at the end", b"GET /storage/final//", 400),
    ("path parameter", b"GET /kong/x;jsessionid=1/y", 400),
    ("encoded semicolon", b"GET /kong/x%3by", 400),
    ("encoded semicolon in capitals", b"GET /kong/x%3By", 400),
    ("path parameter in an exact path", b"POST /po/stream_logs;x=y", 400),
    ("backslash for a slash", b"GET /kong\\x", 400),
    ("backslash at the end", b"GET /kong/x\\", 400),
    // Control characters and no letters.
    ("zero byte", b"GET /kong/x%00.csv", 400),
    ("zero byte behind an exact path", b"POST /po/stream_logs%00", 400),
    ("newline at the end of an exact path", b"POST /po/stream_logs%0a", 400),
    ("newline at the end", b"GET /storage/final%0a", 400),
    ("newline within, and a header", b"GET /kong/x%0d%0aX-Evil:%20yes", 400),
    ("newline in capitals", b"GET /kong/x%0A/y", 400),
    ("carriage return", b"GET /kong/x%0d", 400),
    ("tab", b"GET /kong/x%09y", 400),
    ("escape", b"GET /kong/x%1b", 400),
    ("delete", b"GET /kong/x%7f", 400),
    ("raw delete", b"GET /kong/x\x7f", 400),
    ("raw zero byte", b"GET /kong/x\x00", 400),
    ("raw tab", b"GET /kong/x\ty", 400),
    ("raw carriage return in a query", b"GET /kong/x?a=\rb", 400),
    ("overlong dot", b"GET /kong/%c0%ae%c0%ae/admin", 400),
    ("overlong slash", b"GET /kong/x%c0%afadmin", 400),
    ("overlong slash of three bytes", b"GET /kong/x%e0%80%afadmin", 400),
    ("overlong slash of four bytes", b"GET /kong/x%f0%80%80%afadmin", 400),
    ("no UTF-8 at all", b"GET /kong/x%ffy", 400),
    ("raw letters beyond ASCII", b"GET /kong/f\xc3\xbcr", 400),
    ("a raw byte that is no UTF-8", b"GET /kong/\xff\xfe", 400),
    ("half an encoding", b"GET /kong/x%2", 400),
    ("no encoding", b"GET /kong/x%zz", 400),
    ("an encoding of Microsoft's", b"GET /kong/x%u002e", 400),
    ("a space", b"GET /kong/a b", 400),
    // Question marks and number signs.
    ("a fragment", b"GET /hub-adapter/kong/datastore/{P}#/x", 400),
    ("a fragment before a query", b"GET /kong/x#y?z", 400),
    ("a fragment after a query", b"GET /kong/x?y#z", 400),
    ("an encoded question mark in an exact path", b"POST /po/stream_logs%3fx=y", 404),
    ("an encoded number sign in an exact path", b"POST /po/stream_logs%23", 404),
    // Other targets than a path.
    ("another host's address", b"GET http://kong-admin:8001/services", 400),
    ("another host's address with a good path", b"GET http://kong-admin:8001/kong/x", 400),
    ("another host's address over TLS", b"GET https://example.org/kong/x", 400),
    ("an address without a path", b"GET http://example.org?/kong/x", 400),
    ("an authority", b"GET kong/x", 400),
    ("everything", b"OPTIONS *", 400),
    ("only a query", b"GET ?x", 400),
];

#[tokio::test]
async fn other_methods_paths_and_encodings_are_refused_and_arrive_nowhere() {
    let upstreams = Recorders::start(Family::Ipv4).await;
    let gateway = Gateway::before(&upstreams.addresses);
    let mut wrong = Vec::new();
    for (why, call, want) in CALLS {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            let sent =
                [&ids(call)[..], b" ", version.as_bytes(), b"\r\nHost: nginx\r\nConnection: close\r\n\r\n"].concat();
            let got = (statuses(&exchange(gateway.address, &sent).await), upstreams.take());
            if got != (vec![*want], Vec::new()) {
                wrong.push(format!("{why}: {}: {got:?} instead of {want}", String::from_utf8_lossy(call)));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(upstreams.connections(), 0);
}

/// Why, the whole of what is sent, and all answers.
const SHAPES: &[(&str, &[u8], &[u16])] = &[
    ("two lengths", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", &[400]),
    ("the same length twice", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", &[400]),
    ("two lengths in one", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", &[400]),
    ("a length with a sign", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", &[400]),
    ("a length below nothing", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\na", &[400]),
    ("a length by sixteen", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na", &[400]),
    ("a length and chunks", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("chunks and a length", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", &[400]),
    ("chunks twice", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("chunks and something else", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", &[501]),
    ("no chunks", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", &[501]),
    ("almost chunks", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", &[501]),
    ("chunks in HTTP/1.0", b"PUT /storage/final/ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("a space before the colon", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", &[400]),
    ("a folded header", b"GET /kong/x HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\nConnection: close\r\n\r\n", &[400]),
    ("a folded length", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 1\r\n\r\na", &[400]),
    ("a header that begins with a space", b"GET /kong/x HTTP/1.1\r\n Host: a\r\n\r\n", &[400]),
    ("a zero byte in a header", b"GET /kong/x HTTP/1.1\r\nHost: a\r\nX-A: b\x00c\r\n\r\n", &[400]),
    ("a zero byte in a header's name", b"GET /kong/x HTTP/1.1\r\nHost: a\r\nX-\x00A: b\r\n\r\n", &[400]),
    ("no host", b"GET /kong/x HTTP/1.1\r\n\r\n", &[400]),
    ("two hosts", b"GET /kong/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400]),
    ("a host that is none", b"GET /kong/x HTTP/1.1\r\nHost: a/b\r\n\r\n", &[400]),
    ("HTTP/0.9", b"GET /kong/x\r\n", &[400]),
    ("HTTP/0.9 to the analysis", b"GET /analysis/healthz\r\n", &[400]),
    ("HTTP/1.2", b"GET /kong/x HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n", &[400]),
    ("HTTP/2 by name", b"GET /kong/x HTTP/2.0\r\nHost: a\r\n\r\n", &[505]),
    ("HTTP/2 by its preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400]),
    ("no HTTP", b"GET /kong/x HTCPCP/1.0\r\nHost: a\r\n\r\n", &[400]),
    ("another version's digits", b"GET /kong/x HTTP/1.1.1\r\nHost: a\r\n\r\n", &[400]),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", &[400]),
    ("a chunk that has no length", b"PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", &[400]),
    (
        "a second request behind a refused one is a request of its own",
        b"GET /po/ HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nDELETE /po/delete HTTP/1.1\r\nHost: a\r\n\r\n.GET /po/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        &[404, 404],
    ),
];

#[tokio::test]
async fn requests_that_could_be_taken_for_two_or_for_others_are_refused_and_arrive_nowhere() {
    let upstreams = Recorders::start(Family::Ipv4).await;
    let gateway = Gateway::before(&upstreams.addresses);
    let long = |length: usize, head: &str, tail: &str| format!("{head}{}{tail}", "a".repeat(length)).into_bytes();
    let end = " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let lengthy = [
        ("a path that is too long", long(9000, "GET /kong/", end), vec![414]),
        ("dots behind a path as long as may be", long(7900, "GET /kong/", &format!("/..{end}")), vec![400]),
        ("a slash behind many", format!("GET /kong{}/%2f{end}", "/a".repeat(3900)).into_bytes(), vec![400]),
        ("a header that is too long", long(9000, "GET /kong/x HTTP/1.1\r\nHost: a\r\nX-A: ", "\r\n\r\n"), vec![400]),
        (
            "too many headers",
            format!("GET /kong/x HTTP/1.1\r\nHost: a\r\n{}\r\n", long_headers()).into_bytes(),
            vec![400],
        ),
        (
            "a log line that is too long",
            long(
                1_048_577,
                "POST /po/stream_logs HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1048577\r\n\r\n",
                "",
            ),
            vec![413],
        ),
    ];
    let shapes = SHAPES.iter().map(|(why, sent, want)| (*why, sent.to_vec(), want.to_vec())).chain(lengthy);
    let mut wrong = Vec::new();
    for (why, sent, want) in shapes {
        let got = (statuses(&exchange(gateway.address, &sent).await), upstreams.take());
        if got != (want.clone(), Vec::new()) {
            wrong.push(format!("{why}: {got:?} instead of {want:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(upstreams.connections(), 0);
}

fn long_headers() -> String {
    format!("X-A: {}\r\n", "a".repeat(1000)).repeat(40)
}

#[tokio::test]
async fn what_is_odd_but_can_be_read_in_one_way_arrives_as_one_plain_request_each() {
    let get = |path: &str| arrived(&format!("GET {path}"), "", "");
    let secret = "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = secret.len();
    let own = format!("Content-Length: {length}\r\n");
    let put = Arrived { upstream: "storage", ..arrived("PUT /final/", &own, secret) };
    let close = "Connection: close\r\n";
    let chunk = format!("Transfer-Encoding: chunked\r\n\r\n{length:x};a=b\r\n{secret}\r\n0\r\nX-Late: yes\r\n\r\n");
    let long = "a".repeat(8000);
    all_arrive(&[
        ("no host in HTTP/1.0", "GET /kong/x HTTP/1.0\r\n\r\n".to_owned(), vec![get("/x")]),
        ("lines without returns", "GET /kong/x HTTP/1.1\nHost: a\nConnection: close\n\n".to_owned(), vec![get("/x")]),
        ("an empty line before", format!("\r\nGET /kong/x HTTP/1.1\r\nHost: a\r\n{close}\r\n"), vec![get("/x")]),
        (
            "two requests one after another",
            format!("GET /kong/x HTTP/1.1\r\nHost: a\r\n\r\nGET /kong/y HTTP/1.1\r\nHost: b\r\n{close}\r\n"),
            vec![get("/x"), get("/y")],
        ),
        (
            "a request in another's body",
            format!("GET /kong/x HTTP/1.1\r\nHost: a\r\n{close}{own}\r\n{secret}"),
            vec![arrived("GET /x", &own, secret)],
        ),
        ("a request in chunks", format!("PUT /storage/final/ HTTP/1.1\r\nHost: a\r\n{close}{chunk}"), vec![put]),
        (
            "as long as may be",
            format!("GET /kong/{long} HTTP/1.1\r\nHost: a\r\n{close}\r\n"),
            vec![get(&format!("/{long}"))],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_a_caller_says_of_itself_and_of_the_connection_goes_no_further() {
    let get = |own: &str| vec![arrived("GET /x", own, "")];
    let with = |headers: &str| format!("GET /kong/x HTTP/1.1\r\n{headers}\r\n");
    let upgrade =
        |to: &str| with(&format!("Host: a\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: {to}\r\n"));
    let odd = with("Host: a\r\nX_Forwarded_For: 1\r\nX-Forwarded_For: 1\r\nConnection: close\r\n");
    all_arrive(&[
        ("a change to HTTP/2", upgrade("h2c"), get("")),
        ("a change to WebSocket", upgrade("websocket"), get("")),
        ("claims", with(&format!("{CLAIMS}Connection: close\r\n")), get("")),
        ("names that some read as others", odd, get("")),
        ("no colon", with("Host: a\r\nX-A\r\nConnection: close\r\n"), get("X-A: \r\n")),
    ])
    .await;
}

/// Each of these (why, what is sent) arrives as that and no more, and is answered.
async fn all_arrive(cases: &[(&str, String, Vec<Arrived>)]) {
    let upstreams = Recorders::start(Family::Ipv4).await;
    let gateway = Gateway::before(&upstreams.addresses);
    for (why, sent, want) in cases {
        let answered = statuses(&exchange(gateway.address, sent.as_bytes()).await);
        assert_eq!((answered, upstreams.take()), (vec![200; want.len()], want.clone()), "{why}");
    }
}

/// What an upstream gets of a request, with these headers of its own.
fn arrived(line: &str, own: &str, body: &str) -> Arrived {
    let upstream = if line.starts_with("PUT") { "storage" } else { "kong" };
    let host = if upstream == "kong" { "kong-proxy" } else { "storage-service" };
    let head = format!(
        "{line} HTTP/1.1\r\nHost: flame-node-{host}.flame.svc\r\nX-Real-IP: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\n\
         X-Forwarded-Proto: http\r\n{own}\r\n"
    );
    Arrived { upstream, head, body: body.to_owned() }
}

#[tokio::test]
async fn what_an_upstream_answers_does_not_lead_to_another() {
    for (upstream, call) in [("analysis", "GET /analysis/healthz"), ("message-broker", "GET /message-broker/healthz")] {
        let location = "Location: http://{own}/elsewhere\r\n";
        let lines = format!("X-Accel-Redirect: /storage/local/1\r\nX-Accel-Buffering: yes\r\n{location}");
        let upstreams = Recorders::start(Family::Ipv4).await.answering(upstream, &lines).await;
        let gateway = Gateway::before(&upstreams.addresses);
        let call = format!("{call} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = String::from_utf8(exchange(gateway.address, call.as_bytes()).await).unwrap();
        let asked: Vec<&str> = upstreams.take().iter().map(|arrived| arrived.upstream).collect();
        let own = upstreams.addresses[UPSTREAMS.iter().position(|name| *name == upstream).unwrap()];
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let (date, length) = (head.lines().find(|line| line.starts_with("Date: ")).unwrap(), upstream.len());
        let want = format!(
            "HTTP/1.1 200 OK\r\nServer: nginx\r\n{date}\r\nContent-Length: {length}\r\nConnection: close\r\n{}",
            location.replace("{own}", &own.to_string())
        );
        assert_eq!((head, body, asked), (want.trim_end(), upstream, vec![upstream]));
    }
}

fn ids(call: &[u8]) -> Vec<u8> {
    let text: String = call.iter().map(|byte| char::from(*byte)).collect();
    let text = text.replace("{A}", ANALYSIS).replace("{P}", PROJECT);
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
}

/// Headers of which no upstream gets any.
const CLAIMS: &str = "Host: kong-admin:8001\r\nX-Real-IP: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\
    X-Forwarded-Host: kong-admin\r\nX-Forwarded-Port: 8001\r\nX-Forwarded-Prefix: /x\r\nX-Forwarded-Path: /x\r\n\
    X-Forwarded-Server: a\r\nX-Client-IP: 10.0.0.1\r\nX-Cluster-Client-IP: 10.0.0.1\r\nTrue-Client-IP: 10.0.0.1\r\n\
    Forwarded: for=10.0.0.1\r\nVia: 1.1 a\r\nProxy: http://a\r\nProxy-Connection: keep-alive\r\n\
    Proxy-Authorization: Basic YQ==\r\nTE: trailers\r\nTrailer: X-Late\r\nKeep-Alive: timeout=5\r\nExpect: 100-continue\r\n\
    X-Original-URL: /services\r\nX-Rewrite-URL: /services\r\nX-HTTP-Method: DELETE\r\nX-HTTP-Method-Override: DELETE\r\n\
    X-Method-Override: DELETE\r\n";

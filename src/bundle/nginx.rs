//! The gateway's nginx.conf: exact ways from the analysis to the node's services and back, and nothing else.
//!
//! Everything that is filled in is an id, a number, an address or a host by type, so no text of a request or of settings
//! can reach the file. `tests/nginx` holds what is written here against a real nginx, call by call and probe by probe.

use std::fmt::Write;
use std::net::IpAddr;

use super::GATEWAY_PORT;
use super::host::Host;
use super::services::{Address, Route};
use crate::model::{AnalysisId, ProjectId};

/// Where a gateway leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    /// To the data.
    pub kong: Route,
    /// To the results.
    pub storage: Route,
    /// To what it may know of its data sources.
    pub hub_adapter: Route,
    /// To other nodes' analyses.
    pub message_broker: Route,
    /// To where its log lines go.
    pub orchestrator: Route,
    /// Back to the analysis.
    pub analysis: Target,
}

/// Where something is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name, which is sent as `Host` whatever the analysis sent.
    pub host: Host,
    /// Its address.
    pub address: Address,
    /// Its port.
    pub port: u16,
}

/// The text of `nginx.conf`.
pub(super) fn configuration(analysis: AnalysisId, project: ProjectId, routes: &Routes) -> String {
    let mut text = HEAD.to_owned();
    text.push_str(&listens(routes));
    text.push_str(SERVER);
    for location in locations(analysis, project, routes) {
        location.write(&mut text);
    }
    text.push_str(TAIL);
    text
}

/// Where it listens. Pods have the family of addresses that Services have; a machine without IPv6 refuses to listen
/// there, and NGINX would not start.
fn listens(routes: &Routes) -> String {
    let Routes { kong, storage, hub_adapter, message_broker, orchestrator, analysis } = routes;
    let nodes = [kong, storage, hub_adapter, message_broker, orchestrator].map(|route| &route.target);
    let is_newer = |target: &&Target| matches!(target.address, Address::Cluster(IpAddr::V6(_)));
    let newer = nodes.into_iter().chain([analysis]).any(|target| is_newer(&target));
    let also = if newer { format!("    listen [::]:{GATEWAY_PORT};\n") } else { String::new() };
    format!("    listen {GATEWAY_PORT};\n{also}")
}

/// One way through the gateway.
struct Location<'a> {
    /// How nginx matches it.
    matches: String,
    /// The methods that may be used; HEAD where GET may.
    methods: &'static [&'static str],
    /// What of the path goes on: the group of this regular expression.
    kept: &'static str,
    target: &'a Target,
    /// More lines.
    more: &'static [&'static str],
}

fn locations<'a>(analysis: AnalysisId, project: ProjectId, routes: &'a Routes) -> Vec<Location<'a>> {
    let broker = format!("/message-broker/analyses/{analysis}");
    let exact = |path: &str| format!("= {path}");
    let location = |matches: String, methods, kept, target| Location { matches, methods, kept, target, more: &[] };
    let (kong, storage) = (&routes.kong.target, &routes.storage.target);
    let (adapter, messages) = (&routes.hub_adapter.target, &routes.message_broker.target);
    vec![
        // The first regular expression that matches counts. A prefix with a slash at its end would also redirect to it.
        location(SEARCH.to_owned(), &["GET", "POST"], KONG, kong),
        location("~ ^/kong/".to_owned(), &["GET"], KONG, kong),
        location(STORAGE.to_owned(), &["GET", "PUT"], "^/storage(/.*)", storage),
        location(exact(&format!("/hub-adapter/kong/datastore/{project}")), &["GET"], "^/hub-adapter(/.*)", adapter),
        location(exact("/message-broker/healthz"), &["GET"], BROKER, messages),
        location(exact(&format!("{broker}/participants")), &["GET"], BROKER, messages),
        location(exact(&format!("{broker}/participants/self")), &["GET"], BROKER, messages),
        location(exact(&format!("{broker}/messages")), &["POST"], BROKER, messages),
        location(exact(&format!("{broker}/messages/subscriptions")), &["GET", "POST", "DELETE"], BROKER, messages),
        Location { more: LOGS, ..location(exact("/po/stream_logs"), &["POST"], "^(/.*)", &routes.orchestrator.target) },
        Location {
            more: HEALTH,
            ..location(exact("/analysis/healthz"), &["GET"], "^/analysis(/.*)", &routes.analysis)
        },
        location("~ ^/analysis/".to_owned(), &["GET", "POST"], "^/analysis(/.*)", &routes.analysis),
    ]
}

impl Location<'_> {
    fn write(&self, text: &mut String) {
        let Target { host, address, port } = self.target;
        let at = match address {
            Address::Cluster(IpAddr::V6(address)) => format!("[{address}]:{port}"),
            Address::Cluster(IpAddr::V4(address)) => format!("{address}:{port}"),
            Address::Name => format!("{host}:{port}"),
        };
        let mut lines = vec![
            format!("location {} {{", self.matches),
            format!("  limit_except {} {{ deny all; }}", self.methods.join(" ")),
            format!("  set $service {host};"),
            // The path goes on as it was matched, decoded and encoded again, so that nobody reads it otherwise.
            // `.` ends at a newline and `$` also matches before one; such paths were refused above, and `\z` is the end.
            format!(r"  rewrite {}\z $1 break;", self.kept),
            format!("  proxy_pass http://{at};"),
        ];
        lines.extend(self.more.iter().map(|line| format!("  {line}")));
        lines.push("}".to_owned());
        for line in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "    {line}");
        }
    }
}

const KONG: &str = "^/kong(/.*)";
/// The one thing that is asked of the data by POST: a FHIR search whose parameters are too long for an address, or are not
/// for logs. All else but GET writes: `POST /Patient` stores one, and a bundle posted to the root may do anything. The SDK
/// only reads, by GET. The Hub adapter gives a route in Kong GET alone unless it is asked for more, which then is no longer
/// for every analysis to use.
const SEARCH: &str = r"~ ^/kong/[^/]+/fhir/(?:[^/]+/)*_search\z";
/// The storage service's paths, with and without something behind them.
const STORAGE: &str = r"~ ^/storage/(?:final|local|intermediate)(?:/|\z)";
const BROKER: &str = "^/message-broker(/.*)";
/// Whoever asks how an analysis is waits for less than ten seconds: that it hangs is told before.
const HEALTH: &[&str] = &["proxy_connect_timeout 3s;", "proxy_send_timeout 3s;", "proxy_read_timeout 5s;"];
/// Log lines are few and short, and each costs a question of the API server: whoever sends many is slowed, which one that
/// waits for answers only notices by that.
const LOGS: &[&str] = &["client_max_body_size 1m;", "limit_req zone=lines burst=100 delay=20;"];

/// What is refused before anything is matched. What a map cannot answer is refused, too.
///
/// The line as it came has a method, a path and one of two versions: no other host's address (`http://…`), no fragment.
/// The raw path, before nginx decodes and merges it, is refused where it could be read in two ways: encoded percent
/// signs, slashes, dots, semicolons, backslashes and control characters, encodings that are no UTF-8 though a careless
/// reader takes them for such characters, bytes that are to be encoded, semicolons, backslashes, doubled slashes and dot
/// segments. The query is not looked at: what it says is the upstream's business, and FHIR queries hold addresses.
const HEAD: &str = r#"# Made by Flamewarden from the analysis's request. Changes are undone.
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
  access_log off;
  server_tokens off;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  # The least that nginx takes where a page of memory has 64 KiB.
  limit_req_zone $server_name zone=lines:512k rate=20r/s;
  limit_req_status 429;
  limit_req_log_level notice;
  map $request $refused_line {
    default 1;
    "~^[A-Z]+ /[^ #]* HTTP/1\.[01]\z" 0;
  }
  map $request_uri $refused_path {
    default 0;
    "~*^[^?]*%(?:25|2e|2f|3b|5c|0|1|7f|c[01]|e0%[89]|f0%8|f[5-f])" 1;
    "~^[^?]*(?:[;\x5c\x80-\xff]|//)" 1;
    "~^[^?]*/\.\.?(?:[/?]|\z)" 1;
  }
  map $uri $refused_characters {
    default 0;
    "~[\x00-\x1f\x7f]" 1;
  }
  server {
"#;
/// Upstreams are told the address that the caller has, whatever it says itself, and nothing else of where it comes from
/// or what it would rather have called. What they answer does not steer this gateway.
const SERVER: &str = r#"    server_name _;
    # Results are large; they are passed on as they come.
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_http_version 1.1;
    proxy_redirect off;
    proxy_connect_timeout 10s;
    proxy_send_timeout 120s;
    proxy_read_timeout 120s;
    proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset;
    proxy_headers_hash_max_size 1024;
    proxy_headers_hash_bucket_size 128;
    proxy_set_header Host $service;
    proxy_set_header Connection "";
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host "";
    proxy_set_header X-Forwarded-Port "";
    proxy_set_header X-Forwarded-Prefix "";
    proxy_set_header X-Forwarded-Path "";
    proxy_set_header X-Forwarded-Server "";
    proxy_set_header X-Client-IP "";
    proxy_set_header X-Cluster-Client-IP "";
    proxy_set_header True-Client-IP "";
    proxy_set_header Forwarded "";
    proxy_set_header Via "";
    proxy_set_header Proxy "";
    proxy_set_header Proxy-Connection "";
    proxy_set_header Proxy-Authorization "";
    proxy_set_header Trailer "";
    proxy_set_header X-Original-URL "";
    proxy_set_header X-Rewrite-URL "";
    proxy_set_header X-HTTP-Method "";
    proxy_set_header X-HTTP-Method-Override "";
    proxy_set_header X-Method-Override "";
    if ($refused_line != 0) { return 400; }
    if ($refused_path != 0) { return 400; }
    if ($refused_characters != 0) { return 400; }
    location / { return 404; }
    location = /healthz { return 200 'healthy'; }
"#;
const TAIL: &str = "  }\n}\n";

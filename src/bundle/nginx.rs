//! The gateway's nginx.conf: exact ways from the analysis to the node's services and back, and nothing else.
//!
//! Everything that is filled in is an id, a number or an address by type, or the name of a Service that the API server
//! has stored, so no text of a request can reach the file.

use std::fmt::Write;
use std::net::IpAddr;

use super::GATEWAY_PORT;
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
    pub host: String,
    /// Its address.
    pub address: Address,
    /// Its port.
    pub port: u16,
}

/// The text of `nginx.conf`.
pub(super) fn configuration(analysis: AnalysisId, project: ProjectId, routes: &Routes) -> String {
    let mut text = HEAD.replace("{port}", &GATEWAY_PORT.to_string());
    for location in locations(analysis, project, routes) {
        location.write(&mut text);
    }
    text.push_str(TAIL);
    text
}

/// One way through the gateway.
struct Location<'a> {
    /// How nginx matches it.
    matches: String,
    /// The methods that may be used; any where the list is empty.
    methods: &'static [&'static str],
    /// What is taken from the path before it goes on, as a regular expression with what is kept in its group; the whole
    /// path goes on where there is none.
    cut: Option<&'static str>,
    target: &'a Target,
    /// More lines.
    more: &'static [&'static str],
}

fn locations<'a>(analysis: AnalysisId, project: ProjectId, routes: &'a Routes) -> Vec<Location<'a>> {
    let broker = format!("/message-broker/analyses/{analysis}");
    let exact = |path: &str| format!("= {path}");
    let location = |matches: String, methods, cut, target| Location { matches, methods, cut, target, more: &[] };
    let (kong, storage) = (&routes.kong.target, &routes.storage.target);
    let (adapter, messages) = (&routes.hub_adapter.target, &routes.message_broker.target);
    vec![
        location("^~ /kong/".to_owned(), &[], Some("^/kong(/.*)"), kong),
        location(STORAGE.to_owned(), &["GET", "PUT"], Some("^/storage(/.*)"), storage),
        location(
            exact(&format!("/hub-adapter/kong/datastore/{project}")),
            &["GET"],
            Some("^/hub-adapter(/.*)"),
            adapter,
        ),
        location(exact("/message-broker/healthz"), &["GET"], BROKER, messages),
        location(exact(&format!("{broker}/participants")), &["GET"], BROKER, messages),
        location(exact(&format!("{broker}/participants/self")), &["GET"], BROKER, messages),
        location(exact(&format!("{broker}/messages")), &["POST"], BROKER, messages),
        location(exact(&format!("{broker}/messages/subscriptions")), &["GET", "POST", "DELETE"], BROKER, messages),
        Location { more: LOGS, ..location(exact("/po/stream_logs"), &["POST"], None, &routes.orchestrator.target) },
        location("^~ /analysis/".to_owned(), &["GET", "POST"], Some("^/analysis(/.*)"), &routes.analysis),
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
        let mut lines = vec![format!("location {} {{", self.matches)];
        if !self.methods.is_empty() {
            lines.push(format!("  limit_except {} {{ deny all; }}", self.methods.join(" ")));
        }
        // `.` ends at a newline and `$` also matches before one; such paths were refused above, and `\z` is the end.
        lines.extend(self.cut.map(|cut| format!(r"  rewrite {cut}\z $1 break;")));
        // A location that sets one header inherits none, so it sets all of them.
        lines.push(format!("  proxy_set_header Host {host};"));
        lines.extend(HEADERS.iter().map(|header| format!("  proxy_set_header {header};")));
        lines.push(format!("  proxy_pass http://{at};"));
        lines.extend(self.more.iter().map(|line| format!("  {line}")));
        lines.push("}".to_owned());
        for line in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "    {line}");
        }
    }
}

/// What upstreams are told of the caller: the address that it has, whatever it says itself.
const HEADERS: &[&str] = &[
    "Connection \"\"",
    "X-Real-IP $remote_addr",
    "X-Forwarded-For $remote_addr",
    "X-Forwarded-Proto $scheme",
    "X-Forwarded-Host \"\"",
    "Forwarded \"\"",
];
/// The storage service's paths, with and without something behind them.
const STORAGE: &str = r"~ ^/storage/(?:final|local|intermediate)(?:/|\z)";
const BROKER: Option<&str> = Some("^/message-broker(/.*)");
/// Log lines are few, and what takes them answers at once.
const LOGS: &[&str] = &["client_max_body_size 1m;"];

/// The raw path, before nginx decodes and merges it, is refused where it could be read in two ways: encoded percent
/// signs, slashes, dots and control characters, semicolons, backslashes, doubled slashes and dot segments. The query is
/// not looked at: what it says is the upstream's business, and FHIR queries hold addresses.
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
  map $request_uri $refused {
    default 0;
    "~*^[^?]*%(?:25|2e|2f|3b|5c|0|1|7f)" 1;
    "~^[^?]*(?:;|\\|//)" 1;
    "~^[^?]*/\.\.?(?:[/?]|\z)" 1;
    "~^(?!/)" 1;
  }
  map $uri $unprintable {
    default 0;
    "~[\x00-\x1f\x7f]" 1;
  }
  server {
    listen {port};
    server_name _;
    # Results are large; they are passed on as they come.
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_http_version 1.1;
    proxy_redirect off;
    proxy_connect_timeout 10s;
    proxy_send_timeout 120s;
    proxy_read_timeout 120s;
    if ($refused) { return 400; }
    if ($unprintable) { return 400; }
    location / { return 404; }
    location = /healthz { return 200 'healthy'; }
"#;
const TAIL: &str = "  }\n}\n";

//! A server that stands in for FLAME's Hub: core and authentication at one address. It answers as FLAME's own client
//! needs it, knows what it was told, and fails as a test says.
//!
//! Other targets take this file by `#[path]`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use flamewarden::policy::FieldNames;
use flamewarden::remote::Address;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One question that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status, whatever was asked; also of who logs in.
    Status(u16),
    /// No answer.
    Silence,
    /// More than anybody can want.
    Huge,
    /// A redirect to somewhere else.
    Redirect,
    /// No JSON.
    Garbage,
    /// JSON of another form.
    Other,
    /// So many parts of the analysis on every page.
    Crowd(usize),
    /// A refusal that repeats what it was sent: the secret to who logs in, the token to others.
    Echo,
}

/// One analysis on one node.
#[derive(Debug, Clone)]
struct Part {
    id: String,
    analysis: String,
    node: String,
    status: Option<String>,
    progress: Option<u64>,
    /// Everything that it was told, in order.
    told: Vec<(String, Option<u64>)>,
}

/// A running Hub; it ends with the test.
pub(crate) struct Hub {
    pub(crate) address: Address,
    state: watch::Sender<Known>,
    names: FieldNames,
    server: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Clone)]
struct Known {
    names: FieldNames,
    fault: Option<Fault>,
    /// How many tokens were handed out; only the last is taken.
    tokens: u32,
    /// In seconds.
    lifetime: u64,
    /// Which node it says that is ours.
    node: Option<&'static str>,
    parts: Vec<Part>,
    /// The hashes of what it has built, by analysis; none where it has built nothing yet.
    built: BTreeMap<String, Option<String>>,
    logs: Vec<Value>,
    asked: Vec<Asked>,
}

impl Hub {
    /// A Hub on a free port.
    pub(crate) async fn start(names: FieldNames) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        Hub::on(listener, &address, names)
    }

    /// The same on any listener.
    pub(crate) fn on<L>(listener: L, address: &str, names: FieldNames) -> Self
    where
        L: axum::serve::Listener,
        L::Addr: std::fmt::Debug,
    {
        let known = Known {
            names,
            fault: None,
            tokens: 0,
            lifetime: 3600,
            node: Some(NODE),
            parts: Vec::new(),
            built: BTreeMap::new(),
            logs: Vec::new(),
            asked: Vec::new(),
        };
        let (state, _) = watch::channel(known);
        let server = Mutex::new(Some(serve(listener, state.clone())));
        Hub { address: Address::parse(address).unwrap(), state, names, server }
    }

    /// Nobody listens any more; what is known stays.
    pub(crate) async fn stop(&self) {
        let server = self.server.lock().unwrap().take().unwrap();
        server.abort();
        let _ = server.await;
    }

    /// Listens again where it did.
    pub(crate) async fn start_again(&self) {
        let authority = self.address.as_str().trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind(authority).await.unwrap();
        *self.server.lock().unwrap() = Some(serve(listener, self.state.clone()));
    }

    /// An analysis on this node (of that client) or on another; gives the part's id.
    pub(crate) fn part(&self, analysis: &str, node: &str, status: Option<&str>) -> String {
        let mut id = String::new();
        self.state.send_modify(|known| {
            id = format!("99999999-0000-4000-8000-{:012}", known.parts.len());
            known.parts.push(Part {
                id: id.clone(),
                analysis: analysis.to_owned(),
                node: node.to_owned(),
                status: status.map(str::to_owned),
                progress: None,
                told: Vec::new(),
            });
        });
        id
    }

    /// What it says from now on that it has built of an analysis.
    pub(crate) fn built(&self, analysis: &str, hash: Option<&str>) {
        self.state.send_modify(|known| {
            known.built.insert(analysis.to_owned(), hash.map(str::to_owned));
        });
    }

    /// What goes wrong from now on.
    pub(crate) fn fails(&self, fault: Option<Fault>) {
        self.state.send_modify(|known| known.fault = fault);
    }

    /// Tokens last so long from now on, in seconds.
    pub(crate) fn tokens_last(&self, lifetime: u64) {
        self.state.send_modify(|known| known.lifetime = lifetime);
    }

    /// Which node it says that is ours, if it knows any.
    pub(crate) fn node_is(&self, node: Option<&'static str>) {
        self.state.send_modify(|known| known.node = node);
    }

    /// No token that was handed out is taken any more.
    pub(crate) fn end_tokens(&self) {
        self.state.send_modify(|known| known.tokens += 1);
    }

    /// What a part was told, in order.
    pub(crate) fn told(&self, part: &str) -> Vec<(String, Option<u64>)> {
        let known = self.state.borrow();
        known.parts.iter().find(|known| known.id == part).unwrap().told.clone()
    }

    /// The lines logged.
    pub(crate) fn logs(&self) -> Vec<Value> {
        self.state.borrow().logs.clone()
    }

    /// Everything that was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.borrow().asked.clone()
    }

    /// How it writes the names of fields.
    pub(crate) fn names(&self) -> FieldNames {
        self.names
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(server) = self.server.lock().unwrap().take() {
            server.abort();
        }
    }
}

fn serve<L>(listener: L, state: watch::Sender<Known>) -> JoinHandle<()>
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    let router = Router::new().fallback(handle).with_state(Arc::new(state));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

async fn handle(State(state): State<Arc<watch::Sender<Known>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let bearer = head.headers.get("authorization").map(|value| value.to_str().unwrap().replace("Bearer ", ""));
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let uri = reqwest::Url::parse(&format!("http://hub{}", head.uri.path_and_query().unwrap())).unwrap();
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: uri.query_pairs().into_owned().collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let fault = state.borrow().fault;
    let mut answer = None;
    state.send_modify(|known| {
        known.asked.push(asked.clone());
        if fault.is_none() {
            answer = Some(known.answer(&asked, bearer.as_deref()));
        }
    });
    let (status, body) = match (answer, fault) {
        (Some((status, body)), _) => (status, body.to_string().into()),
        (None, Some(fault)) => wrong(fault, &asked, bearer.as_deref()).await,
        (None, None) => unreachable!("without a fault there is an answer"),
    };
    Response::builder().status(status).header("location", "http://127.0.0.1:1/").body(body).unwrap()
}

async fn wrong(fault: Fault, asked: &Asked, bearer: Option<&str>) -> (u16, Body) {
    match fault {
        Fault::Status(status) => (status, refusal(status, "it does not work").to_string().into()),
        Fault::Silence => std::future::pending().await,
        Fault::Huge => (200, vec![b' '; 8 * 1024 * 1024].into()),
        Fault::Redirect => (307, Body::empty()),
        Fault::Garbage => (200, "<html>".into()),
        Fault::Other => (200, json!({"data": {"id": 1}}).to_string().into()),
        Fault::Crowd(parts) => {
            let analysis = &asked.query["filter[analysisId]"];
            let part = |number| {
                let id = format!("99999999-0000-4000-8000-1{number:011}");
                json!({"id": id, "analysisId": analysis, "nodeId": OTHER_NODE})
            };
            (200, json!({"data": (0..parts).map(part).collect::<Vec<_>>()}).to_string().into())
        }
        Fault::Echo => {
            let secret = asked.body["client_secret"].as_str().or(bearer).unwrap_or_default();
            (403, refusal(403, &format!("you sent {secret}")).to_string().into())
        }
    }
}

impl Known {
    fn answer(&mut self, asked: &Asked, bearer: Option<&str>) -> (u16, Value) {
        if (asked.method.as_str(), asked.path.as_str()) == ("POST", "/token") {
            return self.token(&asked.body);
        }
        if bearer != Some(format!("token-{}", self.tokens).as_str()) {
            return (401, refusal(401, "the token is not valid"));
        }
        let part = asked.path.strip_prefix("/analysis-nodes/");
        match (asked.method.as_str(), asked.path.as_str(), part) {
            ("GET", "/nodes", _) => (200, self.list(asked, self.nodes())),
            ("GET", "/analysis-nodes", _) => (200, self.list(asked, self.parts(asked))),
            ("POST", "/analysis-node-logs", _) => self.log(&asked.body),
            ("POST", _, Some(part)) => self.tell(part, &asked.body),
            _ => (404, refusal(404, "there is no such route")),
        }
    }

    fn token(&mut self, body: &Value) -> (u16, Value) {
        let wanted = json!({"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET});
        if *body != wanted {
            return (400, refusal(400, "client credentials are invalid"));
        }
        self.tokens += 1;
        let token = format!("token-{}", self.tokens);
        (200, json!({"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer", "scope": "global"}))
    }

    fn nodes(&self) -> Vec<Value> {
        let own = self.node.map(|node| (node, CLIENT));
        [(OTHER_NODE, OTHER_CLIENT)]
            .into_iter()
            .chain(own)
            .map(|(id, client)| {
                json!({
                    "id": id, "client_id": client, "name": "node", "external_name": null, "hidden": false,
                    "realm_id": REALM, "registry_id": null, "registry_project_id": null, "type": "default",
                    "public_key": null, "online": true, "robot_id": null, "created_at": TIME, "updated_at": TIME,
                })
            })
            .collect()
    }

    /// All parts, each with its analysis where that is asked for and known.
    fn parts(&self, asked: &Asked) -> Vec<Value> {
        let with = asked.query.get("include").is_some_and(|all| all.split(',').any(|one| one == "analysis"));
        let part = |part: &Part| {
            let mut json = part.json();
            if let Some(hash) = self.built.get(&part.analysis).filter(|_| with) {
                let analysis = json!({
                    "id": part.analysis, "name": "analysis", "build_status": "executed", "build_hash": hash,
                    "build_os": "linux", "realm_id": REALM, "created_at": TIME, "updated_at": TIME,
                });
                json["analysis"] = renamed(analysis, self.names);
            }
            json
        };
        self.parts.iter().map(part).collect()
    }

    /// A page of what the filters let through. One that is not known lets all through, as the Hub's do.
    fn list(&self, asked: &Asked, all: Vec<Value>) -> Value {
        let number = |name: &str, otherwise| asked.query.get(name).map_or(otherwise, |text| text.parse().unwrap());
        let (limit, offset) = (number("page[limit]", 50).min(50), number("page[offset]", 0));
        let fits = |resource: &Value| {
            let resource = resource.as_object().unwrap();
            let mut fields =
                resource.iter().map(|(name, value)| (format!("filter[{}]", written(name, self.names)), value));
            fields.all(|(name, value)| asked.query.get(&name).is_none_or(|wanted| value == wanted))
        };
        let fitting: Vec<Value> = all.into_iter().filter(fits).map(|resource| renamed(resource, self.names)).collect();
        let total = fitting.len();
        let data: Vec<Value> = fitting.into_iter().skip(offset).take(limit).collect();
        json!({"data": data, "meta": {"total": total, "limit": limit, "offset": offset, "schema": {}}})
    }

    fn tell(&mut self, id: &str, body: &Value) -> (u16, Value) {
        let names = self.names;
        let said = |name: &str| body[written(name, names)].clone();
        let Some(part) = self.parts.iter_mut().find(|part| part.id == id && part.node == NODE) else {
            return (404, refusal(404, "there is no such analysis node"));
        };
        let status = said("execution_status").as_str().map(str::to_owned).filter(|word| WORDS.contains(&word.as_str()));
        let Some(status) = status else { return (400, refusal(400, "execution status is invalid")) };
        part.progress = said("execution_progress").as_u64().or(part.progress);
        part.told.push((status.clone(), said("execution_progress").as_u64()));
        part.status = Some(status);
        (202, enveloped(renamed(part.json(), names), names))
    }

    fn log(&mut self, body: &Value) -> (u16, Value) {
        let said = |name: &str| body[written(name, self.names)].clone();
        let known =
            self.parts.iter().any(|part| said("analysis_id") == *part.analysis && said("node_id") == *part.node);
        if !known || !LEVELS.contains(&said("level").as_str().unwrap_or_default()) || !said("message").is_string() {
            return (400, refusal(400, "the log line is invalid"));
        }
        self.logs.push(body.clone());
        let line = json!({
            "time": TIME, "message": said("message"), "service": "hub-server-core-worker", "channel": "background",
            "level": said("level"), "labels": {"status": said("status")},
        });
        (202, enveloped(line, self.names))
    }
}

impl Part {
    fn json(&self) -> Value {
        json!({
            "id": self.id, "analysis_id": self.analysis, "node_id": self.node, "approval_status": "approved",
            "execution_status": self.status, "execution_progress": self.progress, "comment": null,
            "artifact_tag": null, "artifact_digest": null, "created_at": TIME, "updated_at": TIME,
            "analysis_realm_id": REALM, "node_realm_id": REALM,
        })
    }
}

/// What a newer Hub puts around a single resource.
fn enveloped(resource: Value, names: FieldNames) -> Value {
    if names == FieldNames::Camel { json!({"data": resource, "meta": {}}) } else { resource }
}

fn refusal(status: u16, message: &str) -> Value {
    json!({"statusCode": status, "code": "refused", "message": message})
}

fn renamed(resource: Value, names: FieldNames) -> Value {
    let Value::Object(fields) = resource else { unreachable!("resources are objects") };
    fields.into_iter().map(|(name, value)| (written(&name, names), value)).collect()
}

fn written(name: &str, names: FieldNames) -> String {
    match names {
        FieldNames::Snake => name.to_owned(),
        FieldNames::Camel => {
            let mut upper = false;
            let letter = |c: char| {
                let written = if upper { c.to_ascii_uppercase() } else { c };
                upper = c == '_';
                (!upper).then_some(written)
            };
            name.chars().filter_map(letter).collect()
        }
    }
}

/// This node and its client.
pub(crate) const NODE: &str = "11111111-0000-4000-8000-000000000001";
pub(crate) const CLIENT: &str = "22222222-0000-4000-8000-000000000001";
pub(crate) const SECRET: &str = "hub-client-secret";
/// Another.
pub(crate) const OTHER_NODE: &str = "11111111-0000-4000-8000-000000000002";
const OTHER_CLIENT: &str = "22222222-0000-4000-8000-000000000002";
const REALM: &str = "33333333-0000-4000-8000-000000000001";
const TIME: &str = "2026-08-01T12:00:00.000Z";
const WORDS: &[&str] = &["starting", "started", "stopping", "stopped", "executing", "executed", "failed"];
const LEVELS: &[&str] = &["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];

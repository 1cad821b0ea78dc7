//! A way to the API server that a test can break: watches end in 410 or within an event, lists fail, writes
//! hang, WatchList is unknown.
//!
//! Callers reach it by HTTP without TLS; it passes their calls on as the one user that it was made for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::stream;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::caller::Caller;
use crate::part::write_file;

/// What happens to every watch that is open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    /// It is told as an event that its version is too old.
    Expired,
    /// It breaks off within its next event.
    CutWithinEvent,
    /// Its next event is sent in part, and then it ends as if that were all.
    EndedWithinEvent,
    /// It ends without a word where its next event should come.
    Ended,
}

/// The way. Dropping it closes it.
pub(crate) struct Faulty {
    address: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    client: Client,
    faults: watch::Sender<Option<Fault>>,
    /// How many of the next watches and lists get which answer instead of their own.
    answers: Mutex<Vec<(Asked, StatusCode)>>,
    /// What was asked for: method and path without query.
    asked: Mutex<BTreeMap<String, usize>>,
    watch_lists: Mutex<usize>,
    /// Whether watches know of no pods.
    lost: AtomicBool,
    /// Whether writes and calls for a lease hang.
    hangs: watch::Sender<bool>,
    writes: Mutex<Vec<Write>>,
    /// After how many more writes, those for a lease aside, nothing is answered any more.
    left: Mutex<Option<usize>>,
    dead: watch::Sender<bool>,
}

/// A call that would change something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Write {
    /// Method and path.
    pub(crate) what: String,
    pub(crate) came: Instant,
    /// When it went on to the API server; never, where its caller gave up before.
    pub(crate) passed: Option<Instant>,
    /// When the API server had answered it.
    pub(crate) answered: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Asked {
    List,
    Watch,
    /// A watch that would begin with a list.
    WatchList,
    Other,
}

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

impl Faulty {
    /// A way that is open and passes calls on as this caller.
    pub(crate) async fn open(caller: &Caller) -> Faulty {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            client: caller.client(),
            faults: watch::Sender::new(None),
            answers: Mutex::default(),
            asked: Mutex::default(),
            watch_lists: Mutex::default(),
            lost: AtomicBool::new(false),
            hangs: watch::Sender::new(false),
            writes: Mutex::default(),
            left: Mutex::default(),
            dead: watch::Sender::new(false),
        });
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                let service = service_fn(move |request| pass(Arc::clone(&state), request));
                // A connection that breaks is what this is for.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Faulty { address, state, task }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A kubeconfig file that leads here.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let path = folder.join(format!("{}.kubeconfig", self.address));
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "faulty",
            "clusters": [{"name": "faulty", "cluster": {"server": format!("http://{}", self.address)}}],
            "contexts": [{"name": "faulty", "context": {"cluster": "faulty", "user": "faulty"}}],
            "users": [{"name": "faulty", "user": {}}],
        });
        write_file(&path, &config.to_string());
        path
    }

    /// Does this to every watch that is open.
    pub(crate) fn breaks(&self, fault: Fault) {
        self.state.faults.send_replace(Some(fault));
    }

    /// The next calls of a sort are answered like this, as often as said.
    pub(crate) fn answers(&self, asked: Asked, status: StatusCode, times: usize) {
        self.state.answers.lock().unwrap().extend(vec![(asked, status); times]);
    }

    /// From now on watches of pods begin with a list without any, and then tell nothing. Lists for themselves are whole.
    pub(crate) fn loses_pods(&self) {
        self.state.lost.store(true, Ordering::Relaxed);
    }

    /// From now on neither writes nor calls for a lease reach the API server; all else does. Whoever still waits when
    /// that ends is passed on then, as a network does with what it held up.
    pub(crate) fn hangs(&self, hangs: bool) {
        self.state.hangs.send_replace(hangs);
    }

    /// The caller dies when so many more writes were carried out: of the last it does not hear that it was, and none
    /// follows.
    pub(crate) fn dies_after(&self, writes: usize) {
        *self.state.left.lock().unwrap() = Some(writes);
    }

    /// Waits until that has happened.
    pub(crate) async fn dead(&self) {
        self.state.dead.subscribe().wait_for(|dead| *dead).await.unwrap();
    }

    /// All calls so far that would change something, in the order in which they came.
    pub(crate) fn writes(&self) -> Vec<Write> {
        self.state.writes.lock().unwrap().clone()
    }

    /// How many such answers are still to be given.
    pub(crate) fn to_answer(&self) -> usize {
        self.state.answers.lock().unwrap().len()
    }

    /// How often what was asked for, since the last time that somebody took it.
    pub(crate) fn take_asked(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.state.asked.lock().unwrap())
    }

    /// How often somebody asked for a list by way of a watch, and was answered 500.
    pub(crate) fn watch_lists(&self) -> usize {
        *self.state.watch_lists.lock().unwrap()
    }
}

impl State {
    /// Whether a write that was carried out was the last.
    fn is_the_last(&self) -> bool {
        let mut left = self.left.lock().unwrap();
        let now = left.map(|left| left.saturating_sub(1));
        *left = now;
        now == Some(0)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An API server that does not answer is one that breaks the connection.
async fn pass(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, kube::Error> {
    let (head, body) = request.into_parts();
    let asked = sort(&head.method, &head.uri);
    *state.asked.lock().unwrap().entry(format!("{} {}", head.method, head.uri.path())).or_default() += 1;
    if asked == Asked::WatchList {
        *state.watch_lists.lock().unwrap() += 1;
        return Ok(status(StatusCode::INTERNAL_SERVER_ERROR));
    }
    let instead = {
        let mut answers = state.answers.lock().unwrap();
        let place = answers.iter().position(|(sort, _)| *sort == asked);
        place.map(|place| answers.remove(place).1)
    };
    if let Some(instead) = instead {
        return Ok(status(instead));
    }
    // A caller that gives up closes its connection, and is waited for no longer.
    let body = body.collect().await.map_err(|problem| kube::Error::Service(problem.into()))?.to_bytes();
    let write = pass_on(&state, &head).await;
    // Before the call, so that no fault comes between.
    let faults = state.faults.subscribe();
    let of_a_watch = head.uri.query().is_some_and(|query| query.contains("limit="));
    let lost = head.uri.path().ends_with("/pods") && state.lost.load(Ordering::Relaxed);
    let counts = head.method != Method::GET && !head.uri.path().contains("/leases");
    let mut onward = Request::builder().method(head.method).uri(head.uri);
    for name in ["accept", "content-type"] {
        if let Some(value) = head.headers.get(name) {
            onward = onward.header(name, value);
        }
    }
    let answer = state.client.send(onward.body(Body::from(body.to_vec())).unwrap()).await?;
    if let Some(place) = write {
        state.writes.lock().unwrap()[place].answered = Some(Instant::now());
    }
    if counts && state.is_the_last() {
        state.hangs.send_replace(true);
        state.dead.send_replace(true);
        std::future::pending::<()>().await;
    }
    let (mut head, body) = answer.into_parts();
    for name in ["transfer-encoding", "content-length", "connection"] {
        head.headers.remove(name);
    }
    let body = match asked {
        Asked::Watch if lost => StreamBody::new(stream::pending()).boxed_unsync(),
        Asked::List if lost && of_a_watch => {
            let body = body.collect().await?.to_bytes();
            let mut list: serde_json::Value = serde_json::from_slice(&body).expect("a list");
            list["items"] = json!([]);
            Full::from(list.to_string()).map_err(|never: Infallible| match never {}).boxed_unsync()
        }
        Asked::Watch => watched(body, faults),
        _ => body.map_err(io::Error::other).boxed_unsync(),
    };
    Ok(Response::from_parts(head, body))
}

/// Waits until a call may go on, and notes it where it is a write; tells the place of the note.
async fn pass_on(state: &State, head: &Parts) -> Option<usize> {
    if head.method == Method::GET && !head.uri.path().contains("/leases/") {
        return None;
    }
    let place = (head.method != Method::GET).then(|| {
        let mut writes = state.writes.lock().unwrap();
        writes.push(Write {
            what: format!("{} {}", head.method, head.uri.path()),
            came: Instant::now(),
            passed: None,
            answered: None,
        });
        writes.len() - 1
    });
    let mut hangs = state.hangs.subscribe();
    // While this is held nobody can say that calls hang.
    let _goes_on = hangs.wait_for(|hangs| !hangs).await.unwrap();
    if let Some(place) = place {
        state.writes.lock().unwrap()[place].passed = Some(Instant::now());
    }
    place
}

fn sort(method: &Method, uri: &http::Uri) -> Asked {
    let asks = |what: &str| uri.query().is_some_and(|query| query.contains(what));
    let collection = ["pods", "networkpolicies"].iter().any(|name| uri.path().ends_with(name));
    match () {
        () if *method != Method::GET || !collection => Asked::Other,
        () if asks("sendInitialEvents=true") => Asked::WatchList,
        () if asks("watch=") => Asked::Watch,
        () => Asked::List,
    }
}

fn status(code: StatusCode) -> Answer {
    let body = Full::from(failure(code).to_string()).map_err(|never: Infallible| match never {}).boxed_unsync();
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}

fn failure(code: StatusCode) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": code.as_u16(),
        "message": "as the test says", "reason": if code == StatusCode::GONE { "Expired" } else { "InternalError" },
    })
}

/// The events of a watch, until a fault comes.
fn watched(mut events: Body, mut faults: watch::Receiver<Option<Fault>>) -> UnsyncBoxBody<Bytes, io::Error> {
    let (sender, receiver) = mpsc::channel::<io::Result<Frame<Bytes>>>(1);
    tokio::spawn(async move {
        let mut fault = None;
        loop {
            tokio::select! {
                event = events.frame() => {
                    let Some(Ok(Ok(event))) = event.map(|event| event.map(Frame::into_data)) else { return };
                    let Some(fault) = fault else {
                        if sender.send(Ok(Frame::data(event))).await.is_err() { return; }
                        continue;
                    };
                    if fault != Fault::Ended {
                        let _ = sender.send(Ok(Frame::data(event.slice(..event.len() / 2)))).await;
                    }
                    if fault == Fault::CutWithinEvent {
                        let _ = sender.send(Err(io::Error::other("cut"))).await;
                    }
                    return;
                }
                changed = faults.changed() => {
                    if changed.is_err() { return; }
                    fault = *faults.borrow();
                    if fault == Some(Fault::Expired) {
                        let told = json!({"type": "ERROR", "object": failure(StatusCode::GONE)});
                        let _ = sender.send(Ok(Frame::data(format!("{told}\n").into()))).await;
                        return;
                    }
                }
                () = sender.closed() => return,
            }
        }
    });
    let frames = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
    StreamBody::new(frames).boxed_unsync()
}

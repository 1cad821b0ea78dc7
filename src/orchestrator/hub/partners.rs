//! Edge: tells one running analysis how it is doing on other nodes, each period.

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};
use tokio::time::sleep;
use tracing::debug;
use uuid::Uuid;

use super::Shared;
use crate::hub::{HubProblem, ProcessStatus};
use crate::model::AnalysisId;
use crate::remote::{Address, Content, Question};
use crate::telemetry::whole;

/// Tells it until it is ended.
pub(super) async fn run(shared: Arc<Shared>, id: AnalysisId, gateway: Address) {
    let mut part = None;
    loop {
        if shared.leadership.holds() {
            shared.pass_on(id, &mut part, &gateway).await;
        }
        sleep(shared.period).await;
    }
}

impl Shared {
    /// Asks, and tells what it was answered. Both in one place: who waits for a place holds no answer.
    async fn pass_on(&self, id: AnalysisId, part: &mut Option<Uuid>, gateway: &Address) {
        let _place = self.questions.acquire().await;
        let asked = self.ask(id, part).await;
        self.count(&asked);
        if let Ok(body) = asked {
            self.inform(id, gateway, &body).await;
        }
    }

    async fn ask(&self, id: AnalysisId, part: &mut Option<Uuid>) -> Result<Value, HubProblem> {
        let own = match *part {
            Some(own) => own,
            None => *part.insert(self.hub.part(id).await?),
        };
        let partners = self.hub.partners(id, own).await?.into_iter();
        let each = partners.map(|(id, status)| (id.to_string(), json!(status.map(ProcessStatus::word))));
        Ok(json!({"partner_status": each.collect::<Map<_, _>>()}))
    }

    async fn inform(&self, id: AnalysisId, gateway: &Address, body: &Value) {
        let question = Question {
            method: Method::POST,
            address: gateway.below(&["analysis", "partner_status"]),
            bearer: None,
            content: Content::Json(body),
            longest: LONGEST,
        };
        // It may not be there yet, or not listen; the next period tells it again.
        match self.gateways.ask(question).await {
            Ok(answer) => debug!(analysis = %id, status = answer.status, "told of its partners"),
            Err(problem) => debug!(analysis = %id, problem = %whole(&problem), "not told of its partners"),
        }
    }
}

/// Of an answer.
const LONGEST: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use axum::Router;
    use axum::body::to_bytes;
    use axum::extract::Request;
    use tokio::net::TcpListener;
    use tokio::sync::{Semaphore, mpsc};

    use super::*;
    use crate::cluster::Leadership;
    use crate::hub::{Hub, HubAccount};
    use crate::model::Secret;
    use crate::policy::FieldNames;
    use crate::remote::{Remote, Ways};
    use crate::telemetry::Metrics;

    const ANALYSIS: &str = "44444444-0000-4000-8000-000000000001";
    const NODE: &str = "11111111-0000-4000-8000-000000000001";
    const OWN: &str = "99999999-0000-4000-8000-000000000001";
    const OTHER: &str = "99999999-0000-4000-8000-000000000002";

    /// A Hub and a gateway in one; what the gateway is told comes out here, and is never answered.
    async fn server() -> (Address, mpsc::Receiver<Value>) {
        let (sender, told) = mpsc::channel(1);
        let answer = move |request: Request| answer(sender.clone(), request);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        (address, told)
    }

    async fn answer(told: mpsc::Sender<Value>, request: Request) -> String {
        let part = |id: &str, node: &str, status: &str| json!({"id": id, "analysisId": ANALYSIS, "nodeId": node, "executionStatus": status});
        let page = match request.uri().path() {
            "/token" => json!({"access_token": "t", "expires_in": 3600}),
            "/nodes" => json!({"data": [{"id": NODE, "clientId": "us"}]}),
            "/analysis-nodes" => json!({"data": [part(OWN, NODE, "started"), part(OTHER, OTHER, "executing")]}),
            _ => {
                let body = to_bytes(request.into_body(), LONGEST).await.unwrap();
                told.send(serde_json::from_slice(&body).unwrap()).await.unwrap();
                pending().await
            }
        };
        page.to_string()
    }

    #[tokio::test]
    async fn an_analysis_is_told_of_its_partners_in_the_place_in_which_the_hub_was_asked() {
        let (address, mut told) = server().await;
        let remote = Remote::new(&Ways::plain(Duration::from_secs(60))).unwrap();
        let (secret, names) = (Secret::new("x"), FieldNames::Camel);
        let account =
            HubAccount { core: address.clone(), auth: address.clone(), client: "us".to_owned(), secret, names };
        let shared = Arc::new(Shared {
            hub: Arc::new(Hub::new(remote.clone(), account)),
            leadership: Leadership::default(),
            metrics: Arc::new(Metrics::new()),
            gateways: remote,
            period: Duration::from_secs(60),
            words: mpsc::channel(1).0,
            tells: Semaphore::new(1),
            questions: Semaphore::new(2),
            is_down: AtomicBool::new(false),
        });
        let asking = shared.clone();
        let task = tokio::spawn(async move {
            asking.pass_on(ANALYSIS.parse().unwrap(), &mut None, &address).await;
        });
        assert_eq!(told.recv().await.unwrap(), json!({"partner_status": {OTHER: "executing"}}));
        assert_eq!(shared.questions.available_permits(), 1);
        task.abort();
    }
}

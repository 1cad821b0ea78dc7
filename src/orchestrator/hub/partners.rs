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
            let asked = shared.ask(id, &mut part).await;
            shared.count(&asked);
            if let Ok(body) = asked {
                shared.inform(id, &gateway, &body).await;
            }
        }
        sleep(shared.period).await;
    }
}

impl Shared {
    async fn ask(&self, id: AnalysisId, part: &mut Option<Uuid>) -> Result<Value, HubProblem> {
        let _place = self.questions.acquire().await;
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

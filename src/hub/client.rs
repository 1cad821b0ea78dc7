//! Edge: what the Hub is asked, call by call; nothing is done twice that could do harm.

use std::collections::BTreeMap;

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::login::Login;
use super::representation::{AnalysisNode, BuiltNode, Node, Page, object, written};
use super::{Doing, HubAccount, HubProblem, ProcessStatus};
use crate::model::{AnalysisId, Secret};
use crate::policy::FieldNames;
use crate::remote::{Address, Answer, Content, HeldToken, Question, Remote};

/// A Hub that knows this node.
pub struct Hub {
    remote: Remote,
    core: Address,
    login: Login,
    names: FieldNames,
    /// This node's id, as long as nothing speaks against it.
    node: Mutex<Option<Uuid>>,
}

/// A line for people, of an analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// What it says.
    pub message: String,
    /// How urgent it is: `error`, `info` and so on.
    pub level: String,
    /// How the analysis was doing.
    pub status: ProcessStatus,
}

impl Hub {
    /// Asks nothing yet.
    pub fn new(remote: Remote, settings: HubAccount) -> Self {
        let HubAccount { core, auth, client, secret, names } = settings;
        let login = Login { address: auth.below(&["token"]), client, secret, held: HeldToken::default() };
        Hub { remote, core, login, names, node: Mutex::default() }
    }

    /// The id of this node's part in an analysis.
    ///
    /// # Errors
    /// The Hub does not say; or there is none.
    pub async fn part(&self, analysis: AnalysisId) -> Result<Uuid, HubProblem> {
        let node = self.node().await?;
        let parts = self.parts(analysis, &[("node_id", &node.to_string())]).await?;
        // A Hub that does not know the filter gives everybody's.
        if let Some(own) = parts.into_iter().find(|part| part.node == node) {
            return Ok(own.id);
        }
        // Perhaps it is the node's id that is wrong: the Hub may have said it wrongly, or have made the node anew.
        self.forget_node(node).await;
        Err(HubProblem::NoAnalysis(analysis))
    }

    /// The hash of the image that the Hub has built of an analysis in which this node takes part; none where nothing was
    /// built yet. It is asked for along with this node's part: the analysis itself may be in a realm that the node does not
    /// see.
    ///
    /// # Errors
    /// The Hub does not say; or it knows no such part.
    pub async fn build_hash(&self, analysis: AnalysisId) -> Result<Option<String>, HubProblem> {
        let node = self.node().await?;
        let (id, own) = (analysis.to_string(), node.to_string());
        let filter = [("analysis_id", id.as_str()), ("node_id", own.as_str())];
        let parts: Vec<BuiltNode> =
            self.list(Doing::FindBuild(analysis), "analysis-nodes", &filter, Some("analysis")).await?;
        // A Hub that does not know a filter gives everybody's.
        let own = parts.into_iter().filter(|part| part.node == node).filter_map(|part| part.built);
        if let Some(built) = own.into_iter().find(|built| built.analysis == analysis) {
            return Ok(built.hash);
        }
        self.forget_node(node).await;
        Err(HubProblem::NoAnalysis(analysis))
    }

    /// How the parts of other nodes in an analysis are doing, by the parts' ids; none for one that was never started.
    ///
    /// # Errors
    /// The Hub does not say.
    pub async fn partners(
        &self,
        analysis: AnalysisId,
        own: Uuid,
    ) -> Result<BTreeMap<Uuid, Option<ProcessStatus>>, HubProblem> {
        let parts = self.parts(analysis, &[]).await?;
        Ok(parts.into_iter().filter(|part| part.id != own).map(|part| (part.id, part.status)).collect())
    }

    /// Tells how this node's part is doing.
    ///
    /// # Errors
    /// The Hub does not take it.
    pub async fn tell(
        &self,
        analysis: AnalysisId,
        part: Uuid,
        status: ProcessStatus,
        progress: u8,
    ) -> Result<(), HubProblem> {
        let fields = [("execution_status", json!(status.word())), ("execution_progress", json!(progress))];
        let address = self.core.below(&["analysis-nodes", &part.to_string()]);
        self.post(Doing::Tell(analysis), address, &fields).await
    }

    /// Logs a line of an analysis on this node.
    ///
    /// # Errors
    /// The Hub does not take it.
    pub async fn log(&self, analysis: AnalysisId, line: &LogLine) -> Result<(), HubProblem> {
        let node = self.node().await?;
        let fields = [
            ("analysis_id", json!(analysis.to_string())),
            ("node_id", json!(node.to_string())),
            ("code", Value::Null),
            ("status", json!(line.status.word())),
            ("message", json!(line.message)),
            ("level", json!(line.level)),
        ];
        self.post(Doing::Log(analysis), self.core.below(&["analysis-node-logs"]), &fields).await
    }

    async fn node(&self) -> Result<Uuid, HubProblem> {
        // Many who ask at once wait for one.
        let mut known = self.node.lock().await;
        if let Some(node) = *known {
            return Ok(node);
        }
        let nodes: Vec<Node> = self.list(Doing::FindNode, "nodes", &[("client_id", &self.login.client)], None).await?;
        let own = nodes.into_iter().find(|node| node.client.as_ref() == Some(&self.login.client));
        Ok(*known.insert(own.ok_or(HubProblem::NoNode)?.id))
    }

    /// It is asked for anew next time, unless that has happened already.
    async fn forget_node(&self, node: Uuid) {
        let mut known = self.node.lock().await;
        if *known == Some(node) {
            *known = None;
        }
    }

    async fn parts(&self, analysis: AnalysisId, more: &[(&str, &str)]) -> Result<Vec<AnalysisNode>, HubProblem> {
        let id = analysis.to_string();
        let filter = [&[("analysis_id", id.as_str())], more].concat();
        let parts: Vec<AnalysisNode> = self.list(Doing::FindParts(analysis), "analysis-nodes", &filter, None).await?;
        Ok(parts.into_iter().filter(|part| part.analysis == analysis).collect())
    }

    /// All resources that a filter lets through, page by page, with one that they belong to where it is named.
    async fn list<T: DeserializeOwned>(
        &self,
        doing: Doing,
        resource: &str,
        filter: &[(&str, &str)],
        with: Option<&str>,
    ) -> Result<Vec<T>, HubProblem> {
        let mut found = Vec::new();
        for number in 0..PAGES {
            let mut query = vec![
                ("page[limit]".to_owned(), PAGE.to_string()),
                ("page[offset]".to_owned(), (number * PAGE).to_string()),
            ];
            query.extend(
                filter
                    .iter()
                    .map(|(name, value)| (format!("filter[{}]", written(name, self.names)), (*value).to_owned())),
            );
            query.extend(with.map(|name| ("include".to_owned(), name.to_owned())));
            let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let address = self.core.below(&[resource]).with(&query);
            let answer = self.ask(doing, Method::GET, address, Content::Nothing).await?;
            let page: Page<T> = answer.json().ok_or(HubProblem::Shape { doing })?;
            if page.data.len() > PAGE {
                return Err(HubProblem::Shape { doing });
            }
            let last = page.data.len() < PAGE;
            found.extend(page.data);
            if last {
                return Ok(found);
            }
        }
        // Pages without an end.
        Err(HubProblem::Shape { doing })
    }

    async fn post(&self, doing: Doing, address: Address, fields: &[(&str, Value)]) -> Result<(), HubProblem> {
        self.ask(doing, Method::POST, address, Content::Json(&object(fields, self.names))).await.map(|_| ())
    }

    /// Asks as ourselves, a second time with a new token where the first is not taken: the Hub may have ended it.
    async fn ask(
        &self,
        doing: Doing,
        method: Method,
        address: Address,
        content: Content<'_>,
    ) -> Result<Answer, HubProblem> {
        let mut token = self.login.token(&self.remote).await?;
        let mut answer = self.ask_with(&token, doing, (method.clone(), address.clone(), content)).await?;
        if answer.status == 401 {
            self.login.held.forget(&token).await;
            token = self.login.token(&self.remote).await?;
            answer = self.ask_with(&token, doing, (method, address, content)).await?;
        }
        match answer.status {
            200..=202 => Ok(answer),
            _ => Err(HubProblem::refused(doing, &answer, &[&token, &self.login.secret])),
        }
    }

    async fn ask_with(
        &self,
        token: &Secret,
        doing: Doing,
        (method, address, content): (Method, Address, Content<'_>),
    ) -> Result<Answer, HubProblem> {
        let question = Question { method, address, bearer: Some(token), content, longest: LONGEST };
        self.remote.ask(question).await.map_err(|source| HubProblem::Remote { doing, source })
    }
}

/// Resources of a page; the Hub gives no more than 50 at a time.
const PAGE: usize = 50;
/// More nodes than FLAME has: a thousand.
const PAGES: usize = 20;
/// Each resource of a page may have five thousand bytes.
const LONGEST: usize = 256 * 1024;

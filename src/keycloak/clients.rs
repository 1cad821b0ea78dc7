//! Edge: the clients of analyses are found, made, asked for tokens, and deleted; doing it twice does no harm.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use tokio::time::timeout;
use tracing::warn;

use super::login::{Login, TokenDesk};
use super::representation::{Client, Credential, canonical, made};
use super::{Doing, KeycloakProblem, KeycloakSettings, Token};
use crate::model::Secret;
use crate::remote::{Address, Answer, Content, Question, Remote, RemoteProblem};

/// A realm in which each analysis has a client.
pub struct Keycloak {
    desk: TokenDesk,
    login: Login,
    /// Where its clients are.
    clients: Address,
}

/// The client of an analysis.
#[derive(Debug, Clone)]
pub struct AnalysisClient {
    /// The analysis's id, which is the client's too.
    pub analysis: String,
    /// What it gets tokens by.
    pub secret: Secret,
}

impl Keycloak {
    /// Asks nothing yet.
    pub fn new(remote: Remote, settings: KeycloakSettings) -> Self {
        let KeycloakSettings { address, realm, client, secret } = settings;
        let desk =
            TokenDesk { remote, address: address.below(&["realms", &realm, "protocol", "openid-connect", "token"]) };
        let clients = address.below(&["admin", "realms", &realm, "clients"]);
        Keycloak { desk, login: Login::new(client, secret), clients }
    }

    /// The client of an analysis, made where there is none yet. Who asks at the same time gets the same.
    pub async fn client(&self, analysis: &str) -> Result<AnalysisClient, KeycloakProblem> {
        let id = canonical(analysis)?;
        let client = match self.find(&id).await? {
            Some(client) => client,
            None => self.create(&id).await?,
        };
        let doing = Doing::ReadSecret(id.clone());
        let read = self.ask(&doing, Method::GET, self.secret_of(&client), Content::Nothing).await?;
        match secret(&doing, &id, &read)? {
            Some(secret) => Ok(AnalysisClient { analysis: id, secret }),
            None => self.replace_secret(&id, &client).await,
        }
    }

    /// Another secret for the client of an analysis, made where there is none yet; the former one is worth nothing then.
    pub async fn new_secret(&self, analysis: &str) -> Result<AnalysisClient, KeycloakProblem> {
        let id = canonical(analysis)?;
        let client = match self.find(&id).await? {
            Some(client) => client,
            None => self.create(&id).await?,
        };
        self.replace_secret(&id, &client).await
    }

    /// A token that an analysis shows.
    pub async fn token(&self, client: &AnalysisClient) -> Result<Token, KeycloakProblem> {
        let asked = Timestamp::now();
        let doing = Doing::FetchToken(client.analysis.clone());
        Ok(self.desk.grant(doing, &client.analysis, &client.secret).await?.starting(asked))
    }

    /// Deletes the client of an analysis. One that is gone is deleted; one that is somebody else's is left alone.
    pub async fn delete(&self, analysis: &str) -> Result<(), KeycloakProblem> {
        let id = canonical(analysis)?;
        let Some(client) = self.to_delete(&id).await? else { return Ok(()) };
        let doing = Doing::Delete(id.clone());
        let answer = self.ask(&doing, Method::DELETE, self.clients.below(&[&client.id]), Content::Nothing).await?;
        // Of two who delete at once one is answered 404 or 500.
        if matches!(answer.status, 200 | 204 | 404) || self.to_delete(&id).await?.is_none() {
            return Ok(());
        }
        Err(KeycloakProblem::refused(doing, &answer))
    }

    /// The client of that id, if there is one and it is ours to delete.
    async fn to_delete(&self, id: &str) -> Result<Option<Client>, KeycloakProblem> {
        match self.find(id).await {
            Err(problem @ KeycloakProblem::Foreign(_)) => {
                warn!(%problem, "a client of an analysis that goes is left in Keycloak");
                Ok(None)
            }
            found => found,
        }
    }

    /// The ids of all analyses that have a client.
    pub async fn analyses(&self) -> Result<Vec<String>, KeycloakProblem> {
        let late = KeycloakProblem::Remote { doing: Doing::List, source: RemoteProblem::Late };
        timeout(LISTING, self.all_pages()).await.unwrap_or(Err(late))
    }

    async fn all_pages(&self) -> Result<Vec<String>, KeycloakProblem> {
        let (mut found, mut known) = (Vec::new(), BTreeSet::new());
        for number in 0..PAGES {
            let first = (number * PAGE).to_string();
            let page = self.page(&Doing::List, &[("first", &first), ("max", &PAGE.to_string())]).await?;
            if page.len() > PAGE || page.iter().any(|client| client.id.len() > LONGEST_ID) {
                break;
            }
            let (is_last, before) = (page.len() < PAGE, known.len());
            found.extend(page.iter().filter(|client| client.is_ours()).map(|client| client.client_id.clone()));
            known.extend(page.into_iter().map(|client| client.id));
            if is_last {
                return Ok(found);
            }
            // What brings nothing new has no end, as where `first` is not looked at.
            if known.len() == before {
                break;
            }
        }
        Err(KeycloakProblem::Shape { doing: Doing::List })
    }

    /// The client of that id, if there is one and it is an analysis's.
    async fn find(&self, id: &str) -> Result<Option<Client>, KeycloakProblem> {
        let found = self.page(&Doing::Find(id.to_owned()), &[("clientId", id)]).await?;
        match found.into_iter().find(|client| client.client_id == id) {
            Some(client) if !client.is_ours() => Err(KeycloakProblem::Foreign(id.to_owned())),
            found => Ok(found),
        }
    }

    async fn create(&self, id: &str) -> Result<Client, KeycloakProblem> {
        let doing = Doing::Create(id.to_owned());
        let answer = self.ask(&doing, Method::POST, self.clients.clone(), Content::Json(&made(id))).await?;
        // Of two who create at once one is refused, in more than one way; what counts is that it is there.
        match self.find(id).await? {
            Some(client) => Ok(client),
            None if answer.status == 201 => Err(KeycloakProblem::Gone(id.to_owned())),
            None => Err(KeycloakProblem::refused(doing, &answer)),
        }
    }

    async fn replace_secret(&self, id: &str, client: &Client) -> Result<AnalysisClient, KeycloakProblem> {
        let doing = Doing::NewSecret(id.to_owned());
        let answer = self.ask(&doing, Method::POST, self.secret_of(client), Content::Nothing).await?;
        match secret(&doing, id, &answer)? {
            Some(secret) => Ok(AnalysisClient { analysis: id.to_owned(), secret }),
            None => Err(KeycloakProblem::Shape { doing }),
        }
    }

    fn secret_of(&self, client: &Client) -> Address {
        self.clients.below(&[&client.id, "client-secret"])
    }

    async fn page(&self, doing: &Doing, query: &[(&str, &str)]) -> Result<Vec<Client>, KeycloakProblem> {
        let answer = self.ask(doing, Method::GET, self.clients.with(query), Content::Nothing).await?;
        if answer.status != 200 {
            return Err(KeycloakProblem::refused(doing.clone(), &answer));
        }
        answer.json().ok_or_else(|| KeycloakProblem::Shape { doing: doing.clone() })
    }

    /// Asks as ourselves, a second time with a new token where the first is not taken: Keycloak may have forgotten it.
    async fn ask(
        &self,
        doing: &Doing,
        method: Method,
        address: Address,
        content: Content<'_>,
    ) -> Result<Answer, KeycloakProblem> {
        let first = self.login.token(&self.desk).await?;
        let answer = self.ask_with(&first, doing, (method.clone(), address.clone(), content)).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        self.login.forget(&first).await;
        let second = self.login.token(&self.desk).await?;
        self.ask_with(&second, doing, (method, address, content)).await
    }

    async fn ask_with(
        &self,
        token: &Secret,
        doing: &Doing,
        (method, address, content): (Method, Address, Content<'_>),
    ) -> Result<Answer, KeycloakProblem> {
        let question = Question { method, address, bearer: Some(token), content, longest: LONGEST };
        let answer = self.desk.remote.ask(question).await;
        answer.map_err(|source| KeycloakProblem::Remote { doing: doing.clone(), source })
    }
}

/// The secret in an answer; none where the client has none.
fn secret(doing: &Doing, id: &str, answer: &Answer) -> Result<Option<Secret>, KeycloakProblem> {
    match answer.status {
        200 => {
            let credential: Credential =
                answer.json().ok_or_else(|| KeycloakProblem::Shape { doing: doing.clone() })?;
            Ok(credential.value)
        }
        404 => Err(KeycloakProblem::Gone(id.to_owned())),
        _ => Err(KeycloakProblem::refused(doing.clone(), answer)),
    }
}

/// Clients of a page; each may have a few thousand bytes.
const PAGE: usize = 100;
const PAGES: usize = 1000;
const LONGEST: usize = 4 * 1024 * 1024;
/// Bytes of Keycloak's own id of a client, which is a UUID.
const LONGEST_ID: usize = 64;
/// For the whole list.
const LISTING: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::ready;
    use std::ops::Range;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::Query;
    use axum::routing::{get, post};
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;
    use crate::remote::Ways;

    /// What stands on the page that begins at `first`.
    type Pages = fn(usize) -> Value;

    /// A server with these pages, which counts how many it was asked for.
    async fn keycloak(pages: Pages) -> (Keycloak, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let page = move |Query(query): Query<BTreeMap<String, usize>>| {
            counted.fetch_add(1, Ordering::Relaxed);
            ready(pages(query["first"]).to_string())
        };
        let router = Router::new()
            .route("/realms/flame/protocol/openid-connect/token", post(TOKEN))
            .route("/admin/realms/flame/clients", get(page));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (asking(&address), asked)
    }

    fn asking(address: &str) -> Keycloak {
        let remote = Remote::new(&Ways::plain(Duration::from_secs(3600))).unwrap();
        let (address, realm, client) = (Address::parse(address).unwrap(), "flame".to_owned(), "service1".to_owned());
        Keycloak::new(remote, KeycloakSettings { address, realm, client, secret: Secret::new("x") })
    }

    fn client(number: usize) -> Value {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        json!({"id": format!("id-{number}"), "clientId": id, "name": format!("flame-{id}")})
    }

    fn clients(numbers: Range<usize>) -> Value {
        numbers.map(client).collect()
    }

    #[tokio::test]
    async fn a_list_of_clients_without_an_end_is_left_and_that_is_told() {
        let pages: [(Pages, usize, Result<usize, ()>); 6] = [
            (|first| clients(first..(first + 100).min(250)), 3, Ok(250)),
            (|first| clients(first..(first + 100).min(200)), 3, Ok(200)),
            (|_| clients(0..100), 2, Err(())),
            (|_| clients(0..101), 1, Err(())),
            (|_| json!([{"id": "x".repeat(65), "clientId": "y"}]), 1, Err(())),
            (|first| clients(first..first + 100), 1000, Err(())),
        ];
        for (number, (pages, count, want)) in pages.into_iter().enumerate() {
            let (keycloak, asked) = keycloak(pages).await;
            let found = keycloak.analyses().await;
            let told = found.as_ref().err().map(ToString::to_string).unwrap_or_default();
            assert_eq!(found.map(|found| found.len()).map_err(drop), want, "{number}: {told}");
            assert_eq!(asked.load(Ordering::Relaxed), count, "{number}");
            let problem = "cannot list the clients of analyses: Keycloak's answer is not understood";
            assert_eq!(told, if want.is_ok() { "" } else { problem }, "{number}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_of_clients_that_takes_too_long_is_given_up() {
        // It takes connections, and nobody answers.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keycloak = asking(&format!("http://{}", listener.local_addr().unwrap()));
        let begun = Instant::now();
        let told = keycloak.analyses().await.unwrap_err();
        assert_eq!(told.to_string(), "cannot list the clients of analyses: no answer in time");
        assert_eq!(begun.elapsed().as_secs(), 60);
    }

    const TOKEN: &str = r#"{"access_token": "t", "expires_in": 3600}"#;
}

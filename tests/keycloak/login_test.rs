//! People log in by a real Keycloak, and out again; the test plays their browsers.

use std::collections::BTreeSet;
use std::sync::Arc;

use flamewarden::model::Secret;
use flamewarden::serve::{Fault, LoggedIn, Oidc, OidcProblem, OidcSettings};
use flamewarden::telemetry::Metrics;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::browser::{At, Browser};
use crate::lab::{PAGES_ARE_AT, issuer_of, running};
use crate::people::{ADA, BEN, PAGES, PAGES_SECRET, PEOPLE, PUBLIC, Person};
use crate::server::{Server, remote};

#[tokio::test]
async fn people_log_in_with_their_password_and_bring_their_groups() {
    let server = running().await;
    let login = Login::as_client(&server, PAGES, Some(PAGES_SECRET));
    for person in [&ADA, &BEN] {
        let mut browser = Browser::new(server.address());
        let user = login.of(&mut browser, person).await;
        let groups: BTreeSet<String> = person.groups.iter().map(|group| (*group).to_owned()).collect();
        assert_eq!((user.name.as_str(), user.groups, user.back.as_str()), (person.name, groups, "/findings?x=1"));
        assert!(uuid::Uuid::parse_str(&user.subject).is_ok(), "{}", user.subject);
    }
    let public = Login::as_client(&server, PUBLIC, None);
    assert_eq!(public.of(&mut Browser::new(server.address()), &ADA).await.name, "ada");
}

#[tokio::test]
async fn no_code_comes_of_a_wrong_password_and_none_is_good_twice_or_for_another() {
    let server = running().await;
    let login = Login::as_client(&server, PAGES, Some(PAGES_SECRET));
    let now = Timestamp::now();
    let begun = login.oidc.begin("/", now).await.unwrap();
    let mut browser = Browser::new(server.address());
    let at = browser.log_in(&begun.location, &ADA, BEN.password).await;
    assert!(matches!(&at, At::Page(page) if page.contains("Invalid username or password")), "{at:?}");

    let query = query(browser.log_in(&begun.location, &ADA, ADA.password).await);
    let other = login.oidc.begin("/", now).await.unwrap();
    let finish = async |query: &str, kept: &Secret| login.oidc.finish(query, kept.reveal(), now).await;
    let said = finish(&query, &other.kept).await.unwrap_err();
    assert!(matches!(said, OidcProblem::State), "another browser's cookie: {said}");
    let (before, issuer) = query.split_once("&iss=").expect("Keycloak names itself");
    let rest = issuer.split_once('&').map_or("", |(_, rest)| rest);
    let said = finish(&format!("{before}&{rest}"), &begun.kept).await.unwrap_err();
    assert!(matches!(said, OidcProblem::NoIssuer), "{said}");
    // What the code was asked for with is not what it is shown with.
    let [_, _, _, verifier, _] = other.kept.reveal().split('.').collect::<Vec<_>>()[..] else { panic!("five parts") };
    let mut mixed: Vec<&str> = begun.kept.reveal().split('.').collect();
    mixed[3] = verifier;
    let said = finish(&query, &Secret::new(mixed.join("."))).await.unwrap_err();
    assert!(matches!(said, OidcProblem::Code) && said.fault() == Fault::Login, "{said}");

    let again = login.oidc.begin("/", now).await.unwrap();
    let query = self::query(Browser::new(server.address()).log_in(&again.location, &ADA, ADA.password).await);
    assert_eq!(finish(&query, &again.kept).await.unwrap().name, "ada");
    let said = finish(&query, &again.kept).await.unwrap_err();
    assert!(matches!(said, OidcProblem::Code) && said.fault() == Fault::Login, "{said}");
}

#[tokio::test]
async fn who_logs_out_has_to_log_in_again() {
    let server = running().await;
    let login = Login::as_client(&server, PAGES, Some(PAGES_SECRET));
    let mut browser = Browser::new(server.address());
    let user = login.of(&mut browser, &ADA).await;
    let begun = login.oidc.begin("/", Timestamp::now()).await.unwrap();
    assert!(matches!(browser.go(&begun.location).await, At::Away(_)), "Keycloak still knows who it is");

    let back = format!("{PAGES_ARE_AT}/");
    // Without the ID token Keycloak asks first, and it leads nobody to where the client has no page.
    let end = login.oidc.end(&back, None).await.unwrap();
    assert!(matches!(browser.go(&end).await, At::Page(page) if page.contains("Do you want to log out?")));
    let end = login.oidc.end("https://evil.example/", Some(&user.id_token)).await.unwrap();
    assert!(matches!(browser.go(&end).await, At::Page(page) if page.contains("Invalid redirect uri")));
    assert!(matches!(browser.go(&begun.location).await, At::Away(_)), "nobody has logged out yet");

    let end = login.oidc.end(&back, Some(&user.id_token)).await.unwrap();
    assert_eq!(browser.go(&end).await, At::Away(back));
    let begun = login.oidc.begin("/", Timestamp::now()).await.unwrap();
    assert!(matches!(browser.go(&begun.location).await, At::Page(page) if page.contains("kc-form-login")));
}

#[tokio::test]
async fn a_wrong_secret_logs_nobody_in_and_is_no_fault_of_theirs() {
    let server = running().await;
    let login = Login::as_client(&server, PAGES, Some("wrong"));
    let now = Timestamp::now();
    let begun = login.oidc.begin("/", now).await.unwrap();
    let query = query(Browser::new(server.address()).log_in(&begun.location, &ADA, ADA.password).await);
    let said = login.oidc.finish(&query, begun.kept.reveal(), now).await.unwrap_err();
    assert!(matches!(said, OidcProblem::Refused { status: 401, .. }) && said.fault() == Fault::Provider, "{said}");
}

/// Logs people in as a client of the realm.
struct Login {
    oidc: Arc<Oidc>,
    _secret: TempDir,
}

impl Login {
    fn as_client(server: &Server, client: &str, secret: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client-secret");
        std::fs::write(&file, secret.unwrap_or_default()).unwrap();
        let settings = OidcSettings {
            issuer: issuer_of(&server.address(), PEOPLE),
            discovery: None,
            client_id: client.to_owned(),
            client_secret: secret.map(|_| file),
            redirect: format!("{PAGES_ARE_AT}/callback"),
            groups: vec!["groups".to_owned()],
        };
        let oidc = Oidc::new(remote(), settings, Arc::new(Metrics::new())).unwrap();
        Login { oidc, _secret: folder }
    }

    /// A whole login in this browser.
    async fn of(&self, browser: &mut Browser, person: &Person) -> LoggedIn {
        let now = Timestamp::now();
        let begun = self.oidc.begin("/findings?x=1", now).await.unwrap();
        let query = query(browser.log_in(&begun.location, person, person.password).await);
        self.oidc.finish(&query, begun.kept.reveal(), now).await.unwrap()
    }
}

/// What the browser would bring to the callback.
fn query(at: At) -> String {
    let At::Away(location) = at else { panic!("{at:?}") };
    let (callback, query) = location.split_once('?').unwrap();
    assert_eq!(callback, format!("{PAGES_ARE_AT}/callback"));
    query.to_owned()
}

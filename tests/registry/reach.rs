//! Whom the client speaks to, and to whom it shows a credential.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use axum::response::Response;
use flamewarden::model::ImageRef;
use flamewarden::registry::{Credential, Reach, Registry, RegistryProblem, Resolved, Transport};
use flamewarden::remote::Ways;
use serde_json::json;

use crate::stand_in::{Asked, BASIC, Nobody, StandIn, answer, client, credential, image};

/// Answers about the one image that is there.
fn hand_out(asked: &Asked) -> Response {
    let (config, manifest) = image(&json!({"os": "linux", "architecture": "amd64"}));
    if asked.path.contains("/blobs/") { config.answer() } else { manifest.answer() }
}

async fn resolve(client: &Registry, host: &str, credential: Option<&Credential>) -> Result<Resolved, RegistryProblem> {
    client.resolve(&ImageRef::parse(&format!("{host}/a:1")).unwrap(), credential).await
}

#[tokio::test]
async fn who_is_not_named_is_not_asked() {
    let (named, nobody) = (StandIn::start(hand_out).await, Nobody::listen());
    let problem = resolve(&named.client(), &nobody.host, None).await.unwrap_err();
    let told = "is not below a registry of this installation; use an image from there, or name its registry";
    assert_eq!((problem.to_string(), problem.may_pass()), (format!("{}/a {told}", nobody.host), false));
    assert!(!nobody.was_asked() && named.asked().is_empty());
    resolve(&client(Reach::default(), PATIENCE, PATIENCE), &named.host, None).await.unwrap_err();
    assert!(named.asked().is_empty());
    resolve(&named.client(), &named.host, None).await.unwrap();
    assert_eq!(named.asked().len(), 2, "the manifest and its configuration");
}

/// A registry that sends elsewhere for one kind of content.
async fn sending(status: u16, part: &'static str, to: String) -> StandIn {
    let sends = move |asked: &Asked| asked.path.contains(part).then(|| answer(status, &[("location", &to)], ""));
    StandIn::start(move |asked| sends(asked).unwrap_or_else(|| hand_out(asked))).await
}

#[tokio::test]
async fn a_redirection_leads_to_the_registry_itself_or_nowhere() {
    for status in [301, 302, 303, 307, 308] {
        for part in ["/manifests/", "/blobs/"] {
            let nobody = Nobody::listen();
            let registry = sending(status, part, format!("http://{}/v2/a/b", nobody.host)).await;
            let got = resolve(&registry.client(), &registry.host, None).await;
            assert!(!nobody.was_asked(), "{status} {part}");
            match got {
                // Where only the configuration is kept elsewhere, what it says is not known.
                Ok(Resolved::Manifest { platform: None, .. }) => assert_eq!(part, "/blobs/"),
                Err(problem @ RegistryProblem::Elsewhere { .. }) => {
                    assert!(part == "/manifests/" && problem.to_string().contains(&nobody.host), "{problem}");
                }
                other => panic!("{status} {part}: {other:?}"),
            }
        }
    }
    let registry = StandIn::start(|asked| match asked.path.as_str() {
        "/v2/a/manifests/1" => answer(307, &[("location", "/elsewhere/1?x=1")], ""),
        _ => hand_out(asked),
    })
    .await;
    resolve(&registry.client(), &registry.host, None).await.unwrap();
    assert_eq!(registry.asked()[1].0, "/elsewhere/1?x=1");
}

#[tokio::test]
async fn other_schemes_and_endless_ways_are_no_redirections() {
    for (location, want) in [
        (Some("https://HOST/v2/a/manifests/1"), "sends to https://HOST"),
        (Some("http://user:password@HOST/"), "it leads to what is no address"),
        (Some("file:///etc/passwd"), "it leads to what is no address"),
        (Some("//169.254.169.254/latest"), "sends to http://169.254.169.254"),
        (Some("/v2/a/manifests/1"), "it leads on and on"),
        (None, "it leads nowhere"),
    ] {
        let registry = StandIn::start(move |asked| {
            let host = asked.host.clone();
            let location = location.map(|location| location.replace("HOST", &host));
            answer(302, location.as_deref().map(|location| ("location", location)).as_slice(), "")
        })
        .await;
        let told = resolve(&registry.client(), &registry.host, None).await.unwrap_err().to_string();
        assert!(told.replace(&registry.host, "HOST").contains(want), "{location:?}: {told}");
        assert!(registry.asked().len() <= 5, "{location:?}");
    }
}

#[tokio::test]
async fn a_credential_is_shown_to_its_registry_when_that_asks_for_it() {
    let registry = StandIn::start(|asked| match asked.shown.as_deref() {
        Some(BASIC) => hand_out(asked),
        _ => answer(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
    })
    .await;
    let unauthorized = |problem: RegistryProblem| {
        assert!(matches!(problem, RegistryProblem::Unauthorized { .. }) && !problem.may_pass());
        problem.to_string().replace(&registry.host, "HOST")
    };
    let (own, other) = (registry.credential(), credential("harbor.example"));
    resolve(&registry.client(), &registry.host, Some(&own)).await.unwrap();
    let shown: Vec<_> = registry.asked().into_iter().map(|(_, shown)| shown).collect();
    assert_eq!(shown, [None, Some(BASIC.to_owned()), Some(BASIC.to_owned())]);
    let missing = unauthorized(resolve(&registry.client(), &registry.host, None).await.unwrap_err());
    assert_eq!(missing, "the registry lets HOST/a:1 be read only with a credential; give the pod a pull secret for it");
    // One for another registry is as none, and is not shown.
    assert_eq!(unauthorized(resolve(&registry.client(), &registry.host, Some(&other)).await.unwrap_err()), missing);
    assert!(registry.asked()[3..].iter().all(|(_, shown)| shown.is_none()));
}

#[tokio::test]
async fn credentials_are_tried_in_turn_until_the_registry_takes_one() {
    for refusal in [401, 403, 404] {
        let registry = StandIn::start(move |asked| match asked.shown.as_deref() {
            Some(BASIC) => hand_out(asked),
            Some(_) => answer(refusal, &[], ""),
            None => answer(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
        })
        .await;
        let image = format!("{}/a:1", registry.host);
        let image = ImageRef::parse(&image).unwrap();
        let with = |password: &str| {
            let config = json!({"auths": {&registry.host: {"username": "robot", "password": password}}}).to_string();
            Credential::from_dockerconfigjson(config.as_bytes(), &image).unwrap()
        };
        let (good, bad, worse) = (registry.credential(), with("old"), with("older"));
        let client = registry.client();
        for all in
            [vec![good.clone()], vec![bad.clone(), good.clone()], vec![bad.clone(), worse, good.clone(), bad.clone()]]
        {
            let (_, taken) = client.resolve_by(&image, &all).await.unwrap();
            assert!(taken == Some(&good), "{refusal}");
        }
        client.resolve_by(&image, &[bad]).await.unwrap_err();
        client.resolve_by(&image, &[]).await.unwrap_err();
    }
    // Whoever does not answer is not asked again with another.
    let registry = StandIn::start(|_| answer(503, &[], "")).await;
    let image = format!("{}/a:1", registry.host);
    let all = [registry.credential(), registry.credential()];
    registry.client().resolve_by(&ImageRef::parse(&image).unwrap(), &all).await.unwrap_err();
    assert_eq!(registry.asked().len(), 1);
}

#[tokio::test]
async fn a_realm_that_is_not_named_for_the_registry_hears_nothing() {
    for by in ["http", "https"] {
        let nobody = Nobody::listen();
        let challenge = format!("Bearer realm=\"{by}://{}/token\",service=\"x\"", nobody.host);
        let registry = StandIn::start(move |_| answer(401, &[("www-authenticate", &challenge)], "")).await;
        let own = registry.credential();
        for credential in [None, Some(&own)] {
            let problem = resolve(&registry.client(), &registry.host, credential).await.unwrap_err();
            assert!(matches!(problem, RegistryProblem::ForeignRealm { .. }), "{problem}");
            assert!(!nobody.was_asked() && problem.to_string().contains(&nobody.host), "{problem}");
        }
    }
}

/// A registry that takes the token `granted`, and the address of its realm.
async fn registry_of(realm: Option<&str>) -> StandIn {
    let realm = realm.map(str::to_owned);
    StandIn::start(move |asked| {
        let host = realm.clone().unwrap_or_else(|| asked.host.clone());
        match (asked.path.starts_with("/token"), asked.shown.as_deref()) {
            (true, _) => grant(asked),
            (false, Some("Bearer granted")) => hand_out(asked),
            _ => {
                answer(401, &[("www-authenticate", &format!("Bearer realm=\"http://{host}/token\",service=\"x\""))], "")
            }
        }
    })
    .await
}

fn grant(asked: &Asked) -> Response {
    match asked.shown.as_deref() {
        Some(BASIC) => answer(200, &[], r#"{"access_token": "granted"}"#),
        Some(_) => answer(401, &[], ""),
        None => answer(200, &[], r#"{"token": "of somebody"}"#),
    }
}

#[tokio::test]
async fn a_token_is_fetched_where_the_registry_is_or_where_its_tokens_are_named_to_come_from() {
    let realm = StandIn::start(grant).await;
    for named in [None, Some(realm.host.as_str())] {
        let registry = registry_of(named).await;
        let hosts = named.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        let token_hosts = BTreeMap::from([(registry.host.clone(), hosts)]);
        let reach = Reach { registries: vec![registry.host.clone()], token_hosts, ..Reach::default() };
        let client = client(reach, PATIENCE, PATIENCE);
        resolve(&client, &registry.host, Some(&registry.credential())).await.unwrap();
        let asked = if named.is_some() { realm.asked() } else { registry.asked()[1..2].to_vec() };
        assert_eq!(asked, [("/token?scope=repository%3Aa%3Apull&service=x".to_owned(), Some(BASIC.to_owned()))]);
        if named.is_some() {
            let shown: Vec<_> = registry.asked().into_iter().map(|(_, shown)| shown).collect();
            let token = Some("Bearer granted".to_owned());
            assert_eq!(shown, [None, token.clone(), token], "the password is the realm's alone");
        }
        let problem = resolve(&client, &registry.host, None).await.unwrap_err();
        assert!(matches!(problem, RegistryProblem::Unauthorized { .. }), "{problem}");
    }
}

#[tokio::test]
async fn what_does_not_speak_tls_is_no_registry() {
    let registry = StandIn::start(hand_out).await;
    let reach = Reach { registries: vec![registry.host.clone()], ..Reach::default() };
    let client = Registry::new(&Ways::plain(PATIENCE), Transport::Tls, reach, PATIENCE).unwrap();
    let problem = resolve(&client, &registry.host, None).await.unwrap_err();
    assert!(matches!(problem, RegistryProblem::Tls { .. }) && !problem.may_pass(), "{problem}");
    assert!(registry.asked().is_empty());
    let nobody = Nobody::listen();
    let host = nobody.host.clone();
    drop(nobody);
    let reach = Reach { registries: vec![host.clone()], ..Reach::default() };
    let client = Registry::new(&Ways::plain(PATIENCE), Transport::Tls, reach, PATIENCE).unwrap();
    let problem = resolve(&client, &host, None).await.unwrap_err();
    assert!(matches!(problem, RegistryProblem::Remote { .. }) && problem.may_pass(), "{problem}");
}

/// Runs itself again with proxies in the environment, which only a new process can have.
#[tokio::test]
async fn the_environment_names_no_proxy() {
    let registry = StandIn::start(hand_out).await;
    if std::env::var_os("PROXIED").is_some() {
        resolve(&registry.client(), &registry.host, None).await.unwrap();
        return;
    }
    let nobody = Nobody::listen();
    let proxy = format!("http://{}", nobody.host);
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "reach::the_environment_names_no_proxy"]).env("PROXIED", "yes");
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        again.env(name, &proxy);
    }
    let done = again.output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && told.contains("1 passed"), "{told}");
    assert!(!nobody.was_asked());
}

const PATIENCE: Duration = Duration::from_secs(30);

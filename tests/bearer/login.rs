//! Logging in by a provider, against a stand-in: what is asked of it, and what is refused of what comes back.
//! That the real Keycloak does as the stand-in does is shown in `tests/keycloak`.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use flamewarden::model::Secret;
use flamewarden::serve::{Fault, Oidc, OidcProblem};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::login_lab::{CLIENT, CONFIGURATION, Lab, REDIRECT, address, form, remote, settings};
use crate::signer::{base64, set};
use crate::stand_in::{Reply, StandIn};
use crate::tokens::{NOW, REALM, at};

#[tokio::test]
async fn a_login_says_who_it_is_and_leads_to_the_page_that_was_wanted() {
    let lab = Lab::start().await;
    let login = lab.begin("/findings?rule=x").await;
    let fixed = [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", REDIRECT),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in fixed {
        assert_eq!(login.asked[name], value);
    }
    assert_eq!(login.asked.len(), fixed.len() + 3);
    assert!(["state", "nonce", "code_challenge"].iter().all(|name| login.asked[*name].len() == 43));
    let code = lab.code_with(&login, &lab.claims(&login));
    let user = lab.end(&login, &code).await.unwrap();
    let groups = BTreeSet::from(["security".to_owned()]);
    assert_eq!((user.subject.as_str(), user.name.as_str(), user.back.as_str()), ("u1", "ada", "/findings?rule=x"));
    assert_eq!(user.groups, groups);

    let asked = lab.system.asked();
    let lines: Vec<_> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    assert_eq!(lines, [format!("GET {CONFIGURATION}"), "POST /token".to_owned(), "GET /keys".to_owned()]);
    let sent = form(&asked[1].body);
    let verifier = &sent["code_verifier"];
    assert_eq!(base64(digest(&SHA256, verifier.as_bytes()).as_ref()), login.asked["code_challenge"]);
    assert!(!login.asked.values().any(|value| value == verifier), "the verifier is told at the end only");
    let names: Vec<&str> = sent.keys().map(String::as_str).collect();
    assert_eq!(names, ["client_id", "code", "code_verifier", "grant_type", "redirect_uri"]);
}

#[tokio::test]
async fn what_comes_back_belongs_to_this_browser_s_login_or_counts_for_nothing() {
    let lab = Lab::start().await;
    let (own, other) = (lab.begin("/").await, lab.begin("/").await);
    let code = lab.code_with(&own, &lab.claims(&own));
    let [state, others] = [&own, &other].map(|login| login.asked["state"].clone());
    let nonce = &own.asked["nonce"];
    let kept = own.kept.reveal();
    for (query, kept, want) in [
        (format!("code={code}&state={state}"), other.kept.reveal(), "State"),
        (format!("code={code}&state={others}"), kept, "State"),
        (format!("code={code}&state={nonce}"), kept, "State"),
        (format!("code={code}&state="), kept, "State"),
        (format!("code={code}"), kept, "State"),
        (format!("error=access_denied&state={others}"), kept, "State"),
        (format!("code={code}&state={state}&state={state}"), kept, "Query"),
        (format!("code={code}&state={state}"), "", "Kept"),
        (format!("code={code}&state={state}"), "0.a.b.c.d", "Kept"),
        (format!("state={state}"), kept, "Query"),
        (String::new(), kept, "State"),
    ] {
        let said = lab.oidc.finish(&query, kept, at(NOW)).await.unwrap_err();
        assert_eq!((format!("{said:?}").as_str(), said.fault()), (want, Fault::Request), "{query}");
    }
    let late = at(NOW) + SignedDuration::from_secs(601);
    let said = lab.oidc.finish(&format!("code={code}&state={state}"), kept, late).await.unwrap_err();
    assert!(matches!(said, OidcProblem::Late), "{said}");
    assert_eq!(lab.times("/token"), 0, "nobody asks about it");
    lab.end(&own, &code).await.unwrap();
}

#[tokio::test]
async fn a_code_is_good_once_and_for_its_own_login() {
    let lab = Lab::start().await;
    let login = lab.begin("/").await;
    let code = lab.code_with(&login, &lab.claims(&login));
    lab.end(&login, &code).await.unwrap();
    let said = lab.end(&login, &code).await.unwrap_err();
    assert!(matches!(said, OidcProblem::Code) && said.fault() == Fault::Login, "{said}");

    // Somebody's code is slipped into another's login: the verifier is another.
    let (thief, victim) = (lab.begin("/").await, lab.begin("/").await);
    let code = lab.code_with(&thief, &lab.claims(&thief));
    let said = lab.end(&victim, &code).await.unwrap_err();
    assert!(matches!(said, OidcProblem::Code), "{said}");
    // And where the provider does not look at that, the nonce is.
    lab.desk.lock().unwrap().holds_verifiers = false;
    let code = lab.code_with(&thief, &lab.claims(&thief));
    let said = lab.end(&victim, &code).await.unwrap_err();
    assert_eq!(said.to_string(), "the provider's ID token counts for nothing: token belongs to another login");
    assert_eq!(said.fault(), Fault::Login);
}

#[tokio::test]
async fn a_callback_of_another_provider_s_is_no_login() {
    let lab = Lab::start().await;
    let login = lab.begin("/").await;
    let code = lab.code_with(&login, &lab.claims(&login));
    let finish = async |rest: &str| {
        let query = format!("state={}&code={code}{rest}", login.asked["state"]);
        lab.oidc.finish(&query, login.kept.reveal(), at(NOW)).await
    };
    let said = finish("&iss=https%3A%2F%2Fevil.example").await.unwrap_err();
    assert!(matches!(&said, OidcProblem::OtherIssuer(other) if other == "https://evil.example"), "{said}");
    assert_eq!(said.fault(), Fault::Request);
    assert_eq!(lab.times("/token"), 0, "the code is shown to nobody");
    finish(&format!("&iss={}", lab.issuer())).await.unwrap();

    let strict = Lab::start().await;
    strict.desk.lock().unwrap().configuration["authorization_response_iss_parameter_supported"] = json!(true);
    let login = strict.begin("/").await;
    let code = strict.code_with(&login, &strict.claims(&login));
    let said = strict.end(&login, &code).await.unwrap_err();
    assert!(matches!(said, OidcProblem::NoIssuer) && strict.times("/token") == 0, "{said}");
    strict.end(&login, &format!("{code}&iss={}", strict.issuer())).await.unwrap();
}

#[tokio::test]
async fn no_login_leads_to_another_site() {
    let lab = Lab::start().await;
    for page in ["https://evil.example", "//evil.example", "/\\evil.example", "/x\r\nset-cookie: a=b", "evil"] {
        let login = lab.begin(page).await;
        let code = lab.code_with(&login, &lab.claims(&login));
        assert_eq!(lab.end(&login, &code).await.unwrap().back, "/", "{page}");
        // The browser holds the cookie, and somebody may have written another page into it.
        let login = lab.begin("/").await;
        let (rest, _) = login.kept.reveal().rsplit_once('.').unwrap();
        let forged = Secret::new(format!("{rest}.{}", base64(page.as_bytes())));
        let code = lab.code_with(&login, &lab.claims(&login));
        let login = crate::login_lab::Login { kept: forged, ..login };
        assert_eq!(lab.end(&login, &code).await.unwrap().back, "/", "{page}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_provider_s_words() {
    let lab = Lab::start().await;
    let login = lab.begin("/").await;
    for (query, want, fault) in [
        ("error=access_denied", "access_denied", Fault::Login),
        ("error=login_required&error_description=a%0Db", "login_required: a\\u{d}b", Fault::Login),
        ("error=server_error", "server_error", Fault::Provider),
        ("error=temporarily_unavailable", "temporarily_unavailable", Fault::Provider),
        ("error=invalid_scope&code=x", "invalid_scope", Fault::Provider),
    ] {
        let query = format!("{query}&state={}", login.asked["state"]);
        let said = lab.oidc.finish(&query, login.kept.reveal(), at(NOW)).await.unwrap_err();
        assert_eq!((said.to_string(), said.fault()), (format!("the provider refuses: {want}"), fault));
    }
    let long = format!("error={}&state={}", "x".repeat(4000), login.asked["state"]);
    let said = lab.oidc.finish(&long, login.kept.reveal(), at(NOW)).await.unwrap_err();
    assert_eq!(said.to_string().chars().count(), "the provider refuses: ".len() + 254);
    assert_eq!(lab.times("/token"), 0);
}

#[tokio::test]
async fn what_the_provider_answers_to_a_code_leads_nowhere_else_and_has_an_end() {
    let lab = Lab::start().await;
    let elsewhere = StandIn::start(|_| Reply::body("{}")).await;
    let redirection = Reply { location: Some(elsewhere.address.as_str().to_owned()), ..Reply::status(307) };
    let with = |status, body: &str| Reply { body: body.as_bytes().to_vec(), ..Reply::status(status) };
    let answered = |rest: &str| format!("cannot exchange the code: the provider answered {rest}");
    let shape = || "cannot exchange the code: the provider's answer is not understood".to_owned();
    for (reply, want) in [
        (redirection, answered("307")),
        (Reply::status(500), answered("500")),
        (
            with(401, r#"{"error":"invalid_client","error_description":"Bad\nsecret"}"#),
            answered("401: Bad\\u{a}secret"),
        ),
        (with(400, r#"{"error":"unauthorized_client"}"#), answered("400: unauthorized_client")),
        (with(403, r#"{"error":"invalid_grant"}"#), answered("403: invalid_grant")),
        (Reply::body("<html>"), shape()),
        (Reply::body(r#"{"access_token":"x"}"#), shape()),
        (Reply::body(r#"{"id_token":null}"#), shape()),
        (
            Reply::body(format!(r#"{{"x":"{}"}}"#, "x".repeat(256 * 1024))),
            "cannot exchange the code: the answer has more than 262144 bytes".to_owned(),
        ),
    ] {
        lab.works_but("/token", reply);
        let said = lab.log_in(|_| ()).await.unwrap_err();
        assert_eq!((said.to_string(), said.fault()), (want, Fault::Provider));
    }
    assert_eq!(elsewhere.times(), 0);
    let counted = |text: &str| lab.metrics.text().lines().any(|line| line == text);
    assert!(counted(r#"flamewarden_remote_calls_total{system="login",outcome="unavailable"} 1"#));
    assert!(counted(r#"flamewarden_remote_calls_total{system="login",outcome="refused"} 4"#));
    lab.works();
    lab.log_in(|_| ()).await.unwrap();
}

#[tokio::test]
async fn without_the_provider_s_keys_nobody_is_logged_in() {
    let lab = Lab::start().await;
    for (second, reply) in [(0, Reply::status(503)), (10, Reply::body("<html>")), (20, Reply::body(set(&[])))] {
        lab.works_but("/keys", reply);
        let login = lab.begin("/").await;
        let code = lab.code_with(&login, &lab.claims(&login));
        let query = format!("state={}&code={code}", login.asked["state"]);
        let said = lab.oidc.finish(&query, login.kept.reveal(), at(NOW + second)).await.unwrap_err();
        assert_eq!(said.fault(), Fault::Provider);
        assert!(said.to_string().ends_with("the realm's keys could not be fetched"), "{said}");
    }
}

#[tokio::test]
async fn the_provider_s_configuration_is_read_every_five_minutes_and_holds_for_an_hour() {
    let lab = Lab::start().await;
    let begin = async |second| lab.oidc.begin("/", at(NOW + second)).await.is_ok();
    for (second, times) in [(0, 1), (299, 1), (300, 2)] {
        assert!(begin(second).await);
        assert_eq!(lab.times(CONFIGURATION), times, "after {second} s");
    }
    lab.system.always(Reply::status(503));
    for (second, holds, times) in [(600, true, 3), (609, true, 3), (610, true, 4), (3900, true, 5), (3911, false, 6)] {
        assert_eq!((begin(second).await, lab.times(CONFIGURATION)), (holds, times), "after {second} s");
    }
    // Many who come while it is down are not many questions.
    for _ in 0..20 {
        assert!(!begin(3915).await);
    }
    assert_eq!(lab.times(CONFIGURATION), 6);
    lab.works();
    assert!(begin(3921).await);
}

#[tokio::test]
async fn what_is_no_configuration_of_our_provider_s_is_not_used() {
    let elsewhere = StandIn::start(|_| Reply::body("{}")).await;
    let lab = Lab::start().await;
    let changed = |name: &str, value: Value| {
        let mut configuration = lab.desk.lock().unwrap().configuration.clone();
        configuration[name] = value;
        configuration.to_string()
    };
    let long = format!("{}{}", changed("x", Value::Null), " ".repeat(1024 * 1024));
    let bad = [
        Reply { location: Some(elsewhere.address.as_str().to_owned()), ..Reply::status(302) },
        Reply { body: changed("x", Value::Null).into_bytes(), ..Reply::status(404) },
        Reply::body("<html>"),
        Reply::body(long),
        Reply::body(changed("issuer", json!("https://evil.example"))),
        Reply::body(changed("token_endpoint", json!("ftp://idp/token"))),
        Reply::body(changed("code_challenge_methods_supported", json!(["plain"]))),
    ];
    for (number, reply) in (0..).zip(bad) {
        lab.works_but(CONFIGURATION, reply);
        let said = lab.oidc.begin("/", at(NOW + number * 10)).await.unwrap_err();
        assert!(matches!(said, OidcProblem::NoConfiguration) && said.fault() == Fault::Provider, "{number}: {said}");
    }
    assert_eq!((lab.times(CONFIGURATION), elsewhere.times()), (7, 0));
    assert_eq!(lab.oidc.end("https://pages.example.org", None).await, None);
}

#[tokio::test]
async fn a_provider_may_be_reached_by_another_address_than_its_name() {
    let lab = Lab::start().await;
    let inside = StandIn::start(|_| Reply::status(404)).await;
    let configuration = lab.desk.lock().unwrap().configuration.to_string();
    inside.always(Reply::body(configuration));
    let mut settings = settings(&lab.issuer(), None);
    settings.discovery = Some(address(&format!("{}auth/configuration", inside.address.as_str())));
    let oidc = Oidc::new(remote(), settings, lab.metrics.clone()).unwrap();
    let lab = Lab { oidc, ..lab };
    lab.log_in(|_| ()).await.unwrap();
    assert_eq!((inside.asked()[0].path.as_str(), lab.times(CONFIGURATION)), ("/auth/configuration", 0));
}

#[tokio::test]
async fn keys_that_move_are_fetched_where_they_are_now() {
    let lab = Lab::start().await;
    lab.log_in(|_| ()).await.unwrap();
    let keys = StandIn::start(|_| Reply::body(set(&[REALM.published("k1", "RS256")]))).await;
    lab.desk.lock().unwrap().configuration["jwks_uri"] = json!(keys.address.as_str());
    lab.works_but("/keys", Reply::body(set(&[])));
    lab.oidc.begin("/", at(NOW + 300)).await.unwrap();
    lab.log_in(|_| ()).await.unwrap();
    assert_eq!(keys.times(), 1);
}

#[tokio::test]
async fn a_secret_is_read_anew_shown_as_the_provider_takes_it_and_never_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client-secret");
    let lab = Lab::with(Some(file.clone())).await;
    let told = |said: OidcProblem| (said.fault() == Fault::Provider).then(|| said.to_string()).unwrap();
    let said = told(lab.log_in(|_| ()).await.unwrap_err());
    assert!(said.starts_with("cannot read the login's secret") && said.contains("No such file"), "{said}");
    std::fs::write(&file, " \n").unwrap();
    let said = told(lab.log_in(|_| ()).await.unwrap_err());
    assert!(said.ends_with("client-secret: it is empty"), "{said}");
    assert_eq!(lab.times("/token"), 0, "a client that has lost its secret is no public one");

    let shown = async |secret: &str| {
        std::fs::write(&file, secret).unwrap();
        lab.log_in(|_| ()).await.unwrap();
        let asked = lab.system.asked().into_iter().rfind(|asked| asked.path == "/token").unwrap();
        (asked.bearer, form(&asked.body))
    };
    for (secret, want) in
        [("hunter2\n", "flamewarden%2Dpages:hunter2"), ("a:b%c d", "flamewarden%2Dpages:a%3Ab%25c%20d")]
    {
        let (header, form) = shown(secret).await;
        let want = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, want);
        assert_eq!(header, Some(format!("Basic {want}")));
        assert!(!form.contains_key("client_secret") && !form.contains_key("client_id"), "{form:?}");
    }
    lab.desk.lock().unwrap().configuration["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    lab.oidc.begin("/", at(NOW + 300)).await.unwrap();
    let (header, form) = shown("hunter2").await;
    assert_eq!((header, form["client_id"].as_str(), form["client_secret"].as_str()), (None, CLIENT, "hunter2"));
}

#[tokio::test]
async fn who_logs_out_is_sent_to_the_provider_where_that_has_a_page_for_it() {
    let lab = Lab::start().await;
    let back = "https://pages.example.org/?x=1&y";
    let issuer = lab.issuer();
    let to = "post_logout_redirect_uri=https%3A%2F%2Fpages.example.org%2F%3Fx%3D1%26y";
    let end = async |token: Option<&Secret>| lab.oidc.end(back, token).await;
    assert_eq!(end(None).await, Some(format!("{issuer}/end?client_id={CLIENT}&{to}")));
    assert_eq!(end(Some(&Secret::new("a.b.c"))).await, Some(format!("{issuer}/end?id_token_hint=a.b.c&{to}")));
    let long = Secret::new("x".repeat(4097));
    assert_eq!(end(Some(&long)).await, Some(format!("{issuer}/end?client_id={CLIENT}&{to}")));

    let without = Lab::start().await;
    without.desk.lock().unwrap().configuration["end_session_endpoint"] = Value::Null;
    assert_eq!(without.oidc.end(back, None).await, None);
}

#[tokio::test]
async fn nothing_that_is_secret_is_shown() {
    let lab = Lab::start().await;
    let begun = lab.oidc.begin("/", at(NOW)).await.unwrap();
    let shown = format!("{begun:?}");
    let parts: Vec<&str> = begun.kept.reveal().split('.').collect();
    assert_eq!((shown.contains(parts[3]), shown.contains(begun.kept.reveal())), (false, false), "{shown}");
    let user = lab.log_in(|_| ()).await.unwrap();
    assert!(!format!("{user:?}").contains(user.id_token.reveal()) && user.id_token.reveal().len() > 100);
}

#[tokio::test]
async fn settings_that_lead_to_no_login_are_told_at_once() {
    let good = || settings("https://idp.example.org/realms/x", None);
    let text = str::to_owned;
    let mut all = [good(), good(), good(), good(), good(), good()];
    all[0].issuer = text("idp.example.org");
    all[1].issuer = text("https://idp.example.org?x=1");
    all[2].redirect = text("/callback");
    all[3].client_id = String::new();
    all[4].groups = Vec::new();
    let metrics = std::sync::Arc::new(flamewarden::telemetry::Metrics::new());
    let said = all.map(|settings| {
        let made = Oidc::new(remote(), settings, metrics.clone());
        made.err().map(|problem| problem.to_string())
    });
    let want = |name: &str| Some(format!("the login's setting `{name}` cannot be used"));
    assert_eq!(said, [want("issuer"), want("issuer"), want("redirect"), want("client_id"), want("groups"), None]);
}

//! What an ID token has to say for a login to succeed, and who has logged in then.

use std::collections::BTreeSet;

use flamewarden::serve::{Fault, OidcProblem, Refusal};
use serde_json::{Value, json};

use crate::login_lab::{CLIENT, Lab, header};
use crate::signer::{Signer, base64, hmac_token, set};
use crate::tokens::{NOW, REALM};

#[tokio::test]
async fn an_id_token_is_held_to_what_was_asked_for() {
    let lab = Lab::start().await;
    let issuer = lab.issuer();
    let party = |name: &str| Refusal::Party(name.to_owned());
    for (claim, value, want) in [
        ("iss", json!("https://evil"), Refusal::Issuer("https://evil".to_owned())),
        ("iss", json!(format!("{issuer}/")), Refusal::Issuer(format!("{issuer}/"))),
        ("iss", Value::Null, Refusal::Issuer(String::new())),
        ("aud", json!("node-ui"), Refusal::Audience),
        ("aud", json!(["node-ui"]), Refusal::Audience),
        ("aud", json!([]), Refusal::Audience),
        ("aud", Value::Null, Refusal::Audience),
        ("azp", json!("node-ui"), party("node-ui")),
        ("azp", json!(""), party("")),
        ("exp", json!(NOW - 30), Refusal::Expired),
        ("exp", Value::Null, Refusal::NoEnd),
        ("iat", json!(NOW + 31), Refusal::Early),
        ("iat", Value::Null, Refusal::NoBegin),
        ("nbf", json!(NOW + 31), Refusal::Early),
        ("nonce", json!("other"), Refusal::Nonce),
        ("nonce", json!(""), Refusal::Nonce),
        ("nonce", Value::Null, Refusal::Nonce),
        ("nonce", json!(1), Refusal::Claims),
        ("typ", json!("Bearer"), Refusal::Kind("Bearer".to_owned())),
        ("typ", json!("Logout"), Refusal::Kind("Logout".to_owned())),
        ("cnf", json!({"jkt": "x"}), Refusal::Bound),
        ("sub", Value::Null, Refusal::NoSubject),
        ("sub", json!(""), Refusal::NoSubject),
        ("sub", json!("u\n1"), Refusal::NoSubject),
        ("sub", json!("u".repeat(256)), Refusal::NoSubject),
        ("preferred_username", json!(["ada"]), Refusal::Claims),
    ] {
        let said = lab.log_in(|claims| claims[claim] = value.clone()).await.unwrap_err();
        assert_eq!(refusal(&said), Some(&want), "{claim} {value}: {said}");
        let fault = if want == Refusal::Nonce { Fault::Login } else { Fault::Provider };
        assert_eq!(said.fault(), fault, "{claim} {value}");
    }
    let several = json!([CLIENT, "node-ui"]);
    let said = lab.log_in(|claims| (claims["aud"], claims["azp"]) = (several.clone(), Value::Null)).await.unwrap_err();
    assert_eq!(refusal(&said), Some(&party("")), "{said}");
}

#[tokio::test]
async fn an_id_token_is_signed_by_a_key_of_the_provider_s_and_said_once() {
    let lab = Lab::start().await;
    let other = Signer::rsa();
    let good = |claims: &Value| REALM.token(&header(), claims);
    let with = |header: &str, claims: &Value| REALM.sign("RS256", header, &claims.to_string());
    let algorithm = |name: &str| Refusal::Algorithm(name.to_owned());
    let unsigned = |claims: &Value| {
        let header = json!({"alg": "none", "typ": "JWT", "kid": "k1"}).to_string();
        format!("{}.{}.", base64(header.as_bytes()), base64(claims.to_string().as_bytes()))
    };
    let hmac = |claims: &Value| hmac_token(&json!({"alg": "HS256", "kid": "k1"}), claims, &REALM.public_der());
    let twice = |claims: &Value| claims.to_string().replacen('{', r#"{"groups":["admins"],"#, 1);
    type Make<'a> = Box<dyn Fn(&Value) -> String + 'a>;
    let makes: [(Make<'_>, Refusal); 11] = [
        (Box::new(unsigned), algorithm("none")),
        (Box::new(hmac), algorithm("HS256")),
        (Box::new(|claims| other.token(&header(), claims)), Refusal::Signature),
        (Box::new(|claims| with(r#"{"alg":"RS256"}"#, claims)), Refusal::NoKey),
        (Box::new(|claims| with(r#"{"alg":"RS256","kid":"k9"}"#, claims)), Refusal::UnknownKey("k9".to_owned())),
        (
            Box::new(|claims| with(r#"{"alg":"RS256","kid":"k1","typ":"at+jwt"}"#, claims)),
            Refusal::Type("at+jwt".to_owned()),
        ),
        (Box::new(|claims| with(r#"{"alg":"RS256","kid":"k1","crit":["x"]}"#, claims)), Refusal::Critical),
        (Box::new(|claims| REALM.sign("RS256", &header().to_string(), &twice(claims))), Refusal::Claims),
        (Box::new(|claims| good(claims).replacen('.', "..", 1)), Refusal::Form),
        (Box::new(|_| "no token".to_owned()), Refusal::Form),
        (Box::new(|claims| format!("{}{}", good(claims), "A".repeat(64 * 1024))), Refusal::Long(64 * 1024)),
    ];
    for (number, (make, want)) in makes.into_iter().enumerate() {
        let login = lab.begin("/").await;
        let code = lab.code(&login, make(&lab.claims(&login)));
        let said = lab.end(&login, &code).await.unwrap_err();
        assert_eq!(refusal(&said), Some(&want), "{number}: {said}");
    }
    // The key is for RS256 alone.
    let login = lab.begin("/").await;
    let token = REALM.sign("PS256", r#"{"alg":"PS256","kid":"k1"}"#, &lab.claims(&login).to_string());
    let said = lab.end(&login, &lab.code(&login, token)).await.unwrap_err();
    assert_eq!(refusal(&said), Some(&Refusal::OtherAlgorithm("k1".to_owned())));
}

#[tokio::test]
async fn what_differs_within_reason_is_accepted() {
    let lab = Lab::start().await;
    for (claim, value) in [
        ("aud", json!([CLIENT])),
        ("aud", json!([CLIENT, "account"])),
        ("azp", Value::Null),
        ("typ", Value::Null),
        ("exp", json!(NOW - 29)),
        ("iat", json!(NOW + 30)),
        ("sub", json!("auth0|1")),
        ("address", json!({"anything": [1, null]})),
    ] {
        let said = lab.log_in(|claims| claims[claim] = value.clone()).await;
        assert!(said.is_ok(), "{claim} {value}: {said:?}");
    }
}

#[tokio::test]
async fn a_name_is_for_people_and_never_breaks_a_line() {
    let lab = Lab::start().await;
    let long = "x".repeat(300);
    for (username, email, want) in [
        (json!("ada"), json!("ada@example.org"), "ada"),
        (Value::Null, json!("ada@example.org"), "ada@example.org"),
        (json!(""), Value::Null, "u1"),
        (json!("a\nlevel=INFO"), Value::Null, "a\\u{a}level=INFO"),
        (json!("a\u{202e}b"), Value::Null, "a\\u{202e}b"),
        (json!(long), Value::Null, &format!("{}…", "x".repeat(253))),
    ] {
        let change = |claims: &mut Value| (claims["preferred_username"], claims["email"]) = (username.clone(), email);
        let user = lab.log_in(change).await.unwrap();
        assert_eq!((user.subject.as_str(), user.name.as_str()), ("u1", want), "{username}");
    }
}

#[tokio::test]
async fn groups_are_a_list_of_names_or_none() {
    let lab = Lab::start().await;
    let many = |count: usize| json!((0..count).map(|number| format!("g{number}")).collect::<Vec<_>>());
    for (groups, want) in [
        (json!(["b", "a", "b"]), Some(2)),
        (json!([]), Some(0)),
        (Value::Null, Some(0)),
        (many(1000), Some(1000)),
        (many(1001), None),
        (json!(["x".repeat(256)]), Some(1)),
        (json!(["x".repeat(257)]), None),
        (json!("security"), None),
        (json!([["security"]]), None),
        (json!(["security", 1]), None),
        (json!({"security": true}), None),
    ] {
        let said = lab.log_in(|claims| claims["groups"] = groups.clone()).await;
        match want {
            Some(count) => assert_eq!(said.unwrap().groups.len(), count, "{groups}"),
            None => assert_eq!(refusal(&said.unwrap_err()), Some(&Refusal::Groups), "{groups}"),
        }
    }
}

#[tokio::test]
async fn groups_may_stand_deeper() {
    let lab = Lab::start().await;
    let mut settings = crate::login_lab::settings(&lab.issuer(), None);
    settings.groups = ["realm_access", "roles"].map(str::to_owned).to_vec();
    let metrics = lab.metrics.clone();
    let oidc = flamewarden::serve::Oidc::new(crate::login_lab::remote(), settings, metrics).unwrap();
    let lab = Lab { oidc, ..lab };
    for (access, want) in [
        (json!({"roles": ["auditors"]}), Some(BTreeSet::from(["auditors".to_owned()]))),
        (json!({}), Some(BTreeSet::new())),
        (Value::Null, Some(BTreeSet::new())),
        (json!({"roles": [1]}), None),
    ] {
        let said = lab.log_in(|claims| claims["realm_access"] = access.clone()).await;
        assert_eq!(said.ok().map(|user| user.groups), want, "{access}");
    }
}

#[tokio::test]
async fn a_new_key_is_known_at_its_first_login_and_an_old_one_until_it_is_withdrawn() {
    let lab = Lab::start().await;
    lab.log_in(|_| ()).await.unwrap();
    let log_in = async |kid: &str, second: i64| {
        let login = lab.begin("/").await;
        let mut claims = lab.claims(&login);
        claims["exp"] = json!(NOW + 7200);
        let token = REALM.token(&json!({"alg": "RS256", "kid": kid}), &claims);
        let query = format!("state={}&code={}", login.asked["state"], lab.code(&login, token));
        let said = lab.oidc.finish(&query, login.kept.reveal(), crate::tokens::at(NOW + second)).await;
        said.map(drop).map_err(|problem| refusal(&problem).cloned())
    };
    let publish = |kids: &[&str]| {
        let keys: Vec<_> = kids.iter().map(|kid| REALM.published(kid, "RS256")).collect();
        lab.desk.lock().unwrap().keys = set(&keys);
    };
    let unknown = |kid: &str| Err(Some(Refusal::UnknownKey(kid.to_owned())));
    publish(&["k2"]);
    assert_eq!(log_in("k2", 9).await, unknown("k2"), "asked less than ten seconds ago");
    assert_eq!(log_in("k1", 9).await, Ok(()));
    assert_eq!(log_in("k2", 10).await, Ok(()));
    assert_eq!(log_in("k1", 11).await, unknown("k1"));
    publish(&["k3"]);
    assert_eq!(log_in("k2", 309).await, Ok(()));
    assert_eq!(log_in("k2", 310).await, unknown("k2"), "withdrawn, and nobody asked for another key");
}

fn refusal(problem: &OidcProblem) -> Option<&Refusal> {
    match problem {
        OidcProblem::Token(refusal) => Some(refusal),
        _ => None,
    }
}

//! What is accepted of a token, and what each refusal is for.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use flamewarden::serve::{Bearer, Expected, KeysProblem, RealmKeys, Refusal, Role, check_bearer};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::signer::{Signer, base64, hmac_token, set};

#[test]
fn a_token_of_the_realm_says_who_asks() {
    let want = Bearer {
        client: ANALYSIS.to_owned(),
        roles: BTreeSet::from([
            Role::of_realm("default-roles-flame"),
            Role::of_client("account", "view-profile"),
            Role::of_client("node-ui", "admin"),
        ]),
        subject: Some("f2".to_owned()),
        expires: at(NOW + 300),
    };
    assert_eq!(checked(&good()), Ok(want));
}

#[test]
fn every_algorithm_with_public_keys_is_verified() {
    for (algorithm, signer) in [
        ("RS256", &*REALM),
        ("RS384", &REALM),
        ("RS512", &REALM),
        ("PS256", &REALM),
        ("PS384", &REALM),
        ("PS512", &REALM),
        ("ES256", &Signer::p256()),
        ("ES384", &Signer::p384()),
        ("EdDSA", &Signer::edwards()),
    ] {
        let keys = RealmKeys::parse(&set(&[signer.published("k", algorithm)])).unwrap();
        let token = signer.token(&json!({"alg": algorithm, "kid": "k"}), &claims());
        let said = check_bearer(&token, &keys, &expected(), at(NOW)).map(|bearer| bearer.client);
        assert_eq!(said, Ok(ANALYSIS.to_owned()), "{algorithm}");
        for changed in [changed(&token, 1), changed(&token, 2)] {
            let said = check_bearer(&changed, &keys, &expected(), at(NOW)).map(|bearer| bearer.client);
            assert_eq!(said, Err(Refusal::Signature), "{algorithm}");
        }
    }
}

#[test]
fn a_header_that_would_choose_its_own_check_is_refused() {
    let text = |header: &str| REALM.sign("RS256", header, &claims().to_string());
    let unsigned = |algorithm: &str| {
        let header = json!({"alg": algorithm, "kid": "k1"}).to_string();
        format!("{}.{}.", base64(header.as_bytes()), base64(claims().to_string().as_bytes()))
    };
    let hmac = |secret: &[u8]| hmac_token(&json!({"alg": "HS256", "kid": "k1"}), &claims(), secret);
    let modulus = REALM.published("k1", "RS256")["n"].as_str().unwrap().to_owned();
    for (token, want) in [
        (unsigned("none"), Refusal::Algorithm("none".to_owned())),
        (unsigned("None"), Refusal::Algorithm("None".to_owned())),
        (unsigned(""), Refusal::Algorithm(String::new())),
        (unsigned("RS256"), Refusal::Signature),
        (hmac(&REALM.public_der()), Refusal::Algorithm("HS256".to_owned())),
        (hmac(modulus.as_bytes()), Refusal::Algorithm("HS256".to_owned())),
        (hmac(b""), Refusal::Algorithm("HS256".to_owned())),
        (text(r#"{"alg":"rs256","kid":"k1"}"#), Refusal::Algorithm("rs256".to_owned())),
        (text(r#"{"alg":"RS1","kid":"k1"}"#), Refusal::Algorithm("RS1".to_owned())),
        // The key is for RS256 alone, though the same key could sign and verify the others.
        (
            REALM.sign("PS256", r#"{"alg":"PS256","kid":"k1"}"#, &claims().to_string()),
            Refusal::OtherAlgorithm("k1".to_owned()),
        ),
        (text(r#"{"alg":"ES256","kid":"k1"}"#), Refusal::OtherAlgorithm("k1".to_owned())),
        (text(r#"{"alg":"RS256"}"#), Refusal::NoKey),
        (text(r#"{"alg":"RS256","kid":null}"#), Refusal::NoKey),
        (text(r#"{"alg":"RS256","kid":"k9"}"#), Refusal::UnknownKey("k9".to_owned())),
        (text(r#"{"alg":"RS256","kid":""}"#), Refusal::UnknownKey(String::new())),
        (text(r#"{"alg":"RS256","kid":"encrypts"}"#), Refusal::UnknownKey("encrypts".to_owned())),
        (text(r#"{"alg":"RS256","kid":"twice"}"#), Refusal::AmbiguousKey("twice".to_owned())),
        (text(r#"{"alg":"RS256","kid":["k1"]}"#), Refusal::Header),
        (text(r#"{"alg":"RS256","alg":"none","kid":"k1"}"#), Refusal::Header),
        (text(r#"{"kid":"k1"}"#), Refusal::Header),
        (text(r#"{"alg":"RS256","kid":"k1","crit":["exp"]}"#), Refusal::Critical),
        (text(r#"{"alg":"RS256","kid":"k1","crit":[]}"#), Refusal::Critical),
        (text(r#"{"alg":"RS256","kid":"k1","crit":null}"#), Refusal::Critical),
        (text(r#"{"alg":"RS256","kid":"k1","typ":"logout+jwt"}"#), Refusal::Type("logout+jwt".to_owned())),
        (text(r#"{"alg":"RS256","kid":"k1","typ":"dpop+jwt"}"#), Refusal::Type("dpop+jwt".to_owned())),
        // A key that the token brings itself is not looked at.
        (
            OTHER.token(&json!({"alg": "RS256", "kid": "k1", "jwk": OTHER.published("k1", "RS256")}), &claims()),
            Refusal::Signature,
        ),
    ] {
        assert_eq!(checked(&token), Err(want), "{token}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        let token = REALM.token(&json!({"alg": "RS256", "kid": "k1", "typ": typ}), &claims());
        assert!(checked(&token).is_ok(), "{typ}");
    }
}

#[test]
fn another_s_signature_and_another_s_words_are_refused() {
    assert_eq!(checked(&OTHER.token(&header(), &claims())), Err(Refusal::Signature), "another key");
    let [first, second] = [good(), REALM.token(&header(), &with("azp", json!("hub-adapter")))];
    let (message, _) = second.rsplit_once('.').unwrap();
    let (_, signature) = first.rsplit_once('.').unwrap();
    assert_eq!(checked(&format!("{message}.{signature}")), Err(Refusal::Signature), "another token's signature");
}

#[test]
fn claims_are_held_to_what_is_expected() {
    let text = |text: &str| Value::String(text.to_owned());
    for (claim, value, want) in [
        ("iss", text("https://keycloak/realms/other"), Refusal::Issuer("https://keycloak/realms/other".to_owned())),
        ("iss", text("https://keycloak/realms/flame/"), Refusal::Issuer("https://keycloak/realms/flame/".to_owned())),
        ("iss", text("https://evil/realms/flame"), Refusal::Issuer("https://evil/realms/flame".to_owned())),
        ("iss", Value::Null, Refusal::Issuer(String::new())),
        ("iss", json!(["https://keycloak/realms/flame"]), Refusal::Claims),
        ("exp", Value::Null, Refusal::NoEnd),
        ("exp", json!(NOW - 30), Refusal::Expired),
        ("exp", json!(0), Refusal::Expired),
        ("exp", json!(-1), Refusal::Expired),
        ("exp", text("9999999999"), Refusal::Claims),
        ("exp", json!(1e300), Refusal::Claims),
        ("exp", json!(i64::MAX), Refusal::Claims),
        ("nbf", json!(NOW + 31), Refusal::Early),
        ("iat", json!(NOW + 31), Refusal::Early),
        ("nbf", text("soon"), Refusal::Claims),
        ("typ", text("ID"), Refusal::Kind("ID".to_owned())),
        ("typ", text("Refresh"), Refusal::Kind("Refresh".to_owned())),
        ("typ", text("Offline"), Refusal::Kind("Offline".to_owned())),
        ("typ", text("Logout"), Refusal::Kind("Logout".to_owned())),
        ("typ", text("DPoP"), Refusal::Kind("DPoP".to_owned())),
        ("typ", text("bearer"), Refusal::Kind("bearer".to_owned())),
        ("cnf", json!({"x5t#S256": "x"}), Refusal::Bound),
        ("azp", Value::Null, Refusal::NoClient),
        ("azp", text(""), Refusal::NoClient),
        ("azp", json!(["hub-adapter"]), Refusal::Claims),
        ("realm_access", json!({"roles": "admin"}), Refusal::Claims),
        ("resource_access", json!([]), Refusal::Claims),
    ] {
        let token = REALM.token(&header(), &with(claim, value.clone()));
        assert_eq!(checked(&token), Err(want), "{claim} {value}");
    }
}

#[test]
fn what_differs_within_reason_is_accepted() {
    for (claim, value) in [
        ("iss", json!("http://keycloak.flame.svc/realms/flame")),
        ("exp", json!(NOW - 29)),
        ("nbf", json!(NOW + 30)),
        ("nbf", json!(0)),
        ("iat", json!(NOW + 30)),
        ("iat", Value::Null),
        ("typ", Value::Null),
        ("aud", Value::Null),
        ("aud", json!("somebody else")),
        ("sub", Value::Null),
        ("realm_access", Value::Null),
        ("scope", json!({"anything": [1, 2.5, null]})),
    ] {
        let token = REALM.token(&header(), &with(claim, value.clone()));
        assert!(checked(&token).is_ok(), "{claim} {value}: {:?}", checked(&token));
    }
    let mut old = with("azp", Value::Null);
    old["client_id"] = json!("hub-adapter");
    assert_eq!(checked(&REALM.token(&header(), &old)).map(|bearer| bearer.client), Ok("hub-adapter".to_owned()));
}

#[test]
fn an_audience_counts_where_it_is_asked_for() {
    let wanted = Expected { audience: Some("flamewarden".to_owned()), ..expected() };
    for (audience, want) in [
        (json!("flamewarden"), Ok(())),
        (json!(["account", "flamewarden"]), Ok(())),
        (json!("account"), Err(Refusal::Audience)),
        (json!(["account"]), Err(Refusal::Audience)),
        (json!([]), Err(Refusal::Audience)),
        (Value::Null, Err(Refusal::Audience)),
        (json!(["flamewarden", 1]), Err(Refusal::Claims)),
    ] {
        let token = REALM.token(&header(), &with("aud", audience.clone()));
        let said = check_bearer(&token, &KEYS, &wanted, at(NOW)).map(drop);
        assert_eq!(said, want, "{audience}");
    }
}

#[test]
fn what_is_no_token_is_refused_unread() {
    let good = good();
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let deep = format!(r#"{{"x":{deep},"exp":{}}}"#, NOW + 300);
    for (token, want) in [
        (String::new(), Refusal::Form),
        (".".to_owned(), Refusal::Form),
        ("..".to_owned(), Refusal::Header),
        ("a.b".to_owned(), Refusal::Form),
        (format!("{good}.x"), Refusal::Form),
        (format!("{good}="), Refusal::Form),
        (format!(" {good}"), Refusal::Form),
        (format!("{good}\n"), Refusal::Form),
        (good.replace('.', "+."), Refusal::Form),
        ("é.é.é".to_owned(), Refusal::Form),
        ("x".repeat(16 * 1024 + 1), Refusal::Long(16 * 1024)),
        (format!("{good}{}", "A".repeat(16 * 1024)), Refusal::Long(16 * 1024)),
        (format!("{}.e30.", base64(b"not JSON")), Refusal::Header),
        (format!("{}.e30.", base64(deep.as_bytes())), Refusal::Header),
        (REALM.sign("RS256", &header().to_string(), &deep), Refusal::Issuer(String::new())),
        (REALM.sign("RS256", &header().to_string(), "not JSON"), Refusal::Claims),
        (REALM.sign("RS256", &header().to_string(), "[]"), Refusal::Claims),
        // What is said twice is not said.
        (REALM.sign("RS256", &header().to_string(), r#"{"exp":1,"exp":9999999999}"#), Refusal::Claims),
    ] {
        assert_eq!(checked(&token), Err(want), "{}", &token.chars().take(80).collect::<String>());
    }
}

#[test]
fn a_token_as_long_as_allowed_is_read() {
    let filled = |length: usize| REALM.token(&header(), &with("filling", json!("x".repeat(length))));
    let long = (11_300..12_500).map(filled).find(|token| token.len() > 16 * 1024 - 3).unwrap();
    assert_eq!((checked(&long).is_ok(), long.len() <= 16 * 1024), (true, true));
}

#[test]
fn keys_that_sign_no_tokens_are_left_out() {
    let key = REALM.published("k", "RS256");
    let with = |name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        set(&[key])
    };
    let none = Err(KeysProblem::None);
    for (text, want) in [
        (set(std::slice::from_ref(&key)), Ok(())),
        (set(&[json!({}), json!(1), key.clone(), key.clone()]), Ok(())),
        (with("use", Value::Null), Ok(())),
        (with("alg", Value::Null), Ok(())),
        (with("use", json!("enc")), none.clone()),
        (with("alg", json!("RSA-OAEP")), none.clone()),
        (with("alg", json!("HS256")), none.clone()),
        (with("key_ops", json!(["encrypt"])), none.clone()),
        (with("kid", Value::Null), none.clone()),
        (with("n", json!("+++")), none.clone()),
        (set(&[json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0", "alg": "HS256"})]), none.clone()),
        (set(&[json!({"kty": "EC", "kid": "k", "crv": "P-256", "x": "AA", "y": "AA"})]), none.clone()),
        (set(&[]), none.clone()),
        (b"{}".to_vec(), Err(KeysProblem::Form)),
        (b"<html>".to_vec(), Err(KeysProblem::Form)),
        (Vec::new(), Err(KeysProblem::Form)),
    ] {
        assert_eq!(RealmKeys::parse(&text).map(drop), want, "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn what_a_caller_wrote_cannot_break_a_log_line() {
    let refusal = checked(&REALM.sign("RS256", r#"{"alg":"x\nlevel=INFO","kid":"k1"}"#, "{}")).unwrap_err();
    assert_eq!(refusal.to_string(), "token's algorithm `x\\u{a}level=INFO` is not accepted");
    assert!(!refusal.is_ours() && Refusal::NoKeys.is_ours());
}

fn checked(token: &str) -> Result<Bearer, Refusal> {
    check_bearer(token, &KEYS, &expected(), at(NOW))
}

fn good() -> String {
    REALM.token(&header(), &claims())
}

/// The token with one bit changed in a part.
fn changed(token: &str, part: usize) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let first = if parts[part].starts_with('A') { "B" } else { "A" };
    parts[part].replace_range(..1, first);
    parts.join(".")
}

fn header() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": "k1"})
}

/// As Keycloak writes them for an analysis's client.
pub(crate) fn claims() -> Value {
    json!({
        "exp": NOW + 300, "iat": NOW, "jti": "trrtcc:1", "iss": "https://keycloak/realms/flame", "aud": "account",
        "sub": "f2", "typ": "Bearer", "azp": ANALYSIS, "acr": "1", "allowed-origins": ["/*"],
        "realm_access": {"roles": ["default-roles-flame"]},
        "resource_access": {"account": {"roles": ["view-profile"]}, "node-ui": {"roles": ["admin"]}},
        "scope": "profile email", "clientHost": "10.0.0.1", "email_verified": false,
    })
}

fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[claim] = value;
    claims
}

pub(crate) fn expected() -> Expected {
    let issuers = ["https://keycloak/realms/flame", "http://keycloak.flame.svc/realms/flame"];
    Expected { issuers: issuers.map(str::to_owned).to_vec(), audience: None }
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(crate) static REALM: LazyLock<Signer> = LazyLock::new(Signer::rsa);
static OTHER: LazyLock<Signer> = LazyLock::new(Signer::rsa);
static KEYS: LazyLock<RealmKeys> = LazyLock::new(|| {
    let mut encrypts = REALM.published("encrypts", "RSA-OAEP");
    encrypts["use"] = json!("enc");
    let twice = [REALM.published("twice", "RS256"), OTHER.published("twice", "RS256")];
    let keys = [vec![REALM.published("k1", "RS256"), encrypts], twice.to_vec()].concat();
    RealmKeys::parse(&set(&keys)).unwrap()
});
pub(crate) const ANALYSIS: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
pub(crate) const NOW: i64 = 1_790_000_000;

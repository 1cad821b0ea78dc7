//! What is attached to images: read or passed over, and nothing counts that no key signed.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use flamewarden::model::ImageRef;
use flamewarden::policy::ScanPolicy;
use flamewarden::scan::{Attachment, Beside, Signature, Subject, trust};
use rcgen::{KeyPair, PKCS_ED25519, SigningKey};
use serde_json::{Value, json};

use super::Target;

pub(super) const TARGET: Target = Target { name: "attached", seeds, attempt };

/// The input is what is attached as it is; what a trusted signer made of it; and what that signer's predicate holds. So
/// mutations reach what stands behind the signature too.
fn attempt(input: &[u8]) -> String {
    let none = BTreeMap::new();
    let by = |pair: &KeyPair| BTreeMap::from([(ANNOTATION.to_owned(), signed(pair, input))]);
    let strangers = by(&STRANGER);
    let plain = told(&[(ENVELOPE, &none, input), (BUNDLE, &none, input), (SIMPLE, &strangers, input)]);
    assert_eq!(plain.1, None, "no key of the profile signed it");
    let text = String::from_utf8_lossy(input);
    let payload = enveloped(&PAIR, &text);
    let behind = told(&[(ENVELOPE, &none, payload.as_bytes()), (SIMPLE, &by(&PAIR), input)]);
    let scan = statement(&format!(r#"{{"scanner":{{"result":{text}}},"metadata":{{}}}}"#));
    let list = told(&[(ENVELOPE, &none, enveloped(&PAIR, &scan).as_bytes())]);
    assert_eq!(list.1, None, "it names no moment, so it is too old or not known: {text}");
    format!("{} | {} | {}", plain.0, behind.0, list.0)
}

/// What becomes of it in a few words, and what lets the image run where something does.
fn told(attached: &[(&str, &BTreeMap<String, String>, &[u8])]) -> (String, Option<String>) {
    let view = |&(media_type, annotations, content)| Attachment { media_type, annotations, content };
    let attached: Vec<Attachment<'_>> = attached.iter().map(view).collect();
    let subject = Subject { digest: digest(), platform: None };
    let (image, now) = (ImageRef::parse("harbor.example/a/b:1").unwrap(), "2026-11-22T00:00:00Z".parse().unwrap());
    let places = [Beside { digest: &subject.digest, attached: &attached }];
    let trust = trust(&places, &subject, &image, &POLICY, now);
    let verdict = trust.attested.map(|scan| scan.verdict);
    let outcome = verdict.as_ref().map(|verdict| format!("{:?}", verdict.outcome)).unwrap_or_default();
    let reasons: Vec<String> = trust.passed_over.iter().map(|reason| kind_of(reason)).collect();
    let is_signed = matches!(trust.signature, Signature::By(_));
    let passes = verdict.is_some_and(|verdict| verdict.admits(now)) || is_signed;
    let told = format!("{outcome} {is_signed} {}", reasons.join(", "));
    (told.clone(), passes.then_some(told))
}

/// A reason without what it quotes.
fn kind_of(reason: &str) -> String {
    let words = reason.split_whitespace().filter(|word| !word.contains(['`', '"']) && !word.starts_with("sha256:"));
    words.take(9).collect::<Vec<_>>().join(" ")
}

fn digest() -> String {
    format!("sha256:{}", "a".repeat(64))
}

fn signed(pair: &KeyPair, message: &[u8]) -> String {
    STANDARD.encode(pair.sign(message).unwrap())
}

fn enveloped(pair: &KeyPair, payload: &str) -> String {
    let message = format!("DSSEv1 {} {STATEMENT} {} {payload}", STATEMENT.len(), payload.len());
    let signature = signed(pair, message.as_bytes());
    json!({"payloadType": STATEMENT, "payload": STANDARD.encode(payload), "signatures": [{"sig": signature}]})
        .to_string()
}

fn statement(predicate: &str) -> String {
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}}}}],"predicateType":"https://in-toto.io/attestation/vulns/v0.2","predicate":{predicate}}}"#,
        "a".repeat(64)
    )
}

fn seeds() -> Vec<Vec<u8>> {
    let list =
        r#"[{"id":"CVE-2026-0001","severity":[{"method":"nvd","score":"low"},{"method":"cvss","score":"3.1"}]}]"#;
    let when = r#""metadata":{"scanFinishedOn":"2026-11-21T23:00:00Z"}"#;
    let scan = statement(&format!(
        r#"{{"scanner":{{"uri":"x","db":{{"lastUpdate":"2026-11-21T00:00:00Z"}},"result":{list}}},{when}}}"#
    ));
    let old =
        scan.replace("v0.2", "v0.1").replace("\"scanner\":{", "\"scanners\":[{").replace("]},\"meta", "]}],\"meta");
    // What would pass if its signer counted.
    let clean = scan.replace(list, "[]");
    let report = include_str!("../../fixtures/grype/report.json");
    let bundle = json!({"mediaType": BUNDLE, "dsseEnvelope": serde_json::from_str::<Value>(&enveloped(&STRANGER, &clean)).unwrap()});
    let simple = json!({"critical": {
        "identity": {"docker-reference": "harbor.example/a/b"}, "image": {"docker-manifest-digest": digest()},
        "type": "cosign container image signature",
    }, "optional": null});
    let texts = [
        scan.clone(),
        old,
        list.to_owned(),
        report.to_owned(),
        enveloped(&STRANGER, &clean),
        bundle.to_string(),
        simple.to_string(),
    ];
    texts.into_iter().map(String::into_bytes).collect()
}

static STRANGER: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_for(&PKCS_ED25519).unwrap());
static PAIR: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_for(&PKCS_ED25519).unwrap());
static POLICY: LazyLock<ScanPolicy> = LazyLock::new(|| {
    let keys = json!([{"name": "ci", "publicKey": PAIR.public_key_pem()}]);
    let section = json!({"verdict": "required", "attestations": {"keys": keys}, "imageSignature": {"keys": keys}});
    serde_json::from_value(section).unwrap()
});
const STATEMENT: &str = "application/vnd.in-toto+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";

//! What is attached and not believed: each fault has its text, and no verdict comes of it.

use flamewarden::policy::ScanPolicy;
use flamewarden::scan::{Signature, Trust};
use serde_json::{Value, json};

use crate::attested::{VULNS, believing, changed, found, list, statement, statement_of, subject, verdict};
use crate::sample::NOW;
use crate::signer::{Attached, BUNDLE, ENVELOPE, STATEMENT, Signer};

/// Each is passed over for its reason.
fn expect(ci: &Signer, rows: impl IntoIterator<Item = (&'static str, Attached, &'static str)>) {
    let policy = believing(&[ci], "{}");
    for (what, attached, reason) in rows {
        let trust = found(&[attached], &policy, NOW);
        assert_eq!(trust.attested, None, "{what}");
        let [told] = &trust.passed_over[..] else { panic!("{what}: {:?}", trust.passed_over) };
        assert!(told.contains(reason), "{what}: {told}");
        assert_eq!(trust.verdict(None), None, "{what}");
    }
}

/// What would pass.
fn good() -> Value {
    statement(VULNS, list(json!([])))
}

fn with(ci: &Signer, pointer: &str, value: Value) -> Attached {
    ci.attests(&changed(good(), pointer, value))
}

/// With a member twice, of which the first says something else.
fn twice(ci: &Signer, key: &str, other: &str) -> Attached {
    let text = good().to_string();
    let changed = text.replacen(&format!("\"{key}\":"), &format!("\"{key}\":{other},\"{key}\":"), 1);
    assert_ne!(changed, text);
    ci.envelope(STATEMENT, &changed)
}

#[test]
fn an_envelope_counts_whole_and_by_a_key_of_the_profile() {
    let (ci, other) = (Signer::new("ci"), Signer::new("other"));
    let text = good().to_string();
    let attested = ci.attests(&good());
    let stolen = Attached::envelope("application/json", &text, &[&ci.over(STATEMENT, &text)]);
    let plain = Attached::envelope(STATEMENT, &text, &[&ci.plainly(text.as_bytes())]);
    let longer = Attached { content: [attested.content.clone(), b"x".to_vec()].concat(), ..attested.clone() };
    let message = Attached::of(BUNDLE, json!({"mediaType": BUNDLE, "messageSignature": {}}).to_string());
    let replaced = |from: &str, to: &str| attested.replaced(from, to);
    let nobody = "none of the keys signed it";
    expect(
        &ci,
        [
            ("another key", other.attests(&good()), nobody),
            (
                "no signatures",
                replaced("signatures", "signature"),
                "it is no signed envelope: missing field `signatures`",
            ),
            ("no signature", Attached::envelope(STATEMENT, &text, &[]), nobody),
            ("an unreadable signature", Attached::envelope(STATEMENT, &text, &["???"]), nobody),
            ("many", Attached::envelope(STATEMENT, &text, &["AA=="; 9]), "it has 9 signatures, and 8 are the most"),
            ("signed without its type", plain, nobody),
            ("signed as another type", stolen, nobody),
            (
                "of another type, signed so",
                ci.envelope("application/json", &text),
                "`ci` signed is of type `application/json`",
            ),
            ("of no type", ci.envelope("", &text), "what `ci` signed is of type ``"),
            ("no base64", replaced("\"payload\":\"", "\"payload\":\"?"), "its payload is no base64"),
            ("text after it", longer, "it is no signed envelope: trailing characters"),
            ("two payloads", replaced("\"payload\":", "\"payload\":\"\",\"payload\":"), "duplicate field `payload`"),
            ("two types", replaced("\"payloadType\":", "\"payloadType\":\"\",\"payloadType\":"), "field `payloadType`"),
            ("empty", Attached::of(ENVELOPE, String::new()), "it is no signed envelope: EOF"),
            ("huge", Attached::of(ENVELOPE, " ".repeat((32 << 20) + 1)), "it is longer than 32 MiB"),
            ("a huge bundle", Attached::of(BUNDLE, " ".repeat((32 << 20) + 1)), "it is longer than 32 MiB"),
            ("no bundle", Attached::of(BUNDLE, "{}".to_owned()), "it is no signed envelope: missing field `mediaType`"),
            ("a bundle of something else", message, "no bundle of version 0.3 with an envelope"),
            ("another version", attested.bundled().replaced("bundle.v0.3", "bundle.v0.2"), "no bundle of version 0.3"),
        ],
    );
    let policy = believing(&[&ci], "{}");
    // Things of other kinds are nobody's business here; and who believes nobody looks at nothing.
    let ignored = Attached { media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(), ..attested.clone() };
    let nothing = Trust { attested: None, signature: Signature::NotAsked, passed_over: Vec::new() };
    assert_eq!(found(&[ignored], &policy, NOW), nothing);
    assert_eq!(found(std::slice::from_ref(&attested), &ScanPolicy::default(), NOW), nothing);
    // The tables fail if nothing counts at all.
    assert_eq!(verdict(&found(&[attested], &policy, NOW)).grounds, Vec::<String>::new());
}

#[test]
fn a_statement_counts_for_the_image_that_it_names() {
    let ci = Signer::new("ci");
    let (text, digest) = (good().to_string(), subject().digest);
    let value = digest.trim_start_matches("sha256:");
    let of = |digest: &str| ci.attests(&statement_of(digest, VULNS, list(json!([]))));
    let elsewhere = "b".repeat(64);
    let half = format!("{}{}", &value[..32], "0".repeat(32));
    let digests = json!([{"digest": {"sha256": digest}}]);
    let deep = format!("{}1{}", "[".repeat(9999), "]".repeat(9999));
    expect(
        &ci,
        [
            ("no statement", ci.envelope(STATEMENT, "{}"), "what `ci` signed is no statement: missing field"),
            ("text after it", ci.envelope(STATEMENT, &format!("{text} x")), "trailing characters"),
            ("half of one", ci.envelope(STATEMENT, &text[..text.len() - 1]), "EOF"),
            ("deep", ci.envelope(STATEMENT, &deep), "no statement"),
            (
                "another version",
                with(&ci, "/_type", json!("https://in-toto.io/Statement/v2")),
                "the version `https://in-toto",
            ),
            ("another image", of(&elsewhere), "what `ci` signed is of sha256:bbbb"),
            ("half the digest", of(&half), "not of sha256:"),
            ("in capitals", of(&value.to_uppercase()), "not of sha256:"),
            ("with its algorithm", with(&ci, "/subject", digests), "not of sha256:"),
            (
                "another algorithm",
                with(&ci, "/subject", json!([{"digest": {"sha512": value}}])),
                "of nothing with a SHA-256",
            ),
            ("no image", with(&ci, "/subject", json!([])), "of nothing with a SHA-256"),
            ("two digests", twice(&ci, "sha256", &format!("\"{elsewhere}\"")), "duplicate field `sha256`"),
            ("two lists of images", twice(&ci, "subject", "[]"), "duplicate field `subject`"),
            ("two predicates", twice(&ci, "predicate", "{}"), "duplicate field `predicate`"),
            ("two kinds", twice(&ci, "predicateType", "\"x\""), "duplicate field `predicateType`"),
        ],
    );
}

#[test]
fn a_predicate_counts_that_is_a_scan_of_a_known_form() {
    let ci = Signer::new("ci");
    let kind = |kind: &str| with(&ci, "/predicateType", json!(kind));
    let predicate = |value: Value| with(&ci, "/predicate", value);
    let result = |value: Value| with(&ci, "/predicate/scanner/result", value);
    let trivy = json!({"scanner": {"uri": "trivy", "result": {"SchemaVersion": 2, "Results": []}}, "metadata": {}});
    let other = json!({"matches": [], "descriptor": {"name": "syft"}});
    let two_ids = json!([{"id": "CVE-1", "vulnerability": {"id": "CVE-2"}}]);
    let spdx = ci.attests(&statement("https://cyclonedx.org/bom", json!({"bomFormat": "SPDX"})));
    let no_scan = "says nothing of vulnerabilities: its predicate is `https://";
    expect(
        &ci,
        [
            ("provenance", kind("https://slsa.dev/provenance/v1"), no_scan),
            ("a version to come", kind("https://in-toto.io/attestation/vulns/v0.3"), no_scan),
            ("an image's signature", kind("https://sigstore.dev/cosign/sign/v1"), no_scan),
            ("no scanner", predicate(json!({"metadata": {}})), "names no scanner, or both"),
            ("no scanners", predicate(json!({"scanners": []})), "names no scanner, or both"),
            ("two ways", with(&ci, "/predicate/scanners", json!([{"result": []}])), "names no scanner, or both"),
            ("no result", predicate(json!({"scanner": {"uri": "x"}})), "missing field `result`"),
            ("two results", twice(&ci, "result", "[]"), "no scan that can be read: duplicate field `result`"),
            ("a text for a result", result(json!("none")), "expected a report of Grype's or a list"),
            ("no predicate", predicate(json!(null)), "no scan that can be read"),
            ("another scanner's report", predicate(trivy), "no report of Grype's: missing field `matches`"),
            ("a report by another scanner", result(other), "holds a report that is not read: the report is by `syft`"),
            ("no id", result(json!([{"severity": []}])), "without one `id`"),
            ("an empty id", result(json!([{"id": "", "severity": []}])), "without one `id`"),
            ("two ids", result(two_ids), "without one `id`"),
            ("a broken SBOM", spdx, "what `ci` signed is no SBOM"),
        ],
    );
}

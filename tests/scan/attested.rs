//! Scans as others attest them, and what is found of them.

use flamewarden::model::{ImageRef, Verdict};
use flamewarden::policy::ScanPolicy;
use flamewarden::scan::{Beside, Subject, Trust, trust};
use serde_json::{Value, json};

use crate::sample::Sample;
use crate::signer::{Attached, Signer, views};

pub(crate) const VULNS: &str = "https://in-toto.io/attestation/vulns/v0.2";
pub(crate) const COSIGN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

/// A profile's section that believes these.
pub(crate) fn believing(keys: &[&Signer], limits: &str) -> ScanPolicy {
    let keys: Vec<Value> = keys.iter().map(|signer| signer.key()).collect();
    let mut section: Value = serde_saphyr::from_str(limits).unwrap();
    section["attestations"] = json!({"keys": keys});
    serde_json::from_value(section).unwrap()
}

pub(crate) fn subject() -> Subject {
    Subject { digest: Sample::new().digest().to_owned(), platform: Some("linux/amd64".to_owned()) }
}

pub(crate) fn found(attached: &[Attached], policy: &ScanPolicy, now: &str) -> Trust {
    let image = ImageRef::parse("harbor.example/node-1/analysis:1").unwrap();
    let (subject, attached) = (subject(), views(attached));
    let places = [Beside { digest: &subject.digest, attached: &attached }];
    trust(&places, &subject, &image, policy, now.parse().unwrap())
}

pub(crate) fn statement_of(digest: &str, predicate_type: &str, predicate: Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "harbor.example/node-1/analysis", "digest": {"sha256": digest.trim_start_matches("sha256:")}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    })
}

pub(crate) fn statement(predicate_type: &str, predicate: Value) -> Value {
    statement_of(&subject().digest, predicate_type, predicate)
}

/// A list, scanned an hour before [`NOW`] with a database of the day before.
pub(crate) fn list(result: Value) -> Value {
    json!({
        "scanner": {
            "uri": "pkg:github/anchore/grype", "version": "0.110.0",
            "db": {"uri": "https://grype.anchore.io", "version": "6", "lastUpdate": "2026-11-21T00:00:00Z"},
            "result": result,
        },
        "metadata": {"scanStartedOn": "2026-11-21T22:59:00Z", "scanFinishedOn": "2026-11-21T23:00:00Z"},
    })
}

pub(crate) fn graded(id: &str, grade: &str) -> Value {
    json!({"id": id, "severity": [{"method": "nvd", "score": grade}]})
}

pub(crate) fn verdict(trust: &Trust) -> &Verdict {
    &trust.attested.as_ref().unwrap_or_else(|| panic!("{trust:?}")).verdict
}

/// A text with another value at a place; its parents must be there.
pub(crate) fn changed(mut whole: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    whole.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    whole
}

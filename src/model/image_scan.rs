//! The custom resource `ImageScan`: what is known of the image of one digest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Condition, Digest, PolicyHash, Verdict};

/// Whose scan it is. The object's name follows from the digest in it: `sha256-` and its digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageScanSpec {
    /// Where the image stands and its digest: `registry.example/path/name@sha256:…`.
    pub image: String,
}

/// What is known of it. Only Flamewarden's controller writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageScanStatus {
    /// Of a manifest: its platform, such as `linux/amd64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Of an index: the manifests of the platforms that its image may run on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<PlatformManifest>,
    /// Of an index: those of platforms that no node has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_manifests: Vec<PlatformManifest>,
    /// Tags that stood for it when they were looked up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// What the answers are, in one line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The answer under each limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<PolicyVerdict>,
    /// When the scan was begun whose report the verdicts are of, by the controller's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanned_at: Option<Timestamp>,
    /// When the database was built that the report comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_built: Option<Timestamp>,
    /// Since when something in it fails: when the first report came that failed. What has run before may go on for the
    /// time of grace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_since: Option<Timestamp>,
    /// Whose pods have run it before it failed: uids of the pods' controllers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ran_by: Vec<String>,
    /// Since when no object asks for it: noted of what the controller has made itself, which goes after a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused_since: Option<Timestamp>,
    /// How many attempts to scan it have failed since one has not.
    #[serde(skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// Conditions by Kubernetes' conventions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// The manifest of one platform in an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformManifest {
    /// Its digest.
    pub digest: Digest,
    /// The platform, such as `linux/amd64`.
    pub platform: String,
}

/// A tag that stands for an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The canonical name with the tag: `registry.example/path/name:tag`.
    pub name: String,
    /// The first moment at which it is no longer believed to.
    pub until: Timestamp,
}

/// The answer under the limits of one profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVerdict {
    /// The limits' hash.
    pub policy: PolicyHash,
    /// The profiles whose limits they are or were, by name, after commas.
    pub profile: String,
    /// The answer.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Why a stored object is no scan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageScanProblem {
    /// Its name is not made from a digest.
    #[error("the name `{0}` is not sha256- and 64 hexadecimal digits")]
    Name(String),
    /// A field is missing or not of its type.
    #[error("not an ImageScan: {0}")]
    Shape(String),
}

/// One `ImageScan` as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageScanObject {
    /// The digest that it is of.
    pub digest: Digest,
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Who keeps it, by the label `app.kubernetes.io/managed-by`.
    pub managed_by: Option<String>,
    /// Where the image stands.
    pub image: String,
    /// What is known of it.
    pub status: ImageScanStatus,
}

impl ImageScanObject {
    /// The name of the object for a digest.
    pub fn name(digest: Digest) -> String {
        digest.to_string().replacen(':', "-", 1)
    }

    /// The digest that an object of that name is of.
    pub fn digest_of(name: &str) -> Option<Digest> {
        let digits = name.strip_prefix("sha256-")?;
        Digest::parse(&format!("sha256:{digits}"))
    }

    /// Reads an object as the API server stores it, or those of its members that a watch keeps.
    ///
    /// # Errors
    /// Its name is not made from a digest, or a field is not of its type. Its schema should have kept it out.
    pub fn read(object: &serde_json::Value) -> Result<Self, ImageScanProblem> {
        let stored = Stored::deserialize(object).map_err(|problem| ImageScanProblem::Shape(problem.to_string()))?;
        let Metadata { name, uid, resource_version, creation_timestamp, mut labels } = stored.metadata;
        let digest = Self::digest_of(&name).ok_or(ImageScanProblem::Name(name))?;
        let (created, image) = (creation_timestamp, stored.spec.image);
        let managed_by = labels.remove("app.kubernetes.io/managed-by");
        Ok(ImageScanObject { digest, uid, resource_version, created, managed_by, image, status: stored.status })
    }
}

#[derive(Deserialize)]
struct Stored {
    metadata: Metadata,
    spec: ImageScanSpec,
    #[serde(default)]
    status: ImageScanStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
    creation_timestamp: Option<Timestamp>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::ScanOutcome;

    fn stored() -> serde_json::Value {
        let digits = "ab".repeat(32);
        json!({
            "metadata": {"name": format!("sha256-{digits}"), "uid": "u", "resourceVersion": "7"},
            "spec": {"image": format!("r.example/a@sha256:{digits}")},
            "status": {
                "tags": [{"name": "r.example/a:1", "until": "2026-11-22T12:00:00Z"}],
                "verdicts": [{"policy": "0102030405060708", "profile": "p", "outcome": "fail", "grounds": ["CVE-1 in a"]}],
                "report": {"matches": []},
            },
        })
    }

    #[test]
    fn what_is_stored_is_read_and_what_is_no_digest_is_not() {
        let read = ImageScanObject::read(&stored()).unwrap();
        assert_eq!(ImageScanObject::name(read.digest), format!("sha256-{}", "ab".repeat(32)));
        let [verdict] = read.status.verdicts.as_slice() else { panic!("one") };
        assert_eq!(verdict.policy, PolicyHash([1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!((verdict.verdict.outcome, verdict.verdict.until), (ScanOutcome::Fail, None));
        let written = serde_json::to_value(&read.status).unwrap();
        assert_eq!(written.pointer("/verdicts/0/policy"), Some(&json!("0102030405060708")));
        for (pointer, wrong, want) in [
            ("/metadata/name", json!("sha256-ab"), "the name `sha256-ab` is not sha256- and 64 hexadecimal digits"),
            ("/status/verdicts/0/policy", json!("01"), "16 hexadecimal digits"),
            ("/status/verdicts/0/outcome", json!("passes"), "unknown variant `passes`"),
            ("/status/tags/0/until", json!("soon"), "not an ImageScan"),
            ("/spec", json!({}), "missing field `image`"),
        ] {
            let mut object = stored();
            *object.pointer_mut(pointer).unwrap() = wrong;
            let problem = ImageScanObject::read(&object).unwrap_err().to_string();
            assert!(problem.contains(want), "{pointer}: {problem}");
        }
    }
}

//! A report that Grype 0.110 made of an image with a Debian package and an npm package, changed as a test likes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flamewarden::model::{Digest, Verdict};
use flamewarden::policy::ScanPolicy;
use flamewarden::scan::{Census, Subject, assess, read};
use serde_json::{Value, json};

/// When the report is looked at: within an hour of when it was made.
pub(crate) const NOW: &str = "2026-11-22T00:00:00Z";

/// A report, the SBOM of the same run, what was asked for, and the profile's section.
#[derive(Clone)]
pub(crate) struct Sample {
    report: Value,
    sbom: Option<Value>,
    digest: String,
    platform: Option<String>,
    policy: String,
    now: String,
}

impl Sample {
    pub(crate) fn new() -> Sample {
        let report: Value = serde_json::from_str(include_str!("../fixtures/grype/report.json")).unwrap();
        Sample {
            digest: report["source"]["target"]["manifestDigest"].as_str().unwrap().to_owned(),
            report,
            sbom: Some(serde_json::from_str(include_str!("../fixtures/grype/sbom.json")).unwrap()),
            platform: Some("linux/amd64".to_owned()),
            policy: "{}".to_owned(),
            now: NOW.to_owned(),
        }
    }

    /// Without what fails: what is left is medium.
    pub(crate) fn passing() -> Sample {
        let mut sample = Sample::new();
        sample.report["matches"].as_array_mut().unwrap().retain(|found| found["vulnerability"]["severity"] == "Medium");
        sample
    }

    /// With one match alone, changed: of openssl, critical, with a fix.
    pub(crate) fn of_one(change: impl FnOnce(&mut Value)) -> Sample {
        let mut sample = Sample::new();
        sample.report["matches"]
            .as_array_mut()
            .unwrap()
            .retain(|found| found["vulnerability"]["id"] == "CVE-2026-0001");
        change(&mut sample.report["matches"][0]);
        sample
    }

    /// With another value at a place; its parents must be there.
    pub(crate) fn with(mut self, pointer: &str, value: Value) -> Sample {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = self.report.pointer_mut(parent).unwrap_or_else(|| panic!("no {pointer}"));
        parent.as_object_mut().unwrap().insert(key.to_owned(), value);
        self
    }

    /// Of an image whose configuration names another architecture; all digests fit.
    pub(crate) fn on(mut self, architecture: &str) -> Sample {
        let target = &mut self.report["source"]["target"];
        let decoded = |text: &Value| -> Value {
            serde_json::from_slice(&STANDARD.decode(text.as_str().unwrap()).unwrap()).unwrap()
        };
        let (mut config, mut manifest) = (decoded(&target["config"]), decoded(&target["manifest"]));
        config["architecture"] = architecture.into();
        let id = Digest::of(config.to_string().as_bytes()).to_string();
        manifest["config"]["digest"] = id.clone().into();
        self.digest = Digest::of(manifest.to_string().as_bytes()).to_string();
        target["imageID"] = id.into();
        target["manifestDigest"] = self.digest.clone().into();
        target["config"] = STANDARD.encode(config.to_string()).into();
        target["manifest"] = STANDARD.encode(manifest.to_string()).into();
        self
    }

    pub(crate) fn without(mut self, pointer: &str) -> Sample {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let gone = self.report.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key);
        assert!(gone.is_some(), "no {pointer}");
        self
    }

    /// With what was found put among what Grype was told to ignore, by that rule.
    pub(crate) fn ignoring(mut self, rule: &Value) -> Sample {
        let mut matches = self.report["matches"].take();
        for found in matches.as_array_mut().unwrap() {
            found["appliedIgnoreRules"] = json!([rule]);
        }
        self.report["matches"] = json!([]);
        self.report["ignoredMatches"] = matches;
        self
    }

    /// With these types of packages in the SBOM alone.
    pub(crate) fn holding(mut self, kinds: &[&str]) -> Sample {
        let component = |kind: &&str| json!({"properties": [{"name": "syft:package:type", "value": kind}]});
        let components: Vec<Value> = kinds.iter().map(component).collect();
        self.sbom = Some(json!({"bomFormat": "CycloneDX", "components": components}));
        self
    }

    pub(crate) fn without_sbom(self) -> Sample {
        Sample { sbom: None, ..self }
    }

    pub(crate) fn asked_for(self, digest: &str, platform: &str) -> Sample {
        Sample { digest: digest.to_owned(), platform: Some(platform.to_owned()), ..self }
    }

    /// Under other limits; the section as it stands in a policy file.
    pub(crate) fn under(self, policy: &str) -> Sample {
        Sample { policy: policy.to_owned(), ..self }
    }

    pub(crate) fn at(self, now: &str) -> Sample {
        Sample { now: now.to_owned(), ..self }
    }

    /// As if it had been made now, from a database of now.
    pub(crate) fn fresh(self) -> Sample {
        let now = json!(jiff::Timestamp::now());
        let providers = ["debian", "epss", "github", "kev", "nvd"];
        let fresh = self.with("/descriptor/timestamp", now.clone()).with("/descriptor/db/status/built", now.clone());
        providers.iter().fold(fresh, |sample, provider| {
            sample.with(&format!("/descriptor/db/providers/{provider}/captured"), now.clone())
        })
    }

    pub(crate) fn text(&self) -> String {
        self.report.to_string()
    }

    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn sbom(&self) -> Option<&Value> {
        self.sbom.as_ref()
    }

    pub(crate) fn policy(&self) -> &str {
        &self.policy
    }

    pub(crate) fn verdict(&self) -> Verdict {
        let report = read(self.text().as_bytes()).unwrap();
        let census = self.sbom.as_ref().map(|sbom| Census::read(sbom.to_string().as_bytes()).unwrap());
        let subject = Subject { digest: self.digest.clone(), platform: self.platform.clone() };
        let policy: ScanPolicy = serde_saphyr::from_str(&self.policy).unwrap();
        assess(&report, census.as_ref(), Some(&subject), &policy, self.now.parse().unwrap())
    }
}

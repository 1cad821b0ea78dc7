//! Edge: has one image scanned, or holds what is known of it against other limits, and writes down what comes of it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tracing::info;

use super::act::{Actor, Outcome, UNKNOWN, place};
use super::errand::{Errand, Evidence};
use super::judge::{self, Found};
use super::kept::Kept;
use super::status::{self, Report};
use crate::cluster::{ClusterProblem, Kind};
use crate::facts::Place;
use crate::model::{Digest, ImageRef, ImageScanObject};
use crate::registry::{Attached, Credential};
use crate::scan::Subject;
use crate::telemetry::whole;

impl Actor {
    pub(super) async fn scan(
        &self,
        scan: ImageScanObject,
        secrets: &BTreeSet<Place>,
    ) -> Result<Outcome, ClusterProblem> {
        let (digest, image) = (scan.digest, scan.image.clone());
        let Ok(image) = ImageRef::parse(&image) else {
            return Ok(Outcome::Failed(format!("`{image}` is no image"), None));
        };
        let credential = self.credential(&image, secrets).await?;
        let platform = scan.status.platform.clone().filter(|platform| platform != UNKNOWN);
        let subject = Subject { digest: digest.to_string(), platform: platform.clone() };
        let brought = match self.attached(&image, digest, credential.as_ref()).await {
            Err(problem) => Err(problem),
            Ok(attached) => {
                let found = Found { subject: &subject, image: &image, evidence: None, attached: &attached };
                if judge::is_spared(&found, &self.policies, Timestamp::now()) {
                    Ok((attached, None))
                } else {
                    let errand = Errand {
                        repository: format!("{}/{}", image.host, image.path()),
                        digest,
                        platform,
                        credential: credential.map(|credential| credential.to_dockerconfigjson().reveal().to_owned()),
                        authorities: self.settings.authorities(image.host).map(str::to_owned),
                        insecure: self.settings.is_insecure(image.host),
                    };
                    self.fetch(&errand).await.map(|evidence| (attached, Some(evidence)))
                }
            }
        };
        let now = Timestamp::now();
        // Another may have written meanwhile: a scan takes long.
        let scan = self.read(digest).await?;
        match brought {
            Ok((attached, evidence)) => {
                let evidence = evidence.as_ref();
                let found = Found { subject: &subject, image: &image, evidence, attached: &attached };
                let verdicts = judge::verdicts(&found, &self.policies, now);
                let status = status::scanned(scan.status.clone(), evidence, verdicts, now);
                let report = Report::Now(self.reports.keep(digest, evidence).await);
                Ok(Outcome::Stored(vec![self.write(&scan, &status, &report).await?]))
            }
            Err(problem) => {
                let verdicts = judge::no_report(&problem, &self.policies);
                let status = status::failed(scan.status.clone(), &problem, verdicts, now);
                let stored = self.write(&scan, &status, &Report::AsItIs).await?;
                Ok(Outcome::Failed(problem, Some(Box::new(stored))))
            }
        }
    }

    /// Has a worker scan the image.
    async fn fetch(&self, errand: &Errand) -> Result<Evidence, String> {
        info!(?errand, "an image is scanned");
        let begun = Instant::now();
        let brought = self.runner.run(errand).await.map_err(|problem| whole(&problem));
        let brought = brought.and_then(|evidence| of_that_image(evidence, errand.digest));
        self.metrics.scanned(begun.elapsed(), brought.is_ok());
        brought
    }

    /// What is attached to an image, where a profile asks for that.
    async fn attached(
        &self,
        image: &ImageRef<'_>,
        digest: Digest,
        credential: Option<&Credential>,
    ) -> Result<Vec<Attached>, String> {
        if !judge::asks_for_trust(&self.policies) {
            return Ok(Vec::new());
        }
        let registry = self.registries.of(image, &self.settings);
        registry.attached(image, digest, credential).await.map_err(|problem| whole(&problem))
    }

    pub(super) async fn judge(
        &self,
        scan: ImageScanObject,
        secrets: &BTreeSet<Place>,
    ) -> Result<Outcome, ClusterProblem> {
        let text = self.cluster.read(Kind::ImageScan, &place(scan.digest)).await?;
        let object = text.and_then(|text| serde_json::from_str::<Value>(&text).ok()).unwrap_or_default();
        let kept = Kept::read(object.pointer("/status/report"));
        let Ok(scan) = ImageScanObject::read(&object) else { return Ok(Outcome::WithoutReport(scan.digest)) };
        let Ok(image) = ImageRef::parse(&scan.image) else { return Ok(Outcome::WithoutReport(scan.digest)) };
        let credential = self.credential(&image, secrets).await?;
        let attached = match self.attached(&image, scan.digest, credential.as_ref()).await {
            Ok(attached) => attached,
            Err(problem) => return Ok(Outcome::Failed(problem, None)),
        };
        let platform = scan.status.platform.clone().filter(|platform| platform != UNKNOWN);
        let subject = Subject { digest: scan.digest.to_string(), platform };
        let now = Timestamp::now();
        let verdicts = self.reports.look(scan.digest, kept, |evidence| {
            let found = Found { subject: &subject, image: &image, evidence: Some(evidence), attached: &attached };
            judge::verdicts(&found, &self.policies, now)
        });
        let Some(verdicts) = verdicts.await else { return Ok(Outcome::WithoutReport(scan.digest)) };
        let status = status::judged(scan.status.clone(), verdicts, now);
        Ok(Outcome::Stored(vec![self.write(&scan, &status, &Report::AsItIs).await?]))
    }
}

/// A worker speaks for the digest that it was given and for no other.
fn of_that_image(evidence: Evidence, digest: Digest) -> Result<Evidence, String> {
    match evidence.report.digest() {
        Some(of) if of == digest.to_string() => Ok(evidence),
        of => Err(format!("the worker's report is of {}, not of {digest}", of.unwrap_or("no image that it bears out"))),
    }
}

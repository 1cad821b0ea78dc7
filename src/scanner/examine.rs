//! Edge: has one image scanned, or holds what is known of it against other limits, and writes down what comes of it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tracing::info;

use super::ScanProblem;
use super::act::{Actor, UNKNOWN, place};
use super::approvals::NoHash;
use super::brought::Brought;
use super::ends::Outcome;
use super::errand::Errand;
use super::heavy::heavy;
use super::judge::{self, Found};
use super::kept::Kept;
use super::others::{Believed, Heard, Others};
use super::status::{self, Report};
use super::turns::Prospect;
use crate::cluster::{ClusterProblem, Kind};
use crate::facts::Place;
use crate::model::{Digest, ImageRef, ImageScanObject};
use crate::registry::{Credential, GrypeProblem, is_asked_plainly};
use crate::scan::{Approval, ContentProblem, Subject, approved_content, hub_analysis};
use crate::telemetry::whole;

impl Actor {
    pub(super) async fn scan(
        &self,
        scan: ImageScanObject,
        secrets: &BTreeSet<Place>,
        indexes: Vec<Digest>,
    ) -> Result<Outcome, ClusterProblem> {
        let (digest, image, begun) = (scan.digest, scan.image.clone(), Timestamp::now());
        let Ok(image) = ImageRef::parse(&image) else {
            return Ok(Outcome::Failed(format!("`{image}` is no image"), None));
        };
        let credential = self.credential(&image, secrets).await?;
        let platform = scan.status.platform.clone().filter(|platform| platform != UNKNOWN);
        let subject = Subject { digest: digest.to_string(), platform: platform.clone() };
        let brought = match self.others(&scan, &image, &indexes, credential.as_ref()).await {
            Err(problem) => Err(Unscanned::from(problem)),
            Ok(others) => {
                let believed = self.believed(others, &subject, &image).await;
                let insecure = self.settings.is_insecure(image.host);
                if judge::is_spared(&believed) {
                    Ok((believed, None))
                } else if credential.is_some() && !insecure && is_asked_plainly(image.host) {
                    // A worker would refuse it too, with a Job of its own each time.
                    let problem = GrypeProblem::Unsafe(image.host.to_owned()).to_string();
                    Err(Unscanned { problem, prospect: Prospect::Lasts })
                } else {
                    let errand = Errand {
                        repository: format!("{}/{}", image.host, image.path()),
                        digest,
                        platform,
                        credential: credential.map(|credential| credential.to_dockerconfigjson().reveal().to_owned()),
                        authorities: self.settings.authorities(image.host).map(str::to_owned),
                        insecure,
                    };
                    self.fetch(&errand).await.map(|evidence| (believed, Some(evidence)))
                }
            }
        };
        let now = Timestamp::now();
        // Another may have written meanwhile: a scan takes long.
        let scan = self.read(digest).await?;
        match brought {
            Ok((believed, evidence)) => {
                let evidence = evidence.as_deref();
                let found = Found { subject: &subject, image: &image, evidence, believed: &believed };
                let judged = heavy(|| judge::judged(&found, &self.policies, now));
                let status = status::scanned(scan.status.clone(), evidence, &judged, begun, now);
                let report = Report::Now(self.reports.keep(digest, evidence).await);
                let stored = self.write(&scan, &status, &report).await?;
                let heard = Heard { others: believed.said, indexes, awaits: judged.awaits };
                Ok(Outcome::Judged(Box::new(stored), heard))
            }
            Err(Unscanned { problem, prospect }) => {
                let verdicts = judge::no_report(&problem, &self.policies);
                let status = status::failed(scan.status.clone(), &problem, verdicts, now);
                let stored = self.write(&scan, &status, &Report::AsItIs).await?;
                let stored = Box::new(stored);
                Ok(match prospect {
                    Prospect::MayPass => Outcome::Failed(problem, Some(stored)),
                    Prospect::Lasts => Outcome::FailedForLong(problem, stored),
                })
            }
        }
    }

    /// Has a worker scan the image.
    async fn fetch(&self, errand: &Errand) -> Result<Brought, Unscanned> {
        info!(?errand, "an image is scanned");
        let begun = Instant::now();
        let brought = self.runner.run(errand).await.map_err(Unscanned::from);
        let brought = brought.and_then(|evidence| of_that_image(evidence, errand.digest).map_err(Unscanned::from));
        self.metrics.scanned(begun.elapsed(), brought.is_ok());
        brought
    }

    /// What others have said of an image, where a profile asks for that.
    async fn others(
        &self,
        scan: &ImageScanObject,
        image: &ImageRef<'_>,
        indexes: &[Digest],
        credential: Option<&Credential>,
    ) -> Result<Others, String> {
        let mut others = Others::default();
        if judge::asks_for_approval(&self.policies) {
            others.approval = Some(self.approval(scan, image, credential).await?);
        }
        // Last, since it may take memory: nobody else is waited for with it.
        if judge::asks_for_attached(&self.policies) {
            let registry = self.registries.of(image, &self.settings);
            let attached = registry.attached(image, scan.digest, indexes, credential).await;
            others.attached = attached.map_err(|problem| whole(&problem))?;
        }
        Ok(others)
    }

    /// What is believed of it. To verify it may take as much memory as a report, so neither waits for a registry, and
    /// there is one of them at a time.
    async fn believed(&self, others: Others, subject: &Subject, image: &ImageRef<'_>) -> Believed {
        let _hold = if others.is_empty() { None } else { self.reports.holder().take().await };
        heavy(|| judge::believed(&others, subject, image, &self.policies, Timestamp::now()))
    }

    /// Whether the Hub approved an image. Where nobody answers, what was known before goes on until its end: then this is
    /// an attempt that has failed.
    async fn approval(
        &self,
        scan: &ImageScanObject,
        image: &ImageRef<'_>,
        credential: Option<&Credential>,
    ) -> Result<Approval, String> {
        if judge::is_sidecar_alone(image, &self.policies) {
            return Ok(Approval::Given);
        }
        let Some(analysis) = hub_analysis(image) else {
            let unknown = "the Hub approves analyses alone, whose repository ends with the analysis's id";
            return Ok(Approval::Unknown(unknown.to_owned()));
        };
        let hash = match self.approvals.hash(analysis).await {
            Ok(hash) => hash,
            Err(NoHash::Unanswered(problem)) if judge::is_approved(scan, &self.policies, Timestamp::now()) => {
                return Err(problem);
            }
            Err(NoHash::Unanswered(problem) | NoHash::Unknown(problem)) => return Ok(Approval::Unknown(problem)),
        };
        let registry = self.registries.of(image, &self.settings);
        let manifest = registry.manifest(image, scan.digest, credential).await.map_err(|problem| whole(&problem))?;
        Ok(match approved_content(&hash, scan.digest, &manifest) {
            Ok(()) => Approval::Given,
            Err(other @ ContentProblem::Other { .. }) => Approval::Refuted(whole(&other)),
            Err(problem) => Approval::Unknown(whole(&problem)),
        })
    }

    /// Holds the stored report, and what others have said by now, against the limits; unless nothing is new since
    /// `heard`.
    pub(super) async fn judge(
        &self,
        scan: ImageScanObject,
        secrets: &BTreeSet<Place>,
        indexes: Vec<Digest>,
        heard: Option<Digest>,
    ) -> Result<Outcome, ClusterProblem> {
        let Ok(image) = ImageRef::parse(&scan.image) else { return Ok(Outcome::WithoutReport(scan.digest)) };
        let credential = self.credential(&image, secrets).await?;
        let others = match self.others(&scan, &image, &indexes, credential.as_ref()).await {
            Ok(others) if heard == Some(others.digest()) => {
                let heard = Heard { others: others.digest(), indexes, awaits: true };
                return Ok(Outcome::NothingNew(scan.digest, heard));
            }
            Ok(others) => others,
            Err(problem) => return Ok(Outcome::Failed(problem, None)),
        };
        let text = self.cluster.read(Kind::ImageScan, &place(scan.digest)).await?;
        let object = text.and_then(|text| serde_json::from_str::<Value>(&text).ok()).unwrap_or_default();
        let kept = Kept::read(object.pointer("/status/report"));
        let Ok(scan) = ImageScanObject::read(&object) else { return Ok(Outcome::WithoutReport(scan.digest)) };
        let platform = scan.status.platform.clone().filter(|platform| platform != UNKNOWN);
        let subject = Subject { digest: scan.digest.to_string(), platform };
        let believed = self.believed(others, &subject, &image).await;
        let now = Timestamp::now();
        let judged = self.reports.look(scan.digest, kept, |evidence| {
            let found = Found { subject: &subject, image: &image, evidence: Some(evidence), believed: &believed };
            judge::judged(&found, &self.policies, now)
        });
        let Some(judged) = judged.await else { return Ok(Outcome::WithoutReport(scan.digest)) };
        let status = status::judged(scan.status.clone(), &judged, now);
        let stored = self.write(&scan, &status, &Report::AsItIs).await?;
        let heard = Heard { others: believed.said, indexes, awaits: judged.awaits };
        Ok(Outcome::Judged(Box::new(stored), heard))
    }
}

/// Why there is no report, and what that lets expect of the next attempt.
struct Unscanned {
    problem: String,
    prospect: Prospect,
}

impl From<String> for Unscanned {
    fn from(problem: String) -> Self {
        Unscanned { problem, prospect: Prospect::MayPass }
    }
}

impl From<ScanProblem> for Unscanned {
    fn from(problem: ScanProblem) -> Self {
        let prospect = if problem.may_pass() { Prospect::MayPass } else { Prospect::Lasts };
        Unscanned { problem: whole(&problem), prospect }
    }
}

/// A worker speaks for the digest that it was given and for no other.
fn of_that_image(evidence: Brought, digest: Digest) -> Result<Brought, String> {
    match evidence.report.digest() {
        Some(of) if of == digest.to_string() => Ok(evidence),
        of => Err(format!("the worker's report is of {}, not of {digest}", of.unwrap_or("no image that it bears out"))),
    }
}

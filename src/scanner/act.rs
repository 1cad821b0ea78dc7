//! Edge: carries out one step: registries are asked, workers run, what comes of it is written.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tracing::info;

use super::approvals::Approvals;
use super::ends::Outcome;
use super::indexes::repository;
use super::lookups::Asker;
use super::plan::{Step, digest_of};
use super::platforms::{fitting, none_fits};
use super::registries::Registries;
use super::reports::Reports;
use super::runner::Runner;
use super::settle::Settler;
use super::status::{self, Report, TAGS};
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::isolation::MANAGED_BY;
use crate::model::{Digest, ImageRef, ImageScanObject, ImageScanStatus, PlatformManifest, Tag, parse};
use crate::policy::{PolicySet, Scanner};
use crate::registry::{Credential, Registry, RegistryProblem, Resolved};
use crate::telemetry::{Metrics, whole};

/// What a step needs.
#[derive(Clone)]
pub(super) struct Actor {
    pub(super) cluster: Cluster,
    pub(super) settler: Settler,
    pub(super) policies: Arc<PolicySet>,
    pub(super) settings: Arc<Scanner>,
    pub(super) registries: Arc<Registries>,
    pub(super) approvals: Arc<Approvals>,
    pub(super) runner: Arc<Runner>,
    pub(super) reports: Reports,
    pub(super) metrics: Arc<Metrics>,
    /// The platforms of the cluster's nodes.
    pub(super) platforms: BTreeSet<String>,
}

impl Actor {
    /// Carries out one step.
    pub(super) async fn act(&self, step: Step) -> Outcome {
        let done = match step {
            Step::LookUp { name, secrets, asked, .. } => self.look_up(&name, &secrets, &asked).await,
            Step::Scan { scan, secrets, indexes } => self.scan(*scan, &secrets, indexes).await,
            Step::Judge { scan, secrets, indexes, heard } => self.judge(*scan, &secrets, indexes, heard).await,
            Step::Fit { scan, here, others } => {
                let (found, untagged) = (Found::Index(here, others), Tagged { tag: None, asked: &BTreeSet::new() });
                let stored = self.found(repository(&scan.image), scan.digest, &found, &untagged).await;
                stored.map(|scan| Outcome::Stored(vec![scan]))
            }
            Step::Settle { pod, uid, answers } => {
                self.settler.settle(&pod, &uid).await.map(|()| Outcome::Settled(uid, answers))
            }
            Step::Tell { asker, name, reason } => Ok(self.tell(asker, name, reason).await),
            Step::Note(scan, since) => {
                let status = ImageScanStatus { unused_since: since, ..scan.status.clone() };
                self.write(&scan, &status, &Report::AsItIs).await.map(|stored| Outcome::Stored(vec![stored]))
            }
            Step::Discard(scan) => self.discard(&scan).await,
            Step::Look => Ok(self.reported().await),
            Step::Forget(digest) => Ok(self.forget(digest).await),
            Step::Remember(scan, ran_by) => {
                let status = ImageScanStatus { ran_by, ..scan.status.clone() };
                self.write(&scan, &status, &Report::AsItIs).await.map(|stored| Outcome::Stored(vec![stored]))
            }
        };
        done.unwrap_or_else(|problem| Outcome::Failed(whole(&problem), None))
    }

    async fn tell(&self, asker: Asker, name: String, reason: String) -> Outcome {
        match self.settler.tell_of_lookup(&asker, &name, &reason).await {
            Ok(()) => Outcome::Told { uid: asker.uid, name, reason },
            Err(problem) => Outcome::Failed(problem, None),
        }
    }

    async fn look_up(
        &self,
        name: &str,
        secrets: &BTreeSet<Place>,
        asked: &BTreeSet<String>,
    ) -> Result<Outcome, ClusterProblem> {
        let Ok(image) = ImageRef::parse(name) else {
            return Ok(not_looked_up(format!("`{name}` is no image")));
        };
        let credentials = self.credentials(&image, secrets).await?;
        let registry = self.registries.of(&image, &self.settings);
        let (resolved, credential) = match registry.resolve_by(&image, &credentials).await {
            Ok(answer) => answer,
            Err(problem) => return Ok(Outcome::NotLookedUp(whole(&problem), problem.told())),
        };
        let repository = format!("{}/{}", image.host, image.path());
        let tag = image.digest.is_none().then(|| Tag { name: name.to_owned(), until: self.believed_until() });
        let tagged = Tagged { tag: tag.clone(), asked };
        let mut stored = Vec::new();
        let last = match resolved {
            Resolved::Manifest { digest, platform } => {
                self.found(&repository, digest, &Found::manifest(platform), &tagged).await?
            }
            Resolved::Index { digest, manifests } => {
                let (here, others) = fitting(manifests, &self.platforms);
                if here.is_empty() {
                    return Ok(not_looked_up(none_fits(&others, &self.platforms)));
                }
                for one in &here {
                    match self.part(registry, &format!("{repository}@{}", one.digest), credential).await? {
                        Ok(part) => stored.push(part),
                        Err(problem) => return Ok(Outcome::NotLookedUp(whole(&problem), problem.told())),
                    }
                }
                // Last: what an index leads to is there by then.
                self.found(&repository, digest, &Found::Index(here, others), &tagged).await?
            }
        };
        if tag.is_some_and(|tag| last.status.tags.iter().all(|known| known.name != tag.name)) {
            return Ok(not_looked_up(no_room(last.digest)));
        }
        stored.push(last);
        Ok(Outcome::Stored(stored))
    }

    /// Writes down an image of an index by what it says of itself: an index may say anything of another's images.
    async fn part(
        &self,
        registry: &Registry,
        name: &str,
        credential: Option<&Credential>,
    ) -> Result<Result<ImageScanObject, RegistryProblem>, ClusterProblem> {
        let form = |reason| RegistryProblem::Form { what: name.to_owned(), reason };
        let (Ok(image), Some(digest)) = (ImageRef::parse(name), digest_of(name)) else {
            return Ok(Err(form("is no image")));
        };
        if let Ok(known) = self.read(digest).await
            && known.status.platform.is_some()
        {
            return Ok(Ok(known));
        }
        let untagged = Tagged { tag: None, asked: &BTreeSet::new() };
        match registry.resolve(&image, credential).await {
            Ok(Resolved::Manifest { platform, .. }) => {
                self.found(repository(name), digest, &Found::manifest(platform), &untagged).await.map(Ok)
            }
            Ok(Resolved::Index { .. }) => Ok(Err(form("is an index where an index names it as an image"))),
            Err(problem) => Ok(Err(problem)),
        }
    }

    fn believed_until(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.settings.tag_seconds.into())
    }

    /// Writes down what a digest is, with the object that it has or gets.
    async fn found(
        &self,
        repository: &str,
        digest: Digest,
        found: &Found,
        Tagged { tag, asked }: &Tagged<'_>,
    ) -> Result<ImageScanObject, ClusterProblem> {
        let place = place(digest);
        let object = json!({
            "apiVersion": "flamewarden.dev/v1alpha1", "kind": "ImageScan",
            "metadata": {"name": place.name, "labels": {"app.kubernetes.io/managed-by": MANAGED_BY}},
            "spec": {"image": format!("{repository}@{digest}")},
        });
        match self.cluster.store(Kind::ImageScan, &place, &object).await {
            Err(problem) if !problem.is_there_already() => return Err(problem),
            _ => {}
        }
        for attempt in 1.. {
            let scan = self.read(digest).await?;
            let mut status = status::tagged(scan.status.clone(), tag.clone(), asked, Timestamp::now());
            match found {
                Found::Manifest(platform) => status.platform = Some(platform.clone()),
                Found::Index(here, others) => {
                    (status.manifests, status.other_manifests) = (here.clone(), others.clone());
                }
            }
            if status == scan.status {
                return Ok(scan);
            }
            match self.write(&scan, &status, &Report::AsItIs).await {
                // Another step has written down something else of it.
                Err(problem) if problem.may_be_outdated() && attempt < ATTEMPTS => {}
                done => return done,
            }
        }
        Err(ClusterProblem::Shape(place.name))
    }

    /// The credential of these secrets by which the registry lets the image be read.
    pub(super) async fn credential(
        &self,
        image: &ImageRef<'_>,
        secrets: &BTreeSet<Place>,
    ) -> Result<Option<Credential>, ClusterProblem> {
        let mut all = self.credentials(image, secrets).await?;
        if all.len() > 1 {
            let asked = self.registries.of(image, &self.settings).resolve_by(image, &all).await;
            // Where none is taken, any will do to be told so.
            return Ok(asked.map_or_else(|_| all.first().cloned(), |(_, taken)| taken.cloned()));
        }
        Ok(all.pop())
    }

    /// Those of these secrets that are for the image's registry, each once.
    async fn credentials(
        &self,
        image: &ImageRef<'_>,
        secrets: &BTreeSet<Place>,
    ) -> Result<Vec<Credential>, ClusterProblem> {
        let mut all = Vec::new();
        for secret in secrets {
            let Some(text) = self.cluster.read(Kind::Secret, secret).await? else { continue };
            let object = parse(text.as_bytes()).ok();
            let encoded = object.as_ref().and_then(|object| object.text_at(&["data", ".dockerconfigjson"]));
            let decoded = encoded.and_then(|text| STANDARD.decode(text).ok());
            let found = decoded.and_then(|bytes| Credential::from_dockerconfigjson(&bytes, image));
            all.extend(found.filter(|found| !all.contains(found)));
        }
        Ok(all)
    }

    /// Nothing but the version that nobody uses: it may be used by now.
    async fn discard(&self, scan: &ImageScanObject) -> Result<Outcome, ClusterProblem> {
        let place = place(scan.digest);
        self.cluster.delete_version(Kind::ImageScan, &place, &scan.uid, &scan.resource_version).await?;
        info!(image = scan.image, since = ?scan.status.unused_since, "an ImageScan that nobody uses is deleted");
        Ok(Outcome::Discarded(scan.digest))
    }

    async fn reported(&self) -> Outcome {
        let Some(archive) = self.reports.archive() else { return Outcome::Reported(BTreeSet::new()) };
        archive.reported().await.map_or_else(|problem| Outcome::Failed(whole(&problem), None), Outcome::Reported)
    }

    async fn forget(&self, digest: Digest) -> Outcome {
        let Some(archive) = self.reports.archive() else { return Outcome::Forgotten(digest) };
        let forgotten = archive.forget_report(digest).await;
        forgotten.map_or_else(|problem| Outcome::Failed(whole(&problem), None), |()| Outcome::Forgotten(digest))
    }

    pub(super) async fn read(&self, digest: Digest) -> Result<ImageScanObject, ClusterProblem> {
        let place = place(digest);
        let shape = || ClusterProblem::Shape(place.name.clone());
        let text = self.cluster.read_part(Kind::ImageScan, &place, KEPT, OBJECT).await?.ok_or_else(shape)?;
        let object: Value = serde_json::from_str(&text).map_err(|_| shape())?;
        ImageScanObject::read(&object).map_err(|_| shape())
    }

    pub(super) async fn write(
        &self,
        scan: &ImageScanObject,
        status: &ImageScanStatus,
        report: &Report,
    ) -> Result<ImageScanObject, ClusterProblem> {
        let place = place(scan.digest);
        let patch = status::patch(status, report);
        let stored = self.cluster.merge_status(Kind::ImageScan, &place, &scan.resource_version, &patch).await?;
        ImageScanObject::read(&stored).map_err(|_| ClusterProblem::Shape(place.name))
    }
}

/// What a digest is of.
enum Found {
    /// An image for this platform.
    Manifest(String),
    /// Images for several, of which the first may run here.
    Index(Vec<PlatformManifest>, Vec<PlatformManifest>),
}

impl Found {
    fn manifest(platform: Option<String>) -> Self {
        Found::Manifest(platform.unwrap_or_else(|| UNKNOWN.to_owned()))
    }
}

/// The tag by which it was found, if by any, and those that somebody asks for.
struct Tagged<'a> {
    tag: Option<Tag>,
    asked: &'a BTreeSet<String>,
}

pub(super) fn place(digest: Digest) -> Place {
    Place { namespace: String::new(), name: ImageScanObject::name(digest) }
}

/// Where the log says nothing that whoever asks may not read.
fn not_looked_up(problem: String) -> Outcome {
    Outcome::NotLookedUp(problem.clone(), problem)
}

fn no_room(digest: Digest) -> String {
    format!("{digest} is asked for by {TAGS} other tags, and no more are kept; ask for it by its digest")
}

/// Of one write: whoever else writes ends sooner.
const ATTEMPTS: u32 = 5;
/// The platform of an image that says nothing of it.
pub(super) const UNKNOWN: &str = "unknown";
/// Without the report.
pub(super) const KEPT: crate::model::Keep = &[
    &["metadata", "name"],
    &["metadata", "uid"],
    &["metadata", "resourceVersion"],
    &["metadata", "creationTimestamp"],
    &["metadata", "labels", "app.kubernetes.io/managed-by"],
    &["spec"],
    &["status", "platform"],
    &["status", "manifests"],
    &["status", "otherManifests"],
    &["status", "tags"],
    &["status", "summary"],
    &["status", "verdicts"],
    &["status", "scannedAt"],
    &["status", "databaseBuilt"],
    &["status", "failedSince"],
    &["status", "ranBy"],
    &["status", "unusedSince"],
    &["status", "failures"],
    &["status", "conditions"],
];
const OBJECT: usize = 1 << 20;
/// For all questions to a registry that belong to one image.
pub(super) const REGISTRY: Duration = Duration::from_secs(30);

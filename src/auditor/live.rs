//! Edge: audits a cluster: each kind is listed once, page by page, and judged as it comes.

mod access;
mod bundles;
mod calls;
mod certificate;
mod created;
mod elsewhere;
mod extras;
mod grant;
mod installed;
mod log;
mod network;
mod pod;
mod reach;
mod ways;
mod work;

use jiff::Timestamp;
use serde_json::Value;

use super::collect::Collection;
use super::examine::Auditor;
use crate::cluster::{Cluster, ClusterProblem, Kind, List, SCAN_TOLD};
use crate::facts::{Place, Scan, Scans};
use crate::install::Settings;
use crate::isolation::{FOREIGN, Scope, foreign_refusal};
use crate::model::{Finding, ImageScanObject, Json, Keep, parse};
use crate::policy::PolicySet;
use crate::report::{Object, Outcome, Problem};
use crate::rules::ScanKnowledge;
use crate::telemetry::whole;
use access::{Roles, Trusted};
use created::{MAKERS, makes_nothing, take_created};
use installed::Installation;
pub use log::audit_log;
use pod::Measure;
use reach::Reaches;

/// What a cluster is held against.
pub struct Live<'a> {
    /// Its connection; it need only read.
    pub cluster: &'a Cluster,
    /// The policies.
    pub policies: &'a PolicySet,
    /// What `manifests` is told; the image is read from what is installed where none is named here.
    pub installation: Settings,
    /// The moment of the audit.
    pub now: Timestamp,
}

/// Audits a cluster. What cannot be read is a problem of the report; `tell` hears what is looked at.
///
/// The auditor judges as the controller, whose rights are those of a creator: who has created a stored object, nobody
/// knows any more.
pub async fn audit_cluster(
    live: &Live<'_>,
    auditor: &Auditor<'_>,
    collection: &mut Collection,
    tell: impl Fn(&str) + Sync,
) {
    let mut run = Run { live, auditor, collection, tell: &tell };
    let scans = run.scans().await;
    let measure = Measure {
        policies: live.policies,
        scans: scans.as_ref().map_or(ScanKnowledge::OutOfReach, ScanKnowledge::Known),
        now: live.now,
    };
    run.foreign(Scope::Cluster, None).await;
    for guarded in &live.policies.installation.namespaces {
        run.namespace(&guarded.name, measure).await;
    }
    run.bundles().await;
    run.elsewhere().await;
    run.access().await;
    run.installed().await;
    run.at_work().await;
    run.network().await;
}

struct Run<'a, 'r> {
    live: &'r Live<'a>,
    auditor: &'r Auditor<'a>,
    collection: &'r mut Collection,
    tell: &'r (dyn Fn(&str) + Sync),
}

impl Run<'_, '_> {
    /// What the cluster knows of images; none where that could not be read whole.
    async fn scans(&mut self) -> Option<Scans> {
        let mut scans = Scans::default();
        let mut unread = Vec::new();
        let take = |text: &[u8]| {
            let object = parse(text).ok().map(|object| object.to_value());
            let name = object.as_ref().and_then(|object| object.pointer("/metadata/name")).and_then(Value::as_str);
            let digest = name.and_then(ImageScanObject::digest_of);
            match (digest, object.as_ref().map(ImageScanObject::read)) {
                (Some(digest), Some(Ok(scan))) => scans.put(digest, Scan::of(&scan)),
                _ => unread.push(format!("ImageScan {}: cannot be read", name.unwrap_or("(no name)"))),
            }
        };
        let read = self.list(everywhere(Kind::ImageScan), SCAN_TOLD, take).await;
        unread.into_iter().for_each(|problem| self.collection.miss(Problem::of_cluster(problem)));
        read.then_some(scans)
    }

    async fn namespace(&mut self, name: &str, measure: Measure<'_>) {
        let place = Place { namespace: String::new(), name: name.to_owned() };
        match self.live.cluster.read(Kind::Namespace, &place).await {
            Ok(Some(_)) => self.collection.look(),
            Ok(None) => {
                return self.collection.miss(Problem::of_cluster(format!("Namespace {name}: it does not exist")));
            }
            Err(problem) => return self.collection.miss(Problem::of_cluster(whole(&problem))),
        }
        let policies = self.live.policies;
        let mut reaches = Reaches::of(name, policies);
        let mut found = Vec::new();
        let read = self
            .list(List { kind: Kind::NetworkPolicy, namespace: name, labels: "", fields: "" }, WHOLE, |text| {
                let judged =
                    parse(text).map(|policy| (object(Kind::NetworkPolicy, &policy), reaches.take(text, &policy)));
                found.push(judged.map_err(|problem| problem.to_string()));
            })
            .await;
        for judged in found {
            match judged {
                Ok((object, findings)) => self.collection.add_stored(object, violated(findings)),
                Err(problem) => {
                    self.collection.miss(Problem::of_cluster(format!("NetworkPolicy in {name}: {problem}")))
                }
            }
        }
        reaches.missing().into_iter().for_each(|problem| self.collection.miss(Problem::of_cluster(problem)));
        self.foreign(Scope::Namespaced, Some(name)).await;
        // Of pods nobody can say what they may reach without having seen every policy.
        match read {
            true => self.pods(name, &reaches, measure).await,
            false => self.collection.miss(Problem::of_cluster(format!(
                "pods of {name}: not judged, since it is not known what they may reach"
            ))),
        }
        for kind in MAKERS {
            self.makers(*kind, name).await;
        }
    }

    async fn pods(&mut self, namespace: &str, reaches: &Reaches<'_>, measure: Measure<'_>) {
        let (auditor, cluster) = (self.auditor, self.live.cluster);
        (self.tell)(&format!("pods of {namespace}"));
        let collection = &mut *self.collection;
        let judge = |text: &[u8]| match parse(text) {
            Ok(pod) => match pod::guarded(&pod, reaches, measure) {
                Some(findings) => collection.add_stored(object(Kind::Pod, &pod), findings),
                None => take_created(collection, auditor, Kind::Pod, &pod),
            },
            Err(problem) => collection.miss(Problem::of_cluster(format!("a pod in {namespace}: {problem}"))),
        };
        let list = List { kind: Kind::Pod, namespace, labels: "", fields: "" };
        let read = cluster.each_paged(list, POD, judge).await;
        self.note(read.map(drop));
    }

    /// Templates, and what else is judged as it was created.
    async fn makers(&mut self, kind: Kind, namespace: &str) {
        let (auditor, cluster) = (self.auditor, self.live.cluster);
        let collection = &mut *self.collection;
        let judge = |text: &[u8]| match parse(text) {
            Ok(object) if makes_nothing(kind, &object) => collection.pass_over(),
            Ok(object) => take_created(collection, auditor, kind, &object),
            Err(problem) => collection.miss(Problem::of_cluster(format!("{kind:?} in {namespace}: {problem}"))),
        };
        let read = cluster.each_paged(List { kind, namespace, labels: "", fields: "" }, WHOLE, judge).await;
        self.note(read.map(drop));
    }

    async fn foreign(&mut self, scope: Scope, namespace: Option<&str>) {
        let policies = self.live.policies;
        for kind in FOREIGN.iter().filter(|kind| kind.scope == scope) {
            let collection = &mut *self.collection;
            let judge = |text: &[u8]| match parse(text) {
                Ok(policy) => {
                    let findings = foreign_refusal(kind, &policy, policies).into_iter().collect();
                    let named = Object {
                        api_version: policy.text_at(&["apiVersion"]).unwrap_or(kind.group).to_owned(),
                        kind: policy.text_at(&["kind"]).unwrap_or(kind.resource).to_owned(),
                        ..object(Kind::NetworkPolicy, &policy)
                    };
                    collection.add_stored(named, violated(findings));
                }
                Err(problem) => collection.miss(Problem::of_cluster(format!("{}: {problem}", kind.resource))),
            };
            let read = self.live.cluster.each_foreign(kind.group, kind.resource, namespace, judge).await;
            self.note(read);
        }
    }

    /// The objects of analyses that Flamewarden has made.
    async fn bundles(&mut self) {
        (self.tell)("analyses");
        let bundles::Bundles { judged, problems } = bundles::look(self.live.cluster, self.live.policies).await;
        for (object, findings) in judged {
            self.collection.add_stored(object, violated(findings));
        }
        problems.into_iter().for_each(|problem| self.collection.miss(problem));
    }

    /// Who may go round admission.
    async fn access(&mut self) {
        let mut roles = Roles::default();
        let mut whole = true;
        for kind in [Kind::ClusterRole, Kind::Role] {
            let mut unread = 0_usize;
            let take = |text: &[u8]| match parse(text) {
                Ok(role) => roles.take(&role.to_value()),
                Err(_) => unread += 1,
            };
            whole &= self.list(everywhere(kind), ROLE, take).await;
            for _ in 0..unread {
                self.collection.miss(Problem::of_cluster(format!("a {kind:?} cannot be read")));
            }
        }
        if !whole {
            let message = "bindings of roles: not judged, since it is not known what they allow".to_owned();
            return self.collection.miss(Problem::of_cluster(message));
        }
        let system = self.live.installation.namespace.as_str();
        let trusted = Trusted { policies: self.live.policies, system };
        for kind in [Kind::ClusterRoleBinding, Kind::RoleBinding] {
            let collection = &mut *self.collection;
            let judge = |text: &[u8]| {
                let Ok(binding) = parse(text) else {
                    return collection.miss(Problem::of_cluster(format!("a {kind:?} cannot be read")));
                };
                let findings = roles.judge(&binding.to_value(), &trusted);
                collection.add_stored(object(kind, &binding), violated(findings));
            };
            let read = self.live.cluster.each_paged(everywhere(kind), BINDING, judge).await;
            self.note(read.map(drop));
        }
    }

    /// What `manifests` prints against what is there.
    async fn installed(&mut self) {
        (self.tell)("what is installed");
        let Live { cluster, policies, installation, now } = self.live;
        let Installation { judged, problems } = installed::look(cluster, policies, installation).await;
        for (object, findings) in judged {
            self.collection.add_stored(object, violated(findings));
        }
        problems.into_iter().for_each(|problem| self.collection.miss(problem));
        match certificate::look(cluster, installation, *now).await {
            Ok((object, findings)) => self.collection.add_stored(object, violated(findings)),
            Err(problem) => self.collection.miss(Problem::of_cluster(whole(&problem))),
        }
    }

    async fn at_work(&mut self) {
        let Live { cluster, installation, now, .. } = self.live;
        for judged in work::look(cluster, installation, *now).await {
            match judged {
                Ok((object, findings)) => self.collection.add_stored(object, violated(findings)),
                Err(problem) => self.collection.miss(Problem::of_cluster(whole(&problem))),
            }
        }
    }

    /// Whether the cluster's network holds what the policies say.
    async fn network(&mut self) {
        let Live { cluster, policies, installation, now } = self.live;
        match network::look(cluster, &installation.namespace, &policies.installation, *now).await {
            Ok((object, findings)) => self.collection.add_stored(object, violated(findings)),
            Err(problem) => self.collection.miss(problem),
        }
    }

    /// Reads a whole list; says whether it could be read.
    async fn list(&mut self, list: List<'_>, keep: Keep, take: impl FnMut(&[u8]) + Send) -> bool {
        (self.tell)(&format!("{:?} {}", list.kind, list.namespace));
        let read = self.live.cluster.each_paged(list, keep, take).await;
        self.note(read.map(drop))
    }

    fn note(&mut self, read: Result<(), ClusterProblem>) -> bool {
        match &read {
            Ok(()) => self.collection.look(),
            Err(problem) => self.collection.miss(Problem::of_cluster(whole(problem))),
        }
        read.is_ok()
    }
}

fn everywhere(kind: Kind) -> List<'static> {
    List { kind, namespace: "", labels: "", fields: "" }
}

fn violated(findings: Vec<Finding>) -> Vec<(Outcome, Finding)> {
    findings.into_iter().map(|finding| (Outcome::Violated, finding)).collect()
}

/// What names a stored object.
fn object(kind: Kind, stored: &Json<'_>) -> Object {
    let (api_version, kind) = kind.type_names();
    let said = |key: &str| stored.text_at(&["metadata", key]).unwrap_or_default().to_owned();
    Object { api_version, kind: kind.to_owned(), namespace: said("namespace"), name: said("name"), uid: said("uid") }
}

const WHOLE: Keep = &[&[]];
const POD: Keep = &[&["metadata"], &["spec"], &["status", "phase"]];
const ROLE: Keep = &[&["metadata", "name"], &["metadata", "namespace"], &["rules"]];
const BINDING: Keep =
    &[&["metadata", "name"], &["metadata", "namespace"], &["metadata", "uid"], &["roleRef"], &["subjects"]];

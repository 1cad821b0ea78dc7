//! Edge: reads all that a gate is judged by, and judges it as it comes.

use jiff::Timestamp;
use json_patch::Patch;

use super::lift::{Refusal, opening};
use crate::cluster::{Cluster, ClusterProblem, Kind, List};
use crate::facts::{Place, ScanMemory};
use crate::isolation::{FOREIGN, Scope, Union, foreign_refusal};
use crate::model::{FieldPath, Finding, Keep, PodView, parse};
use crate::policy::PolicySet;
use crate::rules::{ScanKnowledge, stored_pod_refusals};

/// What becomes of a gate that nothing keeps.
pub(super) enum Verdict {
    /// It opens.
    Lift(Lift),
    /// It is open.
    Open,
    /// The pod of that name is not the one that was meant: another owner's perhaps.
    Another,
}

/// How a gate is opened.
pub(super) struct Lift {
    pub(super) patch: Patch,
    /// The version of the list of network policies that it was judged by.
    pub(super) policies: String,
}

/// Judges a pod, of that uid where one is named, from what the API server has now; none where it is gone. Of policies
/// that others have made one is held at a time.
pub(super) async fn judge(
    cluster: &Cluster,
    place: &Place,
    uid: Option<&String>,
    policies: &PolicySet,
    scans: &ScanMemory,
) -> Result<Option<Result<Verdict, Refusal>>, ClusterProblem> {
    let text = match cluster.read_part(Kind::Pod, place, POD, MOST).await {
        Err(ClusterProblem::Large { .. }) => {
            return Ok(Some(Err(Refusal::Unreadable("the pod is too large to be judged".to_owned()))));
        }
        read => read?,
    };
    let Some(text) = text else { return Ok(None) };
    let Ok(pod) = parse(text.as_bytes()) else {
        return Ok(Some(Err(Refusal::Unreadable("the pod is not acceptable JSON".to_owned()))));
    };
    if uid.is_some_and(|uid| pod.text_at(&["metadata", "uid"]) != Some(uid)) {
        return Ok(Some(Ok(Verdict::Another)));
    }
    let foreign = match foreign(cluster, &place.namespace, policies).await? {
        Ok(findings) => findings,
        Err(refusal) => return Ok(Some(Err(refusal))),
    };
    let view = PodView::new(&pod, FieldPath::default());
    let mut union = Union::of(&view, policies);
    // Last, since nothing binds the lift to what it says: a policy that is stored after it is not seen.
    let judge = |policy: &[u8]| union.add_text(policy);
    let list = List { kind: Kind::NetworkPolicy, namespace: &place.namespace, labels: "", fields: "" };
    let version = cluster.each_part(list, POLICY, judge).await?;
    // By the analysis profile whatever the pod says it is by now.
    let mut findings = {
        let scans = scans.read();
        let scans = ScanKnowledge::Known(&scans);
        stored_pod_refusals(&view, policies, |policies| Some(&policies.analysis), scans, Timestamp::now())
    };
    findings.extend(union.problems());
    findings.extend(foreign);
    if !findings.is_empty() {
        return Ok(Some(Err(Refusal::Findings(findings))));
    }
    let lift = opening(&pod).map(|patch| Verdict::Lift(Lift { patch, policies: version }));
    Ok(Some(Ok(lift.unwrap_or(Verdict::Open))))
}

/// What a pod's rules read. Admission lets in no pod that is nearly as large.
const POD: Keep = &[&["metadata"], &["spec"]];
const MOST: usize = 1 << 20;
/// What a policy is judged by; what else stands in its metadata can be longer than is read of any object.
const POLICY: Keep = &[
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "labels"],
    &["metadata", "finalizers"],
    &["spec"],
];

/// What policies of other networks that could concern pods of a namespace have against it.
async fn foreign(
    cluster: &Cluster,
    namespace: &str,
    policies: &PolicySet,
) -> Result<Result<Vec<Finding>, Refusal>, ClusterProblem> {
    let mut findings = Vec::new();
    for kind in FOREIGN {
        let namespace = (kind.scope == Scope::Namespaced).then_some(namespace);
        let mut unreadable = false;
        let judge = |text: &[u8]| match parse(text) {
            Ok(policy) => findings.extend(foreign_refusal(kind, &policy, policies)),
            Err(_) => unreadable = true,
        };
        cluster.each_foreign(kind.group, kind.resource, namespace, judge).await?;
        if unreadable {
            return Ok(Err(Refusal::Unreadable(format!("{} is not acceptable JSON", kind.resource))));
        }
    }
    Ok(Ok(findings))
}

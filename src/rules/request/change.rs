//! What an update may change about a guarded object besides its contents: labels of identity, gates, finalizers, owners.

use std::collections::BTreeMap;

use super::status::changed_keys;
use crate::isolation::CONTROLLERS_LABELS;
use crate::model::{Digest, FieldPath, Finding, Hold, Json, PodView, Request, Segment, Severity, User, labels};
use crate::policy::PolicySet;
use crate::rules::caller::{
    GARBAGE_COLLECTOR, TEMPLATE_CONTROLLERS, WORKLOAD_CONTROLLERS, breaks_glass, is_controller,
};
use crate::rules::judgement::Judgement;
use crate::rules::pod::is_held;
use crate::rules::rule::RequestRule;

pub(super) const IDENTITY: RequestRule = RequestRule {
    id: "identity-change",
    title: "the labels `app` and `component` of a guarded pod never change",
    why: "policies, Services and the gateway find an analysis by them: a new label is a new identity",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

pub(super) const GATE: RequestRule = RequestRule {
    id: "gate-lift",
    title: "only Flamewarden's controller lifts its scheduling gates",
    why: "the gate keeps a pod from running before its network policy and its verdict",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

pub(super) const FINALIZER: RequestRule = RequestRule {
    id: "isolation-finalizer",
    title: "only Flamewarden's controller and break-glass remove `flamewarden.dev/isolation`",
    why: "it keeps an isolation policy in place until its pod has ended",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

pub(super) const OWNER: RequestRule = RequestRule {
    id: "owner-reference",
    title: "owners of a guarded pod or its workload, and the labels by which they find it, come and go by Kubernetes' own controllers",
    why: "an identity belongs to its topmost owner; who forges one joins somebody else's analysis",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};

pub(super) const IMAGE: RequestRule = RequestRule {
    id: "image-change",
    title: "the images of a guarded pod never change",
    why: "an image put in place runs under an analysis's name, with its network and its data, and nobody made it so",
    severity: Severity::High,
    controls: &[],
    hold: Hold::AsProfileSays,
};

/// Changes of the labels that make a pod what it is.
pub(super) fn identity_changes(old: &Json<'_>, new: &Json<'_>) -> Vec<Finding> {
    let path = FieldPath::of(&["metadata", "labels"]);
    [labels::APP, labels::COMPONENT]
        .into_iter()
        .filter(|key| label(old, key) != label(new, key))
        .map(|key| {
            let was = label(old, key).map_or("absent".to_owned(), Json::to_string);
            let message = format!("it was {was} and stays so; make a new pod instead of relabelling this one");
            IDENTITY.finds(path.key(key), label(new, key), message)
        })
        .collect()
}

/// Labels that change or go by other hands than those of Kubernetes' controllers, besides those that other rules are
/// about: its controller would lose the object. Of labels that come it may be one of a controller's.
pub(in crate::rules) fn label_changes(
    request: &Request<'_>,
    old: &Json<'_>,
    new: &Json<'_>,
    besides: &[&str],
) -> Vec<Finding> {
    if is_owners_controller(&request.user) {
        return Vec::new();
    }
    let path = FieldPath::of(&["metadata", "labels"]);
    let changed = changed_keys(old.at(&["metadata", "labels"]), new.at(&["metadata", "labels"]));
    let message = "its controller finds it by its labels, so those that it has stay as they are";
    let changed = changed
        .into_iter()
        .filter(|key| !besides.contains(key) && (label(old, key).is_some() || CONTROLLERS_LABELS.contains(key)));
    changed.map(|key| OWNER.finds(path.key(key), label(new, key), message)).collect()
}

/// Labels of Kubernetes' controllers on a new pod that none of them makes: one of them would adopt it as its own.
pub(super) fn claimed_labels(request: &Request<'_>, new: &Json<'_>) -> Vec<Finding> {
    if is_controller(&request.user, WORKLOAD_CONTROLLERS) {
        return Vec::new();
    }
    let path = FieldPath::of(&["metadata", "labels"]);
    let claimed = CONTROLLERS_LABELS.iter().filter_map(|key| Some((key, label(new, key)?)));
    let message = "the controllers of workloads give this label to pods that they make; leave it out";
    claimed.map(|(key, value)| OWNER.finds(path.key(key), Some(value), message)).collect()
}

/// Images that an update puts in the place of those that were admitted. Flamewarden's controller pins those of a pod that
/// waits for its verdict.
pub(super) fn image_changes(
    request: &Request<'_>,
    policies: &PolicySet,
    old: &PodView<'_>,
    new: &PodView<'_>,
) -> Vec<Finding> {
    let before: BTreeMap<FieldPath, Option<&Json<'_>>> = images(old).collect();
    let pins = request.user.name == policies.installation.controller && is_held(old);
    let is_pinned = |before: Option<&Json<'_>>, after: Option<&Json<'_>>| {
        let (Some(before), Some(after)) = (before.and_then(Json::text), after.and_then(Json::text)) else {
            return false;
        };
        let digest = after.strip_prefix(before).and_then(|rest| rest.strip_prefix('@'));
        pins && !before.contains('@') && digest.and_then(Digest::parse).is_some()
    };
    images(new)
        .filter(|(path, image)| before.get(path).is_some_and(|before| before != image && !is_pinned(*before, *image)))
        .map(|(path, image)| IMAGE.finds(path, image, "make a new pod with this image; what was admitted is what runs"))
        .collect()
}

fn images<'p>(pod: &'p PodView<'_>) -> impl Iterator<Item = (FieldPath, Option<&'p Json<'p>>)> {
    pod.containers().map(|container| (container.path(&["image"]), container.at(&["image"])))
}

/// Flamewarden's gates that an update takes away without being its controller.
pub(super) fn gate_lifts(request: &Request<'_>, policies: &PolicySet, old: &Json<'_>, new: &Json<'_>) -> Vec<Finding> {
    if request.user.name == policies.installation.controller {
        return Vec::new();
    }
    let path = FieldPath::of(&["spec", "schedulingGates"]);
    let kept: Vec<&str> = gates(new).collect();
    gates(old)
        .filter(|gate| gate.starts_with(labels::DOMAIN) && !kept.contains(gate))
        .map(|gate| {
            let message = format!("`{gate}` is lifted by Flamewarden's controller once its policy and verdict stand");
            GATE.finds(path.clone(), new.at(&["spec", "schedulingGates"]), message)
        })
        .collect()
}

/// Judges whether an update takes the isolation finalizer away: only the controller may, and break-glass.
pub(in crate::rules) fn judge_finalizer(
    judgement: &mut Judgement,
    request: &Request<'_>,
    policies: &PolicySet,
    old: &Json<'_>,
    new: &Json<'_>,
) {
    let has = |object: &Json<'_>| {
        let finalizers = object.at(&["metadata", "finalizers"]).map_or(&[][..], |list| list.items());
        finalizers.iter().any(|item| item.text() == Some(labels::ISOLATION_FINALIZER))
    };
    if request.user.name == policies.installation.controller || !has(old) || has(new) {
        return;
    }
    let message = format!(
        "`{}` goes when the pod that it protects has ended; only Flamewarden's controller and group `{}` remove it",
        labels::ISOLATION_FINALIZER,
        labels::BREAK_GLASS
    );
    let path = FieldPath::of(&["metadata", "finalizers"]);
    let finding = FINALIZER.finds(path, new.at(&["metadata", "finalizers"]), message);
    let judged = if breaks_glass(&request.user) { &mut judgement.broken_glass } else { &mut judgement.refusals };
    judged.push(finding);
}

/// Owners that come or go by somebody who may not bring or take them. Without an old object, all are new.
pub(in crate::rules) fn owner_changes(
    request: &Request<'_>,
    adopters: &[&str],
    old: Option<&Json<'_>>,
    new: &Json<'_>,
) -> Vec<Finding> {
    let (before, after) = (old.map_or(&[][..], owners), owners(new));
    let path = FieldPath::of(&["metadata", "ownerReferences"]);
    let adopts = is_controller(&request.user, adopters);
    let collects = is_controller(&request.user, &[GARBAGE_COLLECTOR]);
    // A controller lets go of what its selector no longer matches; were that refused, it would do nothing else.
    let releases = collects || is_owners_controller(&request.user);
    let mut findings = Vec::new();
    for (index, owner) in after.iter().enumerate() {
        let known = before.iter().find(|known| uid(known) == uid(owner));
        let may = adopts || (collects && known.is_some()) || known == Some(owner);
        if !may {
            let message = "an owner is set by the controller that makes or adopts this; leave it out";
            findings.push(OWNER.finds(path.index(index), Some(owner), message));
        }
    }
    let gone = before.iter().filter(|owner| !after.iter().any(|kept| uid(kept) == uid(owner)));
    for owner in gone.filter(|_| !releases) {
        let message = "an owner goes by its own controller, or, deleted with orphans, by the garbage collector";
        findings.push(OWNER.finds(path.clone(), Some(owner), message));
    }
    findings
}

/// Whether the user is a controller that adopts pods or workloads by their labels, and releases them.
fn is_owners_controller(user: &User<'_>) -> bool {
    is_controller(user, WORKLOAD_CONTROLLERS) || is_controller(user, TEMPLATE_CONTROLLERS)
}

/// Whether an object is being deleted and a write leaves its spec and labels alone.
pub(super) fn only_ends(old: &Json<'_>, new: &Json<'_>) -> bool {
    let same = |keys: &[&str]| old.at(keys) == new.at(keys);
    old.at(&["metadata", "deletionTimestamp"]).is_some() && same(&["spec"]) && same(&["metadata", "labels"])
}

/// Splits findings into those that the stored object already had, and new ones.
///
/// The same finding has the same rule, field and value; the value is compared in the
/// objects themselves, because a finding shows only its beginning.
pub(in crate::rules) fn same_before(
    findings: Vec<Finding>,
    before: &[Finding],
    old: &Json<'_>,
    new: &Json<'_>,
) -> (Vec<Finding>, Vec<Finding>) {
    findings.into_iter().partition(|finding| {
        before.iter().any(|known| known.is_same(finding)) && at_path(old, &finding.path) == at_path(new, &finding.path)
    })
}

fn at_path<'j, 'a>(object: &'j Json<'a>, path: &FieldPath) -> Option<&'j Json<'a>> {
    path.segments().iter().try_fold(object, |value, segment| match segment {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.items().get(*index),
    })
}

fn label<'j, 'a>(object: &'j Json<'a>, key: &str) -> Option<&'j Json<'a>> {
    object.at(&["metadata", "labels", key])
}

fn gates<'j>(object: &'j Json<'_>) -> impl Iterator<Item = &'j str> {
    let items = object.at(&["spec", "schedulingGates"]).map_or(&[][..], |list| list.items());
    items.iter().filter_map(|gate| gate.text_at(&["name"]))
}

fn owners<'j, 'a>(object: &'j Json<'a>) -> &'j [Json<'a>] {
    object.at(&["metadata", "ownerReferences"]).map_or(&[][..], |list| list.items())
}

fn uid<'j>(owner: &'j Json<'_>) -> Option<&'j str> {
    owner.text_at(&["uid"])
}

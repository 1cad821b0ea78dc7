//! Whom it is told that an image cannot be looked up: the objects that ask for it, each once for each reason.

use std::collections::{BTreeMap, BTreeSet};

use super::known::Known;
use super::plan::Step;
use super::wanted::{MOST, beyond, canonical, reach};
use crate::cluster::{Event, Kind};
use crate::facts::Place;
use crate::model::Reference;
use crate::policy::PolicySet;

/// What is known of a name that could not be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failing {
    /// Why, and what to do, in words for those who ask for the image.
    pub(super) reason: String,
    /// The uids of those who were told.
    pub(super) told: BTreeSet<String>,
}

/// An object that asks for an image, where people look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asker {
    pub(super) kind: Kind,
    pub(super) place: Place,
    pub(super) uid: String,
}

/// The names that could not be looked up, by those who ask for them.
pub(super) fn asked<'n>(
    known: &Known,
    failing: &'n BTreeMap<String, Failing>,
    policies: &PolicySet,
) -> BTreeSet<(Asker, &'n str)> {
    // Nearly always.
    if failing.is_empty() {
        return BTreeSet::new();
    }
    let (mut asked, reach) = (BTreeSet::new(), reach(policies));
    for (asker, used) in known.askers() {
        let names = used.iter().filter_map(|used| failing.get_key_value(&canonical(&used.image, &reach)?));
        asked.extend(names.map(|(name, _)| (asker.clone(), name.as_str())));
    }
    asked
}

/// Those who were not told yet.
pub(super) fn untold(known: &Known, failing: &BTreeMap<String, Failing>, policies: &PolicySet) -> Vec<Step> {
    let asked = asked(known, failing, policies).into_iter();
    let tell = |(asker, name): (Asker, &str)| {
        let Failing { reason, told } = failing.get(name)?;
        let (name, reason) = (name.to_owned(), reason.clone());
        (!told.contains(&asker.uid)).then_some(Step::Tell { asker, name, reason })
    };
    asked.filter_map(tell).collect()
}

/// Takes in what came of an attempt: another reason is told anew.
pub(super) fn failed(failing: &mut BTreeMap<String, Failing>, name: &str, reason: String) {
    match failing.get_mut(name) {
        Some(known) if known.reason == reason => {}
        _ => drop(failing.insert(name.to_owned(), Failing { reason, told: BTreeSet::new() })),
    }
}

/// Takes in which names are not looked up, since there are too many.
pub(super) fn leave_out(failing: &mut BTreeMap<String, Failing>, known: &Known, policies: &PolicySet) {
    let (beyond, reason) = (beyond(known, &reach(policies)), too_many());
    failing.retain(|name, failing| failing.reason != reason || beyond.contains(name));
    for name in beyond {
        failed(failing, &name, reason.clone());
    }
}

fn too_many() -> String {
    format!(
        "the objects of its namespace ask for more than {MOST} images, and no more are looked up; delete workloads that \
         are not needed any more"
    )
}

/// Leaves names and objects out that are not asked for or not there any more.
pub(super) fn keep_asked(failing: &mut BTreeMap<String, Failing>, known: &Known, policies: &PolicySet) {
    let mut kept: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (asker, name) in asked(known, failing, policies) {
        kept.entry(name.to_owned()).or_default().insert(asker.uid);
    }
    failing.retain(|name, failing| {
        let askers = kept.get(name);
        failing.told.retain(|uid| askers.is_some_and(|askers| askers.contains(uid)));
        askers.is_some()
    });
}

/// What an object is told. The same reason is one Event, whoever leads and however often it is tried.
pub(super) fn event(asker: &Asker, name: &str, reason: &str) -> Event {
    let (api_version, kind) = asker.kind.type_names();
    Event {
        namespace: asker.place.namespace.clone(),
        about: Reference { api_version, kind: kind.to_owned(), name: asker.place.name.clone(), uid: asker.uid.clone() },
        reason: "ImageLookupFailed",
        action: "LookUpImage",
        note: format!("Flamewarden cannot find out what {name} is, so no pod runs with it: {reason}"),
        key: format!("{name} {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::Change;

    const NAME: &str = "harbor.example/node/a:1";

    fn policies() -> PolicySet {
        PolicySet::parse([
            ("a", include_str!("../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../tests/fixtures/installation.yaml")),
        ])
        .unwrap()
    }

    fn known(objects: &[(Kind, &str, Value)]) -> Known {
        let (mut known, policies) = (Known::default(), policies());
        for (kind, name, object) in objects {
            let place = Place { namespace: "flame".to_owned(), name: (*name).to_owned() };
            known.observe((*kind, "flame".to_owned(), Change::Seen(place, object.clone())), &policies);
        }
        known
    }

    fn template(image: &str) -> Value {
        json!({
            "metadata": {"labels": {"component": "flame-analysis", "app": "analysis-1"}},
            "spec": {"containers": [{"image": image}]},
        })
    }

    fn pod(uid: &str, owner: Option<&str>, gates: &[&str]) -> Value {
        let mut pod = template(NAME);
        pod["metadata"]["uid"] = json!(uid);
        pod["metadata"]["ownerReferences"] =
            owner.into_iter().map(|owner| json!({"uid": owner, "controller": true})).collect();
        pod["spec"]["schedulingGates"] = gates.iter().map(|gate| json!({"name": gate})).collect();
        pod
    }

    fn workload(uid: &str, owner: Option<&str>, image: &str) -> Value {
        let mut workload = json!({"metadata": {"uid": uid}, "spec": {"template": template(image)}});
        workload["metadata"]["ownerReferences"] = pod(uid, owner, &[])["metadata"]["ownerReferences"].clone();
        workload
    }

    /// Whom the next round tells, by uid, as the loop does it.
    fn told(failing: &mut BTreeMap<String, Failing>, known: &Known) -> Vec<String> {
        let steps = untold(known, failing, &policies());
        let uid = |step| {
            let Step::Tell { asker, name, .. } = step else { panic!("{step:?}") };
            failing.get_mut(&name).unwrap().told.insert(asker.uid.clone());
            asker.uid
        };
        steps.into_iter().map(uid).collect()
    }

    #[test]
    fn whoever_people_look_at_is_told() {
        let known = known(&[
            (Kind::Deployment, "d", workload("deployment", None, NAME)),
            (Kind::Deployment, "o", workload("other", None, "harbor.example/node/b:1")),
            (Kind::ReplicaSet, "r", workload("set", Some("deployment"), NAME)),
            (Kind::Pod, "b", pod("bare", None, &[])),
            (Kind::Pod, "w", pod("waiting", Some("set"), &["flamewarden.dev/scan"])),
            (Kind::Pod, "c", pod("controlled", Some("set"), &[])),
        ]);
        let mut failing = BTreeMap::new();
        assert_eq!(told(&mut failing, &known), [""; 0]);
        failed(&mut failing, NAME, "the registry has it not".to_owned());
        assert_eq!(told(&mut failing, &known), ["bare", "waiting", "deployment"]);
    }

    #[test]
    fn each_is_told_once_until_the_reason_is_another() {
        let only = |uid: &str| known(&[(Kind::Pod, "p", pod(uid, None, &[]))]);
        let (first, mut failing) = (only("first"), BTreeMap::new());
        for (reason, known, want) in [
            ("away", &first, vec!["first"]),
            ("away", &first, vec![]),
            ("no such image", &first, vec!["first"]),
            ("no such image", &only("second"), vec!["second"]),
            ("away", &first, vec!["first"]),
        ] {
            failed(&mut failing, NAME, reason.to_owned());
            assert_eq!(told(&mut failing, known), want, "{reason}");
        }
        let failing_of = |failing: &BTreeMap<String, Failing>| failing.get(NAME).map(|one| one.told.clone());
        keep_asked(&mut failing, &first, &policies());
        assert_eq!(failing_of(&failing), Some(["first".to_owned()].into()));
        keep_asked(&mut failing, &only("second"), &policies());
        assert_eq!(failing_of(&failing), Some(BTreeSet::new()));
        keep_asked(&mut failing, &known(&[]), &policies());
        assert_eq!(failing_of(&failing), None);
    }

    #[test]
    fn whoever_asks_for_one_image_too_many_is_told_once_as_long_as_that_is_so() {
        let images: Vec<Value> =
            (0..=MOST).map(|number| json!({"image": format!("harbor.example/node/a:{number:04}")})).collect();
        let object = |count: usize| {
            let mut pod = pod("first", None, &[]);
            pod["spec"]["containers"] = json!(images[..count]);
            known(&[(Kind::Pod, "p", pod)])
        };
        let mut failing = BTreeMap::new();
        for (count, want) in [(MOST, vec![]), (MOST + 1, vec!["first"]), (MOST + 1, vec![]), (MOST, vec![])] {
            leave_out(&mut failing, &object(count), &policies());
            assert_eq!(told(&mut failing, &object(count)), want, "{count}");
        }
        assert_eq!(failing, BTreeMap::new());
    }

    #[test]
    fn the_same_reason_is_the_same_event_and_another_is_another() {
        let place = Place { namespace: "flame".to_owned(), name: "p".to_owned() };
        let asker = Asker { kind: Kind::Pod, place, uid: "u".to_owned() };
        let away = event(&asker, NAME, "away; see that it runs");
        assert_eq!(away, event(&asker, NAME, "away; see that it runs"));
        assert_ne!(away.key, event(&asker, NAME, "no such image").key);
        let note = "Flamewarden cannot find out what harbor.example/node/a:1 is, so no pod runs with it: away; see that it runs";
        assert_eq!((away.reason, away.note.as_str()), ("ImageLookupFailed", note));
    }
}

//! Whom it is told that an image cannot be looked up: the objects that ask for it, each once for each reason.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::known::Known;
use super::plan::{Memory, Step};
use super::uses::Use;
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

/// Who asks for names that could not be looked up: object, uid, and each such name.
fn asked<'a>(
    known: &'a Known,
    failing: &'a BTreeMap<String, Failing>,
    policies: &PolicySet,
) -> impl Iterator<Item = (&'a (Kind, Place), &'a str, &'a str)> {
    let reach = reach(policies);
    let failing_name = |image: &str| Some(failing.get_key_value(&canonical(image, &reach)?)?.0.as_str());
    let named = |(_, used): (&'a str, &'a Use)| Some((used.image.as_str(), failing_name(&used.image)?));
    // Nearly always there are none.
    let images: BTreeMap<&str, &str> = known.uses().filter(|_| !failing.is_empty()).filter_map(named).collect();
    let askers = known.askers().take_while({
        let is_any = !images.is_empty();
        move |_| is_any
    });
    askers.flat_map(move |(object, uid, used)| {
        let names: BTreeSet<&str> = used.iter().filter_map(|used| images.get(used.image.as_str()).copied()).collect();
        names.into_iter().map(move |name| (object, uid, name))
    })
}

/// Those who were not told yet, and whose turn it may be; of very many the first, and the others when these were told.
pub(super) fn untold(known: &Known, memory: &Memory, policies: &PolicySet, now: Timestamp) -> Vec<Step> {
    let failing = &memory.failing;
    let tell = |(object, uid, name): (&(Kind, Place), &str, &str)| {
        let reason = &failing.get(name).filter(|failing| !failing.told.contains(uid))?.reason;
        let asker = Asker { kind: object.0, place: object.1.clone(), uid: uid.to_owned() };
        Some(Step::Tell { asker, name: name.to_owned(), reason: reason.clone() })
    };
    asked(known, failing, policies).filter_map(tell).filter(|step| memory.may_begin(step, now)).take(AT_ONCE).collect()
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
    for (_, uid, name) in asked(known, failing, policies) {
        kept.entry(name.to_owned()).or_default().insert(uid.to_owned());
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

/// More than are told side by side.
const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::Change;
    use crate::scanner::ends::{Outcome, take_in};
    use crate::scanner::plan::Task;

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
        let memory = Memory { failing: failing.clone(), ..Memory::default() };
        let steps = untold(known, &memory, &policies(), Timestamp::UNIX_EPOCH);
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
    fn of_very_many_some_are_told_at_a_time_and_those_that_rest_keep_no_others_waiting() {
        let name = |number: usize| format!("p-{number:03}");
        let names: Vec<String> = (0..2 * AT_ONCE).map(name).collect();
        let pods: Vec<_> = names.iter().map(|name| (Kind::Pod, name.as_str(), pod(name, None, &[]))).collect();
        let (known, mut failing) = (known(&pods), BTreeMap::new());
        failed(&mut failing, NAME, "away".to_owned());
        let mut memory = Memory { failing, ..Memory::default() };
        let mut expected = names.chunks(AT_ONCE);
        for round in 0..2 {
            let steps = untold(&known, &memory, &policies(), Timestamp::UNIX_EPOCH);
            let task = |name: &String| Task::Telling(name.clone(), NAME.to_owned());
            let want: Vec<Task> = expected.next().unwrap().iter().map(task).collect();
            assert_eq!(steps.iter().map(Step::task).collect::<Vec<_>>(), want, "round {round}");
            for step in steps {
                let failed = Outcome::Failed("away".to_owned(), None);
                take_in(&mut memory, &mut Known::default(), (step.task(), step.doing()), failed, Timestamp::UNIX_EPOCH);
            }
        }
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

//! What is to be written so that the stored objects of a report are those that it is published as. Pure.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::facts::Place;
use crate::report::{LEFT_OUT, MANAGED_BY, Publication, SOURCE};

/// The objects that are to be there, by the names that each may have.
#[derive(Debug)]
pub(super) struct Wanted {
    publications: Vec<Publication>,
    by_name: HashMap<(String, String), usize>,
}

/// An object with our label that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    place: Place,
    uid: String,
    version: String,
    stands: Stands,
}

/// How it stands to what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// It is what this publication wants.
    Same(usize),
    /// It has a name of that publication, and says something else.
    Differs(usize),
    /// Nothing wants it.
    Unwanted,
}

/// Whether all was looked at that findings could come of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audit {
    /// What has no finding has none.
    Whole,
    /// Nobody knows.
    Partial,
}

/// One call.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Stores a new object under the first of these names that no other has.
    Create(Place, [(String, Value); 2]),
    /// Stores another version in the place of the one that was read.
    Change(Place, Value),
    /// Deletes that version.
    Delete(Place, String, String),
}

impl Wanted {
    pub(super) fn new(publications: Vec<Publication>) -> Self {
        let mut by_name = HashMap::new();
        for (which, publication) in publications.iter().enumerate() {
            for name in &publication.names {
                by_name.insert((publication.namespace.clone(), name.clone()), which);
            }
        }
        Wanted { publications, by_name }
    }

    /// An object as it is stored; none where it is not ours, or says not who it is.
    ///
    /// What stands in it is compared, and not a hash that it bears: whoever changes an object would leave that.
    pub(super) fn stored(&self, object: &Value) -> Option<Stored> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let managed = object.get("metadata")?.get("labels")?.get(MANAGED_BY)?;
        if managed != SOURCE {
            return None;
        }
        let namespace = text("/metadata/namespace").unwrap_or_default();
        let place = Place { namespace, name: text("/metadata/name")? };
        let (uid, version) = (text("/metadata/uid")?, text("/metadata/resourceVersion")?);
        let which = self.by_name.get(&(place.namespace.clone(), place.name.clone())).copied();
        let stands = match which.and_then(|which| Some((which, self.publications.get(which)?))) {
            None => Stands::Unwanted,
            Some((which, wanted)) if said(object) == said(&wanted.named(&place.name)) => Stands::Same(which),
            Some((which, _)) => Stands::Differs(which),
        };
        Some(Stored { place, uid, version, stands })
    }

    /// The calls that are left to do.
    pub(super) fn plan(&self, stored: &[Stored], audit: Audit) -> Vec<Step> {
        let mut there = HashSet::new();
        let mut steps = Vec::new();
        // Where both names are ours, the one that needs no write is kept.
        let mut stored: Vec<&Stored> = stored.iter().collect();
        stored.sort_by_key(|one| !matches!(one.stands, Stands::Same(_)));
        for Stored { place, uid, version, stands } in stored {
            let (Stands::Same(which) | Stands::Differs(which)) = *stands else {
                if audit == Audit::Whole {
                    steps.push(Step::Delete(place.clone(), uid.clone(), version.clone()));
                }
                continue;
            };
            match (there.insert(which), self.publications.get(which)) {
                (false, _) => steps.push(Step::Delete(place.clone(), uid.clone(), version.clone())),
                (true, Some(wanted)) if *stands != Stands::Same(which) => {
                    steps.push(Step::Change(place.clone(), wanted.after(&place.name, version)));
                }
                (true, _) => {}
            }
        }
        let missing = self.publications.iter().enumerate().filter(|(which, _)| !there.contains(which));
        steps.extend(missing.map(|(_, wanted)| {
            let place = Place { namespace: wanted.namespace.clone(), name: wanted.names[0].clone() };
            Step::Create(place, wanted.names.clone().map(|name| (name.clone(), wanted.named(&name))))
        }));
        steps
    }
}

/// What an object says, without what the API server and others add to it and without the time of its results: what was
/// found before and is found again is no news.
fn said(object: &Value) -> Value {
    let mut said = object.clone();
    let Some(members) = said.as_object_mut() else { return said };
    let metadata = members.remove("metadata").unwrap_or_default();
    let annotation = metadata.get("annotations").and_then(|all| all.get(LEFT_OUT));
    members.insert("ownerReferences".to_owned(), metadata.get("ownerReferences").cloned().unwrap_or_default());
    members.insert("leftOut".to_owned(), annotation.cloned().unwrap_or_default());
    for result in members.get_mut("results").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(members) = result.as_object_mut() {
            members.remove("timestamp");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::model::Severity;
    use crate::report::{
        Dialect, Entry, Found, Object, Outcome, Report, RuleAbout, Subject, Summary, Told, publications,
    };

    /// What a report of these pods is published as, at a time of its own.
    fn wanted(pods: &[&str], second: i64) -> Wanted {
        let entry = |name: &&str| Entry {
            place: None,
            object: Object {
                api_version: "v1".to_owned(),
                kind: "Pod".to_owned(),
                namespace: "flame".to_owned(),
                name: (*name).to_owned(),
                uid: format!("uid-{name}"),
            }
            .into(),
            outcome: Outcome::Violated,
            excepted: None,
            since: None,
            told: Told {
                rule: "privileged".into(),
                severity: Severity::High,
                path: "spec".into(),
                value: "true".into(),
                message: "leave it out".into(),
                remedy: [].into(),
            }
            .into(),
        };
        let found = Found {
            subject: Subject::Cluster,
            objects: Summary::default(),
            looked_at: 0,
            findings: pods.iter().map(entry).collect(),
            exceptions: Vec::new(),
            problems: Vec::new(),
        };
        let about = |rule: &str| RuleAbout::new(rule, "title", "", Severity::High, &[]);
        let report = Report::new(found, about, Timestamp::from_second(second).unwrap());
        Wanted::new(publications(&report, Dialect::OpenReports))
    }

    /// The object of the first publication as the API server would have it.
    fn object(wanted: &Wanted, name: &str) -> Value {
        let mut object = wanted.publications[0].named(name);
        object["metadata"]["uid"] = "u".into();
        object["metadata"]["resourceVersion"] = "7".into();
        object["metadata"]["labels"]["team"] = "others".into();
        object
    }

    fn words(steps: &[Step]) -> Vec<String> {
        let word = |step: &Step| match step {
            Step::Create(_, [(first, _), (second, _)]) => format!("create {first} or {second}"),
            Step::Change(place, object) => {
                format!("change {} of {}", place.name, object["metadata"]["resourceVersion"])
            }
            Step::Delete(place, uid, version) => format!("delete {} {uid} {version}", place.name),
        };
        steps.iter().map(word).collect()
    }

    #[test]
    fn what_has_not_changed_is_not_written_whenever_it_was_found() {
        let (before, now) = (wanted(&["a"], 1), wanted(&["a"], 2));
        let stored = now.stored(&object(&before, "uid-a")).unwrap();
        assert_eq!(now.plan(&[stored], Audit::Whole), []);
        assert_eq!(words(&now.plan(&[], Audit::Whole)), ["create uid-a or uid-a-flamewarden"]);
    }

    #[test]
    fn whatever_somebody_changes_in_an_object_of_ours_is_written_again() {
        let now = wanted(&["a"], 1);
        for (path, value) in [
            ("/results/0/result", json!("pass")),
            ("/results", json!([])),
            ("/summary/fail", json!(0)),
            ("/scope/name", json!("b")),
            ("/metadata/ownerReferences", json!([])),
            ("/configuration/limits/maxResults", json!(0)),
            ("/results/0/properties/added", json!("x")),
        ] {
            let mut object = object(&now, "uid-a-flamewarden");
            match object.pointer_mut(path) {
                Some(place) => *place = value,
                None => {
                    let (parent, key) = path.rsplit_once('/').unwrap();
                    object.pointer_mut(parent).unwrap()[key] = value;
                }
            }
            let stored = now.stored(&object).unwrap();
            assert_eq!(words(&now.plan(&[stored], Audit::Partial)), ["change uid-a-flamewarden of \"7\""], "{path}");
        }
    }

    #[test]
    fn what_nobody_wants_goes_only_after_a_whole_audit() {
        let (before, now) = (wanted(&["a"], 1), wanted(&[], 2));
        let stored = [now.stored(&object(&before, "uid-a")).unwrap()];
        assert_eq!(now.plan(&stored, Audit::Partial), []);
        assert_eq!(words(&now.plan(&stored, Audit::Whole)), ["delete uid-a u 7"]);
        // One of two of the same is enough, and the one that is right stays.
        let mut wrong = object(&before, "uid-a");
        wrong["results"] = json!([]);
        let both = [wrong, object(&before, "uid-a-flamewarden")].map(|object| before.stored(&object).unwrap());
        assert_eq!(words(&before.plan(&both, Audit::Partial)), ["delete uid-a u 7"]);
    }

    #[test]
    fn an_object_of_others_is_none_of_ours() {
        let now = wanted(&["a"], 1);
        for labels in [json!({}), json!({MANAGED_BY: "kyverno"}), Value::Null] {
            let mut object = object(&now, "uid-a");
            object["metadata"]["labels"] = labels;
            assert_eq!(now.stored(&object), None);
        }
    }
}

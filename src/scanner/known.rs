//! What the scanner knows: which objects ask for which images, and what is stored of the images' scans.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use jiff::Timestamp;
use serde_json::Value;

use super::platforms::of_node;
use super::uses::{Held, Use, held, owner, uses};
use crate::cluster::{Change, Kind};
use crate::facts::Place;
use crate::model::{Digest, ImageScanObject};
use crate::policy::PolicySet;

/// What tags are believed to stand for, and until when.
pub(super) type Tags<'a> = BTreeMap<&'a str, Vec<(Timestamp, &'a ImageScanObject)>>;

/// An object that asks for images.
#[derive(Debug)]
struct Asking {
    uses: Vec<Use>,
    /// Its uid, where people look at it: whatever nobody controls, and pods that wait.
    shown: Option<String>,
}

/// All that is known from watches.
#[derive(Debug, Default)]
pub(super) struct Known {
    uses: BTreeMap<(Kind, Place), Asking>,
    /// The same images, each once for each namespace, with how many objects there ask for it: pods are many, images few.
    demand: BTreeMap<(String, Use), usize>,
    held: BTreeMap<Place, Held>,
    scans: BTreeMap<Digest, ImageScanObject>,
    /// What each node runs on.
    nodes: BTreeMap<String, String>,
    /// What was seen of lists that have begun; what is missing at their end is gone.
    listings: BTreeMap<(Kind, String), BTreeSet<Place>>,
    listed: BTreeSet<(Kind, String)>,
}

impl Known {
    /// Takes in one change.
    pub(super) fn observe(&mut self, (kind, namespace, change): (Kind, String, Change), policies: &PolicySet) {
        let list = (kind, namespace);
        match change {
            Change::Listing => {
                self.listings.insert(list, BTreeSet::new());
            }
            Change::Listed => {
                let seen = self.listings.remove(&list).unwrap_or_default();
                self.keep(&list, &seen);
                self.listed.insert(list);
            }
            Change::Gone(place) => self.remove(kind, &place),
            Change::Seen(place, object) => {
                if let Some(seen) = self.listings.get_mut(&list) {
                    seen.insert(place.clone());
                }
                self.put(kind, place, &object, policies);
            }
        }
    }

    fn put(&mut self, kind: Kind, place: Place, object: &Value, policies: &PolicySet) {
        if kind == Kind::Node {
            match of_node(object) {
                Some(platform) => drop(self.nodes.insert(place.name, platform)),
                None => drop(self.nodes.remove(&place.name)),
            }
        } else if kind == Kind::ImageScan {
            match ImageScanObject::read(object) {
                Ok(scan) => self.store(scan),
                Err(_) => self.remove(kind, &place),
            }
        } else {
            let uses = uses(kind, &place.namespace, object, policies);
            let held = held(kind, object, policies);
            let is_shown = held.is_some() || owner(object).is_none();
            let uid = object.pointer("/metadata/uid").and_then(Value::as_str).filter(|_| is_shown);
            let asking = Asking { uses, shown: uid.map(str::to_owned) };
            match held {
                Some(held) => self.held.insert(place.clone(), held),
                None if kind == Kind::Pod => self.held.remove(&place),
                None => None,
            };
            self.ask((kind, place), Some(asking).filter(|asking| !asking.uses.is_empty()));
        }
    }

    /// Takes in what an object asks for now; None is nothing any more.
    fn ask(&mut self, object: (Kind, Place), asking: Option<Asking>) {
        let namespace = object.1.namespace.clone();
        for used in asking.iter().flat_map(|asking| &asking.uses) {
            *self.demand.entry((namespace.clone(), used.clone())).or_default() += 1;
        }
        let former = match asking {
            Some(asking) => self.uses.insert(object, asking),
            None => self.uses.remove(&object),
        };
        for used in former.into_iter().flat_map(|asking| asking.uses) {
            if let Entry::Occupied(mut count) = self.demand.entry((namespace.clone(), used)) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }

    fn remove(&mut self, kind: Kind, place: &Place) {
        if kind == Kind::ImageScan {
            ImageScanObject::digest_of(&place.name).map(|digest| self.scans.remove(&digest));
        } else if kind == Kind::Node {
            self.nodes.remove(&place.name);
        } else {
            self.ask((kind, place.clone()), None);
            if kind == Kind::Pod {
                self.held.remove(place);
            }
        }
    }

    fn keep(&mut self, (kind, namespace): &(Kind, String), seen: &BTreeSet<Place>) {
        if *kind == Kind::ImageScan {
            let there: BTreeSet<Digest> =
                seen.iter().filter_map(|place| ImageScanObject::digest_of(&place.name)).collect();
            self.scans.retain(|digest, _| there.contains(digest));
        } else if *kind == Kind::Node {
            self.nodes.retain(|name, _| seen.iter().any(|place| place.name == *name));
        } else {
            let is_of = |of: &Kind, place: &Place| of == kind && place.namespace == *namespace;
            let is_gone = |(of, place): &&(Kind, Place)| is_of(of, place) && !seen.contains(place);
            let gone: Vec<(Kind, Place)> = self.uses.keys().filter(is_gone).cloned().collect();
            gone.into_iter().for_each(|object| self.ask(object, None));
            self.held.retain(|place, _| !is_of(&Kind::Pod, place) || seen.contains(place));
        }
    }

    /// Takes in an object as it was stored by a step.
    pub(super) fn store(&mut self, scan: ImageScanObject) {
        self.scans.insert(scan.digest, scan);
    }

    /// Takes in that an object was deleted by a step.
    pub(super) fn discard(&mut self, digest: Digest) {
        self.scans.remove(&digest);
    }

    /// Whether these lists were all seen whole.
    pub(super) fn has_seen(&self, lists: &BTreeSet<(Kind, String)>) -> bool {
        lists.is_subset(&self.listed)
    }

    /// The pods that wait for verdicts on their images.
    pub(super) fn held(&self) -> &BTreeMap<Place, Held> {
        &self.held
    }

    /// The images that objects ask to run, each once for each namespace.
    pub(super) fn uses(&self) -> impl Iterator<Item = (&str, &Use)> {
        self.demand.keys().map(|(namespace, used)| (namespace.as_str(), used))
    }

    /// The images that each object asks to run, with its namespace.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&str, &[Use])> {
        self.uses.iter().map(|((_, place), asking)| (place.namespace.as_str(), asking.uses.as_slice()))
    }

    /// The objects that ask for images and that people look at, with uid and these images.
    pub(super) fn askers(&self) -> impl Iterator<Item = (&(Kind, Place), &str, &[Use])> {
        self.uses.iter().filter_map(|(object, asking)| Some((object, asking.shown.as_deref()?, asking.uses.as_slice())))
    }

    /// What tags are believed to stand for at `now`, the longest believed last.
    pub(super) fn tags(&self, now: Timestamp) -> Tags<'_> {
        let mut tags = Tags::new();
        for scan in self.scans.values() {
            for tag in scan.status.tags.iter().filter(|tag| now < tag.until) {
                tags.entry(&tag.name).or_default().push((tag.until, scan));
            }
        }
        tags.values_mut().for_each(|believed| believed.sort_by_key(|(until, _)| *until));
        tags
    }

    /// The platforms of the cluster's nodes.
    pub(super) fn platforms(&self) -> BTreeSet<String> {
        self.nodes.values().cloned().collect()
    }

    /// What is stored of the images' scans.
    pub(super) fn scans(&self) -> &BTreeMap<Digest, ImageScanObject> {
        &self.scans
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_is_asked_for_as_long_as_any_object_of_the_namespace_does() {
        let policies = PolicySet::parse([
            ("a", include_str!("../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../tests/fixtures/installation.yaml")),
        ])
        .unwrap();
        let place = |name: &str| Place { namespace: "flame".to_owned(), name: name.to_owned() };
        let pod = |name: &str, images: &[&str]| {
            let containers: Vec<Value> = images.iter().map(|image| json!({"image": image})).collect();
            let labels = json!({"component": "flame-analysis", "app": "analysis-1"});
            Change::Seen(place(name), json!({"metadata": {"labels": labels}, "spec": {"containers": containers}}))
        };
        let mut known = Known::default();
        for (what, change, want) in [
            ("nothing is listed", Change::Listing, vec![]),
            ("one asks twice", pod("a", &["r/a", "r/a"]), vec!["r/a"]),
            ("another asks too", pod("b", &["r/a", "r/b"]), vec!["r/a", "r/b"]),
            ("all were listed", Change::Listed, vec!["r/a", "r/b"]),
            ("the first asks for another", pod("a", &["r/c"]), vec!["r/a", "r/b", "r/c"]),
            ("the second is gone", Change::Gone(place("b")), vec!["r/c"]),
            ("what was never there is gone", Change::Gone(place("b")), vec!["r/c"]),
            ("it is back", pod("b", &["r/a"]), vec!["r/a", "r/c"]),
            ("they are listed again", Change::Listing, vec!["r/a", "r/c"]),
            ("the first is there still", pod("a", &["r/c"]), vec!["r/a", "r/c"]),
            ("the second is not", Change::Listed, vec!["r/c"]),
        ] {
            known.observe((Kind::Pod, "flame".to_owned(), change), &policies);
            let uses: Vec<&str> = known.uses().map(|(_, used)| used.image.as_str()).collect();
            assert_eq!(uses, want, "{what}");
        }
    }
}

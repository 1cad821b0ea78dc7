//! What the scanner knows: which objects ask for which images, and what is stored of the images' scans.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::lookups::Asker;
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
            if asking.uses.is_empty() {
                self.uses.remove(&(kind, place));
            } else {
                self.uses.insert((kind, place), asking);
            }
        }
    }

    fn remove(&mut self, kind: Kind, place: &Place) {
        if kind == Kind::ImageScan {
            ImageScanObject::digest_of(&place.name).map(|digest| self.scans.remove(&digest));
        } else if kind == Kind::Node {
            self.nodes.remove(&place.name);
        } else {
            self.uses.remove(&(kind, place.clone()));
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
            self.uses.retain(|(of, place), _| !is_of(of, place) || seen.contains(place));
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

    /// The images that objects ask to run.
    pub(super) fn uses(&self) -> impl Iterator<Item = &Use> {
        self.uses.values().flat_map(|asking| &asking.uses)
    }

    /// The same by object, with the namespace of each.
    pub(super) fn objects(&self) -> impl Iterator<Item = (&str, &[Use])> {
        self.uses.iter().map(|((_, place), asking)| (place.namespace.as_str(), asking.uses.as_slice()))
    }

    /// The objects that ask for images and that people look at, with these images.
    pub(super) fn askers(&self) -> impl Iterator<Item = (Asker, &[Use])> {
        self.uses.iter().filter_map(|((kind, place), asking)| {
            let uid = asking.shown.clone()?;
            Some((Asker { kind: *kind, place: place.clone(), uid }, asking.uses.as_slice()))
        })
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

//! Edge: Kubernetes Events, few enough that nobody who is refused often can flood the API server with them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::lease::micro;
use super::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::model::Reference;

/// What is to be told, about which object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The namespace of the object, and of the Event.
    pub namespace: String,
    /// The object.
    pub about: Reference,
    /// Why, in one word that machines can match.
    pub reason: &'static str,
    /// What was being done, in one word.
    pub action: &'static str,
    /// The same for people: no values of fields.
    pub note: String,
    /// What tells this Event from every other about the object; the same one twice is stored once.
    pub key: String,
}

/// How often something may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Often<'a> {
    /// Each time: what only few may do.
    Each,
    /// Each time, but from this address, and from all together, not more than so many in a minute: what only few may
    /// do, but anybody may say that he did.
    Few(&'a str),
    /// Once a minute for the same object, reason and note, and in each namespace not more than so many.
    Seldom,
}

/// Who makes us look up an object by naming it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker<'a> {
    /// The namespace where it is looked up.
    pub namespace: &'a str,
    /// The user; where nobody checked, anybody can have made him up, one after the other.
    pub user: &'a str,
    /// The address where nobody checked who asks.
    pub unchecked: Option<&'a str>,
}

/// Writes Events.
pub struct Recorder {
    cluster: Cluster,
    instance: String,
    limits: Mutex<Limits>,
}

impl Recorder {
    /// A recorder that writes in the name of this process.
    pub fn new(cluster: Cluster, instance: &str) -> Self {
        Recorder { cluster, instance: cut(instance, INSTANCE).to_owned(), limits: Mutex::default() }
    }

    /// Whether an Event of this kind may be told now; what is answered with yes is counted as told.
    pub fn admits(&self, event: &Event, often: Often<'_>) -> bool {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        match often {
            Often::Each => true,
            Often::Few(from) => limits.admit_from(from, Instant::now()),
            Often::Seldom => limits.admit(event, Instant::now()),
        }
    }

    /// Whether one more object may be looked up that somebody named; what is answered with yes is counted as looked up.
    pub fn looks_up_for(&self, asker: &Asker<'_>) -> bool {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.look(asker, Instant::now())
    }

    /// Writes an Event that was admitted.
    ///
    /// # Errors
    /// It was not stored.
    pub async fn write(&self, event: &Event) -> Result<(), ClusterProblem> {
        let object = event.object(&self.instance, Timestamp::now());
        let place = Place { namespace: event.namespace.clone(), name: event.name() };
        match self.cluster.store(Kind::Event, &place, &object).await {
            Err(problem) if problem.is_there_already() => Ok(()),
            done => done,
        }
    }
}

impl Event {
    /// A name that is the same for the same Event, so that telling it twice stores it once.
    fn name(&self) -> String {
        let hash = Sha256::digest(format!("{}/{}/{}", self.about.uid, self.reason, self.key));
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        // Of some kinds names may have what an Event's may not.
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let about: String = cut(&self.about.name, NAME).chars().map(plain).collect();
        match about.trim_matches('-') {
            "" => hash,
            about => format!("{about}.{hash}"),
        }
    }

    fn object(&self, instance: &str, now: Timestamp) -> Value {
        let note = cut(&self.note, NOTE);
        let uid = Some(&self.about.uid).filter(|uid| !uid.is_empty());
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"name": self.name(), "namespace": self.namespace},
            "eventTime": micro(now),
            "type": "Warning", "reason": self.reason, "action": self.action, "note": note,
            "regarding": {
                "apiVersion": self.about.api_version, "kind": self.about.kind,
                "namespace": self.namespace, "name": self.about.name, "uid": uid,
            },
            "reportingController": "flamewarden.dev/controller", "reportingInstance": instance,
        })
    }
}

/// The beginning of a text that has so many bytes at most.
fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

/// What was told within the last minute.
#[derive(Debug, Default)]
struct Limits {
    told: BTreeMap<(String, String, &'static str, String), Instant>,
    few: Vec<(String, Instant)>,
    looks: BTreeMap<(String, String, String), Vec<Instant>>,
}

impl Limits {
    fn admit_from(&mut self, from: &str, now: Instant) -> bool {
        self.few.retain(|(_, told)| now.duration_since(*told) < MINUTE);
        let same = self.few.iter().filter(|(told, _)| told == from).count();
        let admitted = same < FEW_FROM_ONE && self.few.len() < FEW;
        if admitted {
            self.few.push((from.to_owned(), now));
        }
        admitted
    }

    fn look(&mut self, asker: &Asker<'_>, now: Instant) -> bool {
        self.looks.retain(|_, times| {
            times.retain(|time| now.duration_since(*time) < MINUTE);
            !times.is_empty()
        });
        if let Some(from) = asker.unchecked {
            let of_address = self.looks.iter().filter(|((told, ..), _)| told == from);
            if of_address.map(|(_, times)| times.len()).sum::<usize>() >= LOOKS_FROM_ONE {
                return false;
            }
        }
        // What is invented at one address takes nothing from the same user of another.
        let Asker { namespace, user, unchecked } = asker;
        let key = [unchecked.unwrap_or_default(), namespace, user].map(str::to_owned);
        let times = self.looks.entry(key.into()).or_default();
        let may = times.len() < LOOKS;
        if may {
            times.push(now);
        }
        may
    }

    fn admit(&mut self, event: &Event, now: Instant) -> bool {
        self.told.retain(|_, told| now.duration_since(*told) < MINUTE);
        let Event { namespace, about, reason, note, .. } = event;
        let key = (namespace.clone(), about.uid.clone(), *reason, note.clone());
        let there = self.told.keys().filter(|(told, ..)| told == namespace).count();
        if there >= MOST || self.told.contains_key(&key) {
            return false;
        }
        self.told.insert(key, now);
        true
    }
}

/// Events that one namespace gets in a minute.
const MOST: usize = 60;
/// Events in a minute that say what one address, and what all, told of themselves.
const FEW_FROM_ONE: usize = 60;
const FEW: usize = 240;
/// Objects in a minute that one user, in one namespace, makes us look up by naming them.
const LOOKS: usize = 120;
/// The same for all users whom one address tells of, where nobody checks: 10 in a second, which keep nobody waiting.
const LOOKS_FROM_ONE: usize = 600;
const MINUTE: Duration = Duration::from_secs(60);
/// Bounds of the API server, in bytes: a user's name, which stands in notes, can be of any letters.
const INSTANCE: usize = 128;
const NOTE: usize = 1000;
const NAME: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(namespace: &str, uid: &str, note: &str) -> Event {
        let about = Reference { name: "web".to_owned(), uid: uid.to_owned(), ..Reference::default() };
        let (namespace, note) = (namespace.to_owned(), note.to_owned());
        Event { namespace, about, reason: "Refused", action: "Create", note, key: String::new() }
    }

    #[test]
    fn the_same_is_told_once_a_minute_and_a_namespace_has_its_share() {
        let mut limits = Limits::default();
        let start = Instant::now();
        for (after, told, want) in [
            (0, event("a", "1", "x"), true),
            (59, event("a", "1", "x"), false),
            (59, event("a", "1", "y"), true),
            (60, event("a", "1", "x"), true),
        ] {
            assert_eq!(limits.admit(&told, start + Duration::from_secs(after)), want, "after {after} s");
        }
        let later = start + Duration::from_secs(200);
        let admitted = (0..100).filter(|uid| limits.admit(&event("a", &uid.to_string(), "x"), later)).count();
        assert_eq!(admitted, MOST);
        assert!(limits.admit(&event("b", "1", "x"), later));
    }

    #[test]
    fn what_anybody_may_say_is_told_of_each_address_so_often_and_of_all() {
        let mut limits = Limits::default();
        let start = Instant::now();
        let mut admitted = |from: &str, after| {
            (0..100).filter(|_| limits.admit_from(from, start + Duration::from_secs(after))).count()
        };
        for (from, after, want) in
            [("a", 0, 60), ("a", 59, 0), ("b", 59, 60), ("a", 60, 60), ("c", 60, 60), ("d", 61, 60), ("e", 61, 0)]
        {
            assert_eq!(admitted(from, after), want, "{from} after {after} s");
        }
    }

    #[test]
    fn what_is_looked_up_for_one_user_takes_nothing_from_another() {
        let mut limits = Limits::default();
        let start = Instant::now();
        let mut looked = |namespace, user, after| {
            let asker = Asker { namespace, user, unchecked: None };
            (0..200).filter(|_| limits.look(&asker, start + Duration::from_secs(after))).count()
        };
        for (namespace, user, after, want) in [
            ("a", "editor", 0, 120),
            ("a", "editor", 59, 0),
            ("a", "controller", 59, 120),
            ("b", "editor", 59, 120),
            ("a", "editor", 60, 120),
        ] {
            assert_eq!(looked(namespace, user, after), want, "{user} in {namespace} after {after} s");
        }
    }

    #[test]
    fn an_address_that_was_not_checked_is_looked_up_for_so_often_whoever_it_says_it_is() {
        let mut limits = Limits::default();
        let start = Instant::now();
        let mut looked = |from, names: usize, after| {
            let each = (0..names).map(|name| {
                let (namespace, user) = (format!("n{}", name % 7), format!("u{name}"));
                let asker = Asker { namespace: &namespace, user: &user, unchecked: from };
                (0..200).filter(|_| limits.look(&asker, start + Duration::from_secs(after))).count()
            });
            each.sum::<usize>()
        };
        for (from, names, after, want) in [
            (Some("stranger"), 1, 0, 120),
            (Some("stranger"), 50, 1, 480),
            (Some("stranger"), 50, 59, 0),
            (Some("server"), 4, 59, 480),
            (None, 50, 59, 50 * 120),
            (Some("stranger"), 50, 61, 600),
        ] {
            assert_eq!(looked(from, names, after), want, "{from:?} after {after} s");
        }
    }

    #[test]
    fn an_event_is_one_object_however_often_it_is_told() {
        let told = event("a", "1", "x");
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(told.object("me", now), told.object("me", now));
        assert_ne!(told.name(), Event { key: "2".to_owned(), ..told.clone() }.name());
        let long = Event { about: Reference { name: format!("{}-", "x".repeat(199)), ..told.about.clone() }, ..told };
        assert_eq!(long.name().len(), 199 + 1 + 16);
    }

    #[test]
    fn a_note_of_any_letters_keeps_to_the_api_server_s_bytes() {
        for (note, stored) in [("x".repeat(1100), "x".repeat(1000)), ("é€".repeat(600), "é€".repeat(200))] {
            let object = event("a", "1", &note).object("me", Timestamp::UNIX_EPOCH);
            assert_eq!(object["note"], stored);
        }
    }
}

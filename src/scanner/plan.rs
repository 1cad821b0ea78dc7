//! What is to be done next, decided from what is known: images looked up, scanned, judged anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::indexes::{indexes, repository};
use super::judge::{asks, asks_for_signatures, profiles};
use super::known::{Known, Tags};
use super::lookups::{Asker, Failing, untold};
use super::others::Awaited;
use super::platforms::fitted;
use super::shares::{Lane, Turn};
use super::status::remembering;
use super::turns::{Begun, Doing, Rest, Slow};
use super::unused::{Usage, is_own, unused};
use super::uses::Held;
use super::wanted::{Wanted, canonical, reach, wanted};
use crate::facts::{Place, Scans};
use crate::model::{Digest, ImageScanObject, PlatformManifest, PolicyHash, PolicyVerdict, ScanOutcome};
use crate::policy::{PolicySet, Scanner};
use crate::registry::Reach;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask the registry what a name stands for, and write it down.
    LookUp {
        /// The canonical name, with tag or digest.
        name: String,
        /// The pull secrets by which it can be had.
        secrets: BTreeSet<Place>,
        /// Until when it is believed to stand for something, where it is.
        until: Option<Timestamp>,
        /// All names that somebody asks for.
        asked: Arc<BTreeSet<String>>,
    },
    /// Write down which images of an index the nodes may choose now.
    Fit {
        /// The index.
        scan: Box<ImageScanObject>,
        /// Those that they may.
        here: Vec<PlatformManifest>,
        /// The others.
        others: Vec<PlatformManifest>,
    },
    /// Have an image scanned, and write down what comes of it.
    Scan {
        /// The object to write to.
        scan: Box<ImageScanObject>,
        /// The pull secrets by which it can be had.
        secrets: BTreeSet<Place>,
        /// The indexes that it was found in, where somebody asks who signed them.
        indexes: Vec<Digest>,
    },
    /// Hold the stored report against the limits in force.
    Judge {
        /// The object to write to.
        scan: Box<ImageScanObject>,
        /// The pull secrets by which it can be had.
        secrets: BTreeSet<Place>,
        /// The indexes that it was found in, where somebody asks who signed them.
        indexes: Vec<Digest>,
        /// What others had said when it was judged last: there is nothing to do while they say the same.
        heard: Option<Digest>,
    },
    /// Let a pod go that waits for verdicts, or tell why it has to wait.
    Settle {
        /// The pod.
        pod: Place,
        /// Its uid.
        uid: String,
        /// The answers on its images.
        answers: Vec<ScanOutcome>,
    },
    /// Tell an object that an image that it asks for cannot be looked up.
    Tell {
        /// The object.
        asker: Asker,
        /// The image's canonical name.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Remember whose pods have run it: these.
    Remember(Box<ImageScanObject>, Vec<String>),
    /// Note since when nobody uses it, or that somebody does.
    Note(Box<ImageScanObject>, Option<Timestamp>),
    /// Delete what nobody has used for long.
    Discard(Box<ImageScanObject>),
    /// See which images the archive has reports of.
    Look,
    /// Have the archive forget the report of an image that nothing else is known of any more.
    Forget(Digest),
}

/// What a step is about: one at a time of each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Task {
    /// A name is looked up.
    Name(String),
    /// The object of a digest is written.
    Image(Digest),
    /// A pod that waits is let go.
    Pod(Place),
    /// It is seen what the archive has.
    Archive,
    /// An object, by uid, is told of a name.
    Telling(String, String),
}

/// What is known besides, by the process alone.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What is under way, and in which place.
    pub(super) busy: BTreeMap<Task, Turn>,
    /// For which images the last place for scans was taken.
    pub(super) last: Option<Lane>,
    /// Repositories whose images were not done within the bounds of a scan lately.
    pub(super) slow: BTreeMap<String, Slow>,
    /// Names that wait to be looked up, and since when.
    pub(super) unknown: BTreeMap<String, Timestamp>,
    /// What rests after failures.
    pub(super) rests: BTreeMap<Begun, Rest>,
    /// When others are asked again of images that do not run.
    pub(super) awaited: BTreeMap<Digest, Awaited>,
    /// Images whose report is not at hand any more.
    pub(super) without_report: BTreeSet<Digest>,
    /// Names that could not be looked up when that was last tried.
    pub(super) failing: BTreeMap<String, Failing>,
    /// What was told of pods that wait, by uid: the answers on their images then.
    pub(super) told: BTreeMap<String, Vec<ScanOutcome>>,
    /// Whether it was seen what the archive has.
    pub(super) archive: Seen,
    /// Images that the archive may have reports of.
    pub(super) reported: BTreeSet<Digest>,
    /// Since when the database is the one that it is, where that can be told without a scan.
    pub(super) renewed: Option<Timestamp>,
}

/// Whether it was seen what the archive has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// There is none.
    #[default]
    Nowhere,
    /// Not yet.
    NotYet,
    /// It was; what came since is known.
    Whole,
}

impl Step {
    /// What it is about.
    pub(super) fn task(&self) -> Task {
        match self {
            Step::LookUp { name, .. } => Task::Name(name.clone()),
            Step::Settle { pod, .. } => Task::Pod(pod.clone()),
            Step::Fit { scan, .. } | Step::Scan { scan, .. } | Step::Judge { scan, .. } => Task::Image(scan.digest),
            Step::Remember(scan, _) | Step::Note(scan, _) | Step::Discard(scan) => Task::Image(scan.digest),
            Step::Forget(digest) => Task::Image(*digest),
            Step::Look => Task::Archive,
            Step::Tell { asker, name, .. } => Task::Telling(asker.uid.clone(), name.clone()),
        }
    }
}

/// All that is to be done at `now`; whose turn it is says another.
pub(super) fn plan(known: &Known, scans: &Scans, memory: &Memory, policies: &PolicySet, now: Timestamp) -> Vec<Step> {
    let Some(settings) = &policies.scanner else { return Vec::new() };
    let view = View::of(known, memory, settings, policies, now);
    let held = known.held().iter().filter_map(|(place, held)| settle(place, held, scans, memory, now));
    let names = view.wanted.names.iter().filter_map(|(name, secrets)| view.look_up(name, secrets));
    let images = known.scans().values().filter_map(|scan| view.step(scan));
    let mut steps: Vec<Step> = held.chain(names).chain(images).collect();
    steps.extend(untold(known, memory, policies, now));
    steps.extend(tidying(known, memory));
    steps
}

/// Reports in the archive go when nothing else is known of their images any more.
fn tidying(known: &Known, memory: &Memory) -> impl Iterator<Item = Step> {
    let look = (memory.archive == Seen::NotYet).then_some(Step::Look);
    let gone = memory.reported.iter().filter(|digest| !known.scans().contains_key(digest));
    look.into_iter().chain(gone.copied().map(Step::Forget))
}

/// A pod that waits is looked at when there are answers on its images, and others than those by which it was settled last.
fn settle(place: &Place, held: &Held, scans: &Scans, memory: &Memory, now: Timestamp) -> Option<Step> {
    let answer = |image: &String| scans.of_image(image, held.policy, now).0;
    let answers: Vec<ScanOutcome> = held.images.iter().map(answer).collect();
    let may_go = answers.iter().all(|answer| matches!(answer, ScanOutcome::Pass | ScanOutcome::Excepted));
    let is_known = may_go || answers.iter().any(|answer| *answer != ScanOutcome::NoResult);
    let is_new = memory.told.get(&held.uid) != Some(&answers);
    (is_known && is_new).then(|| Step::Settle { pod: place.clone(), uid: held.uid.clone(), answers })
}

struct View<'a> {
    known: &'a Known,
    memory: &'a Memory,
    settings: &'a Scanner,
    wanted: Wanted,
    /// Which registries are asked.
    reach: Reach,
    /// The images that are not there for nothing, and the others.
    usage: Usage,
    /// The limits that count.
    hashes: BTreeSet<PolicyHash>,
    /// Those by which others count.
    asking: BTreeSet<PolicyHash>,
    /// The indexes that images are in, where somebody asks who signed them.
    in_indexes: Option<BTreeMap<Digest, Vec<Digest>>>,
    /// The newest database that a report came from, and when that was taken.
    newest: Option<(Timestamp, Timestamp)>,
    /// The platforms of the cluster's nodes.
    platforms: BTreeSet<String>,
    tags: Tags<'a>,
    now: Timestamp,
}

impl<'a> View<'a> {
    fn of(known: &'a Known, memory: &'a Memory, settings: &'a Scanner, policies: &PolicySet, now: Timestamp) -> Self {
        let tags = known.tags(now);
        let (wanted, profiles) = (wanted(known, policies, &tags), profiles(policies));
        let report = |scan: &ImageScanObject| Some((scan.status.database_built?, scan.status.scanned_at?));
        // What a worker says of its database's age is believed no further than it can be true.
        let may_be = |(built, taken): &(Timestamp, Timestamp)| *built <= now && *taken <= now;
        View {
            usage: Usage::of(known, &wanted.asked, policies, now),
            hashes: profiles.keys().copied().collect(),
            asking: profiles.iter().filter(|(_, profile)| asks(profile)).map(|(hash, _)| *hash).collect(),
            in_indexes: asks_for_signatures(policies).then(|| indexes(known, &wanted)),
            newest: known.scans().values().filter_map(report).filter(may_be).max(),
            platforms: known.platforms(),
            tags,
            reach: reach(policies),
            known,
            memory,
            settings,
            wanted,
            now,
        }
    }

    /// What is to be done about one image.
    fn step(&self, scan: &ImageScanObject) -> Option<Step> {
        if let Some((here, others)) = fitted(scan, &self.platforms) {
            return Some(Step::Fit { scan: Box::new(scan.clone()), here, others });
        }
        let unused = unused(scan, &self.usage, self.settings, self.now);
        if matches!(unused, Some(Step::Discard(_))) {
            return unused;
        }
        if scan.status.manifests.is_empty() && !self.may_be_in_another(scan) {
            let indexes = || self.indexes(scan);
            if self.is_due(scan)
                && !self.memory.rests((Task::Image(scan.digest), Doing::Scan), self.now)
                && let Some((scan, secrets)) = self.sourced(scan, Doing::Scan)
            {
                return Some(Step::Scan { scan, secrets, indexes: indexes() });
            }
            let has_report = scan.status.scanned_at.is_some() && !self.memory.without_report.contains(&scan.digest);
            let (is_to_judge, is_to_look) = (self.is_to_judge(scan), self.is_to_look(scan));
            if has_report
                && (is_to_judge || is_to_look)
                && let Some((scan, secrets)) = self.sourced(scan, Doing::Judge)
            {
                let awaited = self.memory.awaited.get(&scan.digest).filter(|_| !is_to_judge);
                let heard = awaited.map(|awaited| awaited.heard.others);
                return Some(Step::Judge { scan, secrets, indexes: indexes(), heard });
            }
        }
        self.remember(scan).or(unused)
    }

    /// An image as it is to be read now, and the pull secrets for that.
    fn sourced(&self, scan: &ImageScanObject, doing: Doing) -> Option<(Box<ImageScanObject>, BTreeSet<Place>)> {
        let (place, secrets) = self.source(scan, doing)?;
        let image = format!("{place}@{}", scan.digest);
        Some((Box::new(ImageScanObject { image, ..scan.clone() }), secrets))
    }

    /// The repository that an image is read from, and the pull secrets by which it can be had there: one that somebody asks
    /// for it from now, or else the one of its object, which may be anybody's word. None where that is not to be asked.
    /// After each failure another is read that is asked for: whoever asks for an image where it is not keeps it from nobody.
    fn source(&self, scan: &ImageScanObject, doing: Doing) -> Option<(String, BTreeSet<Place>)> {
        let own = canonical(&scan.image, &self.reach).map(|name| repository(&name).to_owned());
        let places = self.wanted.images.get(&scan.digest);
        let mut asked: Vec<_> = places.into_iter().flatten().collect();
        asked.sort_by_key(|(place, _)| Some(*place) != own.as_ref());
        let failures = self.memory.rests.get(&(Task::Image(scan.digest), doing)).map_or(0, |rest| rest.failures);
        // Without any there is no remainder either.
        let turn = usize::try_from(failures).ok().and_then(|failures| failures.checked_rem(asked.len()));
        let asked = turn.and_then(|turn| asked.into_iter().nth(turn));
        asked.map(|(place, secrets)| (place.clone(), secrets.clone())).or_else(|| Some((own?, BTreeSet::new())))
    }

    /// Asks for what a name stands for, where that is not known, or not for much longer.
    fn look_up(&self, name: &str, secrets: &BTreeSet<Place>) -> Option<Step> {
        let is_known = match digest_of(name) {
            Some(digest) => self.known.scans().get(&digest).is_some_and(|scan| self.is_looked_up(scan)),
            None => self.tag_is_known(name),
        };
        let asked = || self.wanted.asked.clone();
        let until = self.tags.get(name).and_then(|believed| believed.last()).map(|(until, _)| *until);
        (!is_known).then(|| Step::LookUp { name: name.to_owned(), secrets: secrets.clone(), until, asked: asked() })
    }

    fn is_looked_up(&self, scan: &ImageScanObject) -> bool {
        if scan.status.manifests.is_empty() {
            return scan.status.platform.is_some();
        }
        scan.status.manifests.iter().all(|part| self.known.scans().contains_key(&part.digest))
    }

    /// Asked again when a third of the time is left.
    fn tag_is_known(&self, name: &str) -> bool {
        let third = SignedDuration::from_secs(i64::from(self.settings.tag_seconds / 3));
        let believed = self.tags.get(name).and_then(|believed| believed.last());
        believed.is_some_and(|(until, scan)| self.now + third < *until && self.is_looked_up(scan))
    }

    /// Whether a scan is to be made. Where a later report came from an older database, the newest one is gone again.
    fn is_due(&self, scan: &ImageScanObject) -> bool {
        let status = &scan.status;
        let is_idle = is_own(scan) && !self.usage.is_used(scan.digest);
        let Some(taken) = status.scanned_at else { return !is_idle && self.is_looked_up(scan) };
        let age = self.now.duration_since(taken);
        let is_newer = |(built, when): (Timestamp, Timestamp)| status.database_built < Some(built) && taken < when;
        let is_stale = status.verdicts.iter().any(|one| one.verdict.outcome == ScanOutcome::Stale);
        // A scan with the same old database ends as stale as before, and a worker may say of any that it is the newest.
        let has_changed = age >= PAUSE && (is_stale || self.newest.is_some_and(is_newer));
        let is_former = self.memory.renewed.is_some_and(|renewed| taken < renewed);
        let hours = SignedDuration::from_hours(self.settings.rescan_hours.into());
        // By a clock that was ahead of this one, it would be new for ever.
        let is_old = age >= hours || age.is_negative();
        let lacks_report = self.memory.without_report.contains(&scan.digest);
        let is_wanted = self.wanted.images.contains_key(&scan.digest);
        !is_idle && lacks_report || is_wanted && (is_old || is_former || has_changed)
    }

    /// Whether a verdict is missing or has come to its end.
    fn is_to_judge(&self, scan: &ImageScanObject) -> bool {
        let verdicts = &scan.status.verdicts;
        let is_missing = |hash: &PolicyHash| verdicts.iter().all(|one| one.policy != *hash);
        let has_ended = verdicts.iter().any(|one| one.verdict.until.is_some_and(|until| until <= self.now));
        // Of limits that are not in force any more: what stands there would seem to count.
        let is_former = verdicts.iter().any(|one| !self.hashes.contains(&one.policy));
        self.hashes.iter().any(is_missing) || has_ended || is_former
    }

    /// Whether others are to be asked again of an image that does not run under limits by which they count.
    fn is_to_look(&self, scan: &ImageScanObject) -> bool {
        let waits = |one: &PolicyVerdict| self.asking.contains(&one.policy) && !one.verdict.admits(self.now);
        // By whom it was judged before, nobody knows what they heard.
        let is_due = |awaited: &Awaited| awaited.is_due(&self.indexes(scan), self.now);
        self.wanted.images.contains_key(&scan.digest)
            && scan.status.verdicts.iter().any(waits)
            && self.memory.awaited.get(&scan.digest).is_none_or(is_due)
    }

    /// The indexes that it was found in, where somebody asks who signed them.
    fn indexes(&self, scan: &ImageScanObject) -> Vec<Digest> {
        self.in_indexes.as_ref().and_then(|all| all.get(&scan.digest)).cloned().unwrap_or_default()
    }

    /// Whether a look-up is under way that may find an image in an index, which is written down last, before anybody has
    /// looked at the image.
    fn may_be_in_another(&self, scan: &ImageScanObject) -> bool {
        let looked_up = |task: &Task| matches!(task, Task::Name(name) if repository(name) == repository(&scan.image));
        let is_new = scan.status.scanned_at.is_none() && self.in_indexes.is_some();
        is_new && self.memory.busy.keys().any(looked_up)
    }

    /// Whose pods run it and are not known to, as long as nothing in it fails.
    fn remember(&self, scan: &ImageScanObject) -> Option<Step> {
        let run = self.wanted.ran_by.get(&scan.digest)?;
        let of = |digest: &Digest| self.known.scans().get(digest);
        let mut parts = scan.status.manifests.iter().filter_map(|one| of(&one.digest)).chain([scan]);
        if parts.any(|part| part.status.failed_since.is_some()) || !self.admits(scan) {
            return None;
        }
        let remembered = remembering(&scan.status.ran_by, run);
        (remembered != scan.status.ran_by).then(|| Step::Remember(Box::new(scan.clone()), remembered))
    }

    /// Whether it is known to pass under any limits: of what is not known nobody knows since when it fails.
    fn admits(&self, scan: &ImageScanObject) -> bool {
        let passes = |scan: &ImageScanObject| scan.status.verdicts.iter().any(|one| one.verdict.admits(self.now));
        let parts = &scan.status.manifests;
        passes(scan)
            || !parts.is_empty() && parts.iter().all(|part| self.known.scans().get(&part.digest).is_some_and(passes))
    }
}

/// As long as this after a scan, nothing that a worker has said has the image scanned again.
const PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// The digest of a name that ends with one.
pub(super) fn digest_of(name: &str) -> Option<Digest> {
    Digest::parse(name.split_once('@')?.1)
}

#[cfg(test)]
mod tests;

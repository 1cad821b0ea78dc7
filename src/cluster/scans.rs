//! Edge: keeps in memory what the cluster's `ImageScan` objects tell, for as long as the process lives.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch as signal};
use tracing::warn;

use super::{Change, Cluster, Interest, Kind, MANY_BYTES, watch};
use crate::facts::{Place, Scan, ScanMemory, Scans};
use crate::model::{Digest, ImageScanObject, Keep};

/// Fills the memory from a watch, and says when all that there is was seen once. Ends when nobody listens any more.
pub async fn follow_scans(cluster: Cluster, memory: Arc<ScanMemory>, synced: signal::Sender<bool>) {
    let (sender, mut changes) = mpsc::channel(BACKLOG);
    let interest = Interest { selector: String::new(), keep: SCAN_TOLD, most: MANY_BYTES };
    let watched = watch(cluster, Kind::ImageScan, String::new(), interest, sender);
    let taken = async {
        let mut followed = Followed::default();
        while let Some((_, _, change)) = changes.recv().await {
            if followed.take(change, &memory) {
                synced.send_replace(true);
            }
        }
    };
    tokio::select! {
        () = watched => {}
        () = taken => {}
        () = synced.closed() => {}
    }
}

/// What was seen since a list began; what is missing in it is gone.
#[derive(Default)]
struct Followed {
    listing: Option<BTreeSet<Digest>>,
}

impl Followed {
    /// Takes in one change; gives whether a whole list was seen with it.
    fn take(&mut self, change: Change, memory: &ScanMemory) -> bool {
        match change {
            Change::Listing => self.listing = Some(BTreeSet::new()),
            Change::Listed => {
                let seen = self.listing.take().unwrap_or_default();
                memory.change(|scans| scans.keep(|digest| seen.contains(&digest)));
                return true;
            }
            Change::Gone(Place { name, .. }) => {
                let digest = ImageScanObject::digest_of(&name);
                memory.change(|scans| digest.into_iter().for_each(|digest| scans.remove(digest)));
            }
            Change::Seen(Place { name, .. }, object) => {
                let Some(digest) = ImageScanObject::digest_of(&name) else { return false };
                if let Some(seen) = &mut self.listing {
                    seen.insert(digest);
                }
                let read = ImageScanObject::read(&object);
                memory.change(|scans: &mut Scans| match &read {
                    Ok(object) => scans.put(digest, Scan::of(object)),
                    // What cannot be read tells nothing, and what it told before may be true no longer.
                    Err(_) => scans.remove(digest),
                });
                if let Err(problem) = read {
                    warn!(name, %problem, "an ImageScan cannot be read; its image counts as not scanned");
                }
            }
        }
        false
    }
}

/// What admission is told of an `ImageScan`: all but the report, which can be large.
pub const SCAN_TOLD: Keep = &[
    &["metadata", "name"],
    &["metadata", "uid"],
    &["metadata", "resourceVersion"],
    &["spec"],
    &["status", "manifests"],
    &["status", "tags"],
    &["status", "verdicts"],
    &["status", "failedSince"],
    &["status", "ranBy"],
];
const BACKLOG: usize = 256;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{PolicyHash, ScanOutcome};

    const HASH: PolicyHash = PolicyHash([1; 8]);

    fn digits(number: u8) -> String {
        format!("{number:02x}").repeat(32)
    }

    fn seen(number: u8, outcome: &Value) -> Change {
        let name = format!("sha256-{}", digits(number));
        let object = json!({
            "metadata": {"name": name}, "spec": {"image": format!("r.example/a@sha256:{}", digits(number))},
            "status": {"verdicts": [{"policy": "0101010101010101", "profile": "p", "outcome": outcome}]},
        });
        Change::Seen(Place { namespace: String::new(), name }, object)
    }

    #[test]
    fn what_is_known_is_what_the_objects_tell_and_no_more() {
        let gone =
            |number: u8| Change::Gone(Place { namespace: String::new(), name: format!("sha256-{}", digits(number)) });
        let pass = || json!("pass");
        let (known, none) = (ScanOutcome::Pass, ScanOutcome::NoResult);
        for (what, changes, want) in [
            (
                "a list",
                vec![Change::Listing, seen(1, &pass()), seen(2, &json!("fail")), Change::Listed],
                [known, ScanOutcome::Fail],
            ),
            ("one that is gone", vec![seen(1, &pass()), gone(1)], [none, none]),
            ("another verdict", vec![seen(1, &pass()), seen(1, &json!("fail"))], [ScanOutcome::Fail, none]),
            ("unreadable since", vec![seen(1, &pass()), seen(1, &json!("fine"))], [none, none]),
            (
                "missing in a new list",
                vec![seen(1, &pass()), Change::Listing, seen(2, &pass()), Change::Listed],
                [none, known],
            ),
            ("a list that has only begun", vec![seen(1, &pass()), Change::Listing], [known, none]),
        ] {
            let (memory, mut followed, now) = (ScanMemory::default(), Followed::default(), Timestamp::UNIX_EPOCH);
            for change in changes {
                let whole = change == Change::Listed;
                assert_eq!(followed.take(change, &memory), whole, "{what}");
            }
            let outcome = |number: u8| {
                let digest = Digest::parse(&format!("sha256:{}", digits(number))).unwrap();
                memory.read().look(digest, HASH, now).outcome(now)
            };
            assert_eq!([outcome(1), outcome(2)], want, "{what}");
        }
    }
}

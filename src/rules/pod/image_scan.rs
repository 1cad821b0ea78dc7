//! Rule `image-scan`: an image runs only with a passing scan of exactly its bytes.
//!
//! Why: what nobody has looked at may hold known holes, and a tag can be moved to other content. Remedy: a tag that is
//! known to stand for a digest with a passing scan is pinned to it; with `onUnknown: hold`, a pod of which not all is known
//! yet gets a gate that only a verdict lifts. An image that fails since not long ago goes on being started by the
//! controllers whose pods ran it before.

use serde_json::{Value, json};

use super::{BOTH, PodCase, PodRule, Stage};
use crate::facts::{Grace, Looked, Scans};
use crate::model::{
    Control, Digest, Edit, FieldPath, Finding, ImageRef, Json, Outlook, PodView, ScanOutcome, Severity, Verdict,
    controlling_owner, labels,
};
use crate::policy::{OnUnknown, Want};
use crate::rules::ScanKnowledge;

pub(super) const RULE: PodRule = PodRule {
    id: "image-scan",
    title: "images have a passing scan of exactly the bytes that run",
    why: "a known vulnerability in an image is how an analysis, or whoever sends it data, takes over its container",
    severity: Severity::Critical,
    controls: &[Control::Nsa("Kubernetes Pod security: scanning container images")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let is_held = is_held(pod);
    // It does not run; whoever lifts the gate looks first.
    if case.stage == Stage::Stored && is_held {
        return Vec::new();
    }
    let findings = findings(pod, case);
    if case.stage != Stage::Create || case.profile.scan.on_unknown == OnUnknown::Refuse {
        return findings;
    }
    let (waits, mut stays): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(may_wait);
    if let (Some(first), false) = (waits.first(), is_held) {
        let path = pod.spec_path("schedulingGates");
        let add = Edit::Add(path.clone(), json!({"name": labels::SCAN_GATE}));
        let message =
            format!("add the scheduling gate `{}` to wait for a verdict: {}", labels::SCAN_GATE, first.message);
        stays.push(Finding::new(RULE.id, path, pod.spec("schedulingGates"), message).mended_by([add]));
    }
    stays
}

/// What is said of a pod's images, whether or not it waits for a verdict.
pub(super) fn findings(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let ScanKnowledge::Known(scans) = case.scans else { return Vec::new() };
    if case.profile.scan.verdict == Want::Any {
        return Vec::new();
    }
    let controller = controlling_owner(pod.object()).and_then(|owner| owner.text_at(&["uid"]));
    places(pod).filter_map(|(path, image)| finding(path, image, scans, case, controller)).collect()
}

/// Whether a pod waits for a verdict.
pub(in crate::rules) fn is_held(pod: &PodView<'_>) -> bool {
    pod.list("schedulingGates").iter().any(|gate| gate.text_at(&["name"]) == Some(labels::SCAN_GATE))
}

/// A volume's image is not changed any more, so that no tag of one can be pinned later.
fn may_wait(finding: &Finding) -> bool {
    let is_volume = finding.path.is_within(&FieldPath::of(&["spec", "volumes"]));
    finding.outlook == Outlook::MayPass && !(is_volume && finding.message == UNKNOWN_TAG)
}

/// Every place that can name an image, with what stands there.
fn places<'p>(pod: &'p PodView<'p>) -> impl Iterator<Item = (FieldPath, Option<&'p Json<'p>>)> {
    let containers = pod.containers().map(|container| (container.path(&["image"]), container.at(&["image"])));
    let volumes = pod.list("volumes").iter().enumerate().filter_map(|(index, volume)| {
        let path = pod.spec_path("volumes").index(index).keys(&["image", "reference"]);
        Some((path, volume.get("image")?.get("reference")))
    });
    containers.chain(volumes)
}

fn finding(
    path: FieldPath,
    given: Option<&Json<'_>>,
    scans: &Scans,
    case: &PodCase<'_>,
    controller: Option<&str>,
) -> Option<Finding> {
    let text = given.and_then(Json::text).unwrap_or_default();
    let finds = |message: String| Finding::new(RULE.id, path.clone(), given, message);
    let Ok(image) = ImageRef::parse(text) else {
        return Some(finds("name an image, so that its scan can be found".to_owned()));
    };
    let pinned = match image.digest {
        Some(digest) => match Digest::parse(digest) {
            Some(digest) => Some(digest),
            None => return Some(finds("scans go by sha256; name that digest".to_owned())),
        },
        None => None,
    };
    let resolved = pinned.or_else(|| scans.resolved(&image.tagged(), case.now));
    let Some(digest) = resolved else {
        return Some(finds(UNKNOWN_TAG.to_owned()).expected_to_pass());
    };
    let (policy, limits) = (case.profile.scan_hash(), &case.profile.scan);
    let looked = scans.look(digest, policy, case.now);
    let is_in_grace = |controller: &str| {
        let grace = Grace { controller, lasts: limits.grace() };
        scans.is_in_grace(digest, policy, grace, case.now)
    };
    let runs = match looked.outcome(case.now) {
        ScanOutcome::Pass | ScanOutcome::Excepted => true,
        ScanOutcome::Fail => controller.is_some_and(is_in_grace),
        _ => false,
    };
    match (looked.outcome(case.now), pinned) {
        (_, Some(_)) if runs => None,
        (_, None) if runs => {
            let edit = Edit::Set(path.clone(), Value::String(format!("{text}@{digest}")));
            Some(finds(format!("pin it to what was scanned: `@{digest}`")).mended_by([edit]))
        }
        (ScanOutcome::Fail, _) => Some(finds(told(looked, ScanOutcome::Fail))),
        (outcome, _) => Some(finds(told(looked, outcome)).expected_to_pass()),
    }
}

/// What the scan says and what to do.
fn told(looked: Looked<'_>, outcome: ScanOutcome) -> String {
    let grounds = match looked {
        Looked::Known(verdict) => grounds(verdict),
        Looked::Unknown => String::new(),
    };
    match outcome {
        ScanOutcome::Fail => format!("its scan fails: {grounds}"),
        ScanOutcome::Stale => format!("its scan is too old and is to be made anew{}", after(&grounds)),
        ScanOutcome::NoResult => {
            "there is no scan of it yet; it is scanned once a workload, a waiting pod or an Analysis \
                                  names it, so try again then"
                .to_owned()
        }
        ScanOutcome::ScanError => format!("its scan came to no end and is tried again: {grounds}"),
        _ => format!("its scan does not tell whether it may run: {grounds}"),
    }
}

fn after(grounds: &str) -> String {
    if grounds.is_empty() { String::new() } else { format!(": {grounds}") }
}

fn grounds(verdict: &Verdict) -> String {
    let told: Vec<&str> = verdict.grounds.iter().take(SHOWN).map(String::as_str).collect();
    let more = verdict.grounds.len() - told.len() + verdict.more;
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    format!("{}{more}", told.join("; "))
}

const UNKNOWN_TAG: &str = "it is not known yet what this tag stands for; it is looked up and scanned once a workload, a waiting \
                           pod or an Analysis names it: try again then, or name a digest that was scanned";
/// Of the grounds of one image; a refusal has room for several images.
const SHOWN: usize = 3;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::facts::Scan;
    use crate::model::PolicyHash;
    use crate::model::parse;
    use crate::policy::{Profile, Role};
    use crate::rules::pod::Stage;
    use crate::rules::pod::testing::{Changes, changed, policies};

    const NOW: &str = "2026-11-22T12:00:00Z";

    fn digest(number: u8) -> Digest {
        Digest::parse(&format!("sha256:{}", format!("{number:02x}").repeat(32))).unwrap()
    }

    fn profile() -> Profile {
        policies().analysis
    }

    /// 1 passes, 2 fails, 3 was too old at noon, 4 is excepted, 5 tells too little, 6 was judged by other limits.
    fn scans(hash: PolicyHash) -> Scans {
        let mut scans = Scans::default();
        let rows = [
            (1, hash, ScanOutcome::Pass, vec![], "13:00:00", "1"),
            (2, hash, ScanOutcome::Fail, vec!["CVE-1 in a", "CVE-2 in b", "CVE-3 in c", "CVE-4 in d"], "13:00:00", "2"),
            (3, hash, ScanOutcome::Pass, vec![], "12:00:00", "3"),
            (4, hash, ScanOutcome::Excepted, vec!["CVE-1 in a; excepted until 13"], "13:00:00", "4"),
            (5, hash, ScanOutcome::Inconclusive, vec!["no package is found"], "13:00:00", "5"),
            (6, PolicyHash([9; 8]), ScanOutcome::Pass, vec![], "13:00:00", "6"),
        ];
        for (number, hash, outcome, grounds, until, tag) in rows {
            let until: Timestamp = format!("2026-11-22T{until}Z").parse().unwrap();
            let grounds = grounds.into_iter().map(str::to_owned);
            let verdicts = vec![(hash, Verdict::new(outcome, grounds, Some(until)))];
            let believed = "2026-11-22T12:00:01Z".parse().unwrap();
            let tags = vec![(format!("harbor.example/node/a:{tag}"), believed)];
            scans.put(digest(number), Scan { verdicts, tags, ..Scan::default() });
        }
        scans
    }

    /// Path, what is set there, whether it may pass later, and the message of each finding.
    fn found(changes: Changes<'_>, stage: Stage, now: &str) -> Vec<String> {
        let (profile, text) = (profile(), changed(Role::Analysis, changes).to_string());
        let (json, scans) = (parse(text.as_bytes()).unwrap(), scans(profile.scan_hash()));
        let pod = PodView::new(&json, FieldPath::default());
        let scans = ScanKnowledge::Known(&scans);
        let case = PodCase { profile: &profile, app: "analysis-1", stage, scans, now: now.parse().unwrap() };
        let line = |finding: &Finding| {
            let remedy = match finding.remedy.as_slice() {
                [Edit::Set(path, value)] => format!(" set {path} = {value};"),
                [] => String::new(),
                other => format!(" {other:?};"),
            };
            format!("{}:{remedy} {:?}; {}", finding.path, finding.outlook, finding.message)
        };
        check(&pod, &case).iter().map(line).collect()
    }

    fn expect(image: &str, wanted: &[&str]) {
        let image = image.replace("DIGEST", &digest(1).to_string());
        let found = found(&[("/spec/containers/0/image", json!(image))], Stage::Create, NOW);
        let wanted: Vec<String> = wanted
            .iter()
            .map(|text| text.replace("DIGEST", &digest(1).to_string()))
            .map(|text| format!("spec.containers[0].image:{text}"))
            .collect();
        assert_eq!(found, wanted, "{image}");
    }

    #[test]
    fn an_image_runs_by_its_digest_s_verdict_alone() {
        let by = |number: u8| format!("harbor.example/node/a@{}", digest(number));
        expect(&by(1), &[]);
        expect(&by(4), &[]);
        // What it is called, and where it lies, does not matter: bytes are bytes.
        expect(&by(1).replace("node/a", "node/b:2"), &[]);
        expect(&by(2), &[" Stays; its scan fails: CVE-1 in a; CVE-2 in b; CVE-3 in c; and 1 more"]);
        expect(&by(3), &[" MayPass; its scan is too old and is to be made anew"]);
        expect(&by(5), &[" MayPass; its scan does not tell whether it may run: no package is found"]);
        let unknown = " MayPass; there is no scan of it yet; it is scanned once a workload, a waiting pod or an Analysis \
                       names it, so try again then";
        expect(&by(6), &[unknown]);
        expect(&by(7), &[unknown]);
        expect(
            &format!("harbor.example/a@sha512:{}", "0".repeat(128)),
            &[" Stays; scans go by sha256; name that digest"],
        );
        expect("", &[" Stays; name an image, so that its scan can be found"]);
        expect("harbor.example/A@sha256:0", &[" Stays; name an image, so that its scan can be found"]);
    }

    #[test]
    fn a_tag_is_pinned_to_what_was_scanned_as_long_as_that_is_known() {
        let pinned = " set spec.containers[0].image = \"harbor.example/node/a:1@DIGEST\"; Stays; pin it to what was scanned: \
                      `@DIGEST`";
        expect("harbor.example/node/a:1", &[pinned]);
        expect("harbor.example/node/a:2", &[" Stays; its scan fails: CVE-1 in a; CVE-2 in b; CVE-3 in c; and 1 more"]);
        let unknown = &format!(" MayPass; {UNKNOWN_TAG}");
        expect("harbor.example/node/a:7", &[unknown]);
        expect("harbor.example/node/a", &[unknown]);
        let image = [("/spec/containers/0/image", json!("harbor.example/node/a:1"))];
        let later = found(&image, Stage::Create, "2026-11-22T12:00:01Z");
        assert_eq!(later, [format!("spec.containers[0].image:{unknown}")]);
    }

    #[test]
    fn in_grace_a_controller_goes_on_with_what_it_ran_by_tag_as_by_digest() {
        let profile = profile();
        let mut scans = scans(profile.scan_hash());
        let failed: Timestamp = "2026-11-22T11:00:00Z".parse().unwrap();
        let verdict = Verdict::new(ScanOutcome::Fail, Vec::new(), None);
        let scan = Scan {
            verdicts: vec![(profile.scan_hash(), verdict)],
            tags: vec![("harbor.example/node/a:2".to_owned(), "2026-11-22T13:00:00Z".parse().unwrap())],
            failed_since: Some(failed),
            ran_by: vec!["u-1".to_owned()],
            ..Scan::default()
        };
        scans.put(digest(2), scan);
        let by_digest = format!("harbor.example/node/a@{}", digest(2));
        for (image, uid, wanted) in [
            (by_digest.as_str(), "u-1", vec![]),
            (by_digest.as_str(), "u-2", vec!["its scan fails: ".to_owned()]),
            ("harbor.example/node/a:2", "u-1", vec![format!("pin it to what was scanned: `@{}`", digest(2))]),
            ("harbor.example/node/a:2", "u-2", vec!["its scan fails: ".to_owned()]),
        ] {
            let owner =
                json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": uid, "controller": true}]);
            let changes = [("/spec/containers/0/image", json!(image)), ("/metadata/ownerReferences", owner)];
            let text = changed(Role::Analysis, &changes).to_string();
            let json = parse(text.as_bytes()).unwrap();
            let pod = PodView::new(&json, FieldPath::default());
            let knowledge = ScanKnowledge::Known(&scans);
            let now = NOW.parse().unwrap();
            let case = PodCase { profile: &profile, app: "analysis-1", stage: Stage::Create, scans: knowledge, now };
            let found: Vec<String> = check(&pod, &case).into_iter().map(|finding| finding.message).collect();
            assert_eq!(found, wanted, "{image} of {uid}");
        }
    }

    #[test]
    fn every_place_that_can_name_an_image_is_looked_at() {
        let failing = json!(format!("harbor.example/node/a@{}", digest(2)));
        let passing = json!(format!("harbor.example/node/a@{}", digest(1)));
        let container = json!({"name": "x", "image": failing});
        let places = found(
            &[
                ("/spec/containers/0/image", passing),
                ("/spec/initContainers", json!([container])),
                ("/spec/ephemeralContainers", json!([container])),
                (
                    "/spec/volumes",
                    json!([{"name": "a", "emptyDir": {}}, {"name": "b", "image": {"reference": failing}}, {"name": "c", "image": {}}]),
                ),
            ],
            Stage::Create,
            NOW,
        );
        let paths: Vec<&str> = places.iter().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "spec.initContainers[0].image",
                "spec.ephemeralContainers[0].image",
                "spec.volumes[1].image.reference",
                "spec.volumes[2].image.reference",
            ]
        );
    }

    #[test]
    fn who_asks_for_no_verdict_or_cannot_know_of_one_is_told_nothing() {
        let text = changed(Role::Analysis, &[]).to_string();
        let json = parse(text.as_bytes()).unwrap();
        let pod = PodView::new(&json, FieldPath::default());
        let (asking, scans) = (profile(), Scans::default());
        let mut not_asking = profile();
        not_asking.scan.verdict = Want::Any;
        for (what, profile, scans, wanted) in [
            ("asked", &asking, ScanKnowledge::Known(&scans), 1),
            ("without a cluster", &asking, ScanKnowledge::OutOfReach, 0),
            ("not asked", &not_asking, ScanKnowledge::Known(&scans), 0),
        ] {
            let case = PodCase { profile, app: "analysis-1", stage: Stage::Create, scans, now: NOW.parse().unwrap() };
            assert_eq!(check(&pod, &case).len(), wanted, "{what}");
        }
    }
}

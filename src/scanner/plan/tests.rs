use serde_json::{Value, json};

use super::*;
use crate::cluster::{Change, Kind};
use crate::policy::{ImageSignature, SignedFor};
use crate::scanner::others::Heard;
use crate::scanner::turns::turns;

const NOW: &str = "2026-11-22T12:00:00Z";
const PINNED: &str = "harbor.example/node/a@sha256:";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn policies() -> PolicySet {
    let scanner = "apiVersion: flamewarden.dev/v1alpha1\nkind: Scanner\nspec: {concurrency: 2}\n";
    PolicySet::parse([
        ("a", include_str!("../../../policies/flame-analysis.yaml")),
        ("g", include_str!("../../../policies/flame-gateway.yaml")),
        ("i", include_str!("../../../tests/fixtures/installation.yaml")),
        ("s", scanner),
    ])
    .unwrap()
}

fn digits(number: u8) -> String {
    format!("{number:02x}").repeat(32)
}

/// A stored scan of the image of that number.
fn scan(number: u8, status: &Value) -> Change {
    let name = format!("sha256-{}", digits(number));
    let object = json!({
        "metadata": {"name": name, "resourceVersion": "1"},
        "spec": {"image": format!("{PINNED}{}", digits(number))}, "status": status,
    });
    Change::Seen(Place { namespace: String::new(), name }, object)
}

/// A node of that platform.
fn node(platform: &str) -> Change {
    let (os, architecture) = platform.split_once('/').unwrap();
    let labels = json!({"kubernetes.io/os": os, "kubernetes.io/arch": architecture});
    let place = Place { namespace: String::new(), name: architecture.to_owned() };
    Change::Seen(place, json!({"metadata": {"name": architecture, "labels": labels}}))
}

fn pod(image: &str, node: Option<&str>) -> Change {
    let object = json!({
        "metadata": {"name": "p", "labels": {"component": "flame-analysis", "app": "analysis-1"},
            "ownerReferences": [{"uid": "rs", "controller": true}]},
        "spec": {"containers": [{"image": image}], "nodeName": node},
    });
    Change::Seen(Place { namespace: "flame".to_owned(), name: "p".to_owned() }, object)
}

fn pinned(number: u8, node: Option<&str>) -> Change {
    pod(&format!("{PINNED}{}", digits(number)), node)
}

/// Policies under which images need a signature.
fn signing() -> PolicySet {
    let mut policies = policies();
    for profile in [&mut policies.analysis, &mut policies.gateway] {
        let signature = ImageSignature { keys: Vec::new(), repositories: SignedFor::default() };
        profile.scan.image_signature = Some(signature);
    }
    policies
}

/// A status with a report and verdicts under the limits in force.
fn judged(outcome: &str, more: &Value) -> Value {
    judged_under(&policies(), outcome, more)
}

fn judged_under(policies: &PolicySet, outcome: &str, more: &Value) -> Value {
    let verdicts: Vec<Value> = profiles(policies)
        .into_iter()
        .map(|(hash, profile)| json!({"policy": hash, "profile": profile.name, "outcome": outcome}))
        .collect();
    let mut status = json!({"platform": "linux/amd64", "verdicts": verdicts, "scannedAt": "2026-11-22T10:00:00Z"});
    for (key, value) in more.as_object().unwrap() {
        status[key] = value.clone();
    }
    status
}

fn memory() -> Memory {
    Memory::default()
}

fn turn(doing: Doing) -> Turn {
    Turn { doing, lane: Lane::New, whose: String::new() }
}

/// What is planned, in words.
fn planned(changes: Vec<Change>, memory: &Memory) -> Vec<String> {
    planned_under(&policies(), changes, memory)
}

fn planned_under(policies: &PolicySet, changes: Vec<Change>, memory: &Memory) -> Vec<String> {
    planned_with(&Scans::default(), policies, changes, memory)
}

fn planned_with(scans: &Scans, policies: &PolicySet, changes: Vec<Change>, memory: &Memory) -> Vec<String> {
    let mut known = Known::default();
    for change in [node("linux/amd64")].into_iter().chain(changes) {
        let kind = match &change {
            Change::Seen(_, object) if object.pointer("/metadata/labels/kubernetes.io~1os").is_some() => Kind::Node,
            Change::Seen(place, _) if place.namespace.is_empty() => Kind::ImageScan,
            _ => Kind::Pod,
        };
        known.observe((kind, "flame".to_owned(), change), policies);
    }
    let steps = turns(plan(&known, scans, memory, policies, now()), memory, policies.scanner.as_ref().unwrap(), now());
    let number = |digest: &Digest| digest.to_string()["sha256:".len()..][..2].to_owned();
    let from = |scan: &ImageScanObject| match repository(&scan.image) {
        "harbor.example/node/a" => String::new(),
        elsewhere => format!(" from {elsewhere}"),
    };
    let within = |indexes: &[Digest]| indexes.iter().map(|index| format!(" in {}", number(index))).collect::<String>();
    steps
        .iter()
        .map(|step| match step {
            Step::LookUp { name, .. } => {
                format!("look up {}", name.split_once("@sha256:").map_or(name.clone(), |(_, hex)| hex[..2].to_owned()))
            }
            Step::Fit { scan, here, .. } => {
                let here: String = here.iter().map(|one| format!(" {}", number(&one.digest))).collect();
                format!("fit {} to{here}", number(&scan.digest))
            }
            Step::Scan { scan, secrets, indexes } => {
                format!("scan {} with {}{}{}", number(&scan.digest), secrets.len(), within(indexes), from(scan))
            }
            Step::Judge { scan, heard: None, indexes, .. } => {
                format!("judge {}{}{}", number(&scan.digest), within(indexes), from(scan))
            }
            Step::Judge { scan, indexes, .. } => format!("look at {}{}", number(&scan.digest), within(indexes)),
            Step::Settle { pod, .. } => format!("settle {}", pod.name),
            Step::Remember(scan, uids) => format!("remember {} {uids:?}", number(&scan.digest)),
            Step::Note(scan, since) => match since {
                Some(at) => format!("note {} unused since {at}", number(&scan.digest)),
                None => format!("note {} used", number(&scan.digest)),
            },
            Step::Discard(scan) => format!("discard {}", number(&scan.digest)),
            Step::Tell { asker, reason, .. } => format!("tell {} {reason}", asker.place.name),
            Step::Look => "look into the archive".to_owned(),
            Step::Forget(digest) => format!("forget {}", number(digest)),
        })
        .collect()
}

#[test]
fn an_image_is_looked_up_then_scanned_then_left_alone_until_something_changes() {
    let bare = json!({"platform": "linux/amd64"});
    let tagged =
        |until: &str| json!({"tags": [{"name": "harbor.example/node/a:1", "until": format!("2026-11-22T{until}Z")}]});
    let by_tag = || pod("harbor.example/node/a:1", None);
    for (what, changes, want) in [
        ("a digest that nobody knows", vec![pinned(1, None)], vec!["look up 01"]),
        ("a tag that nobody knows", vec![by_tag()], vec!["look up harbor.example/node/a:1"]),
        ("an image that may not run anyway", vec![pod("other.example/a:1", None)], vec![]),
        ("looked up", vec![pinned(1, None), scan(1, &bare)], vec!["scan 01 with 1"]),
        ("asked for by hand", vec![scan(1, &json!({}))], vec!["look up 01"]),
        ("looked up, asked for by hand", vec![scan(1, &bare)], vec!["scan 01 with 0"]),
        ("judged", vec![pinned(1, None), scan(1, &judged("pass", &json!({})))], vec![]),
        ("failing", vec![pinned(1, None), scan(1, &judged("fail", &json!({})))], vec![]),
        ("a tag that is known", vec![by_tag(), scan(1, &judged("pass", &tagged("12:04:00")))], vec![]),
        (
            "not for long",
            vec![by_tag(), scan(1, &judged("pass", &tagged("12:01:40")))],
            vec!["look up harbor.example/node/a:1"],
        ),
        (
            "no longer",
            vec![by_tag(), scan(1, &judged("pass", &tagged("12:00:00")))],
            vec!["look up harbor.example/node/a:1"],
        ),
    ] {
        assert_eq!(planned(changes, &memory()), want, "{what}");
    }
}

#[test]
fn what_is_used_is_scanned_again_and_what_is_not_is_left_as_it_is() {
    let old = json!({"scannedAt": "2026-11-21T12:00:00Z"});
    let built = |at: &str, taken: &str| {
        judged("pass", &json!({"databaseBuilt": at, "scannedAt": format!("2026-11-22T{taken}Z")}))
    };
    let before = built("2026-11-21T00:00:00Z", "10:00:00");
    let after = built("2026-11-22T00:00:00Z", "11:00:00");
    let again = built("2026-11-21T00:00:00Z", "11:30:00");
    let (young, just) = (built("2026-11-21T00:00:00Z", "11:00:01"), built("2026-11-22T00:00:00Z", "11:59:00"));
    let (to_come, ahead) = (built("2099-01-01T00:00:00Z", "11:00:00"), built("2026-11-22T00:00:00Z", "12:00:01"));
    let stale = |taken: &str| judged("stale", &json!({"scannedAt": format!("2026-11-22T{taken}Z")}));
    for (what, changes, want) in [
        ("a day old", vec![pinned(1, None), scan(1, &judged("pass", &old))], vec!["scan 01 with 1"]),
        ("and not used", vec![scan(1, &judged("pass", &old))], vec![]),
        ("a newer database", vec![pinned(1, None), scan(1, &before), scan(2, &after)], vec!["scan 01 with 1"]),
        ("one that is gone again", vec![pinned(1, None), scan(1, &again), scan(2, &after)], vec![]),
        ("the newest", vec![pinned(2, None), scan(1, &before), scan(2, &after)], vec![]),
        ("stale", vec![pinned(1, None), scan(1, &stale("11:00:00"))], vec!["scan 01 with 1"]),
        ("stale, and scanned within the hour", vec![pinned(1, None), scan(1, &stale("11:00:01"))], vec![]),
        (
            "a newer database, and scanned within the hour",
            vec![pinned(1, None), scan(1, &young), scan(2, &just)],
            vec![],
        ),
        ("a database of days to come", vec![pinned(1, None), scan(1, &before), scan(2, &to_come)], vec![]),
        ("a scan of days to come", vec![pinned(1, None), scan(1, &before), scan(2, &ahead)], vec![]),
        ("its own", vec![pinned(2, None), scan(2, &ahead)], vec!["scan 02 with 1"]),
    ] {
        assert_eq!(planned(changes, &memory()), want, "{what}");
    }
    for (renewed, want) in [("09:59:59", vec![]), ("10:00:00", vec![]), ("10:00:01", vec!["scan 01 with 1"])] {
        let memory = Memory { renewed: Some(format!("2026-11-22T{renewed}Z").parse().unwrap()), ..memory() };
        assert_eq!(planned(vec![pinned(1, None), scan(1, &before)], &memory), want, "{renewed}");
        assert_eq!(planned(vec![scan(1, &before)], &memory), [""; 0], "not used");
    }
}

#[test]
fn an_image_is_read_from_where_it_is_asked_for_or_from_where_its_object_says_if_that_may_be_asked() {
    let at = |repository: &str, status: &Value| match scan(1, status) {
        Change::Seen(place, mut object) => {
            object["spec"]["image"] = json!(format!("{repository}@sha256:{}", digits(1)));
            Change::Seen(place, object)
        }
        other => other,
    };
    let bare = json!({"platform": "linux/amd64"});
    let other = judged("pass", &json!({"verdicts": []}));
    let (elsewhere, beside) = ("10.0.0.5:443/x", "harbor.example/node/b");
    for (what, changes, want) in [
        (
            "asked for by the name of its object",
            vec![at("harbor.example/node/a", &bare), pinned(1, None)],
            vec!["scan 01 with 1"],
        ),
        ("by another", vec![at(beside, &bare), pinned(1, None)], vec!["scan 01 with 1"]),
        ("while that may not be asked", vec![at(elsewhere, &bare), pinned(1, None)], vec!["scan 01 with 1"]),
        ("by nobody", vec![at(beside, &bare)], vec!["scan 01 with 0 from harbor.example/node/b"]),
        ("by nobody, and it may not be asked", vec![at(elsewhere, &bare)], vec![]),
        ("judged", vec![at(beside, &other)], vec!["judge 01 from harbor.example/node/b"]),
        ("judged, and it may not be asked", vec![at(elsewhere, &other)], vec![]),
        ("judged, and asked for", vec![at(elsewhere, &other), pinned(1, None)], vec!["judge 01"]),
    ] {
        assert_eq!(planned(changes, &memory()), want, "{what}");
    }
    // Somebody asks for it where it is not any more, and the one of its object comes first.
    let other = || match pod(&format!("{beside}@sha256:{}", digits(1)), None) {
        Change::Seen(_, object) => Change::Seen(Place { namespace: "flame".to_owned(), name: "o".to_owned() }, object),
        gone => gone,
    };
    let digest = Digest::parse(&format!("sha256:{}", digits(1))).unwrap();
    for (failures, is_there, is_beside) in [(0, 0, 1), (1, 1, 0), (2, 0, 1)] {
        let rest = Rest { since: now(), until: now(), failures };
        let rests = [Doing::Scan, Doing::Judge].map(|doing| ((Task::Image(digest), doing), rest));
        let memory = Memory { rests: rests.into(), ..memory() };
        let places = ["", " from harbor.example/node/b"];
        for (own, place) in [("harbor.example/node/a", places[is_there]), (beside, places[is_beside])] {
            let changes = |status| vec![at(own, status), pinned(1, None), other()];
            assert_eq!(planned(changes(&bare), &memory), [format!("scan 01 with 1{place}")], "{failures} {own}");
            let judged = judged("pass", &json!({"verdicts": []}));
            assert_eq!(planned(changes(&judged), &memory), [format!("judge 01{place}")], "{failures} {own}");
        }
    }
}

#[test]
fn other_limits_and_the_end_of_a_verdict_lead_to_another() {
    let until = |at: &str| {
        let mut status = judged("excepted", &json!({}));
        status["verdicts"][0]["until"] = json!(at);
        status
    };
    let mut other = judged("pass", &json!({}));
    other["verdicts"][0]["policy"] = json!("0000000000000001");
    let mut former = judged("pass", &json!({}));
    former["verdicts"].as_array_mut().unwrap().push(other["verdicts"][0].clone());
    for (what, status, want) in [
        ("still", until("2026-11-22T12:00:01Z"), vec![]),
        ("its end", until(NOW), vec!["judge 01"]),
        ("other limits", other.clone(), vec!["judge 01"]),
        ("more than those in force", former, vec!["judge 01"]),
    ] {
        assert_eq!(planned(vec![scan(1, &status)], &memory()), want, "{what}");
    }
    let without =
        Memory { without_report: [Digest::parse(&format!("sha256:{}", digits(1))).unwrap()].into(), ..memory() };
    assert_eq!(planned(vec![scan(1, &other)], &without), ["scan 01 with 0"], "no report to judge by");
    other["unusedSince"] = json!(NOW);
    assert_eq!(planned(vec![own(1, &other)], &without), [""; 0], "nor anybody who asks for it");
}

#[test]
fn of_an_index_the_images_for_the_platforms_of_the_nodes_are_scanned() {
    let part = json!({"platform": "linux/amd64"});
    let of = |number: u8, platform: &str| json!({"digest": format!("sha256:{}", digits(number)), "platform": platform});
    let index = json!({"manifests": [of(2, "linux/amd64")], "otherManifests": [of(3, "linux/arm64")]});
    let known = || vec![pinned(1, None), scan(1, &index)];
    for (what, more, want) in [
        ("nobody knows its image", vec![], vec!["look up 01"]),
        ("it is known", vec![scan(2, &part)], vec!["scan 02 with 1"]),
        ("another platform", vec![scan(2, &part), node("linux/arm64")], vec!["scan 02 with 1", "fit 01 to 02 03"]),
        ("one that it is not for", vec![scan(2, &part), node("linux/s390x")], vec!["scan 02 with 1"]),
    ] {
        assert_eq!(planned(known().into_iter().chain(more).collect(), &memory()), want, "{what}");
    }
}

#[test]
fn no_more_is_under_way_than_may_be_and_what_failed_rests() {
    let bare = json!({"platform": "linux/amd64"});
    let aged = judged("pass", &json!({"scannedAt": "2026-11-20T00:00:00Z"}));
    let task = |number: u8| Task::Image(Digest::parse(&format!("sha256:{}", digits(number))).unwrap());
    let rests = |until: &str| {
        let rest = Rest { since: "2026-11-19T00:00:00Z".parse().unwrap(), until: until.parse().unwrap(), failures: 1 };
        Memory { rests: [((task(2), Doing::Scan), rest)].into(), ..memory() }
    };
    let busy = |doing| Memory { busy: [(task(2), turn(doing))].into(), ..memory() };
    let known = || vec![pinned(1, None), scan(1, &aged), scan(2, &bare), scan(3, &bare), scan(4, &bare)];
    for (what, memory, want) in [
        ("two, a new one and one again", memory(), vec!["scan 02 with 0", "scan 01 with 1"]),
        ("a new one is scanned", busy(Doing::Scan), vec!["scan 01 with 1"]),
        ("one is written", busy(Doing::Note), vec!["scan 03 with 0", "scan 01 with 1"]),
        ("one rests", rests("2026-11-22T12:00:01Z"), vec!["scan 03 with 0", "scan 01 with 1"]),
        ("one has rested, and comes after those that were never", rests(NOW), vec!["scan 03 with 0", "scan 01 with 1"]),
    ] {
        assert_eq!(planned(known(), &memory), want, "{what}");
    }
    let without_verdict = json!({"platform": "linux/amd64", "scannedAt": "2026-11-20T00:00:00Z"});
    let known = || vec![pinned(2, None), scan(2, &without_verdict)];
    assert_eq!(planned(known(), &memory()), ["scan 02 with 1"]);
    assert_eq!(planned(known(), &rests("2026-11-22T12:00:01Z")), ["judge 02"], "while its scan rests");
}

#[test]
fn a_pod_that_waits_is_settled_once_for_the_same_answers() {
    let answers = |outcome| vec![outcome];
    let digest = Digest::parse(&format!("sha256:{}", digits(1))).unwrap();
    let held = || {
        let Change::Seen(place, mut object) = pinned(1, None) else { unreachable!() };
        object["metadata"]["uid"] = json!("uid");
        object["spec"]["schedulingGates"] = json!([{"name": "flamewarden.dev/scan"}]);
        Change::Seen(place, object)
    };
    let told = |answers: &[ScanOutcome]| Memory { told: [("uid".to_owned(), answers.to_vec())].into(), ..memory() };
    for (what, outcome, memory, want) in [
        ("nothing is known", None, memory(), vec![]),
        ("it may go", Some("pass"), memory(), vec!["settle p"]),
        ("it may not", Some("fail"), memory(), vec!["settle p"]),
        ("it was told", Some("fail"), told(&answers(ScanOutcome::Fail)), vec![]),
        ("it was told something else", Some("fail"), told(&answers(ScanOutcome::Stale)), vec!["settle p"]),
        ("it may go by now", Some("pass"), told(&answers(ScanOutcome::Fail)), vec!["settle p"]),
        ("it was let go", Some("pass"), told(&answers(ScanOutcome::Pass)), vec![]),
    ] {
        let status = outcome.map_or(json!({}), |outcome| judged(outcome, &json!({"ranBy": ["rs"]})));
        let mut scans = Scans::default();
        if let (Some(_), Change::Seen(_, object)) = (outcome, scan(1, &status)) {
            scans.put(digest, crate::facts::Scan::of(&ImageScanObject::read(&object).unwrap()));
        }
        let begun = planned_with(&scans, &policies(), vec![held(), scan(1, &status)], &memory);
        let settled: Vec<String> = begun.into_iter().filter(|step| step.starts_with("settle")).collect();
        assert_eq!(settled, want, "{what}");
    }
}

#[test]
fn whose_pods_ran_it_is_remembered_while_it_passes() {
    let known_owner = json!({"ranBy": ["rs"]});
    let failed = json!({"failedSince": "2026-11-22T11:00:00Z"});
    for (what, node, status, want) in [
        ("it runs", Some("n"), judged("pass", &json!({})), vec![r#"remember 01 ["rs"]"#]),
        ("it waits", None, judged("pass", &json!({})), vec![]),
        ("it is known", Some("n"), judged("pass", &known_owner), vec![]),
        ("it fails by now", Some("n"), judged("fail", &failed), vec![]),
        ("nobody knows", Some("n"), judged("inconclusive", &json!({})), vec![]),
    ] {
        assert_eq!(planned(vec![pinned(1, node), scan(1, &status)], &memory()), want, "{what}");
    }
    // One more than are kept run it, and nothing is written over and over for that.
    let pods = |ran_by: Vec<String>| {
        let pods = (0..65).map(|number| match pinned(1, Some("n")) {
            Change::Seen(_, mut object) => {
                object["metadata"]["ownerReferences"][0]["uid"] = json!(format!("rs{number:02}"));
                Change::Seen(Place { namespace: "flame".to_owned(), name: format!("p{number}") }, object)
            }
            other => other,
        });
        pods.chain([scan(1, &judged("pass", &json!({"ranBy": ran_by})))]).collect()
    };
    let first: Vec<String> = (0..64).map(|number| format!("rs{number:02}")).collect();
    let former = first.iter().skip(1).cloned().chain(["former".to_owned()]).collect();
    assert_eq!(planned(pods(Vec::new()), &memory()), [format!("remember 01 {first:?}")]);
    assert_eq!(planned(pods(first), &memory()), [""; 0]);
    assert_eq!(planned(pods(former), &memory()).len(), 1);
}

#[test]
fn the_archive_forgets_reports_of_images_that_nothing_else_is_known_of() {
    let of = |number: u8| Digest::parse(&format!("sha256:{}", digits(number))).unwrap();
    let known = || vec![scan(1, &judged("pass", &json!({})))];
    let reported = |archive| Memory { archive, reported: [of(1), of(2)].into(), ..memory() };
    let busy = Memory { busy: [(Task::Image(of(2)), turn(Doing::Note))].into(), ..reported(Seen::Whole) };
    for (what, memory, want) in [
        ("no archive", memory(), vec![]),
        ("one that nobody has looked into", reported(Seen::NotYet), vec!["look into the archive", "forget 02"]),
        ("one that was looked into", reported(Seen::Whole), vec!["forget 02"]),
        ("it is being written", busy, vec![]),
    ] {
        assert_eq!(planned(known(), &memory), want, "{what}");
    }
}

/// A stored scan that the controller has made itself.
fn own(number: u8, status: &Value) -> Change {
    let Change::Seen(place, mut object) = scan(number, status) else { unreachable!() };
    object["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "flamewarden"});
    Change::Seen(place, object)
}

#[test]
fn what_nobody_uses_goes_after_a_while_if_the_controller_made_it_itself() {
    let since = |at: &str| judged("pass", &json!({"unusedSince": at}));
    let (long, not_yet) = (since("2026-10-23T12:00:00Z"), since("2026-10-23T12:00:01Z"));
    let failed = |at: &str| judged("fail", &json!({"unusedSince": "2026-10-23T12:00:00Z", "failedSince": at}));
    let tagged = |until: &str| {
        judged("pass", &json!({"tags": [{"name": "harbor.example/node/a:1", "until": format!("2026-11-22T{until}Z")}]}))
    };
    let by_tag = || pod("harbor.example/node/a:1", None);
    let bare = |since: &str| json!({"platform": "linux/amd64", "unusedSince": since});
    let part = json!({"digest": format!("sha256:{}", digits(2)), "platform": "linux/amd64"});
    let index = json!({"manifests": [part], "unusedSince": "2026-11-21T12:00:00Z"});
    let not_long = json!({"unusedSince": "2026-11-21T12:00:00Z"});
    let looks = "look up harbor.example/node/a:1";
    for (what, changes, want) in [
        ("just now", vec![own(1, &judged("pass", &json!({})))], vec!["note 01 unused since 2026-11-22T12:00:00Z"]),
        ("for a while", vec![own(1, &not_yet)], vec![]),
        ("for long", vec![own(1, &long)], vec!["discard 01"]),
        ("for long, made by somebody else", vec![scan(1, &long)], vec![]),
        ("again", vec![own(1, &long), pinned(1, None)], vec!["note 01 used"]),
        ("used", vec![own(1, &judged("pass", &json!({}))), pinned(1, None)], vec![]),
        ("in its time of grace", vec![own(1, &failed("2026-11-19T12:00:01Z"))], vec![]),
        ("after it", vec![own(1, &failed("2026-11-19T12:00:00Z"))], vec!["discard 01"]),
        ("by a tag", vec![own(1, &tagged("12:04:00")), by_tag()], vec![]),
        ("by a tag that cannot be looked up", vec![own(1, &tagged("11:00:01")), by_tag()], vec![looks]),
        (
            "by one that was another's for long",
            vec![own(1, &tagged("11:00:00")), by_tag()],
            vec![looks, "note 01 unused since 2026-11-22T12:00:00Z"],
        ),
        ("never looked up", vec![own(1, &json!({"unusedSince": NOW}))], vec![]),
        ("never scanned", vec![own(1, &bare("2026-11-21T12:00:01Z"))], vec![]),
        ("for a day", vec![own(1, &bare("2026-11-21T12:00:00Z"))], vec!["discard 01"]),
        ("made by somebody else", vec![scan(1, &bare("2026-11-21T12:00:00Z"))], vec!["scan 01 with 0"]),
        ("an index, which is never scanned", vec![own(1, &index), own(2, &judged("pass", &not_long))], vec![]),
        ("asked for again", vec![own(1, &bare(NOW)), pinned(1, None)], vec!["scan 01 with 1"]),
    ] {
        assert_eq!(planned(changes, &memory()), want, "{what}");
    }
}

#[test]
fn manifests_are_used_as_long_as_their_index_is_or_somebody_wants_it() {
    let part = judged("pass", &json!({"unusedSince": "2026-10-01T00:00:00Z"}));
    let index = json!({"manifests": [{"digest": format!("sha256:{}", digits(2)), "platform": "linux/amd64"}],
        "unusedSince": "2026-10-01T00:00:00Z"});
    for (what, changes, want) in [
        ("neither", vec![own(1, &index), own(2, &part)], vec!["discard 01", "discard 02"]),
        ("used", vec![own(1, &index), own(2, &part), pinned(1, None)], vec!["note 01 used", "note 02 used"]),
        ("somebody's", vec![scan(1, &index), own(2, &part)], vec!["note 02 used"]),
        ("a part of it is gone", vec![scan(1, &index), pinned(1, None)], vec!["look up 01"]),
    ] {
        assert_eq!(planned(changes, &memory()), want, "{what}");
    }
}

#[test]
fn of_very_many_that_nobody_uses_those_go_that_were_unused_longest() {
    let (policies, status) = (policies(), judged("fail", &json!({})));
    let of = |number: usize, since: &str, more: &Value| {
        let Change::Seen(_, mut object) = own(0, &status) else { unreachable!() };
        object["status"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let name = format!("sha256-{number:064x}");
        object["metadata"]["name"] = json!(name);
        object["status"]["unusedSince"] = json!(format!("2026-11-22T{since}:00Z"));
        Change::Seen(Place { namespace: String::new(), name }, object)
    };
    let digest = |number: usize| Digest::parse(&format!("sha256:{number:064x}")).unwrap();
    let failed = json!({"failedSince": "2026-11-22T00:00:00Z"});
    let none = || json!({});
    let many = |count| (0..count).map(|number| of(number, "11:00", &none())).collect::<Vec<Change>>();
    let used = Change::Seen(
        Place { namespace: "flame".to_owned(), name: "u".to_owned() },
        match pod(&format!("harbor.example/node/a@{}", digest(900)), None) {
            Change::Seen(_, object) => object,
            other => panic!("{other:?}"),
        },
    );
    let foreign = match of(901, "08:00", &none()) {
        Change::Seen(place, mut object) => {
            object["metadata"]["labels"] = json!({});
            Change::Seen(place, object)
        }
        other => other,
    };
    for (what, count, more, want) in [
        ("as many as are kept", 500, vec![], vec![]),
        ("more, those of some use, and somebody's", 499, vec![of(900, "08:00", &none()), used, foreign], vec![]),
        ("one more", 499, vec![of(902, "09:00", &none()), of(903, "09:30", &none())], vec![902]),
        ("in its time of grace", 499, vec![of(902, "09:00", &failed), of(903, "09:30", &none())], vec![903]),
    ] {
        let mut known = Known::default();
        for change in many(count).into_iter().chain(more) {
            let is_scan = matches!(&change, Change::Seen(place, _) if place.namespace.is_empty());
            let kind = if is_scan { Kind::ImageScan } else { Kind::Pod };
            known.observe((kind, String::new(), change), &policies);
        }
        let gone = plan(&known, &Scans::default(), &memory(), &policies, now()).into_iter();
        let gone = gone.filter_map(|step| matches!(step, Step::Discard(_)).then(|| step.task()));
        let want: Vec<Task> = want.into_iter().map(|number| Task::Image(digest(number))).collect();
        assert_eq!(gone.collect::<Vec<Task>>(), want, "{what}");
    }
}

#[test]
fn only_so_much_is_tidied_up_at_once() {
    let long = judged("pass", &json!({"unusedSince": "2026-10-01T00:00:00Z"}));
    let scans: Vec<Change> = (1..=20).map(|number| own(number, &long)).collect();
    assert_eq!(planned(scans, &memory()), ["discard 01", "discard 02", "discard 03", "discard 04"]);
}

#[test]
fn others_are_asked_again_of_an_image_that_is_used_and_that_they_may_still_let_run() {
    let (asked, not_asked) = (signing(), policies());
    let awaiting = |awaits, seconds_ago| {
        let heard = Heard { others: Digest::of(b""), indexes: Vec::new(), awaits };
        let awaited = Awaited::after(None, heard, now() - SignedDuration::from_secs(seconds_ago));
        Memory { awaited: [(Digest::parse(&format!("sha256:{}", digits(1))).unwrap(), awaited)].into(), ..memory() }
    };
    for (what, policies, outcome, memory, want) in [
        ("nobody knows what was heard", &asked, "fail", memory(), vec!["judge 01"]),
        ("a moment ago", &asked, "fail", awaiting(true, 1), vec![]),
        ("a while ago", &asked, "fail", awaiting(true, 5), vec!["look at 01"]),
        ("inconclusive", &asked, "inconclusive", awaiting(true, 5), vec!["look at 01"]),
        ("nothing helps", &asked, "fail", awaiting(false, 5000), vec![]),
        ("it may run", &asked, "pass", awaiting(true, 5000), vec![]),
        ("nobody asks others", &not_asked, "fail", awaiting(true, 5000), vec![]),
    ] {
        let status = judged_under(policies, outcome, &json!({}));
        let changes = vec![pinned(1, None), scan(1, &status)];
        assert_eq!(planned_under(policies, changes, &memory), want, "{what}");
        assert_eq!(planned_under(policies, vec![scan(1, &status)], &memory), Vec::<String>::new(), "{what}, not used");
    }
}

#[test]
fn an_image_is_judged_with_the_indexes_that_it_was_found_in() {
    let asked = signing();
    let digest = |number: u8| Digest::parse(&format!("sha256:{}", digits(number))).unwrap();
    let index = |of: u8| json!({"manifests": [{"digest": digest(of), "platform": "linux/amd64"}]});
    let elsewhere = |number: u8, of: u8| match scan(number, &index(of)) {
        Change::Seen(place, mut object) => {
            object["spec"]["image"] = json!(format!("harbor.example/node/b@sha256:{}", digits(number)));
            Change::Seen(place, object)
        }
        other => other,
    };
    let bare = || scan(9, &json!({"platform": "linux/amd64"}));
    let looked = |busy: Option<&str>| Memory {
        busy: busy.into_iter().map(|name| (Task::Name(name.to_owned()), turn(Doing::Note))).collect(),
        ..memory()
    };
    let one = || vec![scan(1, &index(9)), bare()];
    let none = Vec::<&str>::new;
    for (what, policies, changes, memory, want) in [
        ("nobody asks who signed", &policies(), one(), looked(None), vec!["scan 09 with 0"]),
        ("in one", &asked, one(), looked(None), vec!["scan 09 with 0 in 01"]),
        ("in another repository", &asked, vec![elsewhere(1, 9), bare()], looked(None), vec!["scan 09 with 0"]),
        ("of another image", &asked, vec![scan(1, &index(8)), bare()], looked(None), vec!["scan 09 with 0"]),
        (
            "those that are used come first, and there is an end",
            &asked,
            (1..=6).map(|number| scan(number, &index(9))).chain([bare(), pinned(6, None)]).collect(),
            looked(None),
            vec!["scan 09 with 1 in 06 in 01 in 02 in 03"],
        ),
        ("another may come", &asked, one(), looked(Some("harbor.example/node/a:1")), none()),
        ("not from there", &asked, one(), looked(Some("harbor.example/node/b:1")), vec!["scan 09 with 0 in 01"]),
    ] {
        assert_eq!(planned_under(policies, changes, &memory), want, "{what}");
    }
    // One that it was not seen in is looked at at once.
    let heard = |indexes: Vec<Digest>| Heard { others: Digest::of(b""), indexes, awaits: true };
    let fails = judged_under(&asked, "fail", &json!({}));
    for (indexes, want) in [(vec![], vec!["look at 09 in 01"]), (vec![digest(1)], vec![])] {
        let awaited = [(digest(9), Awaited::after(None, heard(indexes), now()))].into();
        let memory = Memory { awaited, ..memory() };
        let changes = vec![pinned(1, None), scan(1, &index(9)), scan(9, &fails)];
        assert_eq!(planned_under(&asked, changes, &memory), want);
    }
}

//! What is kept before it goes, on the world of values of the plan's tests.

use jiff::SignedDuration;
use serde_json::json;

use super::tests::{ID, TAKEN_AWAY, World, made, running};
use super::*;

/// A running analysis with an archive, and its pods.
fn archived() -> World {
    let mut world = running();
    world.archived = Some(Archived::default());
    pods(&mut world, 1);
    world
}

fn pods(world: &mut World, run: u32) {
    for (pod, app) in [("a", format!("analysis-{ID}-{run}")), ("g", format!("nginx-analysis-{ID}-{run}"))] {
        let name = format!("{pod}{run}");
        let owners = json!([{"kind": "ReplicaSet", "controller": true}]);
        let metadata = json!({"name": name, "uid": name, "labels": {"app": app}, "ownerReferences": owners});
        let pod = json!({"metadata": metadata});
        world.objects.insert((Kind::Pod, name), pod);
    }
}

fn without_pods(world: &mut World) {
    world.objects.retain(|(kind, _), _| *kind != Kind::Pod);
}

const KEEP: &str = "keep a1 of analysis and g1 of nginx";

#[test]
fn what_pods_wrote_is_kept_once_before_they_are_taken_away() {
    let mut world = archived();
    world.analysis.spec.state = WantedState::Stopped;
    let want = [&["report Stopping Stopping", KEEP], &TAKEN_AWAY[..2]].concat();
    assert_eq!(world.settle(), want, "the pods are on their way");
    without_pods(&mut world);
    assert_eq!(world.settle(), [&TAKEN_AWAY[2..], &["report Stopped Stopped"]].concat());

    for phase in [Phase::Executed, Phase::Failed, Phase::Stuck] {
        let mut world = archived();
        world.analysis.status.phase = Some(phase);
        world.analysis.status.ended_at = Some(world.now);
        assert_eq!(world.settle(), [&[KEEP], &TAKEN_AWAY[..2]].concat(), "{phase:?}");
    }
    let mut world = archived();
    world.analysis.spec.run = 2;
    let want = [&["report Starting ", KEEP], &TAKEN_AWAY[..2], &["report Starting OtherRunEnds"]].concat();
    assert_eq!(world.settle(), want, "of the run before");
}

#[test]
fn whoever_goes_on_after_an_end_keeps_what_is_there_still() {
    for stop in 0..4 {
        let mut world = archived();
        world.analysis.spec.state = WantedState::Stopped;
        (0..stop).for_each(|_| world.step().unwrap());
        world.archived = Some(Archived::default());
        world.settle();
        assert_eq!(world.archived.unwrap().tried.len(), 1, "after {stop} steps");
    }
}

#[test]
fn without_an_archive_or_pods_nothing_is_kept() {
    for (archive, with_pods) in [(false, true), (true, false)] {
        let mut world = archived();
        world.archived = archive.then(Archived::default);
        if !with_pods {
            without_pods(&mut world);
        }
        world.analysis.spec.state = WantedState::Stopped;
        let done = world.settle();
        assert!(done.len() >= 3 && !done.iter().any(|step| step.starts_with("keep")), "{done:?}");
    }
}

#[test]
fn what_is_deleted_is_forgotten_and_nothing_of_it_kept() {
    let mut world = archived();
    world.analysis.deleting = true;
    assert_eq!(world.settle(), TAKEN_AWAY[..2]);
    without_pods(&mut world);
    let done = world.settle();
    assert_eq!(done[done.len() - 2..], ["forget", "let go"]);
    assert_eq!(world.settle(), [""; 0]);
}

#[test]
fn what_the_archive_does_not_have_is_said_and_stays_said_where_it_is_lost() {
    let archived = |lost, behind| Some(Archived { lost, behind, ..Archived::default() });
    let mut world = running();
    for (known, says) in [
        (archived(None, false), None),
        (archived(None, true), Some(("False", "ArchiveDown"))),
        (archived(None, false), Some(("True", "Recorded"))),
        (archived(Some(7), false), Some(("True", "Recorded"))),
        (archived(Some(1), true), Some(("False", "LogsLost"))),
        (archived(None, true), Some(("False", "LogsLost"))),
        (archived(None, false), Some(("False", "LogsLost"))),
        (None, Some(("False", "LogsLost"))),
    ] {
        world.archived = known.clone();
        world.settle();
        assert_eq!(world.settle(), [""; 0], "it is said once");
        let conditions = &world.analysis.status.conditions;
        let said = conditions.iter().find(|condition| condition.kind == "Archived");
        assert_eq!(said.map(|said| (said.status.as_str(), said.reason.as_str())), says, "{known:?}");
        assert_eq!(conditions.iter().filter(|condition| condition.kind == "Ready").count(), 1);
    }
    world.analysis.spec.run = 2;
    world.settle();
    let conditions = &world.analysis.status.conditions;
    assert!(!conditions.iter().any(|condition| condition.kind == "Archived"), "of another run nothing is lost");
}

#[test]
fn what_ended_long_ago_goes_unless_it_is_to_run_again() {
    let year = SignedDuration::from_hours(365 * 24);
    for (phase, ago, run, archive, want) in [
        (Phase::Executed, year, 1, true, true),
        (Phase::Stopped, year, 1, true, true),
        (Phase::Failed, year, 1, true, true),
        (Phase::Executed, year - SignedDuration::from_secs(1), 1, true, false),
        (Phase::Executed, year, 2, true, false),
        (Phase::Executed, year, 1, false, false),
        (Phase::Stuck, year, 1, true, false),
        (Phase::Executing, year, 1, true, false),
    ] {
        let mut world = running();
        world.archived = archive.then(Archived::default);
        let now = world.now;
        world.analysis.status.phase = Some(phase);
        world.analysis.status.ended_at = now.checked_sub(ago).ok();
        world.analysis.spec.run = run;
        let (step, _) = world.plan();
        assert_eq!(step == Step::Expire, want, "{phase:?} {ago} {run} {archive}");
        let ended = matches!(phase, Phase::Executed | Phase::Stopped | Phase::Failed);
        let at = now.checked_add(year - ago).unwrap();
        assert_eq!(world.view().goes_at(), (ended && archive).then_some(at));
    }
    assert!(made().iter().all(|step| *step != "expire"));
}

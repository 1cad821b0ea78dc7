//! What comes of answers, on the world of values of the plan's tests.

use jiff::SignedDuration;

use super::tests::{ID, TAKEN_AWAY, World, made, running};
use super::*;
use crate::model::Report;
use crate::orchestrator::heard::{Answer, Heard};

const SECTION: &str = "  health: {progressDeadlineSeconds: 600, startSeconds: 120, silenceSeconds: 60, restarts: 2}\n";

/// Everything that a run may have told of itself.
#[derive(Clone, Copy, Default)]
struct Told {
    answer: Option<Answer>,
    /// For how many seconds its gateway has had no answer.
    silent: Option<i64>,
    /// How long it has been available, in seconds.
    after: i64,
    reported: Option<(u32, Phase, u8)>,
}

/// The analysis in this phase, told this.
fn told(phase: Phase, told: Told) -> World {
    let mut world = World::new(SECTION);
    world.settle();
    world.analysis.status.phase = Some(phase);
    world.hear(told);
    world
}

impl World {
    fn hear(&mut self, told: Told) {
        self.now += SignedDuration::from_secs(told.after);
        let silent_since = told.silent.map(|seconds| self.now - SignedDuration::from_secs(seconds));
        let run = self.analysis.status.run;
        self.heard = told.answer.map(|answer| Heard { run, answer, silent_since });
        self.analysis.reported = told.reported.map(|(run, phase, progress)| Report { run, phase, progress });
    }
}

fn says(phase: Phase) -> Told {
    Told { answer: Some(Answer::Says(phase)), ..Told::default() }
}

#[test]
fn answers_and_words_decide_where_a_run_is_in_its_life() {
    use Phase::{Executed, Executing, Failed, Started, Stopped, Stuck};
    let silent = |silent, after| Told { answer: Some(Answer::Silent), silent: Some(silent), after, reported: None };
    let unreachable = |after| Told { answer: Some(Answer::Unreachable), after, ..Told::default() };
    let reported = |run, phase| Told { reported: Some((run, phase, 0)), ..Told::default() };
    for (phase, what, want, ready, healthy) in [
        (Started, Told::default(), Started, "Running", "-"),
        (Started, Told { after: 9999, ..Told::default() }, Started, "Running", "-"),
        (Started, says(Executing), Executing, "Running", "Executing"),
        (Started, says(Executed), Executed, "Executed", "-"),
        (Started, says(Stuck), Stuck, "Stuck", "-"),
        (Started, says(Failed), Stuck, "FailedAtStart", "-"),
        (Started, says(Stopped), Stopped, "Stopped", "-"),
        (Started, silent(119, 119), Started, "Running", "Silent"),
        (Started, silent(1, 120), Stuck, "TookTooLong", "-"),
        (Started, unreachable(9999), Started, "Running", "GatewayUnreachable"),
        (Started, reported(1, Executed), Executed, "Executed", "-"),
        (Started, reported(1, Failed), Stuck, "FailedAtStart", "-"),
        (Started, reported(1, Executing), Started, "Running", "-"),
        (Started, reported(2, Executed), Started, "Running", "-"),
        (Executing, Told::default(), Executing, "Running", "-"),
        (Executing, says(Executing), Executing, "Running", "Executing"),
        (Executing, says(Executed), Executed, "Executed", "-"),
        (Executing, says(Failed), Failed, "Failed", "-"),
        (Executing, says(Stuck), Stuck, "Stuck", "-"),
        (Executing, says(Stopped), Stopped, "Stopped", "-"),
        (Executing, silent(59, 9999), Executing, "Running", "Silent"),
        (Executing, silent(60, 60), Failed, "Silent", "-"),
        (Executing, unreachable(9999), Executing, "Running", "GatewayUnreachable"),
        (Executing, reported(1, Failed), Failed, "Failed", "-"),
        (Executing, reported(1, Executed), Executed, "Executed", "-"),
        (Executing, reported(0, Executed), Executing, "Running", "-"),
        (Executing, reported(1, Stuck), Executing, "Running", "-"),
    ] {
        let mut world = told(phase, what);
        world.step();
        let status = &world.analysis.status;
        let reason = |kind: &str| {
            let condition = status.conditions.iter().find(|condition| condition.kind == kind);
            condition.map_or("-", |condition| condition.reason.as_str())
        };
        let label = format!("{phase:?} {:?} {:?} {:?} {}", what.answer, what.silent, what.reported, what.after);
        assert_eq!((status.phase, reason("Ready"), reason("Healthy")), (Some(want), ready, healthy), "{label}");
        let over = matches!(want, Executed | Failed | Stopped | Stuck);
        assert_eq!(status.ended_at, over.then_some(world.now), "{label}");
    }
}

#[test]
fn a_run_whose_pods_do_not_become_available_is_started_again() {
    let mut world = World::new(SECTION);
    world.available = false;
    world.settle();
    let begun = world.now;
    assert_eq!(world.analysis.status.phase, Some(Phase::Started));
    let late = begun + SignedDuration::from_secs(600);
    assert_eq!(world.plan(), (Step::Wait, Some(late)));
    world.now = late - SignedDuration::from_secs(1);
    assert_eq!(world.settle(), [""; 0]);
    world.now = late;
    assert_eq!(world.settle()[0], "report Stuck NotAvailable");
}

#[test]
fn what_a_run_waited_for_before_it_was_made_does_not_count() {
    let mut world = World::new(SECTION);
    world.available = false;
    let services = std::mem::take(&mut world.services);
    world.settle();
    world.now += SignedDuration::from_secs(9999);
    world.services = services;
    world.settle();
    assert_eq!(world.analysis.status.phase, Some(Phase::Started));
    assert_eq!(world.plan(), (Step::Wait, Some(world.now + SignedDuration::from_secs(600))));
}

#[test]
fn what_another_run_answered_says_nothing_of_this_one() {
    let mut world = told(Phase::Started, says(Phase::Executed));
    world.heard.as_mut().unwrap().run = 0;
    assert_eq!(world.settle(), [""; 0]);
}

#[test]
fn progress_is_what_the_run_says_of_itself() {
    for (reported, want) in [(Some((1, Phase::Executing, 40)), 40), (Some((0, Phase::Executing, 40)), 0), (None, 0)] {
        let mut world = told(Phase::Executing, Told { reported, ..says(Phase::Executing) });
        world.settle();
        assert_eq!(world.analysis.status.progress, want, "{reported:?}");
    }
}

#[test]
fn a_run_that_has_come_to_its_end_is_taken_away_and_stays_as_it_ended() {
    for phase in [Phase::Executed, Phase::Failed] {
        let mut world = told(Phase::Executing, says(phase));
        let reported = format!("report {phase:?} {phase:?}");
        assert_eq!(world.settle(), [&[reported.as_str()], &TAKEN_AWAY[..]].concat());
        world.analysis.spec.state = WantedState::Stopped;
        assert_eq!(world.settle(), [""; 0]);
        assert_eq!(world.analysis.status.phase, Some(phase));
    }
}

#[test]
fn a_stuck_analysis_is_started_again_ever_later_and_so_many_times_only() {
    let mut world = World::new(SECTION);
    world.settle();
    for (restart, pause) in [(1_u32, 10), (2, 20)] {
        world.hear(says(Phase::Stuck));
        let run = |text: &str| text.replace("ID-1", &format!("ID-{restart}"));
        let want: Vec<String> = ["report Stuck Stuck"].iter().chain(&TAKEN_AWAY).map(|step| run(step)).collect();
        assert_eq!(world.settle(), want);
        let message = &world.analysis.status.conditions[0].message;
        assert_eq!(*message, format!("it says that it is stuck; it is started again, {restart} of 2 times"));
        let at = world.now + SignedDuration::from_secs(pause);
        assert_eq!(world.plan(), (Step::Wait, Some(at)));
        world.now = at;
        let again: Vec<String> =
            made()[1..].iter().map(|step| step.replace("ID-1", &format!("ID-{}", restart + 1))).collect();
        assert_eq!(world.settle(), again);
        let status = &world.analysis.status;
        assert_eq!((status.run, status.restarts, status.progress), (restart + 1, restart, 0));
    }
    world.hear(says(Phase::Stuck));
    world.step();
    let status = world.analysis.status.clone();
    assert_eq!(status.phase, Some(Phase::Failed));
    assert_eq!(status.conditions[0].message, "it says that it is stuck, and it was started again 2 times");
    world.settle();
    world.analysis.spec.run = 4;
    world.settle();
    assert_eq!((world.analysis.status.run, world.analysis.status.restarts), (4, 0), "who asks again begins anew");
}

#[test]
fn only_what_runs_is_asked_and_at_its_gateways_address() {
    let called =
        |world: &World| world.view().call().map(|call| (call.run.number, call.address.to_string(), call.token));
    let mut world = running();
    assert_eq!(called(&world), Some((1, "10.0.1.1".to_owned(), None)));
    for phase in [Phase::Starting, Phase::Stopping, Phase::Stopped, Phase::Executed, Phase::Stuck, Phase::Failed] {
        world.analysis.status.phase = Some(phase);
        assert_eq!(called(&world), None, "{phase:?}");
    }
    world.analysis.status.phase = Some(Phase::Executing);
    assert!(called(&world).is_some());
    world.analysis.deleting = true;
    assert_eq!(called(&world), None);
    world.analysis.deleting = false;
    world.analysis.spec.state = WantedState::Stopped;
    assert_eq!(called(&world), None);
    world.analysis.spec.state = WantedState::Running;
    let gateway = (Kind::Service, format!("nginx-analysis-{ID}-1"));
    world.objects.get_mut(&gateway).unwrap()["spec"]["clusterIP"] = json!("None");
    assert_eq!(called(&world), None);

    let mut world = World::new("  tokens: {keycloak: 'http://keycloak'}\n");
    let secret = (Kind::Secret, format!("flame-tokens-{ID}"));
    world.objects.get_mut(&secret).unwrap()["metadata"]["resourceVersion"] = json!("7");
    world.settle();
    assert_eq!(called(&world), Some((1, "10.0.1.1".to_owned(), Some("7".to_owned()))));
}

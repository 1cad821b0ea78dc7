//! What the Hub is to know, and what the status says of Hub and token, on the world of values of the plan's tests.

use jiff::SignedDuration;

use super::tests::{World, made};
use super::*;
use crate::hub::{Outcome, ProcessStatus};
use crate::model::Condition;
use crate::orchestrator::token_rest::TokenTrouble;

const HUB: &str = "  hub: {core: 'http://core', auth: 'http://auth', client: c}\n";
const TOKENS: &str = "  tokens: {keycloak: 'http://keycloak'}\n";

fn condition<'a>(world: &'a World, kind: &str) -> Option<&'a Condition> {
    world.analysis.status.conditions.iter().find(|condition| condition.kind == kind)
}

fn said(world: &World, kind: &str) -> (String, String) {
    condition(world, kind).map(|said| (said.status.clone(), said.reason.clone())).unwrap_or_default()
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn the_status_says_whether_the_hub_knows_and_says_it_once() {
    let mut world = World::new(HUB);
    world.settle();
    assert_eq!(condition(&world, "HubTold"), None, "nobody has tried yet");
    for (word, status, reason) in [
        (Word::NotTold(Outcome::Unavailable), "False", "HubUnavailable"),
        (Word::NotTold(Outcome::Refused), "False", "HubRefused"),
        (Word::NotTold(Outcome::Unknown), "False", "HubUnknown"),
        (Word::NotTold(Outcome::NotUnderstood), "False", "HubNotUnderstood"),
        (Word::NotSetUp, "False", "HubNotSetUp"),
        (Word::Told(ProcessStatus::Started), "True", "Told"),
    ] {
        world.hub = Some(word);
        assert_eq!(world.settle(), ["report Started Running"], "{word:?}");
        assert_eq!(said(&world, "HubTold"), pair(status, reason));
        assert_eq!(world.settle(), [""; 0], "{word:?}");
    }
    assert_eq!(condition(&world, "HubTold").unwrap().message, "the Hub knows that it is started");
    assert_eq!(world.analysis.status.conditions[0].kind, "Ready");

    let mut world = World::new("");
    world.hub = Some(Word::NotSetUp);
    world.settle();
    assert_eq!(condition(&world, "HubTold"), None, "no Hub is named");
    assert_eq!(world.view().hub_news(), None);
}

#[test]
fn the_hub_is_to_know_phase_and_progress_and_an_end_that_it_knows_is_not_told_again() {
    let mut world = World::new(HUB);
    assert_eq!(world.view().hub_news(), None, "nothing has begun");
    world.settle();
    let news = world.view().hub_news().unwrap();
    assert_eq!((news.run, news.status, news.progress), (1, ProcessStatus::Started, 0));
    assert_eq!(news.gateway.map(|address| address.to_string()), Some("10.0.1.1".to_owned()));
    world.hub = Some(Word::Told(ProcessStatus::Started));
    world.settle();
    assert!(!world.view().hub_news().unwrap().is_known, "whoever runs is told again by who leads next");

    world.analysis.status.progress = 40;
    world.analysis.status.phase = Some(Phase::Stuck);
    let news = world.view().hub_news().unwrap();
    assert_eq!((news.status, news.progress, news.gateway), (ProcessStatus::Failed, 40, None));
    for (phase, told, known) in [
        (Phase::Executed, ProcessStatus::Executed, true),
        (Phase::Executed, ProcessStatus::Executing, false),
        (Phase::Failed, ProcessStatus::Failed, true),
        (Phase::Stopped, ProcessStatus::Stopped, true),
    ] {
        world.analysis.status.phase = Some(phase);
        world.hub = Some(Word::Told(told));
        world.settle();
        let news = world.view().hub_news().unwrap();
        assert_eq!((news.status, news.is_known), (ProcessStatus::of(phase), known), "{phase:?} {told:?}");
    }
    world.hub = Some(Word::NotTold(Outcome::Unavailable));
    world.settle();
    assert!(!world.view().hub_news().unwrap().is_known);

    // What is deleted ends as what is stopped, unless it had come to an end.
    world.analysis.deleting = true;
    for (phase, want) in [(Phase::Executing, ProcessStatus::Stopped), (Phase::Executed, ProcessStatus::Executed)] {
        world.analysis.status.phase = Some(phase);
        assert_eq!(world.view().hub_news().unwrap().status, want, "{phase:?}");
    }
}

#[test]
fn a_run_that_was_stopped_has_a_line_for_people() {
    let mut world = World::new(HUB);
    world.settle();
    assert_eq!(world.view().hub_news().unwrap().line, None);
    world.analysis.spec.state = WantedState::Stopped;
    world.settle();
    let line = world.view().hub_news().unwrap().line.unwrap();
    assert!(line.message.starts_with("[flame -- POAPI: ANALYSISSTOPPED -- 2026-11-21 12:00:00] "), "{}", line.message);
}

#[test]
fn without_keycloak_what_runs_goes_on_and_what_has_not_begun_waits() {
    let rest = |world: &World, trouble| TokenRest::after(world.token_rest.as_ref(), trouble, world.now);
    let mut world = World::new(TOKENS);
    let want: Vec<&str> = made()[..7].to_vec();
    (0..7).for_each(|_| world.step().unwrap());
    assert!(matches!(world.plan().0, Step::Token(_)));
    world.token_rest = Some(rest(&world, TokenTrouble::Unavailable));
    assert_eq!(world.settle(), [want, vec!["report Starting TokenMissing"]].concat(), "all but the analysis");
    assert_eq!(said(&world, "TokenFresh"), pair("False", "KeycloakUnavailable"));
    let until = world.token_rest.as_ref().unwrap().until;
    assert_eq!(world.plan(), (Step::Wait, Some(until)));
    world.now = until;
    assert_eq!(world.settle(), ["token", "write Deployment analysis-ID-1", "report Started Running"]);
    assert_eq!(said(&world, "TokenFresh"), pair("True", "Fresh"));
    world.token_rest = None;

    // Renewal fails for one that runs: it is judged by what it says all the same.
    world.now += SignedDuration::from_secs(61);
    assert!(matches!(world.plan().0, Step::Token(_)));
    world.token_rest = Some(rest(&world, TokenTrouble::SecretRefused));
    world.step();
    assert_eq!(said(&world, "TokenFresh"), pair("False", "SecretRefused"));
    world.analysis.reported = Some(crate::model::Report { run: 1, phase: Phase::Executed, progress: 100 });
    world.step();
    assert_eq!(world.analysis.status.phase, Some(Phase::Executed));
    assert_eq!(condition(&world, "TokenFresh"), None, "nobody renews what is over");
}

#[test]
fn what_is_deleted_says_that_it_waits_for_keycloak() {
    let mut world = World::new(TOKENS);
    world.settle();
    world.analysis.deleting = true;
    while !matches!(world.plan().0, Step::LetGo { has_client: true }) {
        world.step().unwrap();
    }
    for (trouble, reason) in [
        (TokenTrouble::Unavailable, "KeycloakUnavailable"),
        (TokenTrouble::Refused, "KeycloakRefused"),
        (TokenTrouble::NotSetUp, "KeycloakNotSetUp"),
    ] {
        let rest = TokenRest::after(None, trouble, world.now);
        let until = rest.until;
        world.token_rest = Some(rest);
        world.step().unwrap();
        assert_eq!(said(&world, "Ready"), pair("False", reason));
        assert_eq!(world.plan(), (Step::Wait, Some(until)), "it is held");
        world.now = until;
        assert_eq!(world.plan().0, Step::LetGo { has_client: true });
    }
}

#[test]
fn keycloak_is_asked_ever_later_and_at_least_each_half_minute() {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let mut rest = None;
    let pauses: Vec<i64> = (0..12)
        .map(|_| {
            let next = TokenRest::after(rest.as_ref(), TokenTrouble::Unavailable, now);
            let pause = next.until.duration_since(now).as_millis();
            rest = Some(next);
            i64::try_from(pause).unwrap()
        })
        .collect();
    assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000, 30000]);
}

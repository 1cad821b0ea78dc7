//! Every attack of `attacks/*.yaml`, done by a namespace's editor on a real API server: none succeeds.

use std::collections::BTreeSet;

use flamewarden::rules::{OBJECT_RULES, POD_RULES, REQUEST_RULES};
use futures::{StreamExt, stream};

use crate::flamewarden::{Guarded, guarded};
use crate::shared::run;

mod attempt;
mod catalogue;
mod makers;

use attempt::attempt_request;
use catalogue::{Attack, Expect, attacks};
use makers::{Maker, attempt_pod};

#[test]
fn every_row_of_the_threats_has_an_attack() {
    let tried: BTreeSet<String> = attacks().into_iter().map(|attack| attack.threat).collect();
    let listed: BTreeSet<String> = ROWS.lines().map(str::to_owned).collect();
    assert_eq!(tried, listed, "left: threats with an attack; right: threats.md 1.1 to 1.4");
}

#[test]
fn what_no_rule_stops_has_a_reason() {
    let silent = |attack: &Attack| attack.expect.reason().is_some_and(|reason| reason.trim().is_empty());
    assert_eq!(attacks().into_iter().find(silent).map(|attack| attack.id), None);
}

#[test]
fn attacks_name_rules_that_there_are() {
    let rules = rules_in_force();
    let unknown = |attack: &Attack| attack.expect.rule().is_some_and(|rule| !rules.contains(rule));
    assert_eq!(attacks().into_iter().find(unknown).map(|attack| attack.id), None);
}

#[test]
fn attacks_have_names_of_their_own() {
    let all = attacks();
    let names: BTreeSet<&str> = all.iter().map(|attack| attack.id.as_str()).collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn no_attack_succeeds() {
    run(async {
        let guarded = guarded().await;
        let (waiting, due): (Vec<Attack>, Vec<Attack>) =
            attacks().into_iter().partition(|attack| attack.awaits.is_some());
        let awaited: BTreeSet<&str> = waiting.iter().filter_map(|attack| attack.awaits.as_deref()).collect();
        println!("{} attacks; {} more wait for: {awaited:?}", due.len(), waiting.len());
        let attempts = due.iter().flat_map(|attack| ways(attack).map(move |way| (attack, way)));
        let outcomes = stream::iter(attempts)
            .map(|(attack, way)| async move {
                let outcome = attempt(guarded, attack, way).await;
                outcome.err().map(|problem| format!("{} {}: {problem}", attack.id, way.map_or("", Maker::name)))
            })
            .buffer_unordered(AT_ONCE);
        let all: Vec<Option<String>> = outcomes.collect().await;
        println!("{} attempts", all.len());
        let failures: Vec<String> = all.into_iter().flatten().collect();
        assert!(failures.is_empty(), "{} attempts went otherwise:\n{}", failures.len(), failures.join("\n"));
    });
}

/// The rules whose findings a webhook of this version can give.
fn rules_in_force() -> BTreeSet<&'static str> {
    let on_pods = POD_RULES.iter().map(|rule| rule.id);
    let on_requests = REQUEST_RULES.iter().chain(OBJECT_RULES).map(|rule| rule.id);
    on_pods.chain(on_requests).chain(["network-policy"]).collect()
}

/// The ways in which an attack is tried: by each maker of pods, or once.
fn ways(attack: &Attack) -> impl Iterator<Item = Option<Maker>> {
    let makers: &[Maker] = if makes_pod(attack) { &Maker::ALL } else { &[] };
    let once = makers.is_empty().then_some(None);
    makers.iter().copied().map(Some).chain(once)
}

fn makes_pod(attack: &Attack) -> bool {
    attack.pod.is_some() || attack.container.is_some()
}

async fn attempt(guarded: &Guarded, attack: &Attack, maker: Option<Maker>) -> Result<(), String> {
    match (maker, &attack.request) {
        (Some(maker), None) => attempt_pod(guarded, attack, maker).await,
        (None, Some(request)) => attempt_request(guarded, attack, request).await,
        // What admission never sees has nothing to try here; the row says who stops it.
        (None, None) if matches!(attack.expect, Expect::Invisible(_)) => Ok(()),
        _ => Err("the attack must have a pod or a request, and not both".to_owned()),
    }
}

const ROWS: &str = include_str!("attacks/rows.txt");
const AT_ONCE: usize = 24;

//! Every attack of `attacks/*.yaml`, done by a namespace's editor on a real API server: none succeeds. And what is good,
//! near to what each rule refuses: it all passes.

use std::collections::BTreeSet;

use flamewarden::rules::{OBJECT_RULES, POD_RULES, REQUEST_RULES};
use futures::{StreamExt, stream};

use crate::flamewarden::{Guarded, guarded};
use crate::shared::run;

mod attempt;
mod catalogue;
mod makers;

use attempt::attempt_request;
use catalogue::{Expect, Trial, attacks, good_ones};
use makers::{Maker, attempt_pod};

#[test]
fn every_row_of_the_threats_has_an_attack() {
    let tried: BTreeSet<String> = attacks().into_iter().map(|attack| attack.of).collect();
    let listed: BTreeSet<String> = ROWS.lines().map(str::to_owned).collect();
    assert_eq!(tried, listed, "left: threats with an attack; right: threats.md 1.1 to 1.4");
}

#[test]
fn what_no_rule_stops_has_a_reason() {
    let silent = |attack: &Trial| attack.expect.reason().is_some_and(|reason| reason.trim().is_empty());
    assert_eq!(attacks().into_iter().find(silent).map(|attack| attack.id), None);
}

#[test]
fn attacks_name_rules_that_there_are() {
    let rules = rules_in_force();
    let unknown = |attack: &Trial| attack.expect.rule().is_some_and(|rule| !rules.contains(rule));
    assert_eq!(attacks().into_iter().find(unknown).map(|attack| attack.id), None);
}

#[test]
fn trials_have_names_of_their_own() {
    let all = [attacks(), good_ones()].concat();
    let names: BTreeSet<&str> = all.iter().map(|trial| trial.id.as_str()).collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn every_rule_has_something_good_that_it_lets_through() {
    let shown: BTreeSet<String> = good_ones().into_iter().map(|good| good.of).collect();
    let rules: BTreeSet<String> = rules_in_force().into_iter().map(str::to_owned).collect();
    assert_eq!(shown, rules, "left: rules with something good; right: all rules");
}

#[test]
fn no_attack_succeeds() {
    run(async {
        let (waiting, due): (Vec<Trial>, Vec<Trial>) =
            attacks().into_iter().partition(|attack| attack.awaits.is_some());
        let awaited: BTreeSet<&str> = waiting.iter().filter_map(|attack| attack.awaits.as_deref()).collect();
        println!("{} attacks; {} more wait for: {awaited:?}", due.len(), waiting.len());
        println!("{} attempts", attempt_all(&due).await);
    });
}

#[test]
fn what_is_good_passes() {
    run(async { println!("{} attempts", attempt_all(&good_ones()).await) });
}

/// Tries all of them in all their ways, and says how many attempts that were.
async fn attempt_all(trials: &[Trial]) -> usize {
    let guarded = guarded().await;
    let attempts = trials.iter().flat_map(|trial| ways(trial).map(move |way| (trial, way)));
    let outcomes = stream::iter(attempts)
        .map(|(trial, way)| async move {
            let outcome = attempt(guarded, trial, way).await;
            outcome.err().map(|problem| format!("{} {}: {problem}", trial.id, way.map_or("", Maker::name)))
        })
        .buffer_unordered(AT_ONCE);
    let all: Vec<Option<String>> = outcomes.collect().await;
    let attempts = all.len();
    let failures: Vec<String> = all.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{} attempts went otherwise:\n{}", failures.len(), failures.join("\n"));
    attempts
}

/// The rules whose findings a webhook of this version can give.
fn rules_in_force() -> BTreeSet<&'static str> {
    let on_pods = POD_RULES.iter().map(|rule| rule.id);
    let on_requests = REQUEST_RULES.iter().chain(OBJECT_RULES).map(|rule| rule.id);
    on_pods.chain(on_requests).chain(["network-policy"]).collect()
}

/// The ways in which something is tried: by each maker of pods, or once.
fn ways(trial: &Trial) -> impl Iterator<Item = Option<Maker>> {
    let makers: &[Maker] = match trial.expect {
        _ if !makes_pod(trial) => &[],
        // A DaemonSet's pods name their node, so no guarded one is good.
        Expect::Stored { .. } => &Maker::OF_GOOD_PODS,
        _ => &Maker::ALL,
    };
    let once = makers.is_empty().then_some(None);
    makers.iter().copied().map(Some).chain(once)
}

fn makes_pod(trial: &Trial) -> bool {
    trial.pod.is_some() || trial.container.is_some()
}

async fn attempt(guarded: &Guarded, trial: &Trial, maker: Option<Maker>) -> Result<(), String> {
    match (maker, &trial.request) {
        (Some(maker), None) => attempt_pod(guarded, trial, maker).await,
        (None, Some(request)) => attempt_request(guarded, trial, request).await,
        // What admission never sees has nothing to try here; the row says who stops it.
        (None, None) if matches!(trial.expect, Expect::Invisible(_)) => Ok(()),
        _ => Err("there must be a pod or a request, and not both".to_owned()),
    }
}

const ROWS: &str = include_str!("attacks/rows.txt");
const AT_ONCE: usize = 24;

//! Every attack of `attacks/*.yaml`, done by a namespace's editor on a real API server: none succeeds. And what is good,
//! near to what each rule refuses: it all passes.

use std::collections::BTreeSet;

use flamewarden::rules::{OBJECT_RULES, POD_RULES, REQUEST_RULES};
use futures::{StreamExt, stream};

use crate::flamewarden::guarded;
use crate::foreign_kinds;
use crate::lab::Lab;
use crate::shared::run;

mod attempt;
mod catalogue;
mod field;
mod makers;

use attempt::attempt_request;
use catalogue::{Expect, Trial, attacks, good_ones, lab_attacks, shared_attacks};
use field::Scene;
use makers::{Maker, attempt_pod};

#[test]
fn every_row_of_the_threats_has_an_attack() {
    let tried: BTreeSet<String> = attacks().into_iter().map(|attack| attack.of).collect();
    let listed: BTreeSet<String> = ROWS.lines().map(str::to_owned).collect();
    assert_eq!(tried, listed, "left: threats with an attack; right: threats.md 1.1 to 1.4");
}

#[test]
fn what_no_rule_stops_has_a_reason() {
    let empty = |expect: &Expect| expect.reason().is_some_and(|reason| reason.trim().is_empty());
    let silent = |attack: &Trial| attack.expectations().any(empty);
    assert_eq!(attacks().into_iter().find(silent).map(|attack| attack.id), None);
}

#[test]
fn every_rule_stops_an_attack() {
    let attacks = attacks();
    let stopping: BTreeSet<&str> = attacks.iter().flat_map(Trial::expectations).filter_map(Expect::rule).collect();
    assert_eq!(stopping, rules_in_force(), "left: rules that stop an attack; right: all rules");
}

#[test]
fn enough_different_attacks_are_tried() {
    let different: BTreeSet<String> = attacks().iter().filter_map(Trial::substance).collect();
    println!("{} different attacks", different.len());
    assert!(different.len() >= 150, "{}", different.len());
}

#[test]
fn no_attack_is_by_somebody_whom_nothing_stops() {
    let masters = |attack: &Trial| {
        let by = attack.request.as_ref().and_then(|request| request.by.as_ref());
        by.is_some_and(|by| by.groups.iter().any(|group| group == "system:masters"))
    };
    assert_eq!(attacks().into_iter().find(masters).map(|attack| attack.id), None);
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
        let guarded = guarded().await;
        let scene = Scene { cluster: guarded.cluster, editor: &guarded.editor };
        println!("{} attempts", attempt_all(scene, &shared_attacks()).await);
    });
}

#[test]
fn no_attack_succeeds_where_policies_are_stricter_or_other_networks_have_theirs() {
    run(async {
        let lab = Lab::start().await;
        let editor = foreign_kinds::editor(&lab).await;
        foreign_kinds::define(&lab).await;
        lab.change_profile(&STRICTER).await;
        let scene = Scene { cluster: &lab.cluster, editor: &editor };
        println!("{} attempts", attempt_all(scene, &lab_attacks()).await);
    });
}

#[test]
fn what_is_good_passes() {
    run(async {
        let guarded = guarded().await;
        let scene = Scene { cluster: guarded.cluster, editor: &guarded.editor };
        println!("{} attempts", attempt_all(scene, &good_ones()).await);
    });
}

/// Tries all of them in all their ways, and says how many attempts that were.
async fn attempt_all(scene: Scene<'_>, trials: &[Trial]) -> usize {
    let attempts = trials.iter().flat_map(|trial| ways(trial).map(move |way| (trial, way)));
    let outcomes = stream::iter(attempts)
        .map(|(trial, way)| async move {
            let outcome = attempt(scene, trial, way).await;
            outcome.err().map(|problem| format!("{} {}: {problem}", trial.id, way.map_or("", Maker::name)))
        })
        .buffer_unordered(AT_ONCE);
    let all: Vec<Option<String>> = outcomes.collect().await;
    let attempts = all.len();
    let failures: Vec<String> = all.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{} attempts went otherwise:\n{}", failures.len(), failures.join("\n"));
    attempts
}

/// The rules whose findings a webhook with the shipped profiles can give: these do not ask for verdicts, so that
/// `image-scan` has none. What is tried against it stands in `tests/gate`.
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

async fn attempt(scene: Scene<'_>, trial: &Trial, maker: Option<Maker>) -> Result<(), String> {
    match (maker, &trial.request) {
        (Some(maker), None) => attempt_pod(scene, trial, maker).await,
        (None, Some(request)) => attempt_request(scene, trial, request).await,
        // What admission never sees has nothing to try here; the row says who stops it.
        (None, None) if matches!(trial.expect, Expect::Invisible(_)) => Ok(()),
        _ => Err("there must be a pod or a request, and not both".to_owned()),
    }
}

/// What the shipped profile of analyses leaves open.
const STRICTER: [(&str, &str); 3] = [
    ("digest: any", "digest: required"),
    ("readOnlyRootFilesystem: any", "readOnlyRootFilesystem: required"),
    ("userNamespace: any", "userNamespace: required"),
];
const ROWS: &str = include_str!("attacks/rows.txt");
const AT_ONCE: usize = 24;

//! Invariant I2, on random sets of policies, against a second and naive implementation.

use std::cell::Cell;
use std::collections::BTreeSet;

use flamewarden::isolation::{Direction, judge_policy, policy, reach, union_problems};
use flamewarden::model::{FieldPath, Json, PodView, parse};
use flamewarden::policy::PolicySet;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Value, json};

use crate::naive::{End, Labels, NAME, Opening, Way};
use crate::{OTHER_DNS, naive, policies, policies_with, random};

const SETS: u32 = 10_000;

#[test]
fn findings_are_exactly_what_would_let_an_analysis_reach_more_than_its_profile() {
    expect_exact(&policies(), shipped_dns, SETS);
}

#[test]
fn with_other_peers_for_dns_findings_are_just_as_exact() {
    expect_exact(&policies_with(OTHER_DNS), other_dns, SETS / 4);
}

#[test]
fn without_dns_findings_are_just_as_exact() {
    expect_exact(&policies_with("none"), |_, _| false, SETS / 10);
}

/// Whom a profile lets analyses ask for names, on which port.
type Resolves = fn(&End<'_>, (&str, i32)) -> bool;

fn expect_exact(set: &PolicySet, resolves: Resolves, sets: u32) {
    let world = random::world();
    let (good, bad) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: sets, failure_persistence: None, ..Config::default() });
    let pods = random::analyses();
    let cases = (prop::collection::vec(random::policy(), 0..3), 0..pods.len());
    let outcome = runner.run(&cases, |(policies, asked)| {
        let texts: Vec<String> = policies.iter().map(Value::to_string).collect();
        let read: Vec<Json<'_>> = texts.iter().map(|text| parse(text.as_bytes()).unwrap()).collect();
        let typed: Vec<NetworkPolicy> = policies.iter().map(typed).collect();
        let open: Vec<_> = typed.iter().map(|policy| naive::openings(policy, "flame", &world)).collect();
        let mut leaks = false;
        for app in random::APPS {
            let leaky: Vec<bool> =
                open.iter().map(|open| open.iter().any(|opening| leak(opening, app, resolves))).collect();
            for (place, pod) in pods.iter().enumerate().filter(|(_, pod)| pod["app"] == app) {
                let chosen: Vec<bool> = typed.iter().map(|policy| naive::is_for(policy, pod)).collect();
                leaks |= chosen.iter().zip(&leaky).any(|(chosen, leaky)| *chosen && *leaky);
                if place == asked {
                    let could_leak = could_leak(&typed, &leaky, pod, &pods);
                    let chosen = chosen.iter().zip(typed.iter().zip(&open)).filter(|(chosen, _)| **chosen);
                    let isolated =
                        chosen.clone().flat_map(|(_, (policy, _))| naive::ways(policy)).map(direction).collect();
                    let openings = chosen.map(|(_, (_, open))| open.len()).sum();
                    agrees_for_the_pod(&read, pod, set, could_leak, (isolated, openings))?;
                }
            }
        }
        let found: Vec<_> = read.iter().flat_map(|policy| judge_policy(policy, set)).collect();
        prop_assert_eq!(!found.is_empty(), leaks, "{:?}", found);
        let count = if leaks { &bad } else { &good };
        count.set(count.get() + 1);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    // The generator must make enough of both, or this says nothing.
    assert!(good.get() > sets / 5 && bad.get() > sets / 5, "{} without findings, {} with", good.get(), bad.get());
}

#[test]
fn our_own_policies_let_no_analysis_reach_more_than_its_profile() {
    let sets: [(PolicySet, usize, Resolves); 3] = [
        (policies(), 1, shipped_dns),
        (policies_with(OTHER_DNS), 3, other_dns),
        (policies_with("none"), 0, |_, _| false),
    ];
    for (set, resolvers, resolves) in sets {
        for app in random::APPS {
            expect_own(&set, app, resolvers, resolves);
        }
    }
}

fn expect_own(set: &PolicySet, app: &str, resolvers: usize, resolves: Resolves) {
    let world = random::world();
    let own = typed(&policy(app, "flame", &set.analysis, &set.gateway));
    let open = naive::openings(&own, "flame", &world);
    assert_eq!((naive::ways(&own), open.len()), (vec![Way::In, Way::Out], 2 + resolvers));
    let fits =
        |opening: &Opening<'_>| !opening.ends.is_empty() && !opening.ports.is_empty() && !leak(opening, app, resolves);
    assert!(open.iter().all(fits));
    for pod in random::analyses() {
        assert_eq!(naive::is_for(&own, &pod), pod["app"] == app, "{pod:?}");
    }
}

/// Whether a policy that leaks is for a pod, or for what it could become.
fn could_leak(policies: &[NetworkPolicy], leaky: &[bool], pod: &Labels, pods: &[Labels]) -> bool {
    let leaky = policies.iter().zip(leaky).filter(|(_, leaky)| **leaky);
    let mut chosen = leaky.flat_map(|(policy, _)| pods.iter().filter(|later| naive::is_for(policy, later)));
    chosen.any(|later| becomes(pod, later))
}

/// Whether a pod could have these labels later: another zone, or one where it has none.
fn becomes(pod: &Labels, later: &Labels) -> bool {
    let same = |key: &str| pod.get(key) == later.get(key);
    same("app") && same(random::HASH) && (same(random::ZONE) || later.contains_key(random::ZONE))
}

/// The union of one very pod, as the guard and the reports ask for it.
fn agrees_for_the_pod(
    others: &[Json<'_>],
    labels: &Labels,
    set: &PolicySet,
    leaks: bool,
    (isolated, openings): (BTreeSet<Direction>, usize),
) -> Result<(), TestCaseError> {
    let pod = json!({"metadata": {"namespace": "flame", "labels": labels}}).to_string();
    let pod = parse(pod.as_bytes()).unwrap();
    let pod = PodView::new(&pod, FieldPath::default());
    let reach = reach(others, &pod);
    prop_assert_eq!((reach.isolated, reach.openings.len()), (isolated, openings));
    let own = policy(&labels["app"], "flame", &set.analysis, &set.gateway).to_string();
    let all: Vec<Json<'_>> = others.iter().cloned().chain([parse(own.as_bytes()).unwrap()]).collect();
    let problems = union_problems(&all, &pod, set);
    prop_assert_eq!(!problems.is_empty(), leaks, "{:?} {:?}", labels, problems);
    Ok(())
}

fn typed(policy: &Value) -> NetworkPolicy {
    serde_json::from_value(policy.clone()).unwrap()
}

fn direction(way: Way) -> Direction {
    match way {
        Way::In => Direction::Ingress,
        Way::Out => Direction::Egress,
    }
}

/// Whether an opening lets something through that the profile does not allow to the analysis.
fn leak(opening: &Opening<'_>, app: &str, resolves: Resolves) -> bool {
    let forbidden = |end: &End<'_>, port: &(&'static str, i32)| !is_allowed(opening.way, end, *port, app, resolves);
    opening.ends.iter().any(|end| opening.ports.iter().any(|port| forbidden(end, port)))
}

/// I2, for the shipped profile and those that differ in DNS.
fn is_allowed(way: Way, end: &End<'_>, port: (&str, i32), app: &str, resolves: Resolves) -> bool {
    let gateway = match end {
        End::Pod { namespace, labels } => is(namespace, NAME, "flame") && is(labels, "app", &format!("nginx-{app}")),
        End::Address(_) => false,
    };
    match way {
        Way::In => gateway && port == ("TCP", 8000),
        Way::Out => gateway && [("TCP", 80), ("TCP", 8080)].contains(&port) || resolves(end, port),
    }
}

fn is(labels: &Labels, key: &str, value: &str) -> bool {
    labels.get(key).is_some_and(|one| one == value)
}

fn shipped_dns(end: &End<'_>, port: (&str, i32)) -> bool {
    let End::Pod { namespace, labels } = end else { return false };
    is(namespace, NAME, "kube-system")
        && is(labels, "k8s-app", "kube-dns")
        && [("TCP", 53), ("UDP", 53)].contains(&port)
}

/// [`OTHER_DNS`], said once more.
fn other_dns(end: &End<'_>, port: (&str, i32)) -> bool {
    match end {
        End::Pod { namespace, labels } => {
            let there = is(namespace, NAME, "lab") && is(labels, "k8s-app", "kube-dns") && is(labels, "x", "1");
            there && [("TCP", 5353), ("UDP", 5353)].contains(&port)
        }
        End::Address(address) => {
            let known = ["169.254.20.10", "fd00::a"].contains(&address.to_string().as_str());
            known && [("TCP", 53), ("UDP", 53)].contains(&port)
        }
    }
}

//! Load and faults on a real API server that reaches two replicas by their Service: `tests/soak` runs the full numbers.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    reason = "a test made of the cluster tests' parts, which uses some of them"
)]

mod audited_test;
mod authority_change;
mod by_service;
mod caller;
mod cert_manager;
mod control_plane;
mod flamewarden;
mod installed;
mod interleaved;
mod judged_test;
mod kubelet;
mod mounted_secret;
mod open_reports;
mod part;
mod pki;
mod recording;
mod removed;
mod repair;
mod scanned;
mod shared;
mod steady;
mod stored;
mod ways;

use std::path::PathBuf;
use std::time::Duration;

use ::flamewarden::policy::ALSO;
use serde_json::{Value, json};

use crate::authority_change::change_authority;
use crate::by_service::{ByService, NAMESPACE, by_service};
use crate::caller::Caller;
use crate::flamewarden::{good_analysis, policy_files, program};
use crate::shared::{PATIENCE, run, wait_until};
use crate::steady::Steady;

/// How much is done: a short form for every change, and the full numbers where `FLAMEWARDEN_SOAK` is set.
struct Numbers {
    renewals: usize,
    replacements: u16,
    kills: usize,
    /// Calls between two events.
    between: usize,
    /// Creates a second that must have been reached; none where the build is one for debugging.
    rate: Option<f64>,
    /// Pairs of a wide policy and a pod.
    rounds: usize,
    /// How long a replica that is told to stop may still take; none where its end is not waited for.
    drained: Option<Duration>,
    /// Whether the way to other policies is gone back too.
    back: bool,
}

const SHORT: Numbers = Numbers {
    renewals: 2,
    replacements: 6,
    kills: 10,
    between: 200,
    rate: None,
    rounds: 20,
    drained: None,
    back: false,
};
const FULL: Numbers = Numbers {
    renewals: 3,
    replacements: 10,
    kills: 50,
    between: 2000,
    rate: Some(0.95 * CREATES_A_SECOND as f64),
    rounds: 200,
    drained: Some(Duration::from_secs(120)),
    back: true,
};

fn numbers() -> Numbers {
    if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { FULL } else { SHORT }
}

#[test]
fn no_call_fails_through_renewals_and_replacements() {
    run(async {
        let (cluster, numbers) = (by_service().await, numbers());
        let mut replicas = cluster.replicas.lock().await;
        let mut callers = Vec::new();
        for _ in 0..CALLERS {
            callers.push(cluster.plane.caller("editor", None).await);
        }
        let steady = Steady::begin(CREATES_A_SECOND, move |number| dry_run(callers[number % CALLERS].clone(), number));
        let mut leaving = Vec::new();
        let (mut renewals, mut number) = (0, 100);
        for replacement in 0..numbers.replacements {
            if renewals < numbers.renewals && replacement % 3 == 1 {
                // The first is the authority's, with all that it brings; the others are the certificate's.
                match renewals {
                    0 => change_authority(cluster, &replicas).await,
                    _ => cluster.renew(&replicas).await,
                }
                renewals += 1;
                steady.go_on(numbers.between).await;
            }
            number += 1;
            let new = cluster.replica(number).await;
            let mut old = replicas.remove(0);
            replicas.push(new);
            // Kubernetes does both at the same time; the signal is on its way while the API server is told.
            old.part.signal("TERM");
            cluster.take_out(&old).await;
            old.unready().await;
            steady.go_on(numbers.between).await;
            cluster.forget(&old).await;
            leaving.push(old);
        }
        if let Some(drained) = numbers.drained {
            for old in &mut leaving {
                let status = wait_until("the old replica has drained", drained, async || old.part.ended()).await;
                assert!(status.success(), "{status}:\n{}", old.part.log_tail());
            }
        }
        let tally = steady.end().await;
        println!(
            "{} creates ({:.0} a second, two reviews each), {} renewals, {} replacements: p50 {:?}, p99 {:?}, failed {:?}",
            tally.calls, tally.rate, renewals, numbers.replacements, tally.p50, tally.p99, tally.failed,
        );
        assert_eq!((renewals, tally.failed.len()), (numbers.renewals, 0), "{:?}", tally.failed);
        assert!(numbers.rate.is_none_or(|rate| tally.rate >= rate), "only {:.0} creates a second", tally.rate);
    });
}

/// Step by step from one set of policies to another, and in the long form back. Where `FLAMEWARDEN_FORMER` names the program of another
/// version, the older set is that version's, without the steps between, which it may not know.
#[test]
fn no_call_fails_on_the_way_to_other_policies_and_back() {
    run(async {
        let (cluster, numbers) = (by_service().await, numbers());
        let mut replicas = cluster.replicas.lock().await;
        let (way, first) = (way(cluster), (program(), "policies"));
        let callers = [cluster.plane.caller("editor", None).await, cluster.plane.caller("editor", None).await];
        let everybody = callers.clone();
        let steady = Steady::begin(CREATES_A_SECOND, move |number| dry_run(callers[number % 2].clone(), number));
        let mut number = 200;
        let back = way.iter().rev().skip(1).chain([&first]).take(if numbers.back { way.len() } else { 0 });
        for (program, policies) in way.iter().chain(back) {
            let mut leaving = Vec::new();
            for _ in 0..replicas.len() {
                number += 1;
                let new = cluster.replica_with(number, program, policies, &["--linger=1s"]).await;
                let mut old = replicas.remove(0);
                replicas.push(new);
                old.part.signal("TERM");
                cluster.take_out(&old).await;
                old.unready().await;
                steady.go_on(numbers.between / 4).await;
                cluster.forget(&old).await;
                leaving.push(old);
            }
            // The next step is for when nobody of the last but one answers any more. A resting connection ends with its
            // next answer, so many calls at a time end them all.
            wait_until("the former replicas have ended", PATIENCE, async || {
                let calls = (0..AT_ONCE).map(|number| dry_run(everybody[number % 2].clone(), number));
                for answer in futures::future::join_all(calls).await {
                    assert_eq!(answer, Ok(()), "on the way to {policies}");
                }
                leaving.iter_mut().all(|old| old.part.ended().is_some()).then_some(())
            })
            .await;
        }
        let tally = steady.end().await;
        println!("{} creates, {} replacements, failed {:?}", tally.calls, number - 200, tally.failed);
        for old in replicas.drain(..) {
            cluster.forget(&old).await;
        }
        for number in 1..=2 {
            replicas.push(cluster.replica(number).await);
        }
        assert_eq!(tally.failed.len(), 0, "{:?}", tally.failed);
    });
}

/// The programs and their policies, one after the other.
fn way(cluster: &ByService) -> Vec<(PathBuf, &'static str)> {
    if let Some(former) = std::env::var_os("FLAMEWARDEN_FORMER") {
        return vec![(PathBuf::from(former), "policies"), (program(), "policies")];
    }
    let (older, mut newer) = (policy_files(&[]), policy_files(&[]));
    for (from, to) in [
        ("limits: {cpu: \"2\", memory: 4Gi,", "limits: {cpu: \"2\", memory: 1Gi,"),
        ("maximum: {cpu: \"8\", memory: 32Gi,", "maximum: {cpu: \"8\", memory: 2Gi,"),
        ("readOnlyRootFilesystem: any", "readOnlyRootFilesystem: required"),
        ("graceMaximum: 30", "graceMaximum: 10"),
    ] {
        assert!(newer[0].1.contains(from), "the profile says {from}");
        newer[0].1 = newer[0].1.replace(from, to);
    }
    let also = |files: &[(String, String)]| -> Vec<(String, String)> {
        files.iter().map(|(name, text)| (format!("{ALSO}{name}"), text.clone())).collect()
    };
    cluster.add_policies("older-newer-too", &[older.clone(), also(&newer)].concat());
    cluster.add_policies("newer-older-too", &[newer.clone(), also(&older)].concat());
    cluster.add_policies("newer", &newer);
    ["older-newer-too", "newer-older-too", "newer"].map(|policies| (program(), policies)).into()
}

#[test]
fn kills_under_load_admit_nothing_wrong() {
    run(async {
        let (cluster, numbers) = (by_service().await, numbers());
        let mut replicas = cluster.replicas.lock().await;
        let caller = cluster.plane.caller("editor", None).await;
        let steady = Steady::begin(STORED_A_SECOND, move |number| stored(caller.clone(), number));
        let mut slowest = Duration::ZERO;
        for kill in 0..numbers.kills {
            slowest = slowest.max(replicas[kill % 2].killed().await);
            steady.go_on(STORED_A_SECOND as usize / 2).await;
        }
        let tally = steady.end().await;
        let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods");
        let list = cluster.admin.get(&pods).await.unwrap();
        let wrong: Vec<&Value> = list["items"].as_array().unwrap().iter().filter(|pod| !is_right(pod)).collect();
        println!(
            "{} creates, {} pods stored, {} kills: ready again after {slowest:?} at most; said besides yes: {:?}",
            tally.calls,
            list["items"].as_array().unwrap().len(),
            numbers.kills,
            tally.failed,
        );
        assert_eq!(wrong, Vec::<&Value>::new());
        let refused = tally.failed.iter().filter(|(said, _)| said.starts_with("bad pod refused by judgement"));
        assert!(refused.count() > 0 && !list["items"].as_array().unwrap().is_empty(), "nothing was tried");
        assert!(slowest < READY, "ready again only after {slowest:?}");
        cluster.admin.delete(&pods, None).await.unwrap();
    });
}

async fn dry_run(caller: Caller, number: usize) -> Result<(), String> {
    let pod = named(good_analysis(&format!("load-{number}")), &format!("load-{number}"));
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All");
    let stored = caller.create(&path, &pod).await.map_err(|refusal| refusal.message)?;
    if is_right(&stored) { Ok(()) } else { Err(format!("unmended: {stored}")) }
}

/// Every second pod asks for the host's network and must be refused, whatever answers or does not.
async fn stored(caller: Caller, number: usize) -> Result<(), String> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    let mut pod = named(good_analysis(&format!("kill-{number}")), &format!("kill-{number}"));
    if number.is_multiple_of(2) {
        return caller.create(&path, &pod).await.map(|_| ()).map_err(|refusal| shape(&refusal.message));
    }
    pod["spec"]["hostNetwork"] = json!(true);
    match caller.create(&path, &pod).await {
        Ok(_) => Ok(()),
        Err(refusal) if refusal.message.contains("host-namespaces") => Err("bad pod refused by judgement".to_owned()),
        Err(refusal) => Err(shape(&refusal.message)),
    }
}

/// A message without addresses, which differ each time.
fn shape(message: &str) -> String {
    message.split(['\n', '?']).next().unwrap_or_default().chars().take(120).collect()
}

fn named(mut pod: Value, name: &str) -> Value {
    pod["metadata"]["name"] = json!(name);
    pod
}

/// Whether a pod bears what the mutating side gives it, and nothing that is refused.
fn is_right(pod: &Value) -> bool {
    let spec = &pod["spec"];
    let gates = json!([{"name": "flamewarden.dev/network-policy"}]);
    let dropped = &spec["containers"][0]["securityContext"]["capabilities"]["drop"];
    spec["schedulingGates"] == gates && *dropped == json!(["ALL"]) && spec["hostNetwork"] != json!(true)
}

/// Each is answered by the mutating and the validating side: 200 reviews a second.
const CREATES_A_SECOND: u32 = 100;
const STORED_A_SECOND: u32 = 20;
const CALLERS: usize = 4;
const AT_ONCE: usize = 48;
const READY: Duration = Duration::from_secs(1);

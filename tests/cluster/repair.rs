//! Who edits or deletes an isolation policy is undone within two seconds.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::by_service::by_service;
use crate::caller::{Caller, PatchKind};
use crate::flamewarden::{CONTROLLER, good_analysis};
use crate::shared::{PATIENCE, run, wait_until};

/// While nothing else goes on; `facts_test.rs` asks for it after faults.
#[test]
fn an_edited_or_deleted_policy_is_put_right_within_two_seconds() {
    run(async {
        let cluster = by_service().await;
        // Nobody replaces or kills replicas meanwhile.
        let _calm = cluster.replicas.lock().await;
        let mut slowest = Duration::ZERO;
        for damage in DAMAGES {
            let policy = start(&cluster.admin, damage).await;
            // Nobody else gets this far; the guard's own identity stands for whoever found a way.
            let somebody = cluster.plane.caller(CONTROLLER, None).await;
            let mut times = Vec::new();
            for _ in 0..ROUNDS {
                let before = cluster.admin.get(&policy).await.unwrap();
                damage.done_to(&policy, &somebody).await;
                let begun = Instant::now();
                wait_until(&format!("{damage:?} is put right"), PATIENCE, async || {
                    let now = cluster.admin.get(&policy).await.ok()?;
                    damage.is_undone(&before, &now).then_some(())
                })
                .await;
                times.push(begun.elapsed());
            }
            println!("{damage:?} policies put right after {times:?}");
            slowest = slowest.max(times.into_iter().max().unwrap());
        }
        assert!(slowest < REPAIR, "a policy was put right only after {slowest:?}");
    });
}

/// What is done to a policy.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Widened,
    /// It has neither labels nor finalizer any more.
    Stripped,
    Deleted,
    /// Its finalizer is taken first, so that it goes at once.
    TornOut,
}

const DAMAGES: [Damage; 4] = [Damage::Widened, Damage::Stripped, Damage::Deleted, Damage::TornOut];

impl Damage {
    async fn done_to(self, policy: &str, somebody: &Caller) {
        let stripped = json!({"metadata": {"finalizers": null, "labels": null}});
        match self {
            Damage::Widened => {
                let wide = json!({"spec": {"egress": [{}]}});
                somebody.patch(policy, PatchKind::Merge, &wide).await.unwrap();
            }
            Damage::Stripped => {
                somebody.patch(policy, PatchKind::Merge, &stripped).await.unwrap();
            }
            Damage::Deleted => {
                somebody.delete(policy, None).await.unwrap();
            }
            Damage::TornOut => {
                // The guard may put the finalizer back in between; then the policy is on its way out, as above.
                somebody.patch(policy, PatchKind::Merge, &stripped).await.unwrap();
                somebody.delete(policy, None).await.unwrap();
            }
        }
    }

    /// Whether the policy is there as it was: the same one after an edit, another after a deletion.
    fn is_undone(self, before: &Value, now: &Value) -> bool {
        let kept = |policy: &Value| {
            let metadata = &policy["metadata"];
            json!([policy["spec"], metadata["labels"], metadata["finalizers"], metadata["deletionTimestamp"]])
        };
        let same = now["metadata"]["uid"] == before["metadata"]["uid"];
        kept(now) == kept(before) && same == matches!(self, Damage::Widened | Damage::Stripped)
    }
}

/// An analysis of its own for each sort of damage; gives its policy's path.
async fn start(admin: &Caller, damage: Damage) -> String {
    let id = format!("repair-{}", format!("{damage:?}").to_lowercase());
    let mut pod = good_analysis(&id);
    pod["metadata"]["name"] = json!(id);
    let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    admin.create(&pods, &pod).await.unwrap();
    wait_until("the gate is lifted", PATIENCE, async || {
        admin.get(&format!("{pods}/{id}")).await.ok()?["spec"]["schedulingGates"].is_null().then_some(())
    })
    .await;
    format!("/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/flamewarden-analysis-{id}")
}

/// Guarded and attended, and no other test's.
const NAMESPACE: &str = "flame-bulk";
const ROUNDS: usize = 5;
const REPAIR: Duration = Duration::from_secs(2);

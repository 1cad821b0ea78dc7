//! Many analyses with a token each end by one `/po/cleanup/all`, and nothing of them is left anywhere.

use std::collections::BTreeSet;
use std::time::Instant;

use futures::future::join_all;
use serde_json::Value;

use crate::cleanup_test::{clients, made, ready};
use crate::installed::installed;
use crate::shared::{self, PATIENCE, wait_until};

/// At one time; in `tests/soak` there are 200.
const ANALYSES: usize = 20;

#[test]
fn one_cleanup_ends_many_analyses_with_their_clients_and_leaves_nothing() {
    shared::run(async {
        let (installed, _turn) = installed().await;
        let token = installed.administrator().await;
        let analyses = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { ANALYSES * 10 } else { ANALYSES };
        let ids: BTreeSet<String> =
            (0..analyses).map(|number| format!("66666666-0000-4000-8000-1{number:011}")).collect();
        let before = clients(installed).await;
        let begun = Instant::now();
        join_all(ids.iter().map(|id| made(installed, &token, id))).await;
        // One after the other: hundreds who ask all the time take the cores that the analyses are made on.
        for id in &ids {
            ready(installed, id).await;
        }
        println!("{analyses} analyses with clients of their own run after {:?}", begun.elapsed());
        let made: BTreeSet<String> = clients(installed).await.difference(&before).cloned().collect();
        assert_eq!(made, ids, "each has a client");

        // A token has a few minutes, and many analyses take some.
        let token = installed.administrator().await;
        let (status, said) = installed.ask(&token, "DELETE", "/po/cleanup/all", None).await;
        let count = format!("Deleted {analyses} analysis deployments");
        assert!(status == 200 && said["all"].as_str().is_some_and(|said| said.starts_with(&count)), "{said}");
        wait_until("all are gone", PATIENCE * 4, async || installed.objects("analyses").await.is_empty().then_some(()))
            .await;
        installed.empty().await;
        let left = |object: &Value| ids.iter().any(|id| object.to_string().contains(id.as_str()));
        for resource in ["configmaps", "secrets", "services", "deployments", "pods", "networkpolicies"] {
            wait_until(&format!("no {resource} are left"), PATIENCE, async || {
                (!installed.objects(resource).await.iter().any(left)).then_some(())
            })
            .await;
        }
        assert_eq!(clients(installed).await, before);
    });
}

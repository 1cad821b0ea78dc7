//! Edge: parts that stand and fall together: the first that ends before its time has all others end in order.

use anyhow::{Context, anyhow};
use tokio::task::JoinSet;

use crate::serve::Drain;

/// Waits until every part has ended. One that fails, breaks off or ends although no drain has begun begins the drain.
///
/// # Errors
/// The first that did.
pub(super) async fn all_ended(mut parts: JoinSet<anyhow::Result<()>>, drain: &Drain) -> anyhow::Result<()> {
    let mut all = Ok(());
    while let Some(ended) = parts.join_next().await {
        let early = if drain.has_begun() { Ok(()) } else { Err(anyhow!("a part ended by itself")) };
        let ended = ended.context("a part broke off").and_then(|done| done.and(early));
        if let Err(problem) = &ended {
            tracing::error!(problem = %format!("{problem:#}"), "serving ends");
            drain.begin();
        }
        all = all.and(ended);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panics() -> anyhow::Result<()> {
        panic!("a part has a fault")
    }

    #[tokio::test]
    async fn a_part_that_ends_before_its_time_ends_the_others_and_is_a_failure() {
        let ends = || Ok(());
        let fails = || Err(anyhow!("no API server"));
        for (part, want) in [
            (panics as fn() -> anyhow::Result<()>, "a part broke off"),
            (fails, "no API server"),
            (ends, "a part ended by itself"),
        ] {
            let drain = Drain::default();
            let mut parts = JoinSet::new();
            let other = drain.clone();
            parts.spawn(async move {
                other.begun().await;
                Ok(())
            });
            parts.spawn(async move { part() });
            let told = all_ended(parts, &drain).await.map_err(|problem| problem.to_string());
            assert_eq!(told, Err(want.to_owned()));
        }
    }

    #[tokio::test]
    async fn parts_that_end_in_a_drain_are_no_failure() {
        let drain = Drain::default();
        let mut parts = JoinSet::new();
        for _ in 0..2 {
            let drain = drain.clone();
            parts.spawn(async move {
                drain.begun().await;
                Ok(())
            });
        }
        drain.begin();
        assert!(all_ended(parts, &drain).await.is_ok());
    }
}

//! How long it takes from an Analysis to its whole bundle, and how much of that the API server takes. Prints what it
//! measures (`--nocapture`); `tests/soak` has the numbers of a release build.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::faulty::Write;
use crate::flamewarden::{CRASH, guarded};
use crate::instance::{Instance, TURN};
use crate::node::{IMAGE, Node};
use crate::shared::{PATIENCE, run, wait_until};

/// One after the other, and at once; in `tests/soak` five times as many.
const ANALYSES: usize = 20;

#[test]
fn a_bundle_is_whole_soon_after_it_was_asked_for() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let instance = Instance::start(&node, None).await;
        let analyses = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { ANALYSES * 5 } else { ANALYSES };
        let ids: Vec<String> =
            (0..2 * analyses).map(|number| format!("99999999-0000-4000-8000-{number:012}")).collect();
        let (alone, together) = ids.split_at(analyses);
        for id in &ids {
            node.secrets(id).await;
        }
        let mut taken = Vec::new();
        for id in alone {
            taken.push(bundle(&node, &instance, id).await);
        }
        tell("one after the other", &mut taken);
        let begun = Instant::now();
        let mut taken = join_all(together.iter().map(|id| bundle(&node, &instance, id))).await;
        tell(&format!("{analyses} at once, all whole after {:?}", begun.elapsed()), &mut taken);
        for id in &ids {
            node.creator.delete(&node.at("analyses", id), None).await.unwrap();
        }
        for id in &ids {
            node.guarded.cluster.gone(&node.at("analyses", id)).await;
        }
    });
}

/// Times of one bundle.
struct Taken {
    /// From the request to the answer to its last write.
    whole: Duration,
    /// Of that, what the API server took for the writes that make it.
    server: Duration,
}

async fn bundle(node: &Node, instance: &Instance, id: &str) -> Taken {
    let begun = Instant::now();
    node.analysis(id, IMAGE).await;
    let last = format!("/deployments/analysis-{id}-1");
    let ended = wait_until("the analysis's Deployment is written", PATIENCE, async || {
        let writes = instance.way.writes();
        writes.iter().find(|write| write.what.ends_with(&last)).and_then(|write| write.answered)
    })
    .await;
    let writes = instance.way.writes();
    let of_it = writes.iter().filter(|write| write.what.contains(id) && write.came < ended);
    Taken { whole: ended - begun, server: of_it.filter_map(took).sum() }
}

fn took(write: &Write) -> Option<Duration> {
    Some(write.answered? - write.came)
}

#[expect(clippy::print_stdout, reason = "it is what is measured")]
fn tell(how: &str, taken: &mut [Taken]) {
    taken.sort_by_key(|taken| taken.whole);
    let (median, last) = (&taken[taken.len() / 2], &taken[taken.len() - 1]);
    println!(
        "bundles, {how}: whole after {:?} (median; {:?} at most), of that {:?} in the API server",
        median.whole, last.whole, median.server
    );
}

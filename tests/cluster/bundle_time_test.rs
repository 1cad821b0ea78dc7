//! How long it takes from a create request to the whole bundle, and how much of that the API server takes. Prints what it
//! measures (`--nocapture`); `tests/soak` has the numbers of a release build.

use std::time::{Duration, Instant};

use flamewarden::orchestrator::OutsideFiles;
use futures::future::join_all;

use crate::faulty::{Faulty, Write};
use crate::flamewarden::realm::Realm;
use crate::flamewarden::{CRASH, MADE, guarded, policy_files, with_api};
use crate::instance::{Instance, TURN, connected, way};
use crate::node::Node;
use crate::po::request;
use crate::served::Served;
use crate::shared::{PATIENCE, run, wait_until};

/// One after the other, and at once; in `tests/soak` five times as many.
const ANALYSES: usize = 20;

#[test]
fn a_bundle_is_whole_soon_after_it_was_asked_for() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let asked = Asked::of(&node).await;
        let analyses = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { ANALYSES * 5 } else { ANALYSES };
        let ids: Vec<String> =
            (0..2 * analyses).map(|number| format!("99999999-0000-4000-8000-{number:012}")).collect();
        let (alone, together) = ids.split_at(analyses);
        let mut taken = Vec::new();
        for id in alone {
            taken.push(asked.bundle(id, true).await);
        }
        tell("one after the other", &mut taken);
        let begun = Instant::now();
        let mut taken = join_all(together.iter().map(|id| asked.bundle(id, false))).await;
        tell(&format!("{analyses} at once, all whole after {:?}", begun.elapsed()), &mut taken);
        for id in &ids {
            node.creator.delete(&node.at("analyses", id), None).await.unwrap();
        }
        for id in &ids {
            node.guarded.cluster.gone(&node.at("analyses", id)).await;
        }
        asked.served.stopped().await;
    });
}

/// Who is asked and who makes it, each with a way of its own to the API server.
struct Asked {
    served: Served,
    way: Faulty,
    instance: Instance,
}

/// Times of one bundle.
struct Taken {
    /// From the create request to the answer to its last write.
    whole: Duration,
    /// Of that, what the API server took for the writes that make it; of several at once, without the write of the
    /// Analysis, in whose path no id stands.
    server: Duration,
}

impl Asked {
    async fn of(node: &Node) -> Asked {
        let way = way(node).await;
        let cluster = connected(&way, "test").await;
        let mut files = with_api(policy_files(&[]), &Realm::of_tests());
        files.iter_mut().filter(|(name, _)| name == "orchestrator.yaml").for_each(|(_, text)| {
            *text = text.replace(MADE, CRASH);
        });
        let served = Served::start(node.guarded, cluster, &files, OutsideFiles::default()).await;
        Asked { served, way, instance: Instance::start(node, None).await }
    }

    async fn bundle(&self, id: &str, is_alone: bool) -> Taken {
        let begun = Instant::now();
        assert_eq!(self.served.api.ask("POST", "/po", Some(&request(id))).await.0, 201);
        let last = format!("/deployments/analysis-{id}-1");
        let ended = wait_until("the analysis's Deployment is written", PATIENCE, async || {
            let writes = self.instance.way.writes();
            writes.iter().find(|write| write.what.ends_with(&last)).and_then(|write| write.answered)
        })
        .await;
        let writes = self.instance.way.writes().into_iter().chain(self.way.writes());
        let within = |write: &Write| (begun..ended).contains(&write.came);
        let of_it = |write: &Write| write.what.contains(id) || is_alone && write.what.ends_with("/analyses");
        let of_it = writes.filter(|write| within(write) && of_it(write));
        Taken { whole: ended - begun, server: of_it.filter_map(|write| took(&write)).sum() }
    }
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

//! Edge: the watches of Analyses, of what belongs to them, and of the node's Services.

use std::collections::BTreeSet;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::cluster::{self, Change, Cluster, FEW_BYTES, Interest, Kind};
use crate::model::{Keep, labels};
use crate::policy::Orchestrator;

/// Who an object is and to whom it belongs, and these members besides. Of labels and annotations only our own are kept: how
/// many there are and how long is for others to decide, and what is too long is cut off.
macro_rules! kept {
    ($($($member:literal),+);*) => {
        &[
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "uid"],
            &["metadata", "resourceVersion"],
            &["metadata", "deletionTimestamp"],
            &["metadata", "ownerReferences"],
            &["metadata", "labels", labels::APP],
            &["metadata", "labels", labels::COMPONENT],
            &["metadata", "labels", labels::ANALYSIS],
            &["metadata", "labels", "app.kubernetes.io/managed-by"],
            &["metadata", "annotations", labels::RENEW_TOKEN],
            $(&[$($member),+]),*
        ]
    };
}

/// What is watched, and what comes of it.
pub(super) struct Watches {
    lists: BTreeSet<(Kind, String)>,
    news: mpsc::Receiver<News>,
    /// Says that the Analyses were seen whole.
    rest: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

/// One change, of which kind and in which namespace.
pub(super) type News = (Kind, String, Change);

impl Watches {
    /// Begins to watch everything that these settings need.
    pub(super) fn of(cluster: &Cluster, settings: &Orchestrator) -> Self {
        let (sender, news) = mpsc::channel(BACKLOG);
        let (rest, begins) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut lists = BTreeSet::new();
        // Of objects it is known only by their Analyses how much of them is to be held.
        let mut follow = |kind: Kind, namespace: &str, selector: &str, keep: Keep| {
            if lists.insert((kind, namespace.to_owned())) {
                let interest = Interest { selector: selector.to_owned(), keep, most: FEW_BYTES };
                let watched = cluster::watch(cluster.clone(), kind, namespace.to_owned(), interest, sender.clone());
                tasks.spawn(begun(begins.clone(), kind == Kind::Analysis, watched));
            }
        };
        let namespace = &settings.namespace;
        follow(Kind::Analysis, namespace, "", &[&[]]);
        follow(Kind::ConfigMap, namespace, labels::ANALYSIS, kept!["data"]);
        follow(Kind::Deployment, namespace, labels::ANALYSIS, kept!["spec"; "status", "availableReplicas"]);
        follow(Kind::NetworkPolicy, namespace, "app.kubernetes.io/managed-by=flamewarden", kept!["spec"]);
        // What a Secret holds is nobody's business here.
        follow(Kind::Secret, namespace, labels::ANALYSIS, kept![]);
        follow(Kind::Pod, namespace, labels::ANALYSIS, kept![]);
        let elsewhere = settings.upstreams.each().into_values().filter_map(|upstream| upstream.namespace.as_ref());
        for namespace in elsewhere.chain([namespace]) {
            follow(Kind::Service, namespace, "", kept!["spec"]);
        }
        Watches { lists, news, rest, _tasks: tasks }
    }

    /// What must have been seen whole before anything is done: what is not known may be there.
    pub(super) fn lists(&self) -> &BTreeSet<(Kind, String)> {
        &self.lists
    }

    /// The list that all the others wait for.
    pub(super) fn first(&self) -> impl Iterator<Item = &(Kind, String)> {
        self.lists.iter().filter(|(kind, _)| *kind == Kind::Analysis)
    }

    /// Begins what waits for it.
    pub(super) fn begin_rest(&self) {
        self.rest.send_if_modified(|begins| !std::mem::replace(begins, true));
    }

    /// Waits for the next change.
    pub(super) async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// The next change, if there is one already.
    pub(super) fn waiting(&mut self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

/// Waits for its turn, unless it is the first.
async fn begun(mut begins: watch::Receiver<bool>, is_first: bool, watched: impl Future<Output = ()>) {
    if is_first || begins.wait_for(|begins| *begins).await.is_ok() {
        watched.await;
    }
}

const BACKLOG: usize = 64;

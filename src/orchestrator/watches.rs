//! Edge: the watches of Analyses, of what belongs to them, and of the node's Services.

use std::collections::BTreeSet;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cluster::{self, Change, Cluster, Interest, Kind};
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
    _tasks: JoinSet<()>,
}

/// One change, of which kind and in which namespace.
pub(super) type News = (Kind, String, Change);

impl Watches {
    /// Begins to watch everything that these settings need.
    pub(super) fn of(cluster: &Cluster, settings: &Orchestrator) -> Self {
        let (sender, news) = mpsc::channel(BACKLOG);
        let mut tasks = JoinSet::new();
        let mut lists = BTreeSet::new();
        let mut watch = |kind: Kind, namespace: &str, selector: &str, keep: Keep| {
            if lists.insert((kind, namespace.to_owned())) {
                let interest = Interest { selector: selector.to_owned(), keep };
                tasks.spawn(cluster::watch(cluster.clone(), kind, namespace.to_owned(), interest, sender.clone()));
            }
        };
        let namespace = &settings.namespace;
        watch(Kind::Analysis, namespace, "", &[&[]]);
        watch(Kind::ConfigMap, namespace, labels::ANALYSIS, kept!["data"]);
        watch(Kind::Deployment, namespace, labels::ANALYSIS, kept!["spec"; "status", "availableReplicas"]);
        watch(Kind::NetworkPolicy, namespace, "app.kubernetes.io/managed-by=flamewarden", kept!["spec"]);
        // What a Secret holds is nobody's business here.
        watch(Kind::Secret, namespace, labels::ANALYSIS, kept![]);
        watch(Kind::Pod, namespace, labels::ANALYSIS, kept![]);
        let elsewhere = settings.upstreams.each().into_values().filter_map(|upstream| upstream.namespace.as_ref());
        for namespace in elsewhere.chain([namespace]) {
            watch(Kind::Service, namespace, "", kept!["spec"]);
        }
        Watches { lists, news, _tasks: tasks }
    }

    /// What must have been seen whole before anything is done: what is not known may be there.
    pub(super) fn lists(&self) -> &BTreeSet<(Kind, String)> {
        &self.lists
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

const BACKLOG: usize = 64;

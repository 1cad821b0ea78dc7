//! Edge: the watches of every guarded namespace, as the policies in force say.

use std::collections::BTreeSet;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::observe::WATCHED;
use crate::cluster::{self, Change, Cluster, FEW_BYTES, Interest, Kind, kept};
use crate::policy::PolicySet;

/// What is watched, and what comes of it.
pub(super) struct Watches {
    component: String,
    namespaces: BTreeSet<String>,
    sender: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
    tasks: JoinSet<()>,
}

/// One change, of which kind and in which namespace.
pub(super) type News = (Kind, String, Change);

/// How watches go on under changed policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Followed {
    /// As before, perhaps with more namespaces.
    On,
    /// From the beginning: other pods are meant.
    Anew,
}

impl Watches {
    /// No watches yet, of pods with this value of the label `component`.
    pub(super) fn of(component: &str) -> Self {
        let (sender, news) = mpsc::channel(BACKLOG);
        Watches { component: component.to_owned(), namespaces: BTreeSet::new(), sender, news, tasks: JoinSet::new() }
    }

    /// Watches every kind in every guarded namespace that is not watched yet. One that is guarded no longer stays
    /// watched, so that what is left there comes to its end.
    pub(super) fn follow(&mut self, cluster: &Cluster, policies: &PolicySet) -> Followed {
        let mut wanted: BTreeSet<String> =
            policies.installation.namespaces.iter().map(|namespace| namespace.name.clone()).collect();
        let component = &policies.analysis.guards.component;
        let followed = if self.component == *component { Followed::On } else { Followed::Anew };
        if followed == Followed::Anew {
            wanted.append(&mut self.namespaces);
            // With what the former watches have told and nobody has heard.
            *self = Watches::of(component);
        }
        for namespace in wanted {
            if self.namespaces.insert(namespace.clone()) {
                self.watch(cluster, &namespace);
            }
        }
        followed
    }

    fn watch(&mut self, cluster: &Cluster, namespace: &str) {
        for kind in WATCHED {
            let selector = match kind {
                Kind::Pod => format!("component={}", self.component),
                _ => String::new(),
            };
            let (cluster, namespace, sender) = (cluster.clone(), namespace.to_owned(), self.sender.clone());
            let interest = Interest { selector, keep: kept(kind), most: FEW_BYTES };
            self.tasks.spawn(cluster::watch(cluster, kind, namespace, interest, sender));
        }
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

/// A policy that could be ours is the largest that is told.
const BACKLOG: usize = 64;

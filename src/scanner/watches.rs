//! Edge: the watches of whatever asks for images in the guarded namespaces, and of the scans that are stored.

use std::collections::BTreeSet;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::act::KEPT;
use super::platforms;
use super::uses::WATCHED;
use crate::cluster::{self, Change, Cluster, Interest, Kind, MANY_BYTES};
use crate::policy::PolicySet;

/// What is watched, and what comes of it.
pub(super) struct Watches {
    lists: BTreeSet<(Kind, String)>,
    news: mpsc::Receiver<News>,
    _tasks: JoinSet<()>,
}

/// One change, of which kind and in which namespace.
pub(super) type News = (Kind, String, Change);

impl Watches {
    /// Begins to watch.
    pub(super) fn of(cluster: &Cluster, policies: &PolicySet) -> Self {
        let (sender, news) = mpsc::channel(BACKLOG);
        let (mut lists, mut tasks) = (BTreeSet::new(), JoinSet::new());
        let mut follow = |kind: Kind, namespace: &str, keep| {
            lists.insert((kind, namespace.to_owned()));
            let interest = Interest { selector: String::new(), keep, most: MANY_BYTES };
            tasks.spawn(cluster::watch(cluster.clone(), kind, namespace.to_owned(), interest, sender.clone()));
        };
        follow(Kind::ImageScan, "", KEPT);
        follow(Kind::Node, "", platforms::KEPT);
        for namespace in &policies.installation.namespaces {
            for (kind, keep) in WATCHED {
                follow(*kind, &namespace.name, keep);
            }
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

//! Edge: watches what an audit rests on and what changes seldom, so that a change is found long before the next resync.

use std::collections::BTreeSet;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cluster::{self, Change, Cluster, FEW_BYTES, Interest, Kind};
use crate::model::Keep;
use crate::policy::PolicySet;

/// Says when something has changed.
pub(super) struct Changes {
    news: mpsc::Receiver<(Kind, String, Change)>,
    /// Lists that are being read: what stands in them is no change.
    listing: BTreeSet<(Kind, String)>,
    _tasks: JoinSet<()>,
}

impl Changes {
    /// Begins to watch rights in the whole cluster, and network policies and Services of guarded namespaces.
    pub(super) fn of(cluster: &Cluster, policies: &PolicySet) -> Self {
        let (sender, news) = mpsc::channel(BACKLOG);
        let mut tasks = JoinSet::new();
        let everywhere = ACCESS.iter().map(|kind| (*kind, ""));
        let guarded = policies.installation.namespaces.iter().map(|guarded| guarded.name.as_str());
        let guarded = guarded.flat_map(|namespace| GUARDED.iter().map(move |kind| (*kind, namespace)));
        for (kind, namespace) in everywhere.chain(guarded) {
            let interest = Interest { selector: String::new(), keep: NAMED, most: FEW_BYTES };
            tasks.spawn(cluster::watch(cluster.clone(), kind, namespace.to_owned(), interest, sender.clone()));
        }
        Changes { news, listing: BTreeSet::new(), _tasks: tasks }
    }

    /// Waits until something has changed.
    pub(super) async fn next(&mut self) {
        while let Some((kind, namespace, change)) = self.news.recv().await {
            let list = (kind, namespace);
            match change {
                Change::Listing => drop(self.listing.insert(list)),
                Change::Listed => drop(self.listing.remove(&list)),
                Change::Seen(..) | Change::Gone(_) if self.listing.contains(&list) => {}
                Change::Seen(..) | Change::Gone(_) => return,
            }
        }
        // The watches live as long as this does.
        std::future::pending().await
    }
}

/// By which somebody may go round admission.
const ACCESS: &[Kind] = &[Kind::ClusterRole, Kind::ClusterRoleBinding, Kind::Role, Kind::RoleBinding];
/// What pods may reach. Pods themselves change all the time, and admission judges each of them.
const GUARDED: &[Kind] = &[Kind::NetworkPolicy, Kind::Service];
const NAMED: Keep = &[&["metadata", "name"], &["metadata", "namespace"], &["metadata", "resourceVersion"]];
const BACKLOG: usize = 64;

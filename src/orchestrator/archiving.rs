//! Edge: what this process knows of what was kept: which runs' logs, and which were lost.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;

use super::archived::{Archived, Tried};
use super::keeper::Keeper;
use super::plan::View;
use super::record::record;
use crate::model::{AnalysisId, AnalysisObject};

/// What was kept of each analysis, where there is an archive.
pub(super) struct Archiving {
    keeper: Option<Arc<Keeper>>,
    /// With the uid of the object that it is known of.
    each: BTreeMap<AnalysisId, (String, Archived)>,
}

impl Archiving {
    /// Nothing yet.
    pub(super) fn new(keeper: Option<Arc<Keeper>>) -> Self {
        Archiving { keeper, each: BTreeMap::new() }
    }

    /// Who tells the archive.
    pub(super) fn keeper(&self) -> Option<Arc<Keeper>> {
        self.keeper.clone()
    }

    /// What is known of an analysis; none without an archive.
    pub(super) fn of(&self, analysis: &AnalysisObject) -> Option<Archived> {
        let keeper = self.keeper.as_ref()?;
        let known = self.each.get(&analysis.id).filter(|(uid, _)| *uid == analysis.uid);
        let known = known.map(|(_, known)| known.clone()).unwrap_or_default();
        Some(Archived { behind: keeper.is_behind(analysis.id), ..known })
    }

    /// Has the archive told how an analysis stands. Of one that goes nothing more is told.
    pub(super) fn tell(&self, view: &View<'_>) {
        let Some(keeper) = self.keeper.as_ref().filter(|_| !view.analysis.deleting) else { return };
        if let Some(record) = record(view.analysis, view.pods()) {
            keeper.want(record);
        }
    }

    /// Something was tried for the object of that uid.
    pub(super) fn tried(&mut self, id: AnalysisId, uid: String, tried: Tried) {
        let (of, known) = self.each.entry(id).or_default();
        if *of != uid {
            *of = uid;
            *known = Archived::default();
        }
        match tried {
            Tried::Logs(run, kept) => {
                known.tried.insert(run);
                known.lost = if kept { known.lost } else { Some(run) };
            }
            Tried::Forgetting => known.forgotten = true,
        }
    }

    /// There is no such analysis any more.
    pub(super) fn gone(&mut self, id: AnalysisId) {
        self.each.remove(&id);
    }

    /// Waits until something has changed for somebody; tells for whom.
    pub(super) async fn changed(&self) -> BTreeSet<AnalysisId> {
        match &self.keeper {
            Some(keeper) => keeper.changed().await,
            None => pending().await,
        }
    }
}

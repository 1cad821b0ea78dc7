//! Analyses for tests.

use crate::model::{AnalysisObject, AnalysisSpec, AnalysisStatus, Phase, WantedState};

pub(super) const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
pub(super) const PROJECT: &str = "7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d";

/// An analysis of which this state and run are wanted, and that run was the last.
pub(super) fn analysis(phase: Option<Phase>, wanted: (WantedState, u32, u32), deleting: bool) -> AnalysisObject {
    let (state, run, last) = wanted;
    let image = "harbor.example/node/a".to_owned();
    AnalysisObject {
        id: ID.parse().unwrap(),
        namespace: "flame".to_owned(),
        uid: "u".to_owned(),
        resource_version: "7".to_owned(),
        generation: 1,
        deleting,
        finalizers: Vec::new(),
        spec: AnalysisSpec { project_id: PROJECT.parse().unwrap(), image, state, run, progress: 0 },
        status: AnalysisStatus { run: last, phase, progress: 40, ..AnalysisStatus::default() },
        reported: None,
    }
}

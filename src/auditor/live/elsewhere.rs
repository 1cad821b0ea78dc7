//! Edge: labelled pods where nothing is guarded.

use std::collections::BTreeMap;

use super::{POD, Run, object, pod};
use crate::cluster::{Kind, List};
use crate::model::{labels, parse};
use crate::report::Problem;

impl Run<'_, '_> {
    /// Labelled pods of namespaces that are not guarded.
    pub(super) async fn elsewhere(&mut self) {
        let policies = self.live.policies;
        let components: Vec<&str> =
            policies.profiles().into_iter().map(|profile| profile.guards.component.as_str()).collect();
        let selector = format!("{} in ({})", labels::COMPONENT, components.join(","));
        let collection = &mut *self.collection;
        let mut told = BTreeMap::<String, usize>::new();
        let judge = |text: &[u8]| {
            let Ok(pod) = parse(text) else {
                return collection.miss(Problem::of_cluster("a labelled pod cannot be read".to_owned()));
            };
            let namespace = pod.text_at(&["metadata", "namespace"]).unwrap_or_default();
            if policies.tenancy(namespace).is_none()
                && let Some(findings) = pod::outside(&pod, policies)
            {
                // Whoever owns a namespace decides how many there are.
                let count = told.entry(namespace.to_owned()).or_default();
                *count += 1;
                if *count <= OUTSIDE_TOLD {
                    collection.add_stored(object(Kind::Pod, &pod), findings);
                }
            }
        };
        // Those of guarded namespaces were read there.
        let elsewhere: Vec<String> =
            policies.installation.namespaces.iter().map(|one| format!("metadata.namespace!={}", one.name)).collect();
        let list = List { kind: Kind::Pod, namespace: "", labels: &selector, fields: &elsewhere.join(",") };
        let read = self.live.cluster.each_paged(list, POD, judge).await;
        self.note(read.map(drop));
        for (namespace, _) in told.into_iter().filter(|(_, count)| *count > OUTSIDE_TOLD) {
            let (object, findings) = pod::more_outside(namespace, OUTSIDE_TOLD);
            self.collection.add_stored(object, findings);
        }
    }
}

/// Labelled pods of a namespace that is not guarded of which each is told.
const OUTSIDE_TOLD: usize = 20;

//! Edge: Events about objects on which something fails newly.

use std::collections::BTreeMap;

use tracing::debug;

use crate::cluster::{Event, Recorder};
use crate::model::Reference;
use crate::policy::PolicySet;
use crate::report::{Entry, Object};
use crate::telemetry::{Metrics, ReasonLabels, whole};

/// Writes one Event for each object of a guarded namespace, whatever fails there, and counts those that it leaves out.
pub(super) async fn tell(recorder: &Recorder, policies: &PolicySet, opened: &[&Entry], metrics: &Metrics) {
    let events = events(policies, opened);
    let beyond = u64::try_from(events.len().saturating_sub(MOST)).unwrap_or(u64::MAX);
    metrics.events_suppressed.inc_by(beyond);
    for event in events.into_iter().take(MOST) {
        match recorder.write(&event).await {
            Ok(()) => drop(metrics.events.get_or_create(&ReasonLabels { reason: event.reason }).inc()),
            // It is in the report, the log and the archive.
            Err(problem) => debug!(problem = %whole(&problem), "an Event is not written"),
        }
    }
}

/// The worst first.
fn events(policies: &PolicySet, opened: &[&Entry]) -> Vec<Event> {
    let mut by_object: BTreeMap<&Object, Vec<&Entry>> = BTreeMap::new();
    for entry in opened.iter().filter(|entry| policies.tenancy(&entry.object.namespace).is_some()) {
        by_object.entry(&entry.object).or_default().push(entry);
    }
    let mut told: Vec<(&Object, Vec<&Entry>)> = by_object.into_iter().collect();
    for (_, entries) in &mut told {
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.severity));
    }
    told.sort_by_key(|(_, entries)| std::cmp::Reverse(entries.first().map(|entry| entry.severity)));
    told.into_iter().map(|(object, entries)| event(object, &entries)).collect()
}

fn event(object: &Object, entries: &[&Entry]) -> Event {
    let fields: Vec<String> = entries.iter().map(|entry| format!("{} ({})", entry.rule, entry.path)).collect();
    // By what it was found by, and by which of it: the same again is the same Event.
    let key = entries.iter().map(|entry| format!("{:?}", entry.fingerprint())).collect::<Vec<_>>().join(" ");
    Event {
        namespace: object.namespace.clone(),
        about: Reference {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            name: object.name.clone(),
            uid: object.uid.clone(),
        },
        reason: "ContainmentViolated",
        action: "Audit",
        note: format!("It stands against the policies: {}", fields.join(", ")),
        key,
    }
}

/// Of one audit: whoever changes everything at once is told of elsewhere.
const MOST: usize = 50;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auditor::continuous::tests::report;
    use crate::model::Severity;

    #[test]
    fn each_object_of_a_guarded_namespace_is_told_of_once_the_worst_first() {
        let policies = PolicySet::parse([
            ("a", include_str!("../../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../../tests/fixtures/installation.yaml")),
        ])
        .unwrap();
        let all = report(&["a", "b", "c"], 0);
        let mut entries: Vec<Entry> = all.failing().cloned().collect();
        Arc::make_mut(&mut entries[1].told).severity = Severity::Critical;
        let mut more = entries[1].clone();
        let told = Arc::make_mut(&mut more.told);
        (told.rule, told.severity) = ("host-network".into(), Severity::Low);
        entries.push(more);
        entries[2].object = Object { namespace: "elsewhere".to_owned(), ..(*entries[2].object).clone() }.into();
        let opened: Vec<&Entry> = entries.iter().collect();
        let told = events(&policies, &opened);
        let notes: Vec<(&str, &str)> =
            told.iter().map(|event| (event.about.name.as_str(), event.note.as_str())).collect();
        let want = [
            ("b", "It stands against the policies: privileged (spec), host-network (spec)"),
            ("a", "It stands against the policies: privileged (spec)"),
        ];
        assert_eq!(notes, want);
        assert!(!told[0].key.is_empty() && told[0].key != told[1].key);
    }
}

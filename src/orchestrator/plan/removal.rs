//! What is taken away, and in which order.

use serde_json::Value;

use super::{Step, View};
use crate::cluster::Kind;
use crate::model::{Run, labels};

impl View<'_> {
    /// The next of these objects to go, one kind after the other; none when all are gone. What is on its way is waited
    /// for before the next kind's turn.
    pub(super) fn take_away(&self, goes: impl Fn(&Value) -> bool, order: &[Kind]) -> Option<Step> {
        if let Some(step) = self.keep_logs(&goes) {
            return Some(step);
        }
        for kind in order {
            let mut of_kind = self.objects.iter().filter(|((of, _), object)| of == kind && goes(object)).peekable();
            if of_kind.peek().is_none() {
                continue;
            }
            // Pods go by their controllers; one that has none goes by nobody else.
            let deletable = |object: &Value| {
                let goes_by_itself = *kind == Kind::Pod && is_controlled(object);
                object.pointer("/metadata/deletionTimestamp").is_none() && !goes_by_itself
            };
            // The last that was made: of Deployments the analysis, of Services the gateway's.
            let is_last = |name: &str| is_analysis(name) == (*kind == Kind::Deployment);
            let next = of_kind.filter(|(_, object)| deletable(object)).max_by_key(|((_, name), _)| is_last(name));
            let delete = next.map(|((_, name), object)| {
                let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
                Step::Delete(*kind, name.clone(), uid.to_owned())
            });
            return Some(delete.unwrap_or(Step::Wait));
        }
        None
    }
}

fn is_controlled(pod: &Value) -> bool {
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
}

/// Whether a name is the analysis's own, and not its gateway's.
fn is_analysis(name: &str) -> bool {
    Run::of_app(name).is_some()
}

/// The run that an object belongs to, by the `app` that it speaks of.
pub(super) fn app_of(object: &Value) -> Option<String> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str)?;
    let label = object.pointer("/metadata/labels/app").and_then(Value::as_str);
    let name = label.unwrap_or_else(|| name.strip_suffix("-config").unwrap_or(name));
    let app = name.strip_prefix(labels::GATEWAY_PREFIX).unwrap_or(name);
    Run::of_app(app).map(|run| run.app())
}

/// In which order a run goes: what runs first, policies last. Its Secrets stay for the next one.
pub(super) const RUN: &[Kind] = &[Kind::Deployment, Kind::Pod, Kind::ConfigMap, Kind::Service, Kind::NetworkPolicy];
/// In which order all of an analysis goes.
pub(super) const END: &[Kind] =
    &[Kind::Deployment, Kind::Pod, Kind::ConfigMap, Kind::Service, Kind::Secret, Kind::NetworkPolicy];

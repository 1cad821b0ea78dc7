//! How much of an object is held. Anybody may label his own objects with an analysis's id, and call them so: of what can be
//! no object of a run that there is, only who it is.

use serde_json::{Value, json};

use crate::model::{AnalysisObject, Run, labels};

/// What is held of an object of that name: all of it where it may be one that is compared, otherwise who it is.
pub(super) fn held(name: &str, object: Value, analysis: Option<&AnalysisObject>) -> Value {
    if analysis.is_some_and(|analysis| is_compared(name, analysis)) { object } else { identity(&object) }
}

/// Whether an object of that name may belong to the run that an analysis is at, or to the next.
pub(super) fn is_compared(name: &str, analysis: &AnalysisObject) -> bool {
    let name = name.strip_prefix(labels::POLICY_PREFIX).unwrap_or(name);
    let name = name.strip_prefix(labels::GATEWAY_PREFIX).unwrap_or(name);
    let run = Run::of_app(name.strip_suffix("-config").unwrap_or(name)).filter(|run| run.analysis == analysis.id);
    let at = analysis.status.run;
    run.is_some_and(|run| [at, at.saturating_add(1), analysis.spec.run].contains(&run.number))
}

fn identity(object: &Value) -> Value {
    json!({"metadata": object.get("metadata").cloned().unwrap_or_default()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WantedState;
    use crate::orchestrator::testing::{ID, PROJECT, analysis};

    #[test]
    fn of_what_no_run_that_there_is_can_have_made_only_who_it_is_is_held() {
        let known = analysis(None, (WantedState::Running, 5, 3), false);
        let own = |run: u32| format!("analysis-{ID}-{run}");
        for (name, is_held) in [
            (own(3), true),
            (own(4), true),
            (own(5), true),
            (format!("nginx-{}", own(3)), true),
            (format!("nginx-{}-config", own(3)), true),
            (format!("flamewarden-nginx-{}", own(3)), true),
            (own(2), false),
            (own(6), false),
            (format!("x-{}", own(3)), false),
            (format!("{}-x", own(3)), false),
            (format!("analysis-{PROJECT}-3"), false),
            (format!("x-{ID}-3"), false),
            (format!("flame-tokens-{ID}"), false),
        ] {
            let object = json!({"metadata": {"name": name}, "data": {"x": "y"}});
            let who = json!({"metadata": {"name": name}});
            let want = if is_held { &object } else { &who };
            assert_eq!(held(&name, object.clone(), Some(&known)), *want, "{name}");
            assert_eq!(held(&name, object.clone(), None), who, "{name}, of an analysis that nobody asked for");
        }
    }
}

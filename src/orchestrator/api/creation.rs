//! What a create request leads to, by what is there already.

use serde_json::{Value, json};

use super::answer::Answer;
use super::view::present;
use crate::bundle::{BundleProblem, CreateRequest, Fault, image_problem, pull_secret, token_secret};
use crate::model::{AnalysisId, AnalysisObject, AnalysisSpec, ImageRef, Phase, WantedState};
use crate::policy::PolicySet;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Creation {
    /// There is none: make it.
    First(AnalysisSpec),
    /// It has ended: run it once more.
    Again(AnalysisSpec),
    /// It runs, or is about to: say so, and make only what an earlier request was kept from making.
    Running(Phase),
    /// It cannot be.
    Refused(Answer),
}

/// What a request leads to. Asked twice, it leads to one run.
pub(super) fn decide(request: &CreateRequest, existing: Option<&AnalysisObject>) -> Creation {
    let spec = |run: u32| AnalysisSpec {
        project_id: request.project,
        image: request.image.clone(),
        state: WantedState::Running,
        run,
        progress: request.progress,
    };
    let Some(existing) = existing else {
        return Creation::First(spec(request.restart_counter.saturating_add(1)));
    };
    if existing.spec.project_id != request.project {
        return Creation::Refused(Answer::conflict("the analysis belongs to another project"));
    }
    if existing.deleting {
        return Creation::Refused(Answer::conflict("the analysis is being deleted; create it again once it is gone"));
    }
    match (existing.spec.state, present(existing)) {
        (WantedState::Running, phase @ (Phase::Starting | Phase::Started | Phase::Executing | Phase::Stuck)) => {
            Creation::Running(phase)
        }
        _ => Creation::Again(spec(existing.spec.run.max(existing.status.run).saturating_add(1))),
    }
}

/// What keeps a request's image from being run, or its credentials from being stored; before anything is written.
pub(super) fn problem(request: &CreateRequest, policies: &PolicySet) -> Option<Fault> {
    let fault = |field, message: String| Some(Fault { field: Some(field), kind: "value_error", message });
    if let Some(problem) = image_problem(&request.image, policies) {
        let told = match problem {
            BundleProblem::Image { problem, .. } => problem,
            other => other.to_string(),
        };
        return fault("image_url", format!("the image {told}"));
    }
    if request.image.len() > LONGEST_IMAGE {
        return fault("image_url", format!("the image's name has more than {LONGEST_IMAGE} bytes"));
    }
    let registry = request.credentials.registry.as_str();
    let host = ["https://", "http://"].iter().find_map(|scheme| registry.strip_prefix(scheme)).unwrap_or(registry);
    let host = host.split('/').next().unwrap_or_default();
    if ImageRef::parse(&request.image).is_ok_and(|image| image.host == host) {
        return None;
    }
    fault("registry_url", "the image is not of this registry".to_owned())
}

/// `{"<id>": "started"}`
pub(super) fn created(analysis: AnalysisId, phase: Phase) -> Answer {
    Answer::created(json!({analysis.to_string(): phase}))
}

/// The Analysis to write.
pub(super) fn object(request: &CreateRequest, namespace: &str, spec: &AnalysisSpec) -> Value {
    json!({
        "apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis",
        "metadata": {"name": request.analysis.to_string(), "namespace": namespace},
        "spec": spec,
    })
}

/// The two Secrets, owned by their Analysis, so that they go with it.
pub(super) fn secrets(request: &CreateRequest, owner: &AnalysisObject) -> [Value; 2] {
    let reference = json!([owner.owner_reference()]);
    let both = [
        pull_secret(request.analysis, &owner.namespace, &request.credentials),
        token_secret(request.analysis, &owner.namespace, &request.tokens),
    ];
    both.map(|mut secret| {
        if let Some(metadata) = secret.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("ownerReferences".to_owned(), reference.clone());
        }
        secret
    })
}

/// As the schema of Analyses has it.
pub(super) const LONGEST_IMAGE: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrator::testing::{ID, PROJECT, analysis};

    fn request(fields: &[(&str, Value)]) -> CreateRequest {
        let mut body = json!({
            "analysis_id": ID, "project_id": PROJECT, "registry_url": "harbor.example",
            "image_url": "harbor.example/node/a", "registry_user": "robot", "registry_password": "hunter2",
            "kong_token": "key", "progress": 5,
        });
        for (field, value) in fields {
            body[field] = value.clone();
        }
        CreateRequest::parse(&body).unwrap()
    }

    #[test]
    fn a_request_makes_one_run_however_often_it_comes() {
        use Phase::{Executed, Executing, Failed, Started, Starting, Stopped, Stopping, Stuck};
        use WantedState::{Running, Stopped as Stop};
        let spec = |run| AnalysisSpec {
            project_id: PROJECT.parse().unwrap(),
            image: "harbor.example/node/a".to_owned(),
            state: Running,
            run,
            progress: 5,
        };
        let again = |run| Creation::Again(spec(run));
        for (phase, wanted, want) in [
            (None, (Running, 1, 0), Creation::Running(Starting)),
            (Some(Starting), (Running, 1, 1), Creation::Running(Starting)),
            (Some(Started), (Running, 1, 1), Creation::Running(Started)),
            (Some(Executing), (Running, 1, 1), Creation::Running(Executing)),
            (Some(Stuck), (Running, 1, 1), Creation::Running(Stuck)),
            (Some(Executing), (Stop, 1, 1), again(2)),
            (None, (Stop, 1, 0), again(2)),
            (Some(Stopping), (Stop, 1, 1), again(2)),
            (Some(Stopped), (Stop, 3, 3), again(4)),
            (Some(Stopped), (Stop, 3, 5), again(6)),
            (Some(Executed), (Running, 1, 1), again(2)),
            (Some(Failed), (Running, 1, 1), again(2)),
            (Some(Failed), (Running, 2, 1), Creation::Running(Starting)),
        ] {
            assert_eq!(decide(&request(&[]), Some(&analysis(phase, wanted, false))), want, "{phase:?} {wanted:?}");
        }
        assert_eq!(decide(&request(&[]), None), Creation::First(spec(1)));
        assert_eq!(decide(&request(&[("restart_counter", json!(4))]), None), Creation::First(spec(5)));
        let other = request(&[("project_id", json!(ID))]);
        let existing = analysis(Some(Stopped), (Stop, 1, 1), false);
        let refused = |why: &str| Creation::Refused(Answer::conflict(why));
        assert_eq!(decide(&other, Some(&existing)), refused("the analysis belongs to another project"));
        let going = analysis(Some(Executing), (Running, 1, 1), true);
        let told = "the analysis is being deleted; create it again once it is gone";
        assert_eq!(decide(&request(&[]), Some(&going)), refused(told));
    }

    #[test]
    fn an_image_runs_from_an_allowed_registry_and_by_credentials_for_that_registry() {
        let files = [
            ("a.yaml", include_str!("../../../policies/flame-analysis.yaml")),
            ("g.yaml", include_str!("../../../policies/flame-gateway.yaml")),
            ("i.yaml", include_str!("../../../tests/fixtures/installation.yaml")),
        ];
        let policies = PolicySet::parse(files).unwrap();
        let long = format!("harbor.example/node/{}", "a/".repeat(300) + "a");
        for (image, registry, want) in [
            ("harbor.example/node/a", "harbor.example", None),
            ("harbor.example/node/a", "https://harbor.example/", None),
            ("harbor.example/node/a", "elsewhere.example", Some("registry_url")),
            ("harbor.example/node/a", "harbor.example.evil", Some("registry_url")),
            ("harbor.example/node/a", "", Some("registry_url")),
            ("harbor.example/other/a", "harbor.example", Some("image_url")),
            ("elsewhere.example/node/a", "elsewhere.example", Some("image_url")),
            ("harbor.example/node/../a", "harbor.example", Some("image_url")),
            ("", "harbor.example", Some("image_url")),
            (&long, "harbor.example", Some("image_url")),
        ] {
            let request = request(&[("image_url", json!(image)), ("registry_url", json!(registry))]);
            assert_eq!(problem(&request, &policies).and_then(|fault| fault.field), want, "{image} {registry}");
        }
    }

    #[test]
    fn secrets_belong_to_their_analysis_and_it_says_nothing_of_them() {
        let owner = analysis(None, (WantedState::Running, 1, 0), false);
        for (secret, name) in secrets(&request(&[]), &owner).iter().zip(["flame-harbor", "flame-tokens"]) {
            let reference =
                json!([{"apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis", "name": ID, "uid": "u"}]);
            let want = json!({
                "name": format!("{name}-{ID}"), "namespace": "flame", "labels": {"flamewarden.dev/analysis": ID},
                "ownerReferences": reference,
            });
            assert_eq!(secret["metadata"], want);
        }
        let Creation::First(spec) = decide(&request(&[]), None) else { panic!("there is none yet") };
        let want = json!({
            "apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis", "metadata": {"name": ID, "namespace": "flame"},
            "spec": {"projectId": PROJECT, "image": "harbor.example/node/a", "state": "Running", "run": 1, "progress": 5},
        });
        assert_eq!(object(&request(&[]), "flame", &spec), want);
    }
}

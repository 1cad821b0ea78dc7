//! Which analysis a request concerns, as the labels and names in it say.

use crate::model::{AnalysisId, Json, Request, Run, labels};
use crate::policy::PolicySet;

/// The analysis: its name in the labels of the object, new or stored, or of the one that the request leads to; else the
/// run or the id that the object's name tells. Empty where nothing tells.
pub(super) fn concerned(request: &Request<'_>, target: Option<&Json<'_>>, policies: &PolicySet) -> String {
    let mut objects = [request.object, request.old, target].into_iter().flatten();
    let labelled = objects.find_map(|object| PLACES.iter().find_map(|place| labelled(object.at(place)?, policies)));
    labelled.or_else(|| named(request)).unwrap_or_default()
}

fn labelled(labels: &Json<'_>, policies: &PolicySet) -> Option<String> {
    let identity = |app: &str| {
        let mut profiles = policies.profiles().into_iter();
        profiles.find_map(|profile| profile.analysis_of(app)).map(str::to_owned)
    };
    let label = |key: &str| labels.get(key).and_then(Json::text);
    let app = label(labels::APP).and_then(identity).or_else(|| label(labels::ISOLATES).and_then(identity));
    app.or_else(|| label(labels::ANALYSIS)?.parse::<AnalysisId>().ok().map(|id| id.to_string()))
}

/// Names of what belongs to a run have the run's name in them.
fn named(request: &Request<'_>) -> Option<String> {
    if request.resource.name == "analyses" {
        return request.name.parse::<AnalysisId>().ok().map(|id| id.to_string());
    }
    let (begin, _) = request.name.match_indices(RUN).next()?;
    let name = request.name.get(begin..)?;
    let number = name.get(RUN.len() + ID..)?.strip_prefix('-')?;
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let run = Run::of_app(name.get(..RUN.len() + ID + 1 + digits)?)?;
    Some(run.app())
}

/// Where an object has the labels of the identity that it is of, makes or selects.
const PLACES: [&[&str]; 5] = [
    &["metadata", "labels"],
    &["spec", "template", "metadata", "labels"],
    &["spec", "jobTemplate", "spec", "template", "metadata", "labels"],
    &["spec", "selector"],
    &["spec", "podSelector", "matchLabels"],
];
/// What the names of runs begin with, and how long the id is that follows.
const RUN: &str = "analysis-";
const ID: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Operation, Resource, User, parse};

    fn policies() -> PolicySet {
        let files = [
            ("a.yaml", include_str!("../../policies/flame-analysis.yaml")),
            ("g.yaml", include_str!("../../policies/flame-gateway.yaml")),
            ("i.yaml", include_str!("../../tests/fixtures/installation.yaml")),
        ];
        PolicySet::parse(files).unwrap()
    }

    #[test]
    fn an_analysis_is_known_by_labels_before_names_and_only_where_it_can_be_one() {
        let policies = policies();
        let id = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
        let run = format!("analysis-{id}-12");
        let of = |app: &str| format!(r#"{{"metadata":{{"labels":{{"app":"{app}"}}}}}}"#);
        let template = format!(r#"{{"spec":{{"template":{}}}}}"#, of("analysis-t"));
        let cron = format!(r#"{{"spec":{{"jobTemplate":{{"spec":{{"template":{}}}}}}}}}"#, of("analysis-c"));
        let ours = format!(r#"{{"metadata":{{"labels":{{"app":"other","flamewarden.dev/analysis":"{id}"}}}}}}"#);
        let policy = r#"{"metadata":{"labels":{"flamewarden.dev/isolates":"analysis-p"}}}"#;
        for (resource, name, [object, old, target], want) in [
            ("pods", "p", [of("analysis-a").as_str(), "", ""], "analysis-a"),
            ("pods", "p", [&of("nginx-analysis-a"), "", ""], "analysis-a"),
            ("pods", "p", ["", &of("analysis-a"), ""], "analysis-a"),
            ("pods", "p", [&of("web"), "", ""], ""),
            ("pods", "p", [r#"{"metadata":{"labels":{"app":7}}}"#, "", ""], ""),
            ("pods", "x", [r#"{"kind":"PodExecOptions"}"#, "", &of("analysis-e")], "analysis-e"),
            ("deployments", "d", [&template, "", ""], "analysis-t"),
            ("cronjobs", "d", [&cron, "", ""], "analysis-c"),
            ("services", "s", [r#"{"spec":{"selector":{"app":"nginx-analysis-s"}}}"#, "", ""], "analysis-s"),
            ("networkpolicies", "n", [policy, "", ""], "analysis-p"),
            ("secrets", "flame-tokens", [&ours, "", ""], id),
            ("analyses", id, ["", "", ""], id),
            ("analyses", "somebody-s", ["", "", ""], ""),
            ("configmaps", &format!("nginx-{run}-config"), ["", "", ""], &run),
            ("pods", &format!("{run}-5c4d-x2x"), ["", "", ""], &run),
            ("pods", &format!("{run}-5c4d-x2x"), [&of("analysis-a"), "", ""], "analysis-a"),
            ("pods", &format!("analysis-{id}-"), ["", "", ""], ""),
            ("pods", "analysis-abc", ["", "", ""], ""),
        ] {
            let [object, old, target] = [object, old, target].map(|text| parse(text.as_bytes()).ok());
            let request = Request {
                uid: "u",
                operation: Operation::Create,
                resource: Resource { group: "", name: resource, sub: "" },
                name,
                namespace: "flame",
                user: User::default(),
                object: object.as_ref(),
                old: old.as_ref(),
                options: None,
                dry_run: false,
            };
            assert_eq!(concerned(&request, target.as_ref(), &policies), want, "{resource} {name} {object:?}");
        }
    }
}

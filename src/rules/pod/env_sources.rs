//! Rule `env-sources`: environment variables come only from what the profile names.
//!
//! Why: a variable can read any Secret of the namespace, other people's credentials among them.
//! No remedy: it asks for somebody else's.

use super::field_table::{ENV_SOURCE, refusals};
use super::{BOTH, PodCase, PodRule};
use crate::model::{ContainerView, Control, FieldPath, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "env-sources",
    title: "environment variables come only from what the profile names",
    why: "a variable from a Secret hands over what the Secret protects",
    severity: Severity::High,
    controls: &[Control::Cis("5.4.1"), Control::Nsa("Authentication and authorization: secrets")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for container in pod.containers() {
        for (index, variable) in container.list("env").iter().enumerate() {
            let Some(source) = variable.get("valueFrom") else { continue };
            let path = || container.path(&["env"]).index(index).key("valueFrom");
            findings.extend(source_findings(source, path, case));
        }
        whole_findings(&container, case, &mut findings);
    }
    findings
}

fn source_findings(source: &Json<'_>, path: impl Fn() -> FieldPath, case: &PodCase<'_>) -> Vec<Finding> {
    let sources = &case.profile.sources;
    let checks = [
        unnamed(source, ["secretKeyRef", "name"], |name| case.is_source(&sources.secrets, name)),
        unnamed(source, ["configMapKeyRef", "name"], |name| case.is_source(&sources.config_maps, name)),
        unnamed(source, ["fieldRef", "fieldPath"], |name| sources.fields.iter().any(|field| field == name)),
    ];
    let unnamed = checks.into_iter().flatten().map(|(keys, given)| {
        Finding::new(RULE.id, path().keys(&keys), given, "the profile does not name it as a source")
    });
    let refused = refusals(ENV_SOURCE, RULE.id, source)
        .map(|(key, given)| Finding::new(RULE.id, path().key(key), Some(given), "not an allowed source"));
    unnamed.chain(refused).collect()
}

/// `envFrom`, which takes every key of a Secret or ConfigMap.
fn whole_findings(container: &ContainerView<'_>, case: &PodCase<'_>, findings: &mut Vec<Finding>) {
    let sources = &case.profile.sources;
    for (index, source) in container.list("envFrom").iter().enumerate() {
        let checks = [
            unnamed(source, ["secretRef", "name"], |name| case.is_source(&sources.secrets, name)),
            unnamed(source, ["configMapRef", "name"], |name| case.is_source(&sources.config_maps, name)),
        ];
        findings.extend(checks.into_iter().flatten().map(|(keys, given)| {
            let path = container.path(&["envFrom"]).index(index).keys(&keys);
            Finding::new(RULE.id, path, given, "the profile does not name it as a source")
        }));
    }
}

type Unnamed<'j> = ([&'static str; 2], Option<&'j Json<'j>>);

/// The reference of that kind, if there is one and its name is not allowed.
fn unnamed<'j>(
    source: &'j Json<'j>,
    keys: [&'static str; 2],
    is_allowed: impl Fn(&str) -> bool,
) -> Option<Unnamed<'j>> {
    let [kind, name] = keys;
    let given = source.get(kind)?.get(name);
    (!given.and_then(Json::text).is_some_and(is_allowed)).then_some((keys, given))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    #[test]
    fn an_id_in_a_source_s_name_is_the_one_in_the_pod_s_own() {
        let [own, other] = ["0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f", "1d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f"];
        for (app, id, fits) in [
            (format!("analysis-{own}-3"), own, true),
            (format!("analysis-{own}-3"), other, false),
            (format!("analysis-{own}-3"), "{id}", false),
            (format!("analysis-{own}"), own, false),
            ("analysis-1".to_owned(), own, false),
        ] {
            let name = format!("flame-tokens-{id}");
            let changes = [
                ("/metadata/labels/app", json!(app)),
                ("/spec/containers/0/env", json!([{"valueFrom": {"secretKeyRef": {"name": name, "key": "a"}}}])),
            ];
            let refused = format!("spec.containers[0].env[0].valueFrom.secretKeyRef.name (\"{name}\"): no remedy");
            let wanted: &[&str] = if fits { &[] } else { &[&refused] };
            expect(&RULE, &changes, wanted);
        }
    }

    #[test]
    fn nothing_is_read_that_the_profile_does_not_name() {
        let at = "/spec/containers/0/env";
        is_clean(
            &RULE,
            &[(
                at,
                json!([{"name": "A", "value": "b"}, {"valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]),
            )],
        );
        for (source, wanted) in [
            (json!({"secretKeyRef": {"name": "x"}}), r#"secretKeyRef.name ("x")"#),
            (json!({"secretKeyRef": {"key": "x"}}), "secretKeyRef.name (absent)"),
            (json!({"configMapKeyRef": {"name": "x"}}), r#"configMapKeyRef.name ("x")"#),
            (json!({"fieldRef": {"fieldPath": "status.hostIP"}}), r#"fieldRef.fieldPath ("status.hostIP")"#),
            (json!({"fileKeyRef": {"key": "x"}}), r#"fileKeyRef ({"key":"x"})"#),
        ] {
            expect(
                &RULE,
                &[(at, json!([{"valueFrom": source}]))],
                &[&format!("spec.containers[0].env[0].valueFrom.{wanted}: no remedy")],
            );
        }
        expect(
            &RULE,
            &[("/spec/containers/0/envFrom", json!([{"secretRef": {"name": "x"}}, {"configMapRef": {"name": "y"}}]))],
            &[
                r#"spec.containers[0].envFrom[0].secretRef.name ("x"): no remedy"#,
                r#"spec.containers[0].envFrom[1].configMapRef.name ("y"): no remedy"#,
            ],
        );
    }

    #[test]
    fn what_the_profile_names_is_read() {
        expect_with(
            &RULE,
            Role::Analysis,
            |profile| {
                profile.sources.secrets = vec!["{app}-tokens".to_owned()];
                profile.sources.config_maps = vec!["{analysis}-settings".to_owned()];
                profile.sources.fields = vec!["metadata.name".to_owned()];
            },
            &[
                (
                    "/spec/containers/0/env",
                    json!([
                        {"valueFrom": {"secretKeyRef": {"name": "analysis-1-tokens", "key": "a"}}},
                        {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                        {"valueFrom": {"secretKeyRef": {"name": "analysis-2-tokens", "key": "a"}}},
                    ]),
                ),
                ("/spec/containers/0/envFrom", json!([{"configMapRef": {"name": "analysis-1-settings"}}])),
            ],
            &[r#"spec.containers[0].env[2].valueFrom.secretKeyRef.name ("analysis-2-tokens"): no remedy"#],
        );
    }
}

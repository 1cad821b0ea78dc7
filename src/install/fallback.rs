//! ValidatingAdmissionPolicies that hold while no webhook answers, and where none is asked.

use serde_json::{Value, json};

use crate::model::labels::NETWORK_GATE;
use crate::policy::PolicySet;

/// The two policies and their bindings: a labelled pod carries the gate from the start, and the label means
/// nothing outside guarded namespaces, so it is refused there.
pub(super) fn fallback(policies: &PolicySet) -> Vec<Value> {
    let component = &policies.analysis.guards.component;
    let labelled = |object: &str| {
        format!(
            "has({object}.metadata.labels) && 'component' in {object}.metadata.labels && {object}.metadata.labels['component'] == '{component}'"
        )
    };
    let gated = format!(
        "has(object.spec.schedulingGates) && object.spec.schedulingGates.exists(g, g.name == '{NETWORK_GATE}')"
    );
    let mut objects: Vec<Value> = pair(
        &Check {
            name: "flamewarden-gate",
            operations: &["CREATE"],
            expression: format!("!({}) || ({gated})", labelled("object")),
            message: format!(
                "a pod labelled component: {component} must carry the scheduling gate {NETWORK_GATE}; Flamewarden's webhook adds it"
            ),
            namespaces: "In",
        },
        policies,
    )
    .into();
    objects.extend(pair(
        &Check {
            name: "flamewarden-label",
            operations: &["CREATE", "UPDATE"],
            expression: format!("!({}) || (oldObject != null && ({}))", labelled("object"), labelled("oldObject")),
            message: format!("the label component: {component} is for pods in guarded namespaces only"),
            namespaces: "NotIn",
        },
        policies,
    ));
    objects
}

/// One policy: what must hold of pods in the guarded namespaces (`In`) or everywhere else (`NotIn`).
struct Check {
    name: &'static str,
    operations: &'static [&'static str],
    expression: String,
    message: String,
    namespaces: &'static str,
}

fn pair(check: &Check, policies: &PolicySet) -> [Value; 2] {
    let Check { name, operations, expression, message, namespaces: operator } = check;
    let namespaces: Vec<&str> =
        policies.installation.namespaces.iter().map(|namespace| namespace.name.as_str()).collect();
    let labels = super::workload::labels("webhook");
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": {
                    "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": operator, "values": namespaces}],
                },
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": operations, "resources": ["pods"]}],
            },
            "validations": [{"expression": expression, "message": message, "reason": "Forbidden"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name, "labels": labels},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    [policy, binding]
}

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
    let mut objects = pair(
        "flamewarden-gate",
        &["CREATE"],
        &format!("!({}) || ({gated})", labelled("object")),
        &format!(
            "a pod labelled component: {component} must carry the scheduling gate {NETWORK_GATE}; Flamewarden's webhook adds it"
        ),
        "In",
        policies,
    );
    objects.extend(pair(
        "flamewarden-label",
        &["CREATE", "UPDATE"],
        &format!("!({}) || (oldObject != null && ({}))", labelled("object"), labelled("oldObject")),
        &format!("the label component: {component} is for pods in guarded namespaces only"),
        "NotIn",
        policies,
    ));
    objects
}

fn pair(
    name: &str,
    operations: &[&str],
    expression: &str,
    message: &str,
    operator: &str,
    policies: &PolicySet,
) -> Vec<Value> {
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
    vec![policy, binding]
}

//! Every field that a pod can have: its shape, and who decides about it.
//!
//! One table for all: `fields` refuses what stands in no row, the rules find in it what they
//! refuse as a whole, and the census test holds it against the published schemas.

mod container;
mod volume;

use crate::model::Json;

use container::EPHEMERAL;
pub(super) use container::{CONTAINER, ENV_SOURCE, PORT, RESOURCES, VOLUME_MOUNT};
pub(super) use volume::VOLUME;

/// One field of an object.
pub(super) struct Field {
    /// Its key, exactly as the API server writes it.
    pub(super) key: &'static str,
    /// Who decides about it.
    pub(super) class: Class,
    /// What must stand there.
    pub(super) shape: Shape,
}

/// Who decides about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Any value is fine; what is inside has rows of its own.
    Allow,
    /// The named rule reads it; what is inside has rows of its own.
    Judged(&'static str),
    /// The named rule refuses whatever is set there; nobody looks inside.
    Refused(&'static str),
}

/// What JSON stands at a place.
pub(super) enum Shape {
    /// A string; times too.
    Text,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A resource quantity: string or number.
    Amount,
    /// A port by number or name.
    Port,
    /// Exactly these fields.
    Object(&'static [Field]),
    /// Any number of equal items.
    List(&'static Shape),
    /// Any keys, equal values.
    Map(&'static Shape),
    /// Not looked into.
    Any,
}

const fn allow(key: &'static str, shape: Shape) -> Field {
    Field { key, class: Class::Allow, shape }
}

const fn judged(key: &'static str, rule: &'static str, shape: Shape) -> Field {
    Field { key, class: Class::Judged(rule), shape }
}

const fn refused(key: &'static str, rule: &'static str) -> Field {
    Field { key, class: Class::Refused(rule), shape: Shape::Any }
}

const TEXTS: Shape = Shape::List(&Shape::Text);
const TEXT_MAP: Shape = Shape::Map(&Shape::Text);
const AMOUNTS: Shape = Shape::Map(&Shape::Amount);

/// A pod, or what a workload makes pods from.
pub(super) const POD: &[Field] = &[
    allow("apiVersion", Shape::Text),
    allow("kind", Shape::Text),
    allow("metadata", Shape::Object(METADATA)),
    allow("spec", Shape::Object(SPEC)),
    // Written by kubelets through pods/status; a create's status is thrown away.
    allow("status", Shape::Any),
];

const METADATA: &[Field] = &[
    allow("name", Shape::Text),
    allow("generateName", Shape::Text),
    allow("namespace", Shape::Text),
    judged("labels", "labels", TEXT_MAP),
    judged("annotations", "annotations", TEXT_MAP),
    judged("finalizers", "finalizers", TEXTS),
    allow("ownerReferences", Shape::List(&Shape::Object(OWNER))),
    // What follows the API server alone writes.
    allow("uid", Shape::Text),
    allow("resourceVersion", Shape::Text),
    allow("generation", Shape::Integer),
    allow("creationTimestamp", Shape::Text),
    allow("deletionTimestamp", Shape::Text),
    allow("deletionGracePeriodSeconds", Shape::Integer),
    allow("selfLink", Shape::Text),
    allow("managedFields", Shape::Any),
];

const OWNER: &[Field] = &[
    allow("apiVersion", Shape::Text),
    allow("kind", Shape::Text),
    allow("name", Shape::Text),
    allow("uid", Shape::Text),
    allow("controller", Shape::Boolean),
    allow("blockOwnerDeletion", Shape::Boolean),
];

/// A pod's spec.
pub(super) const SPEC: &[Field] = &[
    judged("containers", "containers", Shape::List(&Shape::Object(CONTAINER))),
    judged("volumes", "volumes", Shape::List(&Shape::Object(VOLUME))),
    judged("securityContext", "run-as-non-root", Shape::Object(POD_SECURITY)),
    judged("terminationGracePeriodSeconds", "grace-period", Shape::Integer),
    judged("dnsPolicy", "dns", Shape::Text),
    judged("enableServiceLinks", "service-links", Shape::Boolean),
    judged("imagePullSecrets", "pull-secret", Shape::List(&Shape::Object(REFERENCE))),
    judged("schedulerName", "scheduling", Shape::Text),
    judged("serviceAccountName", "service-account", Shape::Text),
    judged("serviceAccount", "service-account", Shape::Text),
    judged("tolerations", "scheduling", Shape::List(&Shape::Object(TOLERATION))),
    judged("priority", "scheduling", Shape::Integer),
    judged("preemptionPolicy", "scheduling", Shape::Text),
    judged("schedulingGates", "scheduling", Shape::List(&Shape::Object(REFERENCE))),
    judged("automountServiceAccountToken", "service-account-token", Shape::Boolean),
    judged("nodeName", "node-name", Shape::Text),
    judged("initContainers", "containers", Shape::List(&Shape::Object(CONTAINER))),
    judged("ephemeralContainers", "ephemeral-containers", Shape::List(&Shape::Object(EPHEMERAL))),
    judged("nodeSelector", "scheduling", TEXT_MAP),
    judged("priorityClassName", "scheduling", Shape::Text),
    judged("os", "scheduling", Shape::Object(REFERENCE)),
    judged("hostUsers", "user-namespace", Shape::Boolean),
    judged("runtimeClassName", "runtime-class", Shape::Text),
    judged("overhead", "runtime-class", AMOUNTS),
    judged("hostname", "dns", Shape::Text),
    allow("activeDeadlineSeconds", Shape::Integer),
    allow("restartPolicy", Shape::Text),
    refused("hostNetwork", "host-namespaces"),
    refused("hostPID", "host-namespaces"),
    refused("hostIPC", "host-namespaces"),
    refused("shareProcessNamespace", "host-namespaces"),
    refused("dnsConfig", "dns"),
    refused("hostAliases", "dns"),
    refused("hostnameOverride", "dns"),
    refused("setHostnameAsFQDN", "dns"),
    refused("subdomain", "dns"),
    refused("affinity", "scheduling"),
    refused("topologySpreadConstraints", "scheduling"),
    refused("evictionResponders", "scheduling"),
    refused("resourceClaims", "scheduling"),
    refused("schedulingGroup", "scheduling"),
    refused("workloadRef", "scheduling"),
    refused("resources", "resources"),
    refused("readinessGates", "fields"),
];

const REFERENCE: &[Field] = &[allow("name", Shape::Text)];

const TOLERATION: &[Field] = &[
    allow("key", Shape::Text),
    allow("operator", Shape::Text),
    allow("value", Shape::Text),
    allow("effect", Shape::Text),
    allow("tolerationSeconds", Shape::Integer),
];

const POD_SECURITY: &[Field] = &[
    judged("runAsNonRoot", "run-as-non-root", Shape::Boolean),
    judged("runAsUser", "run-as-non-root", Shape::Integer),
    judged("runAsGroup", "run-as-non-root", Shape::Integer),
    judged("fsGroup", "run-as-non-root", Shape::Integer),
    judged("supplementalGroups", "run-as-non-root", Shape::List(&Shape::Integer)),
    judged("seccompProfile", "seccomp", Shape::Object(CONFINEMENT)),
    judged("appArmorProfile", "apparmor", Shape::Object(CONFINEMENT)),
    allow("fsGroupChangePolicy", Shape::Text),
    allow("supplementalGroupsPolicy", Shape::Text),
    refused("seLinuxOptions", "fields"),
    refused("seLinuxChangePolicy", "fields"),
    refused("sysctls", "fields"),
    refused("windowsOptions", "fields"),
];

/// A seccomp or AppArmor profile.
const CONFINEMENT: &[Field] = &[allow("type", Shape::Text), allow("localhostProfile", Shape::Text)];

/// A field of the pod itself.
const FIELD: &[Field] = &[allow("apiVersion", Shape::Text), allow("fieldPath", Shape::Text)];

/// The row of a key.
pub(super) fn row(fields: &'static [Field], key: &str) -> Option<&'static Field> {
    fields.iter().find(|field| field.key == key)
}

/// The members of an object that the named rule refuses as a whole, and that are set.
pub(super) fn refusals<'j>(
    fields: &'static [Field],
    rule: &'static str,
    object: &'j Json<'j>,
) -> impl Iterator<Item = (&'static str, &'j Json<'j>)> {
    object.entries().iter().filter_map(move |(key, value)| {
        let field = row(fields, key).filter(|field| field.class == Class::Refused(rule))?;
        (!value.is_unset()).then_some((field.key, value))
    })
}

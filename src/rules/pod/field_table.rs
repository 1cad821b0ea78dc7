//! Every field that a pod can have: its shape, and who decides about it.
//!
//! One table for all: `fields` refuses what stands in no row, the rules find in it what they
//! refuse as a whole, and the census test holds it against the published schemas.

use crate::model::Json;

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

const CONFINEMENT: &[Field] = &[allow("type", Shape::Text), allow("localhostProfile", Shape::Text)];

const CONTAINER_SECURITY: &[Field] = &[
    judged("allowPrivilegeEscalation", "privilege-escalation", Shape::Boolean),
    judged("capabilities", "capabilities", Shape::Object(CAPABILITIES)),
    judged("privileged", "privileged", Shape::Boolean),
    judged("procMount", "proc-mount", Shape::Text),
    judged("readOnlyRootFilesystem", "read-only-root", Shape::Boolean),
    judged("runAsNonRoot", "run-as-non-root", Shape::Boolean),
    judged("runAsUser", "run-as-non-root", Shape::Integer),
    judged("runAsGroup", "run-as-non-root", Shape::Integer),
    judged("seccompProfile", "seccomp", Shape::Object(CONFINEMENT)),
    judged("appArmorProfile", "apparmor", Shape::Object(CONFINEMENT)),
    refused("seLinuxOptions", "fields"),
    refused("windowsOptions", "fields"),
];

const CAPABILITIES: &[Field] = &[judged("add", "capabilities", TEXTS), judged("drop", "capabilities", TEXTS)];

/// One volume; its sources that are refused whatever they say are found here by the rule `volumes`.
pub(super) const VOLUME: &[Field] = &[
    allow("name", Shape::Text),
    judged("emptyDir", "volumes", Shape::Object(EMPTY_DIR)),
    judged("configMap", "volumes", Shape::Object(CONFIG_MAP)),
    judged("projected", "volumes", Shape::Object(PROJECTED)),
    refused("awsElasticBlockStore", "volumes"),
    refused("azureDisk", "volumes"),
    refused("azureFile", "volumes"),
    refused("cephfs", "volumes"),
    refused("cinder", "volumes"),
    refused("csi", "volumes"),
    refused("downwardAPI", "volumes"),
    refused("ephemeral", "volumes"),
    refused("fc", "volumes"),
    refused("flexVolume", "volumes"),
    refused("flocker", "volumes"),
    refused("gcePersistentDisk", "volumes"),
    refused("gitRepo", "volumes"),
    refused("glusterfs", "volumes"),
    refused("hostPath", "volumes"),
    refused("image", "volumes"),
    refused("iscsi", "volumes"),
    refused("nfs", "volumes"),
    refused("persistentVolumeClaim", "volumes"),
    refused("photonPersistentDisk", "volumes"),
    refused("portworxVolume", "volumes"),
    refused("quobyte", "volumes"),
    refused("rbd", "volumes"),
    refused("scaleIO", "volumes"),
    refused("secret", "volumes"),
    refused("storageos", "volumes"),
    refused("vsphereVolume", "volumes"),
];

const EMPTY_DIR: &[Field] = &[
    judged("medium", "volumes", Shape::Text),
    judged("sizeLimit", "volumes", Shape::Amount),
    allow("mode", Shape::Integer),
];

const CONFIG_MAP: &[Field] = &[
    judged("name", "volumes", Shape::Text),
    allow("items", Shape::List(&Shape::Object(FILE))),
    allow("defaultMode", Shape::Integer),
    allow("optional", Shape::Boolean),
    refused("defaultUser", "fields"),
];

const FILE: &[Field] =
    &[allow("key", Shape::Text), allow("path", Shape::Text), allow("mode", Shape::Integer), refused("user", "fields")];

/// Only what the API server's ServiceAccount plugin puts into a pod.
const PROJECTED: &[Field] = &[
    judged("sources", "volumes", Shape::List(&Shape::Object(PROJECTION))),
    allow("defaultMode", Shape::Integer),
    refused("defaultUser", "fields"),
];

const PROJECTION: &[Field] = &[
    judged("serviceAccountToken", "volumes", Shape::Object(TOKEN)),
    judged("configMap", "volumes", Shape::Object(PROJECTED_CONFIG_MAP)),
    judged("downwardAPI", "volumes", Shape::Object(DOWNWARD)),
    refused("clusterTrustBundle", "volumes"),
    refused("podCertificate", "volumes"),
    refused("secret", "volumes"),
];

const TOKEN: &[Field] = &[
    judged("audience", "volumes", Shape::Text),
    allow("expirationSeconds", Shape::Integer),
    allow("path", Shape::Text),
    refused("user", "fields"),
];

const PROJECTED_CONFIG_MAP: &[Field] = &[
    judged("name", "volumes", Shape::Text),
    allow("items", Shape::List(&Shape::Object(FILE))),
    allow("optional", Shape::Boolean),
];

const DOWNWARD: &[Field] = &[allow("items", Shape::List(&Shape::Object(DOWNWARD_FILE)))];

const DOWNWARD_FILE: &[Field] = &[
    allow("path", Shape::Text),
    allow("mode", Shape::Integer),
    allow("fieldRef", Shape::Object(FIELD)),
    refused("resourceFieldRef", "fields"),
    refused("user", "fields"),
];

const FIELD: &[Field] = &[allow("apiVersion", Shape::Text), allow("fieldPath", Shape::Text)];

macro_rules! container_fields {
    ($($more:expr)?) => {
        &[
            judged("name", "containers", Shape::Text),
            judged("image", "image-registry", Shape::Text),
            judged("imagePullPolicy", "image-pull-policy", Shape::Text),
            judged("resources", "resources", Shape::Object(RESOURCES)),
            judged("securityContext", "privileged", Shape::Object(CONTAINER_SECURITY)),
            judged("env", "env-sources", Shape::List(&Shape::Object(ENV))),
            judged("ports", "container-ports", Shape::List(&Shape::Object(PORT))),
            judged("volumeMounts", "volumes", Shape::List(&Shape::Object(VOLUME_MOUNT))),
            allow("terminationMessagePath", Shape::Text),
            allow("terminationMessagePolicy", Shape::Text),
            allow("command", TEXTS),
            allow("args", TEXTS),
            allow("workingDir", Shape::Text),
            judged("envFrom", "env-sources", Shape::List(&Shape::Object(ENV_FROM))),
            judged("livenessProbe", "probes", Shape::Object(PROBE)),
            judged("readinessProbe", "probes", Shape::Object(PROBE)),
            judged("startupProbe", "probes", Shape::Object(PROBE)),
            judged("lifecycle", "probes", Shape::Object(LIFECYCLE)),
            allow("restartPolicy", Shape::Text),
            allow("stdin", Shape::Boolean),
            allow("stdinOnce", Shape::Boolean),
            allow("tty", Shape::Boolean),
            allow("resizePolicy", Shape::List(&Shape::Object(RESIZE))),
            refused("restartPolicyRules", "fields"),
            refused("volumeDevices", "volumes"),
            $($more)?
        ]
    };
}

/// A container of the lists `containers` and `initContainers`.
pub(super) const CONTAINER: &[Field] = container_fields!();

const EPHEMERAL: &[Field] = container_fields!(allow("targetContainerName", Shape::Text));

/// Requests and limits of a container.
pub(super) const RESOURCES: &[Field] =
    &[judged("requests", "resources", AMOUNTS), judged("limits", "resources", AMOUNTS), refused("claims", "resources")];

const RESIZE: &[Field] = &[allow("resourceName", Shape::Text), allow("restartPolicy", Shape::Text)];

const ENV: &[Field] = &[
    allow("name", Shape::Text),
    allow("value", Shape::Text),
    judged("valueFrom", "env-sources", Shape::Object(ENV_SOURCE)),
];

/// Where a variable may take its value from.
pub(super) const ENV_SOURCE: &[Field] = &[
    judged("secretKeyRef", "env-sources", Shape::Object(KEY_REFERENCE)),
    judged("configMapKeyRef", "env-sources", Shape::Object(KEY_REFERENCE)),
    judged("fieldRef", "env-sources", Shape::Object(FIELD)),
    // The container's own requests and limits.
    allow("resourceFieldRef", Shape::Object(RESOURCE_FIELD)),
    refused("fileKeyRef", "env-sources"),
];

const KEY_REFERENCE: &[Field] =
    &[judged("name", "env-sources", Shape::Text), allow("key", Shape::Text), allow("optional", Shape::Boolean)];

const RESOURCE_FIELD: &[Field] =
    &[allow("containerName", Shape::Text), allow("resource", Shape::Text), allow("divisor", Shape::Amount)];

const ENV_FROM: &[Field] = &[
    allow("prefix", Shape::Text),
    judged("secretRef", "env-sources", Shape::Object(WHOLE_REFERENCE)),
    judged("configMapRef", "env-sources", Shape::Object(WHOLE_REFERENCE)),
];

const WHOLE_REFERENCE: &[Field] = &[judged("name", "env-sources", Shape::Text), allow("optional", Shape::Boolean)];

/// One port of a container.
pub(super) const PORT: &[Field] = &[
    allow("name", Shape::Text),
    judged("containerPort", "container-ports", Shape::Integer),
    judged("protocol", "container-ports", Shape::Text),
    refused("hostPort", "host-ports"),
    refused("hostIP", "host-ports"),
];

/// One mount of a volume.
pub(super) const VOLUME_MOUNT: &[Field] = &[
    judged("name", "volumes", Shape::Text),
    allow("mountPath", Shape::Text),
    allow("readOnly", Shape::Boolean),
    allow("recursiveReadOnly", Shape::Text),
    judged("mountPropagation", "volumes", Shape::Text),
    judged("subPath", "volumes", Shape::Text),
    refused("subPathExpr", "volumes"),
    refused("bindMountOptions", "volumes"),
];

const PROBE: &[Field] = &[
    allow("exec", Shape::Object(EXEC)),
    allow("grpc", Shape::Object(GRPC)),
    allow("httpGet", Shape::Object(HTTP)),
    allow("tcpSocket", Shape::Object(SOCKET)),
    allow("initialDelaySeconds", Shape::Integer),
    allow("timeoutSeconds", Shape::Integer),
    allow("periodSeconds", Shape::Integer),
    allow("successThreshold", Shape::Integer),
    allow("failureThreshold", Shape::Integer),
    judged("terminationGracePeriodSeconds", "grace-period", Shape::Integer),
];

const LIFECYCLE: &[Field] = &[
    allow("postStart", Shape::Object(HANDLER)),
    allow("preStop", Shape::Object(HANDLER)),
    allow("stopSignal", Shape::Text),
];

const HANDLER: &[Field] = &[
    allow("exec", Shape::Object(EXEC)),
    allow("httpGet", Shape::Object(HTTP)),
    allow("tcpSocket", Shape::Object(SOCKET)),
    allow("sleep", Shape::Object(SLEEP)),
];

const EXEC: &[Field] = &[allow("command", TEXTS)];

const GRPC: &[Field] = &[allow("port", Shape::Integer), allow("service", Shape::Text), allow("mode", Shape::Text)];

const HTTP: &[Field] = &[
    judged("host", "probes", Shape::Text),
    allow("path", Shape::Text),
    allow("port", Shape::Port),
    allow("scheme", Shape::Text),
    allow("protocol", Shape::Text),
    allow("httpHeaders", Shape::List(&Shape::Object(HEADER))),
];

const HEADER: &[Field] = &[allow("name", Shape::Text), allow("value", Shape::Text)];

const SOCKET: &[Field] = &[judged("host", "probes", Shape::Text), allow("port", Shape::Port)];

const SLEEP: &[Field] = &[allow("seconds", Shape::Integer)];

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

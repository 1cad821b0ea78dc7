//! The fields of containers of every kind.

use super::{AMOUNTS, CONFINEMENT, FIELD, Field, Shape, TEXTS, allow, judged, refused};

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
pub(in crate::rules::pod) const CONTAINER: &[Field] = container_fields!();

/// A container of the list `ephemeralContainers`.
pub(super) const EPHEMERAL: &[Field] = container_fields!(allow("targetContainerName", Shape::Text));

/// Requests and limits of a container.
pub(in crate::rules::pod) const RESOURCES: &[Field] =
    &[judged("requests", "resources", AMOUNTS), judged("limits", "resources", AMOUNTS), refused("claims", "resources")];

const RESIZE: &[Field] = &[allow("resourceName", Shape::Text), allow("restartPolicy", Shape::Text)];

const ENV: &[Field] = &[
    allow("name", Shape::Text),
    allow("value", Shape::Text),
    judged("valueFrom", "env-sources", Shape::Object(ENV_SOURCE)),
];

/// Where a variable may take its value from.
pub(in crate::rules::pod) const ENV_SOURCE: &[Field] = &[
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
pub(in crate::rules::pod) const PORT: &[Field] = &[
    allow("name", Shape::Text),
    judged("containerPort", "container-ports", Shape::Integer),
    judged("protocol", "container-ports", Shape::Text),
    refused("hostPort", "host-ports"),
    refused("hostIP", "host-ports"),
];

/// One mount of a volume.
pub(in crate::rules::pod) const VOLUME_MOUNT: &[Field] = &[
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

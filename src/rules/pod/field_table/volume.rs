//! The fields of volumes.

use super::{FIELD, Field, Shape, allow, judged, refused};

/// One volume; its sources that are refused whatever they say are found here by the rule `volumes`.
pub(in crate::rules::pod) const VOLUME: &[Field] = &[
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

//! The Job that makes one scan, and the Secret that tells it what to do.

use serde_json::{Value, json};

use super::{Bounds, Order};
use crate::facts::Place;
use crate::install::{WORKER, worker_labels};
use crate::model::Digest;
use crate::policy::{Databases, Want, Worker};

/// One scan's Job, and what it is made from.
pub(super) struct Job<'a> {
    pub(super) place: Place,
    pub(super) worker: &'a Worker,
    pub(super) bounds: &'a Bounds,
    /// Until when it must have ended, its pod's start included.
    pub(super) seconds: u64,
}

/// The name of the Job of a digest. Each attempt has its own: what is left of one before, in the cluster or in the
/// memory of Kubernetes' job controller, is no part of it.
pub(super) fn name(digest: &Digest, attempt: u32) -> String {
    let text = digest.to_string();
    let digits = text.strip_prefix("sha256:").unwrap_or(&text);
    format!("{WORKER}-{}-{attempt:08x}", digits.chars().take(DIGITS).collect::<String>())
}

impl Job<'_> {
    /// The object.
    pub(super) fn object(&self) -> Value {
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": self.place.name, "namespace": self.place.namespace, "labels": worker_labels()},
            "spec": {
                "completions": 1,
                "parallelism": 1,
                // Whether it is tried again is decided elsewhere, with a nonce that is new.
                "backoffLimit": 0,
                "activeDeadlineSeconds": self.seconds,
                "ttlSecondsAfterFinished": 60,
                "template": {"metadata": {"labels": worker_labels()}, "spec": self.pod()},
            },
        })
    }

    fn pod(&self) -> Value {
        let Worker { image, pull_secret, user_namespace, .. } = self.worker;
        let mut volumes = vec![
            json!({"name": "order", "secret": {"secretName": self.place.name, "defaultMode": 0o440}}),
            json!({"name": "work", "emptyDir": {"sizeLimit": self.disk().to_string()}}),
        ];
        let mut mounts = vec![
            json!({"name": "order", "mountPath": ORDER, "readOnly": true}),
            json!({"name": "work", "mountPath": WORK}),
        ];
        if let Databases::Claim(claim) = &self.worker.databases {
            let claim = json!({"claimName": claim, "readOnly": true});
            volumes.push(json!({"name": "databases", "persistentVolumeClaim": claim}));
            mounts.push(json!({"name": "databases", "mountPath": DATABASES, "readOnly": true}));
        }
        let mut pod = json!({
            "restartPolicy": "Never",
            "serviceAccountName": WORKER,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 10,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "imagePullSecrets": pull_secret.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
            "containers": [{
                "name": CONTAINER,
                "image": image,
                "command": ["/flamewarden", "scan-worker", "run", format!("--order={ORDER}/{KEY}")],
                "env": [{"name": "TMPDIR", "value": WORK}],
                // What it says last is why it failed, in one line.
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "resources": self.resources(),
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "privileged": false,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
        });
        if *user_namespace == Want::Required
            && let Some(pod) = pod.as_object_mut()
        {
            pod.insert("hostUsers".to_owned(), json!(false));
        }
        pod
    }

    /// As much as a scan may take, and what its watching takes. It ends the scan itself before others end both.
    fn resources(&self) -> Value {
        let memory = self.bounds.memory.saturating_add(WATCHING).to_string();
        let disk = self.disk().saturating_add(WATCHING).to_string();
        json!({
            "requests": {"cpu": "100m", "memory": memory, "ephemeral-storage": disk},
            "limits": {"cpu": self.worker.cpu.to_string(), "memory": memory, "ephemeral-storage": disk},
        })
    }

    fn disk(&self) -> u64 {
        self.bounds.disk.saturating_add(WATCHING)
    }
}

/// The Secret with an order, which goes with its Job.
pub(super) fn secret(place: &Place, job: &str, order: &Order) -> Result<Value, serde_json::Error> {
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
        "metadata": {
            "name": place.name, "namespace": place.namespace, "labels": worker_labels(),
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "Job", "name": place.name, "uid": job, "controller": true,
                "blockOwnerDeletion": false,
            }],
        },
        "stringData": {KEY: serde_json::to_string(order)?},
    }))
}

/// Where a worker finds Grype's databases.
pub(super) fn databases(worker: &Worker) -> std::path::PathBuf {
    match &worker.databases {
        Databases::Claim(_) => DATABASES.into(),
        Databases::Folder(folder) => folder.clone(),
    }
}

/// The one container.
pub(super) const CONTAINER: &str = "scan";
const DIGITS: usize = 32;
const ORDER: &str = "/order";
const KEY: &str = "order.json";
const WORK: &str = "/tmp";
const DATABASES: &str = "/databases";
const WATCHING: u64 = 128 << 20;

//! What a kubelet does with the pods of Jobs that scan. The tests' own runs no containers: here a worker's command is run in
//! a network of its own.

use std::fs;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::registry::PASSWORD;
use crate::sealed::Sealed;
use crate::shared::Cluster;

/// The workers of one installation.
pub(crate) struct Workers<'a> {
    pub(crate) cluster: &'a Cluster,
    /// Flamewarden's own.
    pub(crate) namespace: &'a str,
    /// What they run.
    pub(crate) image: &'a str,
    pub(crate) sealed: Sealed,
}

/// Digits of a digest that stand in the name of its Job.
pub(crate) const DIGITS: usize = 32;

impl Workers<'_> {
    /// The Job that is made for a digest, once it is there.
    pub(crate) async fn job(&self, digest: &str) -> Value {
        let begins = format!("flamewarden-scan-{}-", &digest["sha256:".len()..][..DIGITS]);
        let is_it = |job: &&Value| {
            job["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(&begins))
                && job["spec"]["template"]["spec"]["containers"][0]["image"] == *self.image
                && job["metadata"]["deletionTimestamp"].is_null()
        };
        self.cluster
            .read(&self.path("/apis/batch/v1", "jobs"), |list| list["items"].as_array()?.iter().find(is_it).cloned())
            .await
    }

    /// Does what a kubelet does with a worker's pod, in the sealed network, and reports its end.
    pub(crate) async fn work(&self, name: &str) {
        let pod = self.pod(name, |pod| pod["status"]["phase"] == "Running").await;
        let secret = self
            .cluster
            .read(&format!("{}/{name}", self.path("/api/v1", "secrets")), |secret| Some(secret.clone()))
            .await;
        let folder = tempfile::tempdir().unwrap();
        let order = STANDARD.decode(secret["data"]["order.json"].as_str().unwrap()).unwrap();
        fs::write(folder.path().join("order.json"), order).unwrap();
        let container = &pod["spec"]["containers"][0];
        let words: Vec<&str> =
            container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(words, ["/flamewarden", "scan-worker", "run", "--order=/order/order.json"]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
        command.args(&words[1..3]).arg(format!("--order={}", folder.path().join("order.json").display()));
        command.env_clear().env("TMPDIR", folder.path());
        let done = self.sealed.run(command).await;
        let said = String::from_utf8(done.stdout).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        let order: Value = serde_json::from_slice(&fs::read(folder.path().join("order.json")).unwrap()).unwrap();
        for secret in [PASSWORD, order["deliver"]["port"]["nonce"].as_str().unwrap()] {
            assert!(!said.contains(secret) && !String::from_utf8_lossy(&done.stderr).contains(secret), "{said}");
        }
        let pod = pod["metadata"]["name"].as_str().unwrap();
        self.cluster.kubelet.end(self.namespace, pod, done.status.code().unwrap());
    }

    pub(crate) async fn pod(&self, job: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let pods = self.path("/api/v1", "pods");
        let path = format!("{pods}?labelSelector=batch.kubernetes.io%2Fjob-name%3D{job}");
        self.cluster.read(&path, |list| list["items"].as_array()?.iter().find(|pod| wanted(pod)).cloned()).await
    }

    fn path(&self, group: &str, resource: &str) -> String {
        format!("{group}/namespaces/{}/{resource}", self.namespace)
    }
}

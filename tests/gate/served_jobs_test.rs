//! The whole program with a section `worker`, as it is printed: a pod waits, a Job scans its image, and the pod runs.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde_json::json;

use crate::advisories::advisories;
use crate::control_plane::ControlPlane;
use crate::flamewarden::{answers, apply, controller_recipe, prepare_with, settled, webhook_recipe};
use crate::gate::{CREATOR, analysis, debian, path};
use crate::grype::{database, programs};
use crate::kubelet::Kubelet;
use crate::part::Part;
use crate::registry::{Access, PASSWORD, Registry, USER};
use crate::sealed::Sealed;
use crate::shared::{Cluster, run};
use crate::workers::Workers;

#[test]
fn a_job_scans_what_waits_and_the_pod_runs() {
    run(async {
        let (registry, databases) =
            (Registry::with(Access::Private).await, database(&advisories(SignedDuration::from_hours(1))));
        let lab = Lab::start(&registry, databases.path()).await;
        let admin = &lab.cluster.admin;
        let image = debian("served", "3.0.12-1");
        let name = registry.push("node/served", &image).await;
        let creator = lab.cluster.plane.caller(CREATOR, Some("system:masters")).await;
        let docker = json!({"auths": {registry.host.as_str(): {"username": USER, "password": PASSWORD}}});
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "flame-harbor-credentials"},
            "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": docker.to_string()},
        });
        creator.create("/api/v1/namespaces/flame/secrets", &secret).await.unwrap();
        admin.create("/api/v1/namespaces/flame/pods", &analysis("served", &name)).await.unwrap();
        let workers =
            Workers { cluster: &lab.cluster, namespace: SYSTEM, image: IMAGE, sealed: Sealed::with(&lab.ports) };
        let job = workers.job(&image.manifest.digest()).await["metadata"]["name"].as_str().unwrap().to_owned();
        let pod = "/api/v1/namespaces/flame/pods/analysis-served";
        assert!(admin.get(pod).await.unwrap()["spec"]["nodeName"].is_null());
        workers.work(&job).await;
        lab.cluster.read(pod, |pod| (pod["status"]["phase"] == "Running").then_some(())).await;
        let scan = admin.get(&path(&name)).await.unwrap();
        assert_eq!(scan["status"]["verdicts"][0]["outcome"], "pass", "{scan}");
        for (group, resource) in [("/apis/batch/v1", "jobs"), ("/api/v1", "secrets")] {
            lab.cluster.gone(&format!("{group}/namespaces/{SYSTEM}/{resource}/{job}")).await;
        }
    });
}

/// A cluster of its own with Flamewarden in it.
struct Lab {
    cluster: Cluster,
    /// The registry's, and the controller's for scans.
    ports: [u16; 2],
    _parts: [Part; 2],
}

impl Lab {
    async fn start(registry: &Registry, databases: &Path) -> Lab {
        let plane = ControlPlane::start().await;
        let admin = plane.admin().await;
        let kubelet = Kubelet::start(&plane, "node-1").await;
        let cluster = Cluster { plane, admin, kubelet };
        let folder = cluster.plane.folder().join("flamewarden");
        cluster.namespace_named("flame").await;
        let prepared = prepare_with(&folder, files(&registry.host, databases));
        apply(&cluster, &prepared.rest).await;
        let mut webhook = Part::start(webhook_recipe(&cluster, &folder, prepared.ports));
        let recipe = controller_recipe(&cluster, &folder, "policies", "first");
        let port = recipe.arguments.iter().find_map(|one| one.strip_prefix("--scans=127.0.0.1:"));
        let ports = [registry.host.rsplit_once(':').unwrap().1, port.unwrap()].map(|port| port.parse().unwrap());
        let controller = Part::start(recipe);
        answers(&mut webhook, prepared.ports[1]).await;
        apply(&cluster, &prepared.configurations).await;
        settled(&cluster.admin).await;
        Lab { cluster, ports, _parts: [webhook, controller] }
    }
}

/// The shipped profiles, whose pods wait, and Jobs that scan.
fn files(registry: &str, databases: &Path) -> Vec<(String, String)> {
    let shipped = |name: &str| {
        let text = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies").join(name)).unwrap();
        let hold = text.replace("    verdict: required\n", "    verdict: required\n    onUnknown: hold\n");
        (name.to_owned(), hold)
    };
    let settings = format!(
        "apiVersion: flamewarden.dev/v1alpha1\nkind: Installation\nspec:\n  namespaces: [{{name: flame, tenancy: shared}}]\n\
         \x20 analysisRegistries: ['{registry}/node']\n  gatewayImages: ['{registry}/gateways/']\n  creators: ['{CREATOR}']\n\
         ---\napiVersion: flamewarden.dev/v1alpha1\nkind: Scanner\nspec:\n  insecureRegistries: ['{registry}']\n\
         \x20 timeoutSeconds: 60\n  worker:\n    image: {IMAGE}\n    grype: {}\n    databases: {{folder: {}}}\n",
        programs().join("grype").display(),
        databases.display(),
    );
    vec![shipped("flame-analysis.yaml"), shipped("flame-gateway.yaml"), ("settings.yaml".to_owned(), settings)]
}

const SYSTEM: &str = "flamewarden-system";
const IMAGE: &str = "registry.example/scan@sha256:0000000000000000000000000000000000000000000000000000000000000000";

//! Scans by Jobs: what is stored of them, whom they reach, and what they leave behind.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use flamewarden::install::{Certificates, Endpoint, Settings, manifests};
use flamewarden::model::Digest;
use flamewarden::policy::PolicySet;
use flamewarden::scanner::{Errand, Jobs, JobsSettings, Port, Runner, ScanProblem};
use flamewarden::serve::Drain;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::advisories::advisories;
use crate::grype::{database, programs};
use crate::image::Image;
use crate::kubelet::Order;
use crate::registry::{Access, PASSWORD, Registry, USER};
use crate::samples::{RELEASE, openssl};
use crate::sealed::Sealed;
use crate::shared::{Cluster, cluster, run};
use crate::workers::{DIGITS, Workers};

const NAMESPACE: &str = "flamewarden-jobs";
const JOBS: &str = "/apis/batch/v1/namespaces/flamewarden-jobs/jobs";
const SECRETS: &str = "/api/v1/namespaces/flamewarden-jobs/secrets";

struct Lab {
    cluster: &'static Cluster,
    registry: Registry,
    runner: Runner,
    workers: Workers<'static>,
    _databases: TempDir,
}

impl Lab {
    async fn start() -> Lab {
        let cluster = cluster().await;
        let registry = Registry::with(Access::Private).await;
        let databases = database(&advisories(SignedDuration::from_hours(1)));
        let scanner = format!(
            "apiVersion: flamewarden.dev/v1alpha1\nkind: Scanner\nspec:\n  timeoutSeconds: 60\n  memory: 1Gi\n  disk: 1Gi\n\
             \x20 worker:\n    image: {IMAGE}\n    grype: {}\n    databases: {{folder: {}}}\n    pullSecret: scan-pull\n",
            programs().join("grype").display(),
            databases.path().display(),
        );
        let policies = policies(&scanner);
        install(cluster, &policies).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (port, answered) = Port::open(listener, at, Drain::default()).unwrap();
        tokio::spawn(answered);
        // With the rights that are printed, and no others.
        let user = format!("system:serviceaccount:{NAMESPACE}:flamewarden-controller");
        let kubeconfig = cluster.plane.kubeconfig(&user, None);
        let connected = flamewarden::cluster::Cluster::connect(Some(&kubeconfig), "flamewarden-controller").await;
        let runner = Runner::Jobs(Jobs::new(JobsSettings {
            cluster: connected.unwrap(),
            namespace: NAMESPACE.to_owned(),
            port: Arc::new(port),
            policies: Arc::new(ArcSwap::from_pointee(policies)),
        }));
        let registry_port = registry.host.rsplit_once(':').unwrap().1.parse().unwrap();
        let sealed = Sealed::with(&[registry_port, at.port()]);
        let workers = Workers { cluster, namespace: NAMESPACE, image: IMAGE, sealed };
        Lab { cluster, registry, runner, workers, _databases: databases }
    }

    fn errand(&self, digest: &str) -> Errand {
        let auths = json!({"auths": {&self.registry.host: {"username": USER, "password": PASSWORD}}});
        Errand {
            repository: format!("{}/team/app", self.registry.host),
            digest: Digest::parse(digest).unwrap(),
            platform: Some("linux/amd64".to_owned()),
            credential: Some(auths.to_string()),
            authorities: None,
            insecure: true,
        }
    }
}

fn policies(scanner: &str) -> PolicySet {
    PolicySet::parse([
        ("a", include_str!("../../policies/flame-analysis.yaml")),
        ("g", include_str!("../../policies/flame-gateway.yaml")),
        ("i", include_str!("../../policies/installation.yaml.example")),
        ("s", scanner),
    ])
    .unwrap()
}

/// What is printed for the namespace in which Jobs make scans.
async fn install(cluster: &Cluster, policies: &PolicySet) {
    let settings = Settings {
        namespace: NAMESPACE.to_owned(),
        image: IMAGE.to_owned(),
        certificates: Certificates::Other,
        endpoint: Endpoint::Service,
        files: std::collections::BTreeMap::new(),
    };
    for object in manifests(&settings, policies) {
        let (kind, namespace) = (object["kind"].as_str().unwrap(), object["metadata"]["namespace"].as_str());
        let path = match kind {
            "Namespace" => "/api/v1/namespaces".to_owned(),
            _ if namespace != Some(NAMESPACE) => continue,
            "ServiceAccount" => format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts"),
            "Role" => format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles"),
            "RoleBinding" => format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings"),
            "NetworkPolicy" => format!("/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"),
            _ => continue,
        };
        cluster.admin.create(&path, &object).await.unwrap_or_else(|refusal| panic!("{path}: {}", refusal.message));
    }
}

#[test]
fn a_job_scans_an_image_in_a_sealed_network_and_leaves_nothing_behind() {
    run(async {
        let lab = Lab::start().await;
        let new = openssl("3.0.12-1");
        let image = Image::of("linux/amd64", &[RELEASE, ("var/lib/dpkg/status", &new)]);
        lab.registry.push("team/app", &image).await;
        let digest = image.manifest.digest();
        let left = format!("flamewarden-scan-{}-0", &digest["sha256:".len()..][..DIGITS]);
        lab.cluster.kubelet.order(NAMESPACE, Order::Wait);
        // What a controller that was killed left behind: of the same digest, and of another.
        for left in [left.as_str(), "flamewarden-scan-other"] {
            lab.cluster.admin.create(JOBS, &left_behind(left)).await.unwrap();
        }
        let errand = lab.errand(&digest);
        let scanning = lab.runner.run(&errand);
        let beside = async {
            let job = lab.workers.job(&digest).await;
            stored(&job);
            let name = job["metadata"]["name"].as_str().unwrap().to_owned();
            for left in [left.as_str(), "flamewarden-scan-other"] {
                lab.cluster.gone(&format!("{JOBS}/{left}")).await;
            }
            let secret = lab.cluster.read(&format!("{SECRETS}/{name}"), |secret| Some(secret.clone())).await;
            assert_eq!(
                (&secret["immutable"], &secret["metadata"]["ownerReferences"][0]["kind"]),
                (&json!(true), &json!("Job"))
            );
            lab.cluster.kubelet.order(NAMESPACE, Order::Run);
            lab.workers.work(&name).await;
            name
        };
        let (evidence, name) = tokio::join!(scanning, beside);
        let evidence = evidence.unwrap();
        assert_eq!(evidence.report.digest(), Some(digest.as_str()));
        for path in [JOBS, SECRETS] {
            lab.cluster.gone(&format!("{path}/{name}")).await;
        }

        // Nothing else is reached from where it ran, the API server least of all.
        let api = lab.cluster.plane.kubeconfig("nobody", None);
        let text = fs::read_to_string(api).unwrap();
        let port =
            text.split("https://127.0.0.1:").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap();
        let reach = |port: &str| {
            let mut command = Command::new("bash");
            command.args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{port}")]);
            command
        };
        assert!(!lab.workers.sealed.run(reach(port)).await.status.success(), "the API server");
        assert!(lab.workers.sealed.run(reach(lab.registry.host.rsplit_once(':').unwrap().1)).await.status.success());

        nothing_is_brought(&lab).await;
    });
}

/// An image that is not there, and a scan that nobody waits for.
async fn nothing_is_brought(lab: &Lab) {
    let absent = Digest::of(b"absent").to_string();
    let errand = lab.errand(&absent);
    let beside = async {
        let name = lab.workers.job(&absent).await["metadata"]["name"].as_str().unwrap().to_owned();
        lab.workers.work(&name).await;
        name
    };
    let (problem, name) = tokio::join!(lab.runner.run(&errand), beside);
    assert!(matches!(problem, Err(ScanProblem::Grype(_))), "{problem:?}");
    lab.cluster.gone(&format!("{JOBS}/{name}")).await;
    let waiting = tokio::time::timeout(Duration::from_secs(60), lab.runner.run(&errand));
    let beside = async {
        let name = lab.workers.job(&absent).await["metadata"]["name"].as_str().unwrap().to_owned();
        lab.workers.pod(&name, |_| true).await;
        name
    };
    let name = tokio::select! {
        _ = waiting => panic!("nobody makes it"),
        name = beside => name,
    };
    for path in [JOBS, SECRETS] {
        lab.cluster.gone(&format!("{path}/{name}")).await;
    }
}

/// A Job of a controller before this one, whose pod never starts.
fn left_behind(name: &str) -> Value {
    let labels = json!({"app.kubernetes.io/name": "flamewarden-scan"});
    let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let spec = json!({
        "restartPolicy": "Never", "serviceAccountName": "flamewarden-scan",
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "scan", "image": "registry.example/old", "securityContext": security}],
    });
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": spec}},
    })
}

/// Every field of a worker's Job that says what it may do, as the API server has it.
fn stored(job: &Value) {
    let spec = &job["spec"];
    let times = ["backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "parallelism", "completions"];
    assert_eq!(times.map(|field| spec[field].as_i64()), [Some(0), Some(360), Some(60), Some(1), Some(1)]);
    let labels = &spec["template"]["metadata"]["labels"];
    let names = ["app.kubernetes.io/name", "app.kubernetes.io/part-of"].map(|label| labels[label].as_str().unwrap());
    // The port of Flamewarden's own pods is open by the first.
    assert_eq!(names, ["flamewarden-scan", "flamewarden"]);
    let name = job["metadata"]["name"].as_str().unwrap();
    // 1 GiB and 128 MiB of either; of disk the watching takes as much again.
    let (memory, disk) = ("1207959552", "1342177280");
    let wanted = json!({
        "restartPolicy": "Never",
        "serviceAccount": "flamewarden-scan", "serviceAccountName": "flamewarden-scan",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 10,
        "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "imagePullSecrets": [{"name": "scan-pull"}],
        "containers": [{
            "name": "scan", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
            "command": ["/flamewarden", "scan-worker", "run", "--order=/order/order.json"],
            "env": [{"name": "TMPDIR", "value": "/tmp"}],
            "resources": {
                "requests": {"cpu": "100m", "memory": memory, "ephemeral-storage": disk},
                "limits": {"cpu": "2", "memory": memory, "ephemeral-storage": disk},
            },
            "securityContext": {
                "allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [
                {"name": "order", "mountPath": "/order", "readOnly": true},
                {"name": "work", "mountPath": "/tmp"},
            ],
        }],
        "volumes": [
            {"name": "order", "secret": {"secretName": name, "defaultMode": 0o440}},
            {"name": "work", "emptyDir": {"sizeLimit": "1207959552"}},
        ],
    });
    assert_eq!(spec["template"]["spec"], wanted);
}

const IMAGE: &str = "registry.example/scan@sha256:0000000000000000000000000000000000000000000000000000000000000000";

//! `flamewarden bundle` as a user calls it: the whole bundle as it is expected, and without a finding.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder with `policies/`, the request and the Services, each changed where a test says so.
struct Folder(TempDir);

impl Folder {
    /// Replaces texts in the files: file, text, other text.
    fn with(changes: &[(&str, &str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        for (from, to) in FILES {
            let mut text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(from)).unwrap();
            for (_, old, new) in changes.iter().filter(|(file, ..)| file == to) {
                assert!(text.contains(old), "{to} has no {old}");
                text = text.replace(old, new);
            }
            fs::write(folder.path().join(to), text).unwrap();
        }
        Folder(folder)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_flamewarden")).args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    fn bundle(&self) -> Output {
        self.run(&["bundle", "request.json", "--services", "services.yaml"])
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }
}

const FILES: &[(&str, &str)] = &[
    ("policies/flame-analysis.yaml", "policies/flame-analysis.yaml"),
    ("policies/flame-gateway.yaml", "policies/flame-gateway.yaml"),
    ("tests/bundle/installation.yaml", "policies/installation.yaml"),
    ("tests/bundle/orchestrator.yaml", "policies/orchestrator.yaml"),
    ("tests/bundle/request.json", "request.json"),
    ("tests/bundle/services.yaml", "services.yaml"),
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `WRITE=1` writes it anew.
#[test]
fn the_bundle_is_the_one_that_was_read_and_found_good() {
    let output = Folder::with(&[]).bundle();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bundle/bundle.yaml");
    if std::env::var_os("WRITE").is_some() {
        fs::write(&expected, &output.stdout).unwrap();
    }
    assert_eq!(text(&output.stdout), fs::read_to_string(expected).unwrap());
}

#[test]
fn the_audit_finds_nothing_in_a_bundle_neither_shared_nor_dedicated_with_dns_or_without() {
    let shared = ("policies/orchestrator.yaml", "namespace: analyses", "namespace: flame");
    let without_dns = ("policies/flame-analysis.yaml", "dns: cluster", "dns: none");
    let without_statistics = ("policies/orchestrator.yaml", "  networkStatisticsImage", "  # networkStatisticsImage");
    let strict = ("policies/flame-analysis.yaml", "readOnlyRootFilesystem: any", "readOnlyRootFilesystem: required");
    let own_users = ("policies/flame-analysis.yaml", "userNamespace: any", "userNamespace: required");
    for changes in [&[][..], &[shared], &[without_dns], &[without_statistics], &[strict, own_users]] {
        let folder = Folder::with(changes);
        let namespace = if changes.contains(&shared) { "flame" } else { "analyses" };
        let services = fs::read_to_string(folder.path("services.yaml")).unwrap();
        fs::write(folder.path("services.yaml"), services + &gateway_service(namespace)).unwrap();
        let bundle = text(&folder.bundle().stdout);
        assert_eq!(bundle.contains(HOST_ALIASES), changes.contains(&without_dns), "{changes:?}: {bundle}");
        fs::write(folder.path("bundle.yaml"), bundle).unwrap();
        let controller = "system:serviceaccount:flamewarden-system:flamewarden-controller";
        let audit = folder.run(&["audit", "bundle.yaml", "--as", controller]);
        let judged = if changes.contains(&shared) { 9 } else { 10 };
        let want = format!("judged: {judged}; refused: 0; score: 100; coverage: 100 %\n");
        assert_eq!((text(&audit.stdout), text(&audit.stderr)), (want, String::new()), "{changes:?}");
    }
}

/// The Service of the run's gateway, as a cluster has it once it is made.
fn gateway_service(namespace: &str) -> String {
    format!(
        "  - apiVersion: v1\n    kind: Service\n    metadata: {{name: {GATEWAY}, namespace: {namespace}}}\n    spec:\n      \
         clusterIP: 10.0.0.20\n      selector: {{app: {GATEWAY}}}\n      ports: [{{port: 80, targetPort: 8080}}]\n"
    )
}

const GATEWAY: &str = "nginx-analysis-0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f-1";
/// How an analysis that may ask nobody for names knows its gateway.
const HOST_ALIASES: &str = r#"      hostAliases:
      - hostnames:
        - nginx-analysis-0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f-1
        ip: "10.0.0.20"
"#;

#[test]
fn what_cannot_be_made_is_told_at_once_and_whole() {
    let id = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
    let project = "7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d";
    let uuid = "Input should be a valid UUID, no UUID; write 32 hexadecimal digits in groups of 8-4-4-4-12";
    expect_refused(
        &[
            ("request.json", project, "x { allow all; } location /y"),
            ("request.json", "\"registry_user\": \"robot$node\",", ""),
        ],
        &format!("request.json: registry_user: Field required; project_id: {uuid}"),
    );
    expect_refused(
        &[
            ("request.json", &format!("harbor.example/node/{id}"), "elsewhere.example/node/a"),
            ("services.yaml", "clusterIP: 10.0.0.11", "clusterIP: None"),
            ("services.yaml", "targetPort: 3000", "targetPort: 3000, nodePort: 1"),
            ("services.yaml", "flame-node-storage-service", "another"),
        ],
        "image `elsewhere.example/node/a` does not come from an allowed registry (harbor.example/node); upstream kong: Service \
         flame/flame-node-kong-proxy has no address in the cluster (clusterIP); gateways lead to such Services only; upstream \
         storage: Service flame/flame-node-storage-service is not there; make it, or name another in the settings",
    );
    // What admission would refuse is not printed.
    expect_refused(
        &[("policies/flame-analysis.yaml", "digest: any", "digest: required")],
        &format!("image `harbor.example/node/{id}` has no digest, which the profile requires (images.digest)"),
    );
    expect_refused(
        &[("policies/orchestrator.yaml", "kind: Orchestrator", "kind: Orchestrators")],
        "policy file orchestrator.yaml: unknown variant `Orchestrators`, expected one of Profile, Installation, Orchestrator, Scanner, Auditor, Rule \
         at line 2, column 7",
    );
}

/// Whatever the webhook would refuse, or somebody could exchange under its name, is not even set.
#[test]
fn settings_by_which_a_run_would_be_made_and_refused_are_refused_themselves() {
    let (settings, installation) = ("policies/orchestrator.yaml", "policies/installation.yaml");
    let nginx = format!("registry.example/nginx-unprivileged@sha256:{}", "1".repeat(64));
    let busybox = format!("registry.example/busybox@sha256:{}", "2".repeat(64));
    let tag = |image: &str, place: &str| {
        format!("policy file orchestrator.yaml: image `{image}` has no digest; write NAME@sha256:… at {place}")
    };
    let unlisted = |setting: &str, image: &str, list: &str| {
        format!("policies: orchestrator: {setting} `{image}` is none of the Installation's {list}; add it there")
    };
    for (file, old, new, said) in [
        (settings, &*nginx, "nginx:1.31", tag("nginx:1.31", "line 5, column 17")),
        (settings, &busybox, "busybox:1.37", tag("busybox:1.37", "line 6, column 27")),
        (
            settings,
            "namespace: analyses",
            "namespace: elsewhere",
            "policies: orchestrator: namespace `elsewhere` is not guarded; name it in the Installation".to_owned(),
        ),
        (installation, &nginx, "nginx:1.31", unlisted("gatewayImage", &nginx, "gatewayImages")),
        (installation, &busybox, "busybox:1.37", unlisted("networkStatisticsImage", &busybox, "sidecarImages")),
    ] {
        expect_refused(&[(file, old, new)], &said);
    }
}

fn expect_refused(changes: &[(&str, &str, &str)], said: &str) {
    let output = Folder::with(changes).bundle();
    assert_eq!(
        (text(&output.stderr), text(&output.stdout), output.status.code()),
        (format!("flamewarden: {said}\n"), String::new(), Some(1)),
        "{changes:?}"
    );
}

//! The nginx.conf that `flamewarden bundle` prints for the request of `tests/bundle`, and the little that is put in its place to
//! run it here.

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use flamewarden::model::yaml_documents;
use serde_json::Value;

/// The services behind a gateway, in the order in which their addresses are given.
pub(crate) const UPSTREAMS: [&str; 6] =
    ["kong", "storage", "hub-adapter", "message-broker", "orchestrator", "analysis"];
/// What each is called with.
pub(crate) const HOSTS: [&str; 6] = [
    "flame-node-kong-proxy.flame.svc",
    "flame-node-storage-service.flame.svc",
    "flame-node-hub-adapter-service.flame.svc",
    "flame-node-node-message-broker.flame.svc",
    "flamewarden-orchestrator.flamewarden-system.svc",
    "analysis-0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f-1.analyses.svc",
];
/// The ports of their Services.
const PORTS: [u16; 6] = [80, 8080, 5000, 80, 8000, 80];
/// The analysis of `tests/bundle/request.json`.
pub(crate) const ANALYSIS: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
/// Its project.
pub(crate) const PROJECT: &str = "7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d";

/// Which cluster it is rendered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    /// The address of the Service of the upstream with that place.
    fn service(self, place: usize) -> IpAddr {
        let place = 11 + place;
        match self {
            Family::Ipv4 => format!("10.0.0.{place}"),
            Family::Ipv6 => format!("fd00::{place}"),
        }
        .parse()
        .unwrap()
    }
}

/// As it is printed, with other texts in the files of policies where a test says so: file, text, other text.
pub(crate) fn printed(family: Family, changes: &[(&str, &str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    for (from, to) in FILES {
        let mut text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(from)).unwrap();
        for (_, old, new) in changes.iter().filter(|(file, ..)| file == to) {
            assert!(text.contains(old), "{to} has no {old}");
            text = text.replace(old, new);
        }
        if *to == "services.yaml" {
            for place in 0..5 {
                let (old, new) = (Family::Ipv4.service(place), family.service(place));
                text = text.replace(&format!("clusterIP: {old}\n"), &format!("clusterIP: \"{new}\"\n"));
            }
            // The run's own, in each namespace of the tests, as the API server has made them.
            let name = HOSTS[5].split('.').next().unwrap();
            let address = family.service(5);
            for namespace in ["analyses", "flame"] {
                let metadata = format!("{{name: {name}, namespace: {namespace}}}");
                let service = format!("{{kind: Service, metadata: {metadata}, spec: {{clusterIP: \"{address}\"}}}}");
                writeln!(text, "  - {service}").unwrap();
            }
        }
        fs::write(folder.path().join(to), text).unwrap();
    }
    let arguments = ["bundle", "request.json", "--services", "services.yaml"];
    let output = Command::new(env!("CARGO_BIN_EXE_flamewarden")).args(arguments).current_dir(folder.path()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let objects = yaml_documents(&String::from_utf8(output.stdout).unwrap());
    let objects = objects.iter().map(|object| serde_saphyr::from_str::<Value>(object).unwrap());
    let map = objects.into_iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    map["data"]["nginx.conf"].as_str().unwrap().to_owned()
}

/// The same with the addresses, ports and folder of this machine: nothing else may differ from what a cluster gets.
pub(crate) fn placed(printed: &str, family: Family, listen: SocketAddr, folder: &Path, at: &[SocketAddr]) -> String {
    let mut text = printed.to_owned();
    let mut put = |old: &str, new: &str| {
        assert!(text.contains(old), "the configuration has no {old}");
        text = text.replace(old, new);
    };
    match family {
        Family::Ipv4 => put("    listen 8080;\n", &format!("    listen {listen};\n")),
        Family::Ipv6 => put("    listen 8080;\n    listen [::]:8080;\n", &format!("    listen {listen};\n")),
    }
    put(" /tmp/", &format!(" {}/", folder.display()));
    for (place, at) in at.iter().enumerate() {
        let service = SocketAddr::new(family.service(place), PORTS[place]);
        put(&format!("proxy_pass http://{service};"), &format!("proxy_pass http://{at};"));
    }
    text
}

const FILES: &[(&str, &str)] = &[
    ("policies/flame-analysis.yaml", "policies/flame-analysis.yaml"),
    ("policies/flame-gateway.yaml", "policies/flame-gateway.yaml"),
    ("tests/bundle/installation.yaml", "policies/installation.yaml"),
    ("tests/bundle/orchestrator.yaml", "policies/orchestrator.yaml"),
    ("tests/bundle/request.json", "request.json"),
    ("tests/bundle/services.yaml", "services.yaml"),
];

//! `audit --fix`: manifests as admission would mend them.

use serde_json::{Value, json};

use crate::{ANALYSIS, audit, folder, report};

const OTHERS: &str = "---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: elsewhere}
data:
  a: \"01\"
  b: 'true'
  c: |-
    two
    lines
---
kind: [
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: flame}
spec:
  selector: {matchLabels: {app: analysis-d}}
  template:
    metadata: {labels: {component: flame-analysis, app: analysis-d}}
    spec: {hostNetwork: true, containers: [{name: analysis-d, image: harbor.example/node/d:1}]}
";

#[test]
fn what_is_mended_needs_no_mending_and_what_is_refused_stays_refused() {
    let folder = folder(&[]);
    let input = format!("{ANALYSIS}{OTHERS}");
    let output = audit(&folder, &["--fix"], &input);
    let (manifests, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(3), "{told}");
    for said in ["-:16: unclosed bracket", "refused   critical  host-namespaces", "mended"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    let (code, again) = report(&folder, &[], &manifests);
    let found: Vec<[&Value; 2]> =
        again["findings"].as_array().unwrap().iter().map(|it| [&it["rule"], &it["outcome"]]).collect();
    assert_eq!((code, found), (3, vec![[&json!("host-namespaces"), &json!("refused")]]));
    // A second time changes nothing.
    assert_eq!(String::from_utf8(audit(&folder, &["--fix"], &manifests).stdout).unwrap(), manifests);
    let untouched = "data:\n  a: \"01\"\n  b: \"true\"\n  c: |-\n    two\n    lines\n";
    assert!(manifests.contains(untouched), "{manifests}");
}

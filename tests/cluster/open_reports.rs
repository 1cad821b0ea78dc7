//! The kinds of OpenReports, as it publishes them.

use std::process::Command;

use serde_json::Value;

use crate::caller::Caller;

/// The definitions of `reports` and `clusterreports`.
pub(crate) fn definitions() -> [Value; 2] {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/forms/definitions")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let folder = String::from_utf8(output.stdout).unwrap();
    ["reports", "clusterreports"].map(|plural| {
        let file = format!("{}/openreports.io_{plural}.yaml", folder.trim_end());
        serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
    })
}

/// Has the API server know such kinds.
pub(crate) async fn define(admin: &Caller, definitions: &[Value]) {
    for definition in definitions {
        admin.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).await.unwrap();
    }
}

//! Edge: reads every object that `manifests` prints, and says where it is another.

use serde_json::Value;

use super::bundles::named;
use super::extras::{extras, is_others};
use crate::auditor::examine::kind_of;
use crate::auditor::rules::INSTALLED;
use crate::bundle::differences;
use crate::cluster::Cluster;
use crate::install::{Settings, WEBHOOK, manifests};
use crate::model::{FieldPath, Finding, parse};
use crate::policy::PolicySet;
use crate::report::{Object, Problem};
use crate::telemetry::whole;

/// What was found of an installation.
#[derive(Default)]
pub(super) struct Installation {
    pub(super) judged: Vec<(Object, Vec<Finding>)>,
    pub(super) problems: Vec<Problem>,
}

/// Looks at everything that is printed for these policies. Which image is to run is for its operator to say: without
/// that the installed one is compared with itself, and told as something that nobody looked at.
pub(super) async fn look(cluster: &Cluster, policies: &PolicySet, settings: &Settings) -> Installation {
    let mut found = Installation::default();
    let mut settings = settings.clone();
    if settings.image.is_empty() {
        let untold = "the image of Flamewarden was not compared with anything; say which is to run with --image";
        found.problems.push(Problem::of_cluster(untold.to_owned()));
        settings.image = installed_image(cluster, &settings.namespace).await;
    }
    for printed in manifests(&settings, policies) {
        let path = path_of(&printed);
        match cluster.read_path(&path).await {
            Ok(stored) => {
                let stored = stored.and_then(|text| serde_json::from_str(&text).ok());
                found.judged.push((named(&printed), judge(stored.as_ref(), &printed)));
            }
            Err(problem) => found.problems.push(Problem::of_cluster(whole(&problem))),
        }
    }
    found
}

/// The webhook's; empty where there is none.
async fn installed_image(cluster: &Cluster, namespace: &str) -> String {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{WEBHOOK}");
    // Whatever keeps it from being read is told where the Deployment itself is looked at.
    let text = cluster.read_path(&path).await.ok().flatten();
    let stored: Option<Value> = text.and_then(|text| serde_json::from_str(&text).ok());
    let image = stored.as_ref().and_then(|stored| stored.pointer("/spec/template/spec/containers/0/image"));
    image.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn path_of(printed: &Value) -> String {
    let text = |pointer: &str| printed.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let version = text("/apiVersion");
    let root = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let text_of = printed.to_string();
    let plural = parse(text_of.as_bytes()).map(|printed| kind_of(&printed).1).unwrap_or_default();
    match text("/metadata/namespace") {
        "" => format!("{root}/{plural}/{}", text("/metadata/name")),
        namespace => format!("{root}/namespaces/{namespace}/{plural}/{}", text("/metadata/name")),
    }
}

/// What an object says otherwise than was printed, field by field.
fn judge(stored: Option<&Value>, printed: &Value) -> Vec<Finding> {
    let Some(stored) = stored else {
        let why = "it is not there; apply what `flamewarden manifests` prints";
        return vec![INSTALLED.finds(FieldPath::of(&["metadata", "name"]), None, why)];
    };
    let mut paths: Vec<(FieldPath, &str)> = Vec::new();
    let others = differences(stored, printed).into_iter().filter(|path| !is_others(path));
    // The API server stores no `false` where that is what nothing means.
    let is_nothing = |path: &FieldPath| {
        let pointer = path.pointer();
        stored.pointer(&pointer).is_none() && printed.pointer(&pointer) == Some(&Value::Bool(false))
    };
    let others = others.filter(|path| !is_nothing(path));
    paths.extend(others.map(|path| (path, "it is another than was printed")));
    let more = extras(stored, printed).into_iter().filter(|path| !is_others(path));
    paths.extend(more.map(|path| (path, "nobody printed it")));
    let findings = paths.into_iter().map(|(path, why)| {
        let value = stored.pointer(&path.pointer()).map_or_else(|| "absent".to_owned(), Value::to_string);
        let why = format!("{why}; apply what `flamewarden manifests` prints");
        Finding { value, ..INSTALLED.finds(path, None, why) }
    });
    findings.collect()
}

//! What a pod's containers run, in a form that can be compared with its controller's template.

use sha2::{Digest, Sha256};

use crate::model::Json;
use crate::rules::HOME;

/// A digest of all that decides what the containers of a pod or template run, of which the length is no one's to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Makeup {
    run: [u8; 32],
    /// By which digests images are pinned, container by container: the beginning of a hash.
    pins: Vec<Option<[u8; 8]>>,
}

/// Whether a pod is what its controllers make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// It runs what their templates say, or nobody is over it.
    ByItsOwner,
    /// It runs something else, or nobody knows: they adopted it, or their templates have changed since.
    Otherwise,
}

impl Makeup {
    /// Of a pod or a template, which have a `spec`.
    pub(super) fn of(object: &Json<'_>) -> Self {
        let (mut digest, mut pins) = (Sha256::new(), Vec::new());
        for list in LISTS {
            for container in object.at(&["spec", list]).map_or(&[][..], Json::items) {
                digest.update(list);
                for field in FIELDS {
                    let text = container.get(field).filter(|value| !value.is_unset());
                    let mut text = text.map_or(String::new(), |value| as_written(field, value));
                    let pin = (*field == "image" && pins.len() < MOST_PINS).then(|| unpinned(&mut text));
                    pins.extend(pin);
                    // Its length before each, so that no text can stand for two.
                    digest.update(text.len().to_be_bytes());
                    digest.update(text);
                }
            }
        }
        Makeup { run: digest.finalize().into(), pins }
    }

    /// Whether a pod of that makeup is what this template makes: admission pins images that the template does not.
    pub(super) fn makes(&self, pod: &Makeup) -> bool {
        let fits = |(own, its): (&Option<[u8; 8]>, &Option<[u8; 8]>)| own.is_none() || own == its;
        self.run == pod.run && self.pins.len() == pod.pins.len() && self.pins.iter().zip(&pod.pins).all(fits)
    }
}

/// Takes an image's digest from it, and gives what it is known by.
fn unpinned(image: &mut String) -> Option<[u8; 8]> {
    let at = image.find('@')?;
    let digest = Sha256::digest(image.get(at..)?).first_chunk::<8>().copied()?;
    image.truncate(at);
    // What is written as JSON ends with its quotation mark.
    image.push('"');
    Some(digest)
}

/// A field without what others add to a pod or take from it on the way from its template: the rules' remedies, and the
/// variable by which the job controller numbers the pods of an indexed Job.
fn as_written(field: &str, value: &Json<'_>) -> String {
    let is_added = |variable: &Json<'_>| {
        let is_home = variable.text_at(&["value"]) == Some(HOME.1);
        let is_number = variable.at(&["valueFrom", "fieldRef"]).is_some();
        match variable.text_at(&["name"]) {
            Some(name) if name == HOME.0 => is_home,
            Some("JOB_COMPLETION_INDEX") => is_number,
            _ => false,
        }
    };
    match field {
        "env" => value.items().iter().filter(|one| !is_added(one)).map(|one| format!("{},", one.to_value())).collect(),
        _ if PROBES.contains(&field) => {
            let asks = value.entries().iter().filter(|(key, _)| key != "terminationGracePeriodSeconds");
            asks.map(|(key, value)| format!("{key}:{},", value.to_value())).collect()
        }
        // The whole: what is shown of a value in messages ends after some letters.
        _ => value.to_value().to_string(),
    }
}

/// Ephemeral containers come later, and not from templates.
const LISTS: &[&str] = &["initContainers", "containers"];

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

/// Of more containers than a pod may have, pins are compared as they are written.
const MOST_PINS: usize = 64;

/// What admission plugins add or mend (resources, mounts of tokens, security) is not among them.
const FIELDS: &[&str] = &[
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "env",
    "envFrom",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "restartPolicy",
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::parse;

    #[test]
    fn what_runs_is_compared_and_what_admission_adds_is_not() {
        let container = json!({"name": "a", "image": "x:1", "args": ["b", "c"], "env": [{"name": "k", "value": "v"}]});
        let index =
            json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['i']"}}});
        let with = |key: &str, value: Value| {
            let mut changed = container.clone();
            changed[key] = value;
            json!({"spec": {"containers": [changed]}})
        };
        let own = |more: Value| json!([{"name": "k", "value": "v"}, more]);
        for (pod, same) in [
            (json!({"spec": {"containers": [container]}}), true),
            (json!({"metadata": {"labels": {}}, "spec": {"containers": [container], "nodeName": "n"}}), true),
            (with("resources", json!({"limits": {"cpu": 1}})), true),
            (with("volumeMounts", json!([{"name": "token"}])), true),
            (with("securityContext", json!({"privileged": false})), true),
            (with("command", json!([])), true),
            (with("env", own(index)), true),
            (with("env", own(json!({"name": "JOB_COMPLETION_INDEX", "value": "7"}))), false),
            (with("env", own(json!({"name": "HOME", "value": "/tmp"}))), true),
            (with("env", own(json!({"name": "HOME", "value": "/evil"}))), false),
            (with("livenessProbe", json!({"terminationGracePeriodSeconds": 99})), true),
            (with("env", json!([{"name": "k", "value": "w"}])), false),
            (with("env", json!([])), false),
            (with("envFrom", json!([{"configMapRef": {"name": "c"}}])), false),
            (with("name", json!("b")), false),
            (with("image", json!("x:2")), false),
            (with("image", json!("x:1@sha256:0")), true),
            (with("image", json!("x@sha256:0")), false),
            (with("image", json!("x:2@sha256:0")), false),
            (with("command", json!(["b", "c"])), false),
            (with("args", json!(["b"])), false),
            (with("args", json!(["bc"])), false),
            (with("workingDir", json!("/x")), false),
            (with("lifecycle", json!({"postStart": {"exec": {"command": ["x"]}}})), false),
            (with("livenessProbe", json!({"exec": {"command": ["x"]}})), false),
            (with("readinessProbe", json!({"exec": {"command": ["x"]}})), false),
            (with("startupProbe", json!({"exec": {"command": ["x"]}})), false),
            (with("restartPolicy", json!("Always")), false),
            (json!({"spec": {"containers": [container, container]}}), false),
            (json!({"spec": {"initContainers": [container]}}), false),
            (json!({"spec": {}}), false),
        ] {
            let (pod, template) = (pod.to_string(), json!({"spec": {"containers": [container]}}).to_string());
            let of = |text: &str| Makeup::of(&parse(text.as_bytes()).unwrap());
            assert_eq!(of(&template).makes(&of(&pod)), same, "{pod}");
        }
    }

    #[test]
    fn a_template_that_pins_its_image_makes_no_pod_with_another() {
        let of = |image: &str| {
            let text = json!({"spec": {"containers": [{"name": "a", "image": image}, {"name": "b", "image": "y:1"}]}});
            Makeup::of(&parse(text.to_string().as_bytes()).unwrap())
        };
        for (template, pod, same) in [
            ("x:1@sha256:0", "x:1@sha256:0", true),
            ("x:1@sha256:0", "x:1@sha256:1", false),
            ("x:1@sha256:0", "x:1", false),
            ("x:1", "x:1@sha256:1", true),
            ("x", "x@sha256:1", true),
            ("r:5000/x", "r:5000/x@sha256:1", true),
            ("x", "x:2@sha256:1", false),
            ("x@sha256:0", "x@sha256:0", true),
            ("x@sha256:0", "x@sha256:1", false),
            ("r:5000/x@sha256:0", "r:5000/x@sha256:1", false),
        ] {
            assert_eq!(of(template).makes(&of(pod)), same, "{template} {pod}");
        }
    }

    #[test]
    fn a_text_is_compared_to_its_end() {
        let long = |end: &str| format!("{}{end}", "x".repeat(500));
        let of = |field: &str, value: Value| {
            let text = json!({"spec": {"containers": [{"name": "a", field: value}]}}).to_string();
            Makeup::of(&parse(text.as_bytes()).unwrap())
        };
        let values = |end: &str| {
            [
                ("image", json!(long(end))),
                ("command", json!(["sh", "-c", long(end)])),
                ("env", json!([{"name": "k", "value": long(end)}])),
                ("livenessProbe", json!({"exec": {"command": [long(end)]}})),
            ]
        };
        for ((field, one), (_, other)) in values("a").into_iter().zip(values("b")) {
            assert_ne!(of(field, one.clone()), of(field, other), "{field}");
            assert_eq!(of(field, one.clone()), of(field, one), "{field}");
        }
    }
}

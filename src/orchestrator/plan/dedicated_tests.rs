//! The default-deny of a dedicated namespace, on the world of values of the plan's tests.

use serde_json::json;

use super::tests::{TAKEN_AWAY, World, made};
use super::*;
use crate::bundle::default_deny_name;

const WRITTEN: &str = "write NetworkPolicy flamewarden-default-deny";

fn key() -> (Kind, String) {
    (Kind::NetworkPolicy, default_deny_name())
}

fn dedicated() -> World {
    let mut world = World::in_namespace("analyses", "");
    let mut want = made();
    let after = want.iter().position(|step| step.contains("flamewarden-nginx")).unwrap();
    want.insert(after + 1, WRITTEN);
    assert_eq!(world.settle(), want);
    world
}

#[test]
fn it_stands_before_pods_do_belongs_to_no_analysis_and_stays() {
    let mut world = dedicated();
    let stored = &world.common[&key()];
    assert_eq!(
        (&stored["metadata"]["ownerReferences"], &stored["metadata"]["labels"], &stored["metadata"]["namespace"]),
        (&Value::Null, &json!({"app.kubernetes.io/managed-by": "flamewarden"}), &json!("analyses"))
    );
    let mut shared = World::new("");
    assert_eq!((shared.settle(), shared.common.len()), (made().into_iter().map(str::to_owned).collect(), 0));
    world.analysis.deleting = true;
    let done = world.settle();
    assert_eq!(
        done.iter().filter(|step| !step.contains("Secret")).collect::<Vec<_>>(),
        [&TAKEN_AWAY[..], &["let go"]].concat()
    );
    assert_eq!(world.common.len(), 1);
}

#[test]
fn whatever_it_says_besides_or_no_longer_is_put_right() {
    for (pointer, value) in [
        ("/spec/egress", json!([{}])),
        ("/spec/ingress", json!([{"from": [{"podSelector": {}}]}])),
        ("/spec/podSelector", json!({"matchLabels": {"app": "x"}})),
        ("/spec/podSelector", json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]})),
        ("/spec/policyTypes", json!(["Ingress"])),
        ("/metadata/labels", json!({"app.kubernetes.io/managed-by": "x"})),
    ] {
        let mut world = dedicated();
        *world.common.get_mut(&key()).unwrap().pointer_mut(pointer).unwrap() = value.clone();
        assert_eq!(world.settle(), [WRITTEN], "{pointer}: {value}");
    }
    let mut world = dedicated();
    world.common.clear();
    assert_eq!(world.settle(), [WRITTEN]);
    // The API server stores no empty lists.
    for direction in ["ingress", "egress"] {
        world.common.get_mut(&key()).unwrap()["spec"].as_object_mut().unwrap().remove(direction);
    }
    assert_eq!(world.settle(), [""; 0]);
}

//! Edge: reads whether a controller leads and whether a webhook can be reached.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::auditor::rules::AT_WORK;
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::install::{CONTROLLER, Endpoint, Settings, WEBHOOK};
use crate::model::{FieldPath, Finding};
use crate::report::Object;

/// The controller's Lease and the webhook's Service, each with what is wrong.
pub(super) async fn look(
    cluster: &Cluster,
    installation: &Settings,
    now: Timestamp,
) -> [Result<(Object, Vec<Finding>), ClusterProblem>; 2] {
    let namespace = installation.namespace.as_str();
    let place = Place { namespace: namespace.to_owned(), name: CONTROLLER.to_owned() };
    let lease = cluster.read(Kind::Lease, &place).await.map(|text| {
        let stored = text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        (named("coordination.k8s.io/v1", "Lease", &place), leads(stored.as_ref(), now).into_iter().collect())
    });
    let labels = format!("kubernetes.io/service-name={WEBHOOK}");
    let slices = cluster.list(Kind::EndpointSlice, namespace, &labels).await.map(|text| {
        let place = Place { namespace: namespace.to_owned(), name: WEBHOOK.to_owned() };
        let list = serde_json::from_str::<Value>(&text).ok();
        let found = match installation.endpoint {
            Endpoint::Service => answers(list.as_ref()),
            // What is reached by a URL its operator alone can try.
            Endpoint::Url { .. } => None,
        };
        (named("v1", "Service", &place), found.into_iter().collect())
    });
    [lease, slices]
}

/// What is wrong with the Lease. A holder renews it every few seconds; by another's clock it may be some behind.
fn leads(lease: Option<&Value>, now: Timestamp) -> Option<Finding> {
    let text = |pointer: &str| lease.and_then(|lease| lease.pointer(pointer)).and_then(Value::as_str);
    let holder = text("/spec/holderIdentity").filter(|holder| !holder.is_empty());
    let renewed: Option<Timestamp> = text("/spec/renewTime").and_then(|time| time.parse().ok());
    let lasts = lease.and_then(|lease| lease.pointer("/spec/leaseDurationSeconds")).and_then(Value::as_i64);
    let (value, why) = match (holder, renewed, lasts) {
        (None, ..) => ("absent".to_owned(), "no controller leads; see whether one runs, and its log"),
        (_, Some(renewed), Some(lasts))
            if renewed + SignedDuration::from_secs(lasts.clamp(0, 3600)) + CLOCKS >= now =>
        {
            return None;
        }
        _ => (
            text("/spec/renewTime").unwrap_or("absent").to_owned(),
            "whoever led has not renewed it; see whether a controller runs",
        ),
    };
    Some(Finding { value, ..AT_WORK.finds(FieldPath::of(&["spec", "renewTime"]), None, why) })
}

/// What is wrong with the replicas behind the webhook's Service.
fn answers(slices: Option<&Value>) -> Option<Finding> {
    // A list that cannot be read has nobody ready in it.
    let items = slices.and_then(|list| list.get("items")).and_then(Value::as_array).into_iter().flatten();
    let ready = |endpoint: &Value| endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
    let mut endpoints = items.filter_map(|slice| slice.get("endpoints")?.as_array()).flatten();
    if endpoints.any(ready) {
        return None;
    }
    let why = "no replica of the webhook is ready; whatever it judges is refused meanwhile";
    Some(AT_WORK.finds(FieldPath::of(&["endpoints"]), None, why))
}

fn named(api_version: &str, kind: &str, place: &Place) -> Object {
    Object {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: place.namespace.clone(),
        name: place.name.clone(),
        uid: String::new(),
    }
}

/// By which clocks may differ.
const CLOCKS: SignedDuration = SignedDuration::from_secs(30);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lease_that_nobody_renews_and_a_service_without_a_replica_are_told() {
        let now: Timestamp = "2026-11-22T00:10:00Z".parse().unwrap();
        let lease = |holder: &str, renewed: &str| json!({"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15}});
        for (lease, told) in [
            (Some(lease("a", "2026-11-22T00:09:50.123456Z")), false),
            (Some(lease("a", "2026-11-22T00:09:20Z")), false),
            (Some(lease("a", "2026-11-22T00:09:10Z")), true),
            (Some(lease("", "2026-11-22T00:09:59Z")), true),
            (Some(lease("a", "some day")), true),
            (None, true),
        ] {
            assert_eq!(leads(lease.as_ref(), now).is_some(), told, "{lease:?}");
        }
        let slices = |endpoints: Value| json!({"items": [{"endpoints": endpoints}]});
        for (slices, told) in [
            (slices(json!([{"conditions": {"ready": true}}])), false),
            (slices(json!([{"conditions": {"ready": false}}, {}])), false),
            (slices(json!([{"conditions": {"ready": false}}])), true),
            (slices(Value::Null), true),
            (json!({"items": []}), true),
            (json!({"items": "?"}), true),
        ] {
            assert_eq!(answers(Some(&slices)).is_some(), told, "{slices}");
        }
        assert!(answers(None).is_some(), "what cannot be read is not well");
    }
}

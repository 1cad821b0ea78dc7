//! What a watch reads of an object: all of it, or of NetworkPolicies that are not Flamewarden's its metadata only,
//! past whose rules it reads without keeping anything.

use std::borrow::Cow;
use std::fmt;

use kube::Resource;
use kube::api::{ApiResource, ObjectMeta};
use kube::core::DynamicResourceScope;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::model::labels::POLICY_PREFIX;

/// A NetworkPolicy.
#[derive(Debug, Clone)]
pub(super) struct Slim {
    metadata: ObjectMeta,
    /// Empty where it is somebody else's.
    fields: Map<String, Value>,
}

impl Slim {
    /// All that was kept of it.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.fields)
    }
}

impl Resource for Slim {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(kind: &ApiResource) -> Cow<'_, str> {
        kind.kind.as_str().into()
    }

    fn group(kind: &ApiResource) -> Cow<'_, str> {
        kind.group.as_str().into()
    }

    fn version(kind: &ApiResource) -> Cow<'_, str> {
        kind.version.as_str().into()
    }

    fn plural(kind: &ApiResource) -> Cow<'_, str> {
        kind.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The metadata that is needed of everything.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    resource_version: Option<String>,
    #[serde(default)]
    labels: Option<Value>,
    #[serde(default)]
    annotations: Option<Value>,
    #[serde(default)]
    finalizers: Option<Value>,
    #[serde(default)]
    deletion_timestamp: Option<Value>,
}

impl Metadata {
    fn is_ours(&self) -> bool {
        self.name.as_ref().is_some_and(|name| name.starts_with(POLICY_PREFIX))
    }

    /// What is there of it: a null is something to those who look for a field.
    fn to_value(&self) -> Value {
        let mut value = serde_json::json!({
            "name": self.name,
            "namespace": self.namespace,
            "uid": self.uid,
            "resourceVersion": self.resource_version,
            "labels": self.labels,
            "annotations": self.annotations,
            "finalizers": self.finalizers,
            "deletionTimestamp": self.deletion_timestamp,
        });
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        value
    }
}

impl<'de> Deserialize<'de> for Slim {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(SlimVisitor)
    }
}

struct SlimVisitor;

impl<'de> Visitor<'de> for SlimVisitor {
    type Value = Slim;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// The API server writes metadata before everything large.
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Slim, A::Error> {
        let mut slim = Slim { metadata: ObjectMeta::default(), fields: Map::new() };
        let mut is_ours = true;
        while let Some(key) = access.next_key::<String>()? {
            if key == "metadata" {
                let metadata: Metadata = access.next_value()?;
                is_ours = metadata.is_ours();
                slim.metadata.name.clone_from(&metadata.name);
                slim.metadata.namespace.clone_from(&metadata.namespace);
                slim.metadata.uid.clone_from(&metadata.uid);
                slim.metadata.resource_version.clone_from(&metadata.resource_version);
                if is_ours {
                    slim.fields.insert(key, metadata.to_value());
                }
            } else if is_ours {
                slim.fields.insert(key, access.next_value()?);
            } else {
                access.next_value::<IgnoredAny>()?;
            }
        }
        if !is_ours {
            slim.fields.clear();
        }
        Ok(slim)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_policies_that_are_not_ours_only_who_they_are_is_kept() {
        let spec = json!({"podSelector": {}, "egress": [{}]});
        let metadata = |name: &str| {
            json!({"name": name, "namespace": "flame", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"},
                "annotations": {"c": "d"}, "finalizers": ["e"], "deletionTimestamp": "2026-11-21T00:00:00Z"})
        };
        for (name, kept) in
            [("flamewarden-x", json!({"metadata": metadata("flamewarden-x"), "spec": spec})), ("x", json!({}))]
        {
            let mut stored = json!({"metadata": metadata(name), "spec": spec});
            stored["metadata"]["managedFields"] = json!([{"fieldsV1": {}}]);
            let slim: Slim = serde_json::from_value(stored).unwrap();
            let said = &slim.metadata;
            let wanted = ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some("flame".to_owned()),
                uid: Some("u".to_owned()),
                resource_version: Some("7".to_owned()),
                ..ObjectMeta::default()
            };
            assert_eq!((said, slim.clone().into_value()), (&wanted, kept));
        }
    }

    #[test]
    fn what_is_not_there_is_not_null() {
        let stored = json!({"metadata": {"name": "flamewarden-x"}, "spec": {}});
        let slim: Slim = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(slim.into_value(), stored);
    }
}

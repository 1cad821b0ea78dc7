//! What expressions see of an admission request.

use super::eval::Scope;
use super::value::Value;
use crate::model::{Json, Request};

/// The parts of a request that rules read, copied so that another thread may evaluate them.
#[derive(Debug, Clone)]
pub(super) struct UserInput {
    pub(super) scope: Scope,
    /// The stored object under the name `object`, for what an update did not change.
    pub(super) stored: Option<Scope>,
}

impl UserInput {
    /// Copies what rules may read; none where the object is too large to be judged in time.
    pub(super) fn new(request: &Request<'_>) -> Option<Self> {
        let size = request.object.map_or(0, size) + request.old.map_or(0, size);
        if size > SIZE {
            return None;
        }
        let whole = |object: Option<&Json<'_>>| object.map_or(Value::Null, Value::of);
        let scope = Scope { object: whole(request.object), old: whole(request.old), request: seen(request) };
        let both = request.object.is_some() && request.old.is_some();
        let stored = both.then(|| Scope { object: scope.old.clone(), ..scope.clone() });
        Some(UserInput { scope, stored })
    }
}

/// Values, and sixteen bytes of text as one more.
fn size(json: &Json<'_>) -> usize {
    1 + match json {
        Json::String(text) => text.len() / 16,
        Json::Array(items) => items.iter().map(size).sum(),
        Json::Object(entries) => entries.iter().map(|(key, value)| key.len() / 16 + size(value)).sum(),
        _ => 0,
    }
}

/// `request`, without what the API server leaves out when it is empty.
fn seen(request: &Request<'_>) -> Value {
    let groups = request.user.groups.iter().map(|group| Value::text(group)).collect();
    let mut fields = vec![
        ("operation", Value::text(request.operation.word())),
        ("dryRun", Value::Bool(request.dry_run)),
        ("kind", kind(request)),
        (
            "resource",
            Value::map([
                ("group", Value::text(request.resource.group)),
                ("resource", Value::text(request.resource.name)),
            ]),
        ),
    ];
    let mut user = vec![("groups", Value::list(groups))];
    user.retain(|_| !request.user.groups.is_empty());
    add(&mut user, "username", request.user.name);
    fields.push(("userInfo", Value::map(user)));
    add(&mut fields, "name", request.name);
    add(&mut fields, "namespace", request.namespace);
    Value::map(fields)
}

fn add<'a>(fields: &mut Vec<(&'a str, Value)>, key: &'a str, text: &str) {
    if !text.is_empty() {
        fields.push((key, Value::text(text)));
    }
}

fn kind(request: &Request<'_>) -> Value {
    let object = request.object.or(request.old);
    let text = |key: &str| object.and_then(|object| object.text_at(&[key])).unwrap_or_default();
    let version = text("apiVersion");
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    Value::map([("group", Value::text(group)), ("version", Value::text(version)), ("kind", Value::text(text("kind")))])
}

/// Some 4 MiB of text, twice what the API server stores.
const SIZE: usize = 256 * 1024;

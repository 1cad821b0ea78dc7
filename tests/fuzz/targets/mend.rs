//! Remedies and JSON Patch: the patch leads from the object to the mended one, also when it was written and read again.

use flamewarden::model::{Edit, FieldPath, Segment, parse};
use flamewarden::rules::mend;
use json_patch::Patch;
use serde_json::{Value, json};

use super::{Target, recorded};

pub(super) const TARGET: Target = Target { name: "mend", seeds, attempt };

/// The input is `{"object": …, "edits": [["set" | "add" | "remove", [steps], value]]}`.
fn attempt(input: &[u8]) -> String {
    let Ok(json) = parse(input) else { return "no JSON".to_owned() };
    let Some(object) = json.get("object") else { return "no object".to_owned() };
    let edits: Vec<Edit> = json
        .get("edits")
        .map(|edits| edits.items())
        .unwrap_or_default()
        .iter()
        .filter_map(|edit| edit_of(&edit.to_value()))
        .collect();
    let patch = match mend(object, &edits) {
        Ok(patch) => patch,
        Err(_) => return format!("unmendable {}", edits.len()),
    };
    let before = object.to_value();
    let mended = applied(&before, &patch);
    let read_again: Patch = serde_json::from_slice(&serde_json::to_vec(&patch).unwrap()).unwrap();
    assert_eq!(applied(&before, &read_again), mended);
    check_last(&edits, &mended);
    let text = mended.to_string();
    if are_apart(&edits) {
        let again = mend(&parse(text.as_bytes()).unwrap(), &edits).unwrap();
        assert_eq!(again, Patch(Vec::new()), "applying twice is not applying once");
    }
    let mut kinds: Vec<String> = patch.0.iter().map(|step| kind(step, &before)).collect();
    kinds.dedup();
    format!("{} {}", edits.len(), kinds.join(" "))
}

fn applied(object: &Value, patch: &Patch) -> Value {
    let mut object = object.clone();
    json_patch::patch(&mut object, patch).unwrap();
    object
}

/// Whether all edits set something, and none sets what another leads through.
fn are_apart(edits: &[Edit]) -> bool {
    let paths = edits.iter().map(|edit| if let Edit::Set(path, _) = edit { Some(path) } else { None });
    let Some(paths) = paths.collect::<Option<Vec<_>>>() else { return false };
    let touches = |at: usize| paths.iter().enumerate().any(|(other, path)| other != at && path.is_within(paths[at]));
    !(0..paths.len()).any(touches)
}

/// What was set last stands there, where nothing was taken away or added.
fn check_last(edits: &[Edit], mended: &Value) {
    let Some(Edit::Set(path, value)) = edits.last() else { return };
    if edits.iter().all(|edit| matches!(edit, Edit::Set(..))) {
        assert_eq!(at(mended, path), Some(value), "at {path}");
    }
}

fn at<'v>(object: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    path.segments().iter().try_fold(object, |value, segment| match segment {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    })
}

fn edit_of(edit: &Value) -> Option<Edit> {
    let parts = edit.as_array()?;
    let steps = parts.get(1)?.as_array()?;
    let path = steps.iter().fold(FieldPath::default(), |path, step| match step {
        Value::Number(number) => path.index(usize::try_from(number.as_u64().unwrap_or_default()).unwrap()),
        Value::String(key) => path.key(key),
        other => path.key(&other.to_string()),
    });
    let value = parts.get(2).cloned().unwrap_or_default();
    match parts.first()?.as_str()? {
        "set" => Some(Edit::Set(path, value)),
        "add" => Some(Edit::Add(path, value)),
        "remove" => Some(Edit::Remove(path)),
        _ => None,
    }
}

fn kind(step: &json_patch::PatchOperation, before: &Value) -> String {
    let value = serde_json::to_value(step).unwrap();
    let path = value["path"].as_str().unwrap();
    let depth = path.matches('/').count();
    let stood = before.pointer(path).is_some();
    format!("{} {depth} {stood}", value["op"])
}

fn seeds() -> Vec<Vec<u8>> {
    let edits = json!([
        ["set", ["spec", "automountServiceAccountToken"], false],
        ["set", ["spec", "containers", 0, "securityContext"], {"privileged": false}],
        ["add", ["spec", "schedulingGates"], {"name": "g"}],
        ["remove", ["spec", "containers", 0, "image"]],
        ["remove", ["spec", "volumes", 0]],
        ["set", ["metadata", "labels", "a/b~c"], ""],
    ]);
    let all = edits.as_array().unwrap();
    let objects = [
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}], "volumes": [{}, {}]}}),
        json!({}),
        json!({"spec": null}),
    ];
    let made = objects.iter().flat_map(|object| {
        let one = all.iter().map(move |edit| json!({"object": object, "edits": [edit]}));
        one.chain([json!({"object": object, "edits": all})])
    });
    let reviews = recorded().into_iter().take(20).filter_map(|seed| {
        let mut review: Value = serde_json::from_slice(&seed).unwrap();
        Some(json!({"object": review.pointer_mut("/request/object")?.take(), "edits": all}))
    });
    let texts = made.chain(reviews).map(|input| input.to_string().into_bytes());
    texts.chain([FOUND.into()]).collect()
}

/// A number that became another when it was written and read again.
const FOUND: &[u8] = br#"{"object": {}, "edits": [["set", ["a"], -9223372028736854775808]]}"#;

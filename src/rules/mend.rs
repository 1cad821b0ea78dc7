//! Applies remedies and says as JSON Patch what they change.

use std::borrow::Cow;

use json_patch::{Patch, PatchOperation, jsonptr::PointerBuf};
use serde_json::{Map, Value};

use crate::model::{Edit, FieldPath, Json, Segment};

/// A remedy met a value of another kind on its way, such as a text where an object belongs.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("cannot mend {0}: what stands there is neither object nor array")]
pub struct MendProblem(pub String);

/// The patch that the edits make of an object; empty where nothing changes.
///
/// # Errors
/// An edit leads through a value that has no members; the finding then stays a refusal.
pub fn mend(object: &Json<'_>, edits: &[Edit]) -> Result<Patch, MendProblem> {
    let paths: Vec<Ahead<'_>> = edits.iter().map(|edit| (path_of(edit).segments(), edit)).collect();
    let before = touched(object, &paths);
    let mut after = before.clone();
    // What is taken away goes last and from the end, so that no place moves before it is used.
    let mut removals: Vec<&FieldPath> = Vec::new();
    for edit in edits {
        match edit {
            Edit::Set(path, value) => *place(&mut after, path)? = value.clone(),
            Edit::Add(path, value) => add(place(&mut after, path)?, value, path)?,
            Edit::Remove(path) => removals.push(path),
        }
    }
    removals.sort();
    removals.dedup();
    for path in removals.into_iter().rev() {
        remove(&mut after, path);
    }
    Ok(difference(&before, &after))
}

/// An edit, and what of its path lies ahead.
type Ahead<'e> = (&'e [Segment], &'e Edit);

fn path_of(edit: &Edit) -> &FieldPath {
    match edit {
        Edit::Set(path, _) | Edit::Add(path, _) | Edit::Remove(path) => path,
    }
}

/// A copy of what the edits change or look at. Members beside it are left out, and items are null, so that a long
/// list costs little.
fn touched<'e>(object: &Json<'_>, edits: &[Ahead<'e>]) -> Value {
    let below = |step: &dyn Fn(&Segment) -> bool| -> Vec<Ahead<'e>> {
        let tail = |(ahead, edit): &Ahead<'e>| {
            let (first, rest) = ahead.split_first()?;
            step(first).then_some((rest, *edit))
        };
        edits.iter().filter_map(tail).collect()
    };
    match object {
        Json::Object(entries) if edits.iter().all(|(ahead, _)| !ahead.is_empty()) => {
            let member = |(key, value): &(Cow<'_, str>, Json<'_>)| {
                let below = below(&|step| matches!(step, Segment::Key(name) if name == key));
                (!below.is_empty() && *value != Json::Skipped).then(|| (key.to_string(), touched(value, &below)))
            };
            Value::Object(entries.iter().filter_map(member).collect())
        }
        // Only an item that is to be added, and is there, is looked at.
        Json::Array(items) if edits.iter().all(|(ahead, edit)| ahead.is_empty() && matches!(edit, Edit::Add(..))) => {
            let is_added = |item: &Json<'_>| {
                edits.iter().any(|(_, edit)| matches!(edit, Edit::Add(_, value) if item.equals(value)))
            };
            items.iter().map(|item| if is_added(item) { item.to_value() } else { Value::Null }).collect()
        }
        Json::Array(items) if edits.iter().all(|(ahead, _)| ahead.len() > 1) => {
            let item = |(place, item): (usize, &Json<'_>)| {
                let below = below(&|step| *step == Segment::Index(place));
                if below.is_empty() { Value::Null } else { touched(item, &below) }
            };
            items.iter().enumerate().map(item).collect()
        }
        _ => object.to_value(),
    }
}

/// The difference, object members by name and everything else as a whole.
///
/// `json_patch::diff` compares arrays place by place; a removed first item then rewrites
/// all that follow, which is hard to read in an audit log. What comes at an array's end is
/// added there, arrays of equal length are entered, others replaced.
fn difference(before: &Value, after: &Value) -> Patch {
    let mut operations = Vec::new();
    differ(before, after, &mut PointerBuf::root(), &mut operations);
    Patch(operations)
}

fn differ(before: &Value, after: &Value, at: &mut PointerBuf, operations: &mut Vec<PatchOperation>) {
    use json_patch::{AddOperation, RemoveOperation, ReplaceOperation};
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for key in old.keys().filter(|key| !new.contains_key(*key)) {
                at.push_back(key.as_str());
                operations.push(PatchOperation::Remove(RemoveOperation { path: at.clone() }));
                at.pop_back();
            }
            for (key, value) in new {
                at.push_back(key.as_str());
                match old.get(key) {
                    Some(known) => differ(known, value, at, operations),
                    None => {
                        operations.push(PatchOperation::Add(AddOperation { path: at.clone(), value: value.clone() }))
                    }
                }
                at.pop_back();
            }
        }
        (Value::Array(old), Value::Array(new)) if new.starts_with(old) => {
            at.push_back("-");
            for value in new.iter().skip(old.len()) {
                operations.push(PatchOperation::Add(AddOperation { path: at.clone(), value: value.clone() }));
            }
            at.pop_back();
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (known, value)) in old.iter().zip(new).enumerate() {
                at.push_back(index);
                differ(known, value, at, operations);
                at.pop_back();
            }
        }
        _ if before == after => {}
        _ => operations.push(PatchOperation::Replace(ReplaceOperation { path: at.clone(), value: after.clone() })),
    }
}

/// The value at a path, made as needed.
fn place<'v>(root: &'v mut Value, path: &FieldPath) -> Result<&'v mut Value, MendProblem> {
    let problem = || MendProblem(path.to_string());
    path.segments().iter().try_fold(root, |value, segment| match segment {
        Segment::Key(key) => {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            let members = value.as_object_mut().ok_or_else(problem)?;
            if !members.contains_key(key) {
                members.insert(key.clone(), Value::Null);
            }
            members.get_mut(key).ok_or_else(problem)
        }
        Segment::Index(index) => value.get_mut(index).ok_or_else(problem),
    })
}

fn add(list: &mut Value, value: &Value, path: &FieldPath) -> Result<(), MendProblem> {
    if list.is_null() {
        *list = Value::Array(Vec::new());
    }
    let items = list.as_array_mut().ok_or_else(|| MendProblem(path.to_string()))?;
    if !items.contains(value) {
        items.push(value.clone());
    }
    Ok(())
}

/// Takes a key or an item away; what is not there is gone already.
fn remove(root: &mut Value, path: &FieldPath) {
    let Some((last, parents)) = path.segments().split_last() else { return };
    let parent = parents.iter().try_fold(root, |value, segment| match segment {
        Segment::Key(key) => value.get_mut(key),
        Segment::Index(index) => value.get_mut(index),
    });
    match (parent, last) {
        (Some(Value::Object(members)), Segment::Key(key)) => drop(members.remove(key)),
        (Some(Value::Array(items)), Segment::Index(index)) if *index < items.len() => drop(items.remove(*index)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::parse;

    #[test]
    fn the_patch_leads_from_the_object_to_the_mended_one() {
        let text = br#"{"spec":{"volumes":[{"name":"a"},{"name":"b"},{"name":"c"}],"x":1}}"#;
        let object = parse(text).unwrap();
        let volumes = FieldPath::of(&["spec", "volumes"]);
        let edits = [
            Edit::Remove(volumes.index(0)),
            Edit::Remove(volumes.index(2)),
            Edit::Set(volumes.index(1).keys(&["emptyDir", "sizeLimit"]), json!("1Gi")),
            Edit::Set(FieldPath::of(&["spec", "securityContext", "runAsNonRoot"]), json!(true)),
            Edit::Add(FieldPath::of(&["spec", "schedulingGates"]), json!({"name": "g"})),
            Edit::Add(FieldPath::of(&["spec", "schedulingGates"]), json!({"name": "g"})),
            Edit::Remove(FieldPath::of(&["spec", "absent"])),
        ];
        let patch = mend(&object, &edits).unwrap();
        let mut mended = object.to_value();
        json_patch::patch(&mut mended, &patch).unwrap();
        assert_eq!(
            mended,
            json!({"spec": {
                "volumes": [{"name": "b", "emptyDir": {"sizeLimit": "1Gi"}}], "x": 1,
                "securityContext": {"runAsNonRoot": true}, "schedulingGates": [{"name": "g"}],
            }})
        );
    }

    #[test]
    fn a_text_where_an_object_belongs_is_a_problem() {
        let object = parse(br#"{"spec":"x"}"#).unwrap();
        let edit = Edit::Set(FieldPath::of(&["spec", "a"]), json!(1));
        assert_eq!(mend(&object, &[edit]), Err(MendProblem("spec.a".to_owned())));
    }
}

//! Rule `fields`: a pod has only fields that are classified, written exactly and of the right shape.
//!
//! Why: a field that no rule knows is a field that no rule can refuse, and Go's decoder takes
//! `HostNetwork` for `hostNetwork`. No remedy: what is unknown is not taken away unread.

use super::field_table::{Class, Field, POD, Shape, row};
use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, FieldPath, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "fields",
    title: "a pod has only known fields, written exactly and of the right shape",
    why: "a field that nobody knows may do what no rule judges",
    severity: Severity::Critical,
    controls: &[Control::Restricted("Volume Types"), Control::Baseline("SELinux"), Control::Baseline("Sysctls")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    problems(pod).into_iter().map(|problem| problem.finding).collect()
}

/// Whether every value has the shape that the table says; a remedy may rely on it.
pub(super) fn is_well_shaped(pod: &PodView<'_>) -> bool {
    problems(pod).iter().all(|problem| problem.kind != Kind::Shape)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Shape,
    Unknown,
    Refused,
}

struct Problem {
    kind: Kind,
    finding: Finding,
}

/// Where the walk is; made into a path only where something is wrong.
enum Place<'a> {
    Root(&'a PodView<'a>),
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl Place<'_> {
    fn path(&self) -> FieldPath {
        match self {
            Place::Root(pod) => pod.path(&[]),
            Place::Key(above, key) => above.path().key(key),
            Place::Index(above, index) => above.path().index(*index),
        }
    }
}

fn problems(pod: &PodView<'_>) -> Vec<Problem> {
    let mut found = Vec::new();
    walk_object(pod.object(), POD, &Place::Root(pod), &mut found);
    found
}

/// Goes as deep as the table does, which has an end whatever the text holds.
fn walk(value: &Json<'_>, shape: &'static Shape, place: &Place<'_>, found: &mut Vec<Problem>) {
    match (shape, value) {
        (Shape::Any, _)
        | (Shape::Text | Shape::Amount | Shape::Port, Json::String(_))
        | (Shape::Boolean, Json::Bool(_))
        | (Shape::Amount, Json::Number(_)) => {}
        (Shape::Integer | Shape::Port, Json::Number(_)) if value.integer().is_some() => {}
        (Shape::Object(fields), Json::Object(_)) => walk_object(value, fields, place, found),
        (Shape::List(item), Json::Array(items)) => {
            for (index, value) in items.iter().enumerate() {
                walk(value, item, &Place::Index(place, index), found);
            }
        }
        (Shape::Map(member), Json::Object(entries)) => {
            for (key, value) in entries {
                walk(value, member, &Place::Key(place, key), found);
            }
        }
        _ => found.push(Problem {
            kind: Kind::Shape,
            finding: Finding::new(RULE.id, place.path(), Some(value), format!("{} belongs here", shape.name())),
        }),
    }
}

fn walk_object(object: &Json<'_>, fields: &'static [Field], place: &Place<'_>, found: &mut Vec<Problem>) {
    // What is null counts as absent, for the API server too.
    for (key, value) in object.entries().iter().filter(|(_, value)| *value != Json::Null) {
        let place = Place::Key(place, key);
        match row(fields, key) {
            None => found.push(unknown(key, value, fields, &place)),
            Some(Field { class: Class::Refused(rule), .. }) if *rule == RULE.id => {
                if !value.is_unset() {
                    let finding = Finding::new(RULE.id, place.path(), Some(value), "not allowed here; leave it out");
                    found.push(Problem { kind: Kind::Refused, finding });
                }
            }
            Some(field) => walk(value, &field.shape, &place, found),
        }
    }
}

fn unknown(key: &str, value: &Json<'_>, fields: &'static [Field], place: &Place<'_>) -> Problem {
    let message = match fields.iter().find(|field| field.key.eq_ignore_ascii_case(key)) {
        Some(meant) => format!("unknown field; write it `{}`", meant.key),
        None => "unknown field; leave it out".to_owned(),
    };
    Problem { kind: Kind::Unknown, finding: Finding::new(RULE.id, place.path(), Some(value), message) }
}

impl Shape {
    fn name(&self) -> &'static str {
        match self {
            Shape::Text => "a text",
            Shape::Integer => "a whole number",
            Shape::Boolean => "true or false",
            Shape::Amount => "a quantity",
            Shape::Port => "a port by number or name",
            Shape::Object(_) | Shape::Map(_) => "an object",
            Shape::List(_) => "a list",
            Shape::Any => "anything",
        }
    }
}

#[cfg(test)]
mod tests;

//! What a request writes: the stored object, the new one, and whether they differ in anything that matters.

use crate::model::{Json, Operation, Request};

/// The sides of a write. A CREATE has no old one, a DELETE no new one.
pub(super) struct Writing<'a> {
    pub(super) old: Option<&'a Json<'a>>,
    pub(super) new: Option<&'a Json<'a>>,
}

impl<'a> Writing<'a> {
    /// The sides of a request; none where one is missing that its operation must bring.
    pub(super) fn of(request: &Request<'a>) -> Option<Self> {
        match request.operation {
            Operation::Create => Some(Writing { old: None, new: Some(request.object?) }),
            Operation::Update => Some(Writing { old: Some(request.old?), new: Some(request.object?) }),
            Operation::Delete => Some(Writing { old: Some(request.old?), new: None }),
            Operation::Connect => None,
        }
    }

    /// Both sides.
    pub(super) fn sides(&self) -> impl Iterator<Item = &'a Json<'a>> {
        [self.old, self.new].into_iter().flatten()
    }

    /// Whether anything is written that matters: more than a finalizer's removal and the API server's own bookkeeping.
    pub(super) fn matters(&self) -> bool {
        match (self.old, self.new) {
            (Some(old), Some(new)) => differs(old, new),
            _ => true,
        }
    }

    /// Whether more than metadata and status is written.
    pub(super) fn changes_contents(&self) -> bool {
        match (self.old, self.new) {
            (Some(old), Some(new)) => contents_differ(old, new),
            _ => true,
        }
    }
}

fn contents_differ(old: &Json<'_>, new: &Json<'_>) -> bool {
    let mut contents = keys(old, new).filter(|key| !matches!(*key, "metadata" | "status"));
    contents.any(|key| old.get(key) != new.get(key))
}

fn differs(old: &Json<'_>, new: &Json<'_>) -> bool {
    let ending = old.at(&["metadata", "deletionTimestamp"]).is_some();
    let contents_differ = contents_differ(old, new);
    let (Some(old), Some(new)) = (old.get("metadata"), new.get("metadata")) else { return true };
    // A write to an object that is being deleted passes where it leaves contents and labels alone.
    let metadata_differs = keys(old, new).any(|key| match key {
        "finalizers" => !ending && !only_fewer(old.get(key), new.get(key)),
        "labels" => old.get(key) != new.get(key),
        _ => !ending && !BOOKKEEPING.contains(&key) && old.get(key) != new.get(key),
    });
    contents_differ || metadata_differs
}

fn only_fewer(old: Option<&Json<'_>>, new: Option<&Json<'_>>) -> bool {
    let known = old.map_or(&[][..], |list| list.items());
    new.map_or(&[][..], |list| list.items()).iter().all(|item| known.contains(item))
}

fn keys<'j>(old: &'j Json<'_>, new: &'j Json<'_>) -> impl Iterator<Item = &'j str> {
    old.entries().iter().chain(new.entries()).map(|(key, _)| key.as_ref())
}

/// What the API server itself writes.
const BOOKKEEPING: &[&str] =
    &["resourceVersion", "generation", "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse;

    #[test]
    fn bookkeeping_and_finalizers_that_go_do_not_matter() {
        let old = r#"{"metadata":{"name":"a","resourceVersion":"1","finalizers":["x","y"]},"data":{"k":"v"}}"#;
        let ending = r#"{"metadata":{"name":"a","deletionTimestamp":"t"},"data":{"k":"v"}}"#;
        for (old, new, want) in [
            (old, r#"{"metadata":{"name":"a","resourceVersion":"2","finalizers":["y"]},"data":{"k":"v"}}"#, false),
            (old, r#"{"metadata":{"name":"a","finalizers":["x","y","z"]},"data":{"k":"v"}}"#, true),
            (old, r#"{"metadata":{"name":"a","annotations":{"b":"c"}},"data":{"k":"v"}}"#, true),
            (old, r#"{"metadata":{"name":"a"},"data":{"k":"w"}}"#, true),
            (old, r#"{"metadata":{"name":"a"},"data":{"k":"v"},"immutable":true}"#, true),
            (
                ending,
                r#"{"metadata":{"name":"a","deletionTimestamp":"t","annotations":{"b":"c"}},"data":{"k":"v"}}"#,
                false,
            ),
            (ending, r#"{"metadata":{"name":"a","deletionTimestamp":"t"},"data":{"k":"w"}}"#, true),
            (ending, r#"{"metadata":{"name":"a","deletionTimestamp":"t","labels":{"b":"c"}},"data":{"k":"v"}}"#, true),
        ] {
            let (old, new) = (parse(old.as_bytes()).unwrap(), parse(new.as_bytes()).unwrap());
            assert_eq!(differs(&old, &new), want, "{new}");
        }
    }
}

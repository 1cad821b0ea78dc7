//! How an object is written, and that it is not written again and again in vain.

use json_patch::jsonptr::{PointerBuf, Token};
use json_patch::{AddOperation, Patch, PatchOperation, ReplaceOperation};
use serde_json::Value;

use super::conditions::ready;
use super::{Step, View};
use crate::bundle::differences;
use crate::cluster::Kind;
use crate::model::{FieldPath, Run, Segment};
use crate::orchestrator::unwritten::{How, Unwritten};

impl View<'_> {
    /// Writes an object, unless that was in vain a moment ago and would be now.
    ///
    /// Server-side apply leaves what others have added to some lists, and what was altered once is amended: the fields
    /// that are others are replaced.
    pub(super) fn write(&self, kind: Kind, object: Value, stored: Option<&Value>) -> Step {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let unwritten = self.unwritten.filter(|unwritten| unwritten.object.0 == kind && unwritten.object.1 == name);
        let Some(unwritten) = unwritten else { return Step::Write(kind, object) };
        match (&unwritten.how, stored) {
            (How::Refused(_), _) if self.now < unwritten.until => self.wait_for(unwritten, kind, stored),
            (How::Altered(fields), Some(stored)) => {
                let now = differences(stored, &object);
                if self.now < unwritten.until && now == *fields {
                    return self.wait_for(unwritten, kind, Some(stored));
                }
                let patch = amendment(stored, &object, &now);
                Step::Amend(kind, object, patch)
            }
            (How::Refused(_) | How::Altered(_), _) => Step::Write(kind, object),
        }
    }

    /// Says why it waits. A run whose Deployment is stored may be running: it is judged by what it says all the same.
    fn wait_for(&self, unwritten: &Unwritten, kind: Kind, stored: Option<&Value>) -> Step {
        let (reason, message) = unwritten.told();
        let run = Run { analysis: self.analysis.id, number: self.analysis.status.run };
        if kind == Kind::Deployment && unwritten.object.1 == run.app() && stored.is_some() {
            let status = self.with(self.analysis.status.clone(), ready("False", reason, message));
            return self.told(self.judged(status));
        }
        self.not_ready(reason, message)
    }
}

/// Replaces these fields of an object by what is wanted there. It names the version, so that of another one nothing is
/// changed: that is a conflict, and no refusal.
fn amendment(stored: &Value, wanted: &Value, fields: &[FieldPath]) -> Patch {
    let version = PointerBuf::from_tokens(["metadata", "resourceVersion"]);
    let is_same = stored.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
    let mut operations = vec![PatchOperation::Replace(ReplaceOperation { path: version, value: is_same })];
    operations.extend(fields.iter().filter_map(|field| {
        let path = pointer(field);
        let value = path.resolve(wanted).ok()?.clone();
        Some(match path.resolve(stored) {
            Ok(_) => PatchOperation::Replace(ReplaceOperation { path, value }),
            Err(_) => PatchOperation::Add(AddOperation { path, value }),
        })
    }));
    Patch(operations)
}

fn pointer(field: &FieldPath) -> PointerBuf {
    let tokens = field.segments().iter().map(|segment| match segment {
        Segment::Key(key) => Token::new(key.as_str()),
        Segment::Index(index) => Token::from(*index),
    });
    PointerBuf::from_tokens(tokens)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_have_added_is_replaced_and_what_they_took_away_is_added() {
        let stored = json!({
            "metadata": {"resourceVersion": "7", "annotations": {"a/b": "theirs", "c": "theirs"}},
            "spec": {"containers": [{"name": "one", "env": [{"name": "OURS"}, {"name": "THEIRS"}]}], "filled": "in"},
        });
        let wanted = json!({
            "metadata": {"annotations": {"a/b": "ours"}},
            "spec": {"containers": [{"name": "one", "env": [{"name": "OURS"}]}], "taken": "away"},
        });
        let patch = amendment(&stored, &wanted, &differences(&stored, &wanted));
        let mut amended = stored.clone();
        json_patch::patch(&mut amended, &patch).unwrap();
        let want = json!({
            "metadata": {"resourceVersion": "7", "annotations": {"a/b": "ours", "c": "theirs"}},
            "spec": {"containers": [{"name": "one", "env": [{"name": "OURS"}]}], "filled": "in", "taken": "away"},
        });
        assert_eq!(amended, want);
        let mut later = stored.clone();
        later["metadata"]["resourceVersion"] = json!("8");
        json_patch::patch(&mut later, &patch).unwrap();
        assert_eq!(later["metadata"]["resourceVersion"], "7", "it is asked for what is no more");
    }
}

//! Manifests as admission would mend them.

use serde_json::Value;

use super::examine::Auditor;
use super::subject::Subject;
use crate::model::{Edit, parse};
use crate::rules::mend;

/// Objects as they are once what can be mended is mended, in their order.
#[derive(Debug, Default)]
pub struct Mended {
    objects: Vec<Value>,
}

impl Mended {
    /// Adds an object, mended as far as it can be; what nobody judges goes as it came.
    pub fn take(&mut self, subject: &Subject, auditor: &Auditor<'_>) {
        let Ok(object) = parse(subject.json.as_bytes()) else { return };
        let mut value = object.to_value();
        let edits: Vec<Edit> = auditor.remedies(&subject.json);
        // What cannot be mended is refused, and the report says so.
        if let Ok(patch) = mend(&object, &edits) {
            let before = value.clone();
            if json_patch::patch(&mut value, &patch).is_err() {
                value = before;
            }
        }
        self.objects.push(value);
    }

    /// The objects.
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }
}

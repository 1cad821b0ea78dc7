//! One rule on requests and objects, as code and documents know it.

use std::borrow::Cow;

use crate::model::{Control, FieldPath, Finding, Hold, Json, Request, Severity};

/// One rule on requests. Its findings are made where the request is judged; this is what documents say of it.
#[derive(Debug, PartialEq)]
pub struct RequestRule {
    /// Id, as it stands in refusals, modes and exceptions.
    pub id: &'static str,
    /// What holds where the rule holds.
    pub title: &'static str,
    /// What happens where it doesn't.
    pub why: &'static str,
    /// How bad that is.
    pub severity: Severity,
    /// Published controls that it helps to meet.
    pub controls: &'static [Control],
    /// Whether a profile's modes and exceptions can soften it.
    pub hold: Hold,
}

impl RequestRule {
    /// A finding of this rule about a value of the object.
    pub fn finds(&self, path: FieldPath, value: Option<&Json<'_>>, message: impl Into<String>) -> Finding {
        let mut finding = Finding::new(self.id, path, value, message);
        finding.severity = self.severity;
        finding.hold = self.hold;
        finding
    }

    /// A finding of this rule about who asks.
    pub(super) fn finds_user(&self, request: &Request<'_>, message: impl Into<String>) -> Finding {
        let name = Json::String(Cow::Borrowed(request.user.name));
        self.finds(FieldPath::of(&["userInfo", "username"]), Some(&name), message)
    }
}

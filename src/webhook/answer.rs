//! The answer to a review. Our own struct, because kube's writes `patch` as numbers (kube issue 1781).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use json_patch::Patch;
use serde::Serialize;

use crate::model::Finding;

/// What the API server is told. Serialises as a whole AdmissionReview of admission.k8s.io/v1.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    api_version: &'static str,
    kind: &'static str,
    response: Response,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

impl Answer {
    /// Yes, as it is.
    pub fn allow(uid: &str) -> Self {
        Answer {
            api_version: "admission.k8s.io/v1",
            kind: "AdmissionReview",
            response: Response {
                uid: uid.to_owned(),
                allowed: true,
                status: None,
                patch_type: None,
                patch: None,
                warnings: Vec::new(),
                audit_annotations: BTreeMap::new(),
            },
        }
    }

    /// No, for a reason that is none of the object's: what could not be read or decided.
    pub fn refuse(uid: &str, code: u16, message: impl Into<String>) -> Self {
        let mut answer = Answer::allow(uid);
        answer.response.allowed = false;
        answer.response.status = Some(Status {
            code,
            reason: match code {
                403 => "Forbidden",
                500 => "InternalError",
                _ => "BadRequest",
            },
            message: message.into(),
        });
        answer
    }

    /// No, with every finding at once.
    pub fn refuse_for(uid: &str, findings: &[Finding]) -> Self {
        let mut lines: Vec<String> = findings.iter().take(FINDINGS).map(Finding::to_string).collect();
        if findings.len() > FINDINGS {
            lines.push(format!("and {} more", findings.len() - FINDINGS));
        }
        let message = format!("flamewarden refuses this for {} reason(s):\n{}", findings.len(), lines.join("\n"));
        let mut answer = Answer::refuse(uid, 403, message);
        let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule.as_ref()).collect();
        rules.dedup();
        answer.response.audit_annotations.insert("refused-by", rules.join(","));
        answer
    }

    /// The same answer with a patch.
    ///
    /// # Errors
    /// The patch cannot be written as JSON.
    pub fn patched(mut self, patch: &Patch) -> Result<Self, serde_json::Error> {
        if !patch.0.is_empty() {
            self.response.patch_type = Some("JSONPatch");
            self.response.patch = Some(STANDARD.encode(serde_json::to_vec(patch)?));
        }
        Ok(self)
    }

    /// The same answer with a warning for each finding; the API server cuts at 256 characters each.
    #[must_use]
    pub fn warning_of(mut self, findings: &[Finding]) -> Self {
        let lines =
            findings.iter().take(WARNINGS).map(|finding| finding.to_string().chars().take(WARNING_LENGTH).collect());
        self.response.warnings.extend(lines);
        self
    }

    /// Whether the answer is yes.
    pub fn is_allowed(&self) -> bool {
        self.response.allowed
    }
}

/// More than any mistake makes; without a bound, a review made for it would have an answer of many megabytes.
const FINDINGS: usize = 256;
const WARNINGS: usize = 16;
const WARNING_LENGTH: usize = 250;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_has_the_reason_that_kubernetes_gives_its_code() {
        for (code, reason) in [(400, "BadRequest"), (403, "Forbidden"), (500, "InternalError")] {
            let answer = serde_json::to_value(Answer::refuse("u", code, "no")).unwrap();
            let status = json!({"code": code, "reason": reason, "message": "no"});
            assert_eq!(answer["response"], json!({"uid": "u", "allowed": false, "status": status}));
        }
    }
}

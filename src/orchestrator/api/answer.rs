//! What the API answers: a status and a body, in FLAME's forms.

use serde_json::{Value, json};

use crate::bundle::Fault;

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// 200 and so on.
    pub(super) status: u16,
    /// JSON.
    pub(super) body: Value,
    /// The method that would have been right.
    pub(super) allow: Option<&'static str>,
}

impl Answer {
    /// It was done.
    pub(super) fn ok(body: Value) -> Self {
        Answer { status: 200, body, allow: None }
    }

    /// It was asked for, and is or was made.
    pub(super) fn created(body: Value) -> Self {
        Answer { status: 201, ..Answer::ok(body) }
    }

    /// No such route.
    pub(super) fn not_found() -> Self {
        Answer::detail(404, "Not Found")
    }

    /// There is such a route, for another method.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        Answer { allow: Some(allow), ..Answer::detail(405, "Method Not Allowed") }
    }

    /// No token, or one that counts for nothing. Why stands in the log.
    pub(super) fn not_authenticated() -> Self {
        Answer::detail(401, "Not authenticated")
    }

    /// A good token, and not for this.
    pub(super) fn forbidden(why: &str) -> Self {
        Answer::detail(403, why)
    }

    /// It is not as it would have to be for this.
    pub(super) fn conflict(why: &str) -> Self {
        Answer::detail(409, why)
    }

    /// Something of ours went wrong; what, stands in the log.
    pub(super) fn failed(doing: &str) -> Self {
        Answer::detail(500, &format!("Error {doing} (see po logs)."))
    }

    /// An answer with a reason.
    pub(super) fn detail(status: u16, why: &str) -> Self {
        Answer { status, ..Answer::ok(json!({"detail": why})) }
    }

    /// Faults of a body, as FastAPI lists them. What was given is told of ids alone: elsewhere it may be a password.
    pub(super) fn faults(faults: &[Fault], body: &Value) -> Self {
        let told = |fault: &Fault| {
            let given = fault.field.filter(|field| IDS.contains(field)).and_then(|field| body.get(field));
            let shown = given.and_then(Value::as_str).filter(|text| text.len() <= LONGEST);
            let mut place = vec!["body"];
            place.extend(fault.field);
            json!({"type": fault.kind, "loc": place, "msg": fault.message, "input": shown})
        };
        Answer { status: 422, ..Answer::ok(json!({"detail": faults.iter().map(told).collect::<Vec<_>>()})) }
    }

    /// A body that was not there in time.
    pub(super) fn late() -> Self {
        Answer::detail(408, "the body did not come in time")
    }

    /// A body that is no text.
    pub(super) fn no_text() -> Self {
        Answer::detail(400, "There was an error parsing the body")
    }

    /// A body that is no JSON.
    pub(super) fn no_json() -> Self {
        let message = "JSON decode error".to_owned();
        Answer::faults(&[Fault { field: None, kind: "json_invalid", message }], &Value::Null)
    }

    /// No body where there must be one.
    pub(super) fn no_body() -> Self {
        let message = "Field required".to_owned();
        Answer::faults(&[Fault { field: None, kind: "missing", message }], &Value::Null)
    }

    /// A path whose last part is no id.
    pub(super) fn no_id(given: &str) -> Self {
        let shown = (given.len() <= LONGEST).then_some(given);
        let fault = json!({
            "type": "uuid_parsing", "loc": ["path", "analysis_id"], "msg": "Input should be a valid UUID", "input": shown,
        });
        Answer { status: 422, ..Answer::ok(json!({"detail": [fault]})) }
    }
}

const IDS: [&str; 2] = ["analysis_id", "project_id"];
/// Of a text that is repeated to whoever sent it.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::CreateRequest;

    #[test]
    fn faults_are_told_as_fastapi_does_and_no_secret_is_told_back() {
        let secret = "hunter2";
        let whole = json!({
            "analysis_id": "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f", "project_id": "7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d",
            "registry_url": "harbor.example", "image_url": "harbor.example/node/a", "registry_user": "robot$node",
            "registry_password": secret, "kong_token": secret,
        });
        let with = |field: &str, value: Value| {
            let mut body = whole.clone();
            body[field] = value;
            body
        };
        let without = |field: &str| {
            let mut body = whole.clone();
            body.as_object_mut().unwrap().remove(field);
            body
        };
        let fault = |kind: &str, field: &str, message: &str, input: Value| json!({"type": kind, "loc": ["body", field], "msg": message, "input": input});
        let no_id = "Input should be a valid UUID, no UUID; write 32 hexadecimal digits in groups of 8-4-4-4-12";
        let number = "Input should be a whole number from 0 to 100";
        for (body, want) in [
            (without("kong_token"), fault("missing", "kong_token", "Field required", Value::Null)),
            (
                with("registry_password", json!([secret])),
                fault("string_type", "registry_password", "Input should be a valid string", Value::Null),
            ),
            (
                with("project_id", json!("x { allow all; }")),
                fault("uuid_parsing", "project_id", no_id, json!("x { allow all; }")),
            ),
            (with("analysis_id", json!("x".repeat(65))), fault("uuid_parsing", "analysis_id", no_id, Value::Null)),
            (with("progress", json!(secret)), fault("int_parsing", "progress", number, Value::Null)),
            (with("progress", json!(101)), fault("less_than_equal", "progress", number, Value::Null)),
        ] {
            let answer = Answer::faults(&CreateRequest::parse(&body).unwrap_err(), &body);
            assert_eq!(answer, Answer { status: 422, ..Answer::ok(json!({"detail": [want]})) }, "{body}");
            assert!(!answer.body.to_string().contains(secret), "{answer:?}");
        }
        let answer = Answer::faults(&CreateRequest::parse(&json!([secret])).unwrap_err(), &json!([secret]));
        let message = "write an object of the fields analysis_id, project_id, registry_url, …";
        let want = json!({"type": "model_attributes_type", "loc": ["body"], "msg": message, "input": null});
        assert_eq!(answer.body, json!({"detail": [want]}));
    }
}

//! A create request as FLAME's Hub adapter sends it, read into what cannot be wrong.

use serde_json::{Map, Value};

use super::{Credentials, Tokens};
use crate::model::{AnalysisId, ProjectId};

/// What is asked for: run this image as that analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// Which analysis.
    pub analysis: AnalysisId,
    /// Of which project.
    pub project: ProjectId,
    /// Its image, as it was named.
    pub image: String,
    /// Who pulls it.
    pub credentials: Credentials,
    /// What it shows to Kong.
    pub tokens: Tokens,
    /// How often it was started before.
    pub restart_counter: u32,
    /// How far it had come, in percent.
    pub progress: u8,
}

/// One thing that is wrong with a request, as FastAPI tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field; none where the whole body is no object.
    pub field: Option<&'static str>,
    /// FastAPI's word for it.
    pub kind: &'static str,
    /// What is wrong, and what to do. Never the value: it may be a password.
    pub message: String,
}

impl CreateRequest {
    /// Reads a request; fields that are not known are ignored, as FLAME's own orchestrator does.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &Value) -> Result<Self, Vec<Fault>> {
        let Some(fields) = body.as_object() else {
            let message = "write an object of the fields analysis_id, project_id, registry_url, …".to_owned();
            return Err(vec![Fault { field: None, kind: "model_attributes_type", message }]);
        };
        let mut faults = Vec::new();
        let mut text =
            |field: &'static str| read_text(fields, field).map_err(|fault| faults.push(fault)).unwrap_or_default();
        let (analysis, project) = (text("analysis_id"), text("project_id"));
        let (registry, image) = (text("registry_url"), text("image_url"));
        let (user, password, token) = (text("registry_user"), text("registry_password"), text("kong_token"));
        let restart_counter = number(fields, "restart_counter", u64::from(MOST_RESTARTS), &mut faults);
        let progress = number(fields, "progress", 100, &mut faults);
        let analysis = id(&analysis, "analysis_id", &mut faults);
        let project = id(&project, "project_id", &mut faults);
        let (Some(analysis), Some(project), true) = (analysis, project, faults.is_empty()) else { return Err(faults) };
        Ok(CreateRequest {
            analysis,
            project,
            image,
            credentials: Credentials { registry, user, password },
            tokens: Tokens { data_source: token, keycloak: None },
            restart_counter: u32::try_from(restart_counter).unwrap_or(MOST_RESTARTS),
            progress: u8::try_from(progress).unwrap_or(100),
        })
    }
}

fn read_text(fields: &Map<String, Value>, field: &'static str) -> Result<String, Fault> {
    match fields.get(field) {
        None => Err(Fault { field: Some(field), kind: "missing", message: "Field required".to_owned() }),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => {
            let message = "Input should be a valid string".to_owned();
            Err(Fault { field: Some(field), kind: "string_type", message })
        }
    }
}

/// An optional number from 0 to `most`.
fn number(fields: &Map<String, Value>, field: &'static str, most: u64, faults: &mut Vec<Fault>) -> u64 {
    match fields.get(field) {
        None | Some(Value::Null) => 0,
        Some(given) => whole_number(field, given, most).unwrap_or_else(|fault| {
            faults.push(fault);
            0
        }),
    }
}

/// A whole number from 0 to `most`; JSON may well write 40 as 40.0.
///
/// # Errors
/// It is none, or another.
pub fn whole_number(field: &'static str, given: &Value, most: u64) -> Result<u64, Fault> {
    let kind = match (given, given.as_f64()) {
        (Value::String(_), _) => "int_parsing",
        (Value::Number(_), Some(number)) if number.fract() != 0.0 => "int_from_float",
        (Value::Number(_), Some(number)) if number < 0.0 => "greater_than_equal",
        // Up to here each whole number is a number of its own.
        (Value::Number(_), Some(number)) if number <= most.min(1 << f64::MANTISSA_DIGITS) as f64 => {
            return Ok(number as u64);
        }
        (Value::Number(_), _) => "less_than_equal",
        _ => "int_type",
    };
    Err(Fault { field: Some(field), kind, message: format!("Input should be a whole number from 0 to {most}") })
}

fn id<T: std::str::FromStr<Err = crate::model::IdProblem>>(
    text: &str,
    field: &'static str,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    // What is missing was told already.
    if faults.iter().any(|fault| fault.field == Some(field)) {
        return None;
    }
    let read = text.parse();
    if let Err(problem) = &read {
        faults.push(Fault {
            field: Some(field),
            kind: "uuid_parsing",
            message: format!("Input should be a valid UUID, {problem}"),
        });
    }
    read.ok()
}

/// The most earlier runs that a request may count: far more than a restart limit lets an analysis have, and one less
/// than an Analysis may count itself.
pub const MOST_RESTARTS: u32 = 999_999;

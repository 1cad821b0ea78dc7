//! A log line as an analysis streams it: FLAME's `CreateLogEntity`.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::archive::{LogLine, short_line};
use crate::bundle::{Fault, whole_number};
use crate::model::{AnalysisId, AnalysisObject, Phase, Report, WantedState};
use crate::orchestrator::secrets::Secrets;

/// One line, and what the analysis says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Whose line it is said to be.
    pub(super) analysis: AnalysisId,
    /// What it says.
    pub(super) log: String,
    /// How urgent it is.
    pub(super) log_type: String,
    /// How the analysis says it is.
    pub(super) status: Phase,
    /// How far it says it is, in percent.
    pub(super) progress: u8,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn parse(body: &Value) -> Result<Self, Vec<Fault>> {
        let Some(fields) = body.as_object() else {
            let message = "write an object of the fields log, log_type, analysis_id, status and progress".to_owned();
            return Err(vec![Fault { field: None, kind: "model_attributes_type", message }]);
        };
        let log = text(fields, "log");
        let log_type = text(fields, "log_type").and_then(|given| one_of("log_type", given, LOG_TYPES));
        let status = text(fields, "status").and_then(|given| phase(&given));
        let analysis = text(fields, "analysis_id").and_then(|given| {
            let message = "Input should be a valid UUID".to_owned();
            given.parse().map_err(|_| Fault { field: Some("analysis_id"), kind: "uuid_parsing", message })
        });
        let progress = match fields.get("progress") {
            None | Some(Value::Null) => Ok(0),
            Some(given) => whole_number("progress", given, 100).map(|given| u8::try_from(given).unwrap_or(100)),
        };
        match (analysis, log, log_type, status, progress) {
            (Ok(analysis), Ok(log), Ok(log_type), Ok(status), Ok(progress)) => {
                Ok(Line { analysis, log, log_type, status, progress })
            }
            (analysis, log, log_type, status, progress) => {
                let faults = [log.err(), log_type.err(), analysis.err(), status.err(), progress.err()];
                Err(faults.into_iter().flatten().collect())
            }
        }
    }
}

impl Line {
    /// What it changes of what is stored of its analysis; nothing where that has ended, or is to.
    ///
    /// While a run begins the pod of the one before may still write, and of one that is stuck nothing more is waited for.
    pub(super) fn report(&self, analysis: &AnalysisObject) -> Option<Report> {
        let report = Report { run: analysis.status.run, phase: self.status, progress: self.progress };
        let runs = [Phase::Started, Phase::Executing].map(Some);
        let wanted = analysis.spec.state == WantedState::Running && !analysis.deleting;
        (wanted && runs.contains(&analysis.status.phase) && analysis.reported != Some(report)).then_some(report)
    }

    /// The same without what must not be told.
    pub(super) fn without(self, secrets: &Secrets) -> Self {
        Line { log: secrets.clean_line(&self.log), ..self }
    }

    /// What is kept of it.
    pub(super) fn kept(self, now: Timestamp) -> LogLine {
        let status = REPORTED.iter().find(|(_, phase)| *phase == self.status).map_or("", |(name, _)| name);
        LogLine {
            log: short_line(&self.log),
            log_type: self.log_type,
            status: status.to_owned(),
            progress: self.progress,
            written: now,
        }
    }
}

fn text(fields: &Map<String, Value>, field: &'static str) -> Result<String, Fault> {
    let fault = |kind, message: &str| Err(Fault { field: Some(field), kind, message: message.to_owned() });
    match fields.get(field) {
        None => fault("missing", "Field required"),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => fault("string_type", "Input should be a valid string"),
    }
}

fn one_of(field: &'static str, given: String, known: &[&str]) -> Result<String, Fault> {
    if known.contains(&given.as_str()) {
        return Ok(given);
    }
    let message = format!("Input should be one of {}", known.join(", "));
    Err(Fault { field: Some(field), kind: "enum", message })
}

/// What an analysis may say of itself: that it is being started, taken away or was stopped others know better.
fn phase(given: &str) -> Result<Phase, Fault> {
    let known = REPORTED.iter().find(|(name, _)| *name == given).map(|(_, phase)| *phase);
    known.ok_or_else(|| {
        let names: Vec<&str> = REPORTED.iter().map(|(name, _)| *name).collect();
        let message = format!("Input should be one of {}", names.join(", "));
        Fault { field: Some("status"), kind: "enum", message }
    })
}

pub(super) const LOG_TYPES: &[&str] = &["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];
pub(super) const REPORTED: [(&str, Phase); 5] = [
    ("started", Phase::Started),
    ("executing", Phase::Executing),
    ("stuck", Phase::Stuck),
    ("executed", Phase::Executed),
    ("failed", Phase::Failed),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::orchestrator::testing::{ID, analysis};

    #[test]
    fn a_line_changes_what_is_stored_of_an_analysis_that_runs_and_only_if_it_says_something_new() {
        use Phase::{Executed, Executing, Failed, Started, Starting, Stopped, Stopping, Stuck};
        use WantedState::{Running, Stopped as Stop};
        let body = json!({"log": "", "log_type": "info", "analysis_id": ID, "status": "failed", "progress": 50});
        let line = Line::parse(&body).unwrap();
        let report = |run| Some(Report { run, phase: Failed, progress: 50 });
        for (phase, wanted, deleting, reported, want) in [
            (Some(Starting), (Running, 1, 1), false, None, None),
            (Some(Starting), (Running, 2, 2), false, report(1), None),
            (Some(Started), (Running, 1, 1), false, None, report(1)),
            (Some(Started), (Running, 2, 2), false, report(1), report(2)),
            (Some(Executing), (Running, 1, 1), false, Some(Report { run: 1, phase: Failed, progress: 49 }), report(1)),
            (Some(Stuck), (Running, 1, 1), false, Some(Report { run: 1, phase: Executed, progress: 50 }), None),
            (
                Some(Executing),
                (Running, 1, 1),
                false,
                Some(Report { run: 1, phase: Executed, progress: 50 }),
                report(1),
            ),
            (Some(Executing), (Running, 1, 1), false, report(1), None),
            (Some(Executing), (Running, 1, 1), true, None, None),
            (Some(Executing), (Stop, 1, 1), false, None, None),
            (None, (Running, 1, 0), false, None, None),
            (Some(Stopping), (Running, 1, 1), false, None, None),
            (Some(Stopped), (Running, 1, 1), false, None, None),
            (Some(Executed), (Running, 1, 1), false, None, None),
            (Some(Failed), (Running, 1, 1), false, None, None),
        ] {
            let analysis = AnalysisObject { reported, ..analysis(phase, wanted, deleting) };
            assert_eq!(line.report(&analysis), want, "{analysis:?}");
        }
    }

    #[test]
    fn a_line_is_told_without_secrets_and_kept_no_longer_than_the_archive_keeps_it() {
        let secrets = Secrets::of(Some(r#"{"data": {"a": "a2V5LW9mLWtvbmc="}}"#)).unwrap();
        let log = format!("KEY=key-of-kong {}", "x".repeat(1 << 14));
        let body = json!({"log": log, "log_type": "info", "analysis_id": ID, "status": "executing", "progress": 5});
        let line = Line::parse(&body).unwrap().without(&secrets);
        assert_eq!(line.log, format!("KEY=[secret left out] {}", "x".repeat(1 << 14)));
        let written = "2026-11-21T00:00:00Z".parse().unwrap();
        let log = format!("KEY=[secret left out] {} [12350 bytes left out]", "x".repeat(4034));
        let kept = LogLine { log, log_type: "info".to_owned(), status: "executing".to_owned(), progress: 5, written };
        assert_eq!(line.kept(written), kept);
    }

    #[test]
    fn a_line_is_read_strictly() {
        let whole =
            json!({"log": "epoch 1", "log_type": "info", "analysis_id": ID, "status": "executing", "progress": 50});
        let line = Line {
            analysis: ID.parse().unwrap(),
            log: "epoch 1".to_owned(),
            log_type: "info".to_owned(),
            status: Phase::Executing,
            progress: 50,
        };
        let with = |field: &str, value: Value| {
            let mut body = whole.clone();
            body[field] = value;
            body
        };
        assert_eq!(Line::parse(&whole), Ok(line.clone()));
        assert_eq!(Line::parse(&with("more", json!(1))), Ok(line.clone()));
        assert_eq!(Line::parse(&with("analysis_id", json!(ID.to_uppercase()))), Ok(line.clone()));
        assert_eq!(Line::parse(&with("progress", json!(50.0))), Ok(line.clone()));
        assert_eq!(Line::parse(&with("progress", Value::Null)), Ok(Line { progress: 0, ..line }));
        for (field, value, kind) in [
            ("log", json!(1), "string_type"),
            ("log_type", json!("loud"), "enum"),
            ("analysis_id", json!("x"), "uuid_parsing"),
            ("status", json!("stopped"), "enum"),
            ("status", json!("starting"), "enum"),
            ("status", json!("stopping"), "enum"),
            ("progress", json!(101), "less_than_equal"),
            ("progress", json!(50.5), "int_from_float"),
            ("progress", json!(-1.0), "greater_than_equal"),
            ("progress", json!("50"), "int_parsing"),
            ("progress", json!([50]), "int_type"),
            ("progress", json!(1e300), "less_than_equal"),
        ] {
            let faults = Line::parse(&with(field, value.clone())).unwrap_err();
            let told: Vec<_> = faults.iter().map(|fault| (fault.field, fault.kind)).collect();
            assert_eq!(told, [(Some(field), kind)], "{field}: {value}");
        }
        let missing = |field| (Some(field), "missing");
        let faults = Line::parse(&json!({})).unwrap_err();
        let told: Vec<_> = faults.iter().map(|fault| (fault.field, fault.kind)).collect();
        assert_eq!(told, ["log", "log_type", "analysis_id", "status"].map(missing));
        assert_eq!(Line::parse(&json!([])).unwrap_err()[0].kind, "model_attributes_type");
    }
}

//! What is told of analyses, in FLAME's forms.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::route::Which;
use crate::model::{AnalysisId, AnalysisObject, Phase, Run, WantedState};

/// How an analysis is, as whoever asks is to understand it.
pub(super) fn present(analysis: &AnalysisObject) -> Phase {
    let ended = analysis.status.phase.is_none_or(Phase::is_over);
    match analysis.status.phase {
        _ if analysis.deleting => Phase::Stopping,
        // Asked for, and not begun yet.
        _ if starts_again(analysis) && ended => Phase::Starting,
        Some(phase) => phase,
        None => Phase::Starting,
    }
}

/// How far it has come, in percent: as it says itself, of its last run.
fn progress(analysis: &AnalysisObject) -> u8 {
    let reported = analysis.reported.filter(|reported| reported.run == analysis.status.run);
    reported.map_or(analysis.status.progress, |reported| reported.progress)
}

/// Whether a run is wanted that has not begun.
fn starts_again(analysis: &AnalysisObject) -> bool {
    analysis.spec.state == WantedState::Running && analysis.spec.run > analysis.status.run
}

/// `{"<id>": {"status": "executing", "progress": 40}}`
pub(super) fn status(analyses: &[AnalysisObject]) -> Value {
    let told = |analysis: &AnalysisObject| json!({"status": present(analysis), "progress": progress(analysis)});
    by_id(analyses, told)
}

/// `{"<id>": "stopped"}`: what each is once it is stopped; what has come to its end before stays as it ended.
pub(super) fn stopped(analyses: &[AnalysisObject]) -> Value {
    let told = |analysis: &AnalysisObject| match present(analysis) {
        ended @ (Phase::Executed | Phase::Failed) => json!(ended),
        _ => json!(Phase::Stopped),
    };
    by_id(analyses, told)
}

/// `{"<id>": null}`
pub(super) fn deleted(analyses: &[AnalysisObject]) -> Value {
    by_id(analyses, |_| Value::Null)
}

/// `{"<id>": ["[\"<pod>\"]"]}`: FLAME keeps the names of a run's pods as the text of a list.
pub(super) fn pods(which: Which, analyses: &[AnalysisObject], names: &BTreeMap<String, Vec<String>>) -> Value {
    let of_run = |analysis: &AnalysisObject| {
        let app = app(analysis);
        let names = names.get(&app).filter(|names| !names.is_empty());
        names.map_or_else(|| json!([]), |names| json!([json!(names).to_string()]))
    };
    match (by_id(analyses, of_run), which) {
        (Value::Object(told), Which::One(id)) if told.is_empty() => json!({id.to_string(): []}),
        (told, _) => told,
    }
}

/// `{"analysis": {…}, "nginx": {…}}`, the texts by the id of the analysis.
pub(super) fn logs(texts: &BTreeMap<AnalysisId, [Vec<String>; 2]>) -> Value {
    let side = |of: fn(&[Vec<String>; 2]) -> &Vec<String>| -> Map<String, Value> {
        texts.iter().map(|(id, both)| (id.to_string(), json!(of(both)))).collect()
    };
    json!({"analysis": side(|[analysis, _]| analysis), "nginx": side(|[_, gateway]| gateway)})
}

/// An analysis's last run.
pub(super) fn last_run(analysis: &AnalysisObject) -> Run {
    Run { analysis: analysis.id, number: analysis.status.run }
}

/// The name of an analysis's last run.
pub(super) fn app(analysis: &AnalysisObject) -> String {
    last_run(analysis).app()
}

/// The end of a log, from the beginning of a line, and how much went before it.
pub(super) fn newest(log: String, most: usize) -> String {
    let Some(cut) = log.len().checked_sub(most).filter(|cut| *cut > 0) else { return log };
    let from = log.as_bytes().iter().skip(cut).position(|byte| *byte == b'\n').map_or(log.len(), |line| cut + line + 1);
    format!("[{from} bytes left out]\n{}", log.get(from..).unwrap_or_default())
}

fn by_id(analyses: &[AnalysisObject], told: impl Fn(&AnalysisObject) -> Value) -> Value {
    Value::Object(analyses.iter().map(|analysis| (analysis.id.to_string(), told(analysis))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Report;
    use crate::orchestrator::testing::{ID, analysis};

    #[test]
    fn an_analysis_is_told_as_flame_does() {
        use Phase::{Executed, Executing, Failed, Started, Starting, Stopped, Stopping, Stuck};
        use WantedState::{Running, Stopped as Stop};
        for (phase, wanted, deleting, told_as, ends_as) in [
            (None, (Running, 1, 0), false, "starting", "stopped"),
            (Some(Starting), (Running, 1, 1), false, "starting", "stopped"),
            (Some(Started), (Running, 1, 1), false, "started", "stopped"),
            (Some(Executing), (Running, 1, 1), false, "executing", "stopped"),
            (Some(Stuck), (Running, 1, 1), false, "stuck", "stopped"),
            (Some(Stopping), (Stop, 1, 1), false, "stopping", "stopped"),
            (Some(Stopped), (Stop, 1, 1), false, "stopped", "stopped"),
            (Some(Executed), (Running, 1, 1), false, "executed", "executed"),
            (Some(Failed), (Stop, 1, 1), false, "failed", "failed"),
            (Some(Failed), (Running, 2, 1), false, "starting", "stopped"),
            (Some(Executing), (Running, 1, 1), true, "stopping", "stopped"),
        ] {
            let one = [analysis(phase, wanted, deleting)];
            let told = (status(&one), stopped(&one), deleted(&one));
            let want = (json!({ID: {"status": told_as, "progress": 40}}), json!({ID: ends_as}), json!({ID: null}));
            assert_eq!(told, want, "{phase:?} {wanted:?}");
        }
        for (run, progress) in [(1, 40), (2, 60)] {
            let reported = Some(Report { run, phase: Executed, progress: 60 });
            let one = AnalysisObject { reported, ..analysis(Some(Executing), (Running, 2, 2), false) };
            assert_eq!(status(&[one]), json!({ID: {"status": "executing", "progress": progress}}));
        }
        assert_eq!((status(&[]), stopped(&[]), deleted(&[])), (json!({}), json!({}), json!({})));
    }

    #[test]
    fn pods_are_those_of_the_last_run_and_nobody_has_none() {
        let one = [analysis(Some(Phase::Executing), (WantedState::Running, 2, 2), false)];
        let which = Which::One(ID.parse().unwrap());
        let names = BTreeMap::from([
            (format!("analysis-{ID}-1"), vec!["old".to_owned()]),
            (format!("analysis-{ID}-2"), vec!["a".to_owned(), "b".to_owned()]),
        ]);
        assert_eq!(pods(which, &one, &names), json!({ID: ["[\"a\",\"b\"]"]}));
        assert_eq!(pods(Which::All, &one, &names), json!({ID: ["[\"a\",\"b\"]"]}));
        assert_eq!(pods(which, &one, &BTreeMap::new()), json!({ID: []}));
        assert_eq!(pods(which, &[], &names), json!({ID: []}));
        assert_eq!(pods(Which::All, &[], &names), json!({}));
    }

    #[test]
    fn of_a_long_log_the_last_lines_are_shown() {
        for (log, want) in [
            ("", ""),
            ("one\ntwo\nsix\n", "one\ntwo\nsix\n"),
            ("one\ntwo\nsix\nten", "[4 bytes left out]\ntwo\nsix\nten"),
            ("one\ntwo\nthree\n", "[4 bytes left out]\ntwo\nthree\n"),
            ("all in one line", "[15 bytes left out]\n"),
        ] {
            assert_eq!(newest(log.to_owned(), 12), want, "{log}");
        }
    }

    #[test]
    fn logs_have_flames_form() {
        let id = ID.parse().unwrap();
        let texts = BTreeMap::from([(id, [vec!["a".to_owned()], vec!["b".to_owned()]])]);
        assert_eq!(logs(&texts), json!({"analysis": {ID: ["a"]}, "nginx": {ID: ["b"]}}));
        assert_eq!(logs(&BTreeMap::new()), json!({"analysis": {}, "nginx": {}}));
    }
}

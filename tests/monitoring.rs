//! The dashboard and the alert rules speak of metrics and labels that there are, and have what Grafana and Prometheus
//! ask for. Which there are stands in README's table, which `tests/readme.rs` holds to the source.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy sees helpers as ordinary functions"
)]

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

const README: &str = include_str!("../README.md");
const DASHBOARD: &str = include_str!("../docs/monitoring/dashboard.json");
const ALERTS: &str = include_str!("../docs/monitoring/alerts.yaml");

#[test]
fn every_metric_and_label_is_one_that_is_published() {
    let (panels, alerts) = (panels(), alerts());
    let of_panels = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expressions: Vec<&Value> = of_panels.chain(&alerts).map(|one| &one["expr"]).collect();
    assert!(expressions.len() > 40, "{}", expressions.len());
    for expression in expressions {
        let expression = expression.as_str().unwrap();
        assert!(expression.contains("flamewarden_"), "{expression}");
        assert_eq!(unknown(expression), Vec::<String>::new(), "{expression}");
    }
    for bad in [
        "flamewarden_audit_scores",
        "flamewarden_scans",
        "flamewarden_audit_score_total",
        "flamewarden_audit_score_bucket",
        "sum by (rule) (flamewarden_audit_findings)",
        "flamewarden_audit_findings{level=\"critical\"}",
        "flamewarden_audit_findings{severity=\"worst\"}",
    ] {
        assert_ne!(unknown(bad), Vec::<String>::new(), "{bad}");
    }
}

/// What the issue asks to be watched, each by the metric that tells it.
#[test]
fn what_matters_is_on_the_dashboard_and_has_an_alert() {
    for (metric, has_alert) in [
        ("admission_turned_away_total", true),
        ("admission_duration_seconds_bucket", true),
        ("admission_refusals_total", false),
        ("guard_pods", true),
        ("scans_total", true),
        ("certificate_expiry_timestamp_seconds", true),
        ("audit_last_run_timestamp_seconds", true),
        ("audit_coverage_ratio", true),
        ("audit_score", false),
        ("audit_findings", true),
        ("audit_exceptions_expiring", true),
        ("decisions_lost_total", true),
        ("archive_up", true),
        ("journal_decisions_lost_total", true),
        ("journal_prunes_failed_total", true),
        ("syslog_lost_total", true),
        ("syslog_waiting", true),
        ("network_enforcement", true),
    ] {
        assert!(DASHBOARD.contains(&format!("flamewarden_{metric}")), "{metric}");
        assert_eq!(ALERTS.contains(&format!("flamewarden_{metric}")), has_alert, "{metric}");
    }
}

#[test]
fn grafana_can_provision_the_dashboard() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    // An id of its own would collide with another dashboard's; the uid is what links hold on to.
    assert!(dashboard["id"].is_null());
    for (field, is_so) in [
        ("uid", dashboard["uid"].as_str().is_some_and(|uid| !uid.is_empty() && uid.len() <= 40)),
        ("title", dashboard["title"].as_str().is_some_and(|title| !title.is_empty())),
        ("schemaVersion", dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36)),
        ("version", dashboard["version"].is_u64()),
        ("time", dashboard["time"]["from"].is_string() && dashboard["time"]["to"].is_string()),
        ("refresh", dashboard["refresh"].is_string()),
    ] {
        assert!(is_so, "{field}: {}", dashboard[field]);
    }
    let variable = &dashboard["templating"]["list"][0];
    assert_eq!(
        (&variable["name"], &variable["type"], &variable["query"]),
        (&"datasource".into(), &"datasource".into(), &"prometheus".into())
    );
    let panels = panels();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "an id of its own for each panel");
    let mut covered = BTreeSet::new();
    for panel in &panels {
        let title = panel["title"].as_str().unwrap();
        let [x, y, width, height] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(width > 0 && height > 0 && x + width <= 24, "{title}");
        for place in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(covered.insert(place), "{title} lies over another");
        }
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().unwrap();
        let names: BTreeSet<&str> = targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
        assert!(!targets.is_empty() && names.len() == targets.len(), "{title}");
        for one in targets.iter().chain([panel]) {
            assert_eq!(one["datasource"], serde_json::json!({"type": "prometheus", "uid": "${datasource}"}), "{title}");
        }
    }
}

#[test]
fn prometheus_can_load_the_alerts() {
    let mut names = BTreeSet::new();
    let time = Regex::new("^[0-9]+[smhd]$").unwrap();
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap().to_owned();
        let keys: BTreeSet<&str> = alert.as_object().unwrap().keys().map(String::as_str).collect();
        let known = BTreeSet::from(["alert", "expr", "for", "labels", "annotations"]);
        assert!(keys.is_subset(&known) && alert["expr"].is_string(), "{name}: {keys:?}");
        let wait = alert["for"].as_str().unwrap_or("0m");
        assert!(time.is_match(wait), "{name}: {wait}");
        assert!(["critical", "warning", "info"].iter().any(|word| alert["labels"]["severity"] == *word), "{name}");
        for annotation in ["summary", "description"] {
            assert!(
                alert["annotations"][annotation].as_str().is_some_and(|text| text.len() > 10),
                "{name}: {annotation}"
            );
        }
        assert!(names.insert(name));
    }
    assert!(names.len() > 15, "{names:?}");
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(ALERTS).unwrap();
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Metrics of an expression that are not published, and labels that they do not have.
fn unknown(expression: &str) -> Vec<String> {
    let published = published();
    let name = Regex::new(r"flamewarden_\w+").unwrap();
    let chosen = Regex::new(r#"(\w+)\s*(?:=|!=|=~|!~)\s*"([^"]*)""#).unwrap();
    let grouped = Regex::new(r"\b(?:by|without|on) \(([^)]*)\)").unwrap();
    let (mut unknown, mut known) = (Vec::new(), BTreeSet::from(["le".to_owned()]));
    for found in name.find_iter(expression) {
        match published.get(found.as_str()) {
            Some(labels) => known.extend(labels.iter().cloned()),
            None => unknown.push(found.as_str().to_owned()),
        }
    }
    let by = grouped
        .captures_iter(expression)
        .flat_map(|found| found[1].split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>());
    unknown.extend(by.filter(|label| !known.contains(label)));
    for found in chosen.captures_iter(expression) {
        let (label, value) = (&found[1], &found[2]);
        // The values that there are stand in README or in the source, as words.
        let is_word = README.contains(&format!("`{value}`")) || SEVERITIES.contains(&value);
        if !known.contains(label) || !is_word {
            unknown.push(format!("{label}={value}"));
        }
    }
    unknown
}

/// Every metric by the names that its samples have, with its labels.
fn published() -> BTreeMap<String, BTreeSet<String>> {
    let (_, table) = README.split_once("\n| metric | labels | means |\n").unwrap();
    let word = Regex::new(r"`(\w+)`").unwrap();
    let words = |cell: &str| word.captures_iter(cell).map(|found| found[1].to_owned()).collect::<BTreeSet<_>>();
    let mut published = BTreeMap::new();
    for row in table.lines().take_while(|line| line.starts_with('|')).skip(1) {
        let cells: Vec<&str> = row.split('|').collect();
        let labels = words(cells[2]);
        for name in words(cells[1]) {
            // A histogram has no sample of its own name.
            let ends: &[&str] =
                if name.ends_with("_duration_seconds") { &["_bucket", "_sum", "_count"] } else { &[""] };
            published.extend(ends.iter().map(|end| (format!("{name}{end}"), labels.clone())));
        }
    }
    published
}

const SEVERITIES: [&str; 4] = ["critical", "high", "medium", "low"];

//! What a scan's Job and its pod say of an end without a report.

use serde_json::Value;

use super::job::CONTAINER;
use super::{Bound, ScanProblem};

/// Why nothing will be brought any more, where that is so.
pub(super) fn ended(job: &Value, pods: &Value) -> Option<ScanProblem> {
    if let Some(problem) = each(pods).find_map(pod_ended) {
        return Some(problem);
    }
    let mut conditions = job.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let condition = conditions.find(|condition| {
        ["Failed", "Complete"].contains(&text(condition, "/type")) && text(condition, "/status") == "True"
    })?;
    Some(match (text(condition, "/type"), text(condition, "/reason")) {
        ("Failed", "DeadlineExceeded") => ScanProblem::Exceeded(Bound::Time),
        ("Failed", _) => ScanProblem::Unmade(format!("its Job failed: {}", text(condition, "/message"))),
        _ => ScanProblem::Unmade("its worker ended well and brought nothing".to_owned()),
    })
}

/// What a pod that does not start waits for.
pub(super) fn waits(pods: &Value) -> Option<ScanProblem> {
    let waiting = each(pods).find_map(|pod| container(pod)?.pointer("/state/waiting").cloned());
    let unscheduled = each(pods).find_map(|pod| {
        let mut conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        conditions
            .find(|condition| text(condition, "/type") == "PodScheduled" && text(condition, "/status") == "False")
            .cloned()
    });
    let said = waiting.or(unscheduled)?;
    Some(ScanProblem::Unmade(format!("its pod waits: {} {}", text(&said, "/reason"), text(&said, "/message"))))
}

fn pod_ended(pod: &Value) -> Option<ScanProblem> {
    let phase = text(pod, "/status/phase");
    // The kubelet evicts pods for their files alone while they are within their requests of memory, which are the limits.
    if phase == "Failed" && text(pod, "/status/reason") == "Evicted" {
        return Some(ScanProblem::Exceeded(Bound::Disk));
    }
    let end = container(pod)?.pointer("/state/terminated")?;
    if text(end, "/reason") == "OOMKilled" {
        return Some(ScanProblem::Exceeded(Bound::Memory));
    }
    let code = end.pointer("/exitCode").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
    // What was brought may be on its way still; the Job's own end comes later.
    if code == Some(0) { None } else { Some(ScanProblem::heard(code, text(end, "/message"))) }
}

fn container(pod: &Value) -> Option<&Value> {
    let mut all = pod.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten();
    all.find(|status| text(status, "/name") == CONTAINER)
}

fn each(pods: &Value) -> impl Iterator<Item = &Value> {
    pods.pointer("/items").and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods(status: &Value) -> Value {
        json!({"items": [{"status": status}]})
    }

    fn terminated(code: i32, reason: &str, message: &str) -> Value {
        let state = json!({"terminated": {"exitCode": code, "reason": reason, "message": message}});
        pods(&json!({"phase": "Failed", "containerStatuses": [{"name": "scan", "state": state}]}))
    }

    #[test]
    fn an_end_without_a_report_says_why() {
        let job = |kind: &str, reason: &str| {
            let condition = json!({"type": kind, "status": "True", "reason": reason, "message": "as it is"});
            json!({"status": {"conditions": [condition]}})
        };
        let (none, running) = (json!({"items": []}), pods(&json!({"phase": "Running"})));
        let unmade = |text: &str| Some(ScanProblem::Unmade(text.to_owned()));
        for (what, job, pods, want) in [
            ("nothing yet", json!({}), none.clone(), None),
            ("running", json!({}), running.clone(), None),
            ("ended well, not yet counted", json!({}), terminated(0, "Completed", ""), None),
            (
                "ended well",
                job("Complete", ""),
                terminated(0, "Completed", ""),
                unmade("its worker ended well and brought nothing"),
            ),
            (
                "grype",
                json!({}),
                terminated(24, "Error", "no such image\n"),
                Some(ScanProblem::Grype("no such image".to_owned())),
            ),
            ("its own bound", json!({}), terminated(22, "Error", ""), Some(ScanProblem::Exceeded(Bound::Disk))),
            (
                "killed for memory",
                json!({}),
                terminated(137, "OOMKilled", ""),
                Some(ScanProblem::Exceeded(Bound::Memory)),
            ),
            ("killed", json!({}), terminated(137, "Error", "pass"), unmade("the worker broke off")),
            (
                "evicted",
                json!({}),
                pods(&json!({"phase": "Failed", "reason": "Evicted"})),
                Some(ScanProblem::Exceeded(Bound::Disk)),
            ),
            ("too long", job("Failed", "DeadlineExceeded"), none.clone(), Some(ScanProblem::Exceeded(Bound::Time))),
            ("otherwise", job("Failed", "PodFailurePolicy"), none, unmade("its Job failed: as it is")),
        ] {
            assert_eq!(ended(&job, &pods), want, "{what}");
        }
    }

    #[test]
    fn a_pod_that_does_not_start_says_what_it_waits_for() {
        let state = json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}});
        let waiting = pods(&json!({"containerStatuses": [{"name": "scan", "state": state}]}));
        let condition =
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"});
        for (pods, want) in [
            (waiting, Some("its pod waits: ImagePullBackOff Back-off")),
            (pods(&json!({"conditions": [condition]})), Some("its pod waits: Unschedulable no room")),
            (json!({"items": []}), None),
        ] {
            assert_eq!(waits(&pods), want.map(|text| ScanProblem::Unmade(text.to_owned())));
        }
    }
}

//! What an audit of a cluster costs: its time and memory, its calls, and what is written to the cluster. The figures of
//! README are `tests/soak audit`'s.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::flamewarden::isolation;
use ::flamewarden::policy::PolicySet;
use serde_json::{Value, json};

use crate::by_service::{ByService, NAMESPACE, image};
use crate::control_plane::AUDIT_LOG;
use crate::flamewarden::{good_analysis, policy_files, program};
use crate::kubelet::{Kubelet, Order};
use crate::open_reports::{define, definitions};
use crate::shared::{PATIENCE, run, wait_until};
use crate::stored::{callers, store};
use crate::ways::prepare;

/// Analyses of one pod and one network policy each: 100,000 with `FLAMEWARDEN_SOAK`.
#[test]
fn an_audit_asks_for_pages_and_writes_what_has_changed() {
    run(async {
        let analyses = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { 100_000 } else { 1_500 };
        let cluster = ByService::prepare(&[], "policies").await;
        define(&cluster.admin, &definitions()).await;
        let auditor = "apiVersion: flamewarden.dev/v1alpha1\nkind: Auditor\nspec: {audit: {everyMinutes: 1}}\n";
        fs::write(cluster.folder.join("policies/auditor.yaml"), auditor).unwrap();
        cluster.apply(&image('0'));
        cluster.start().await;
        let kubelet = store_analyses(&cluster, analyses).await;

        let log = Log::of(&cluster);
        let before = log.lines();
        let audited = audit(&cluster);
        let calls = log.since(before, |event| event["user"]["username"] == "auditor");
        // One analysis was there before them.
        let pages = (analyses + 1).div_ceil(PAGE);
        told(&format!(
            "an audit of {} objects: {:.1} s, {:.0} a second, at most {:.0} MiB; {} API calls, of which {} write",
            audited.judged,
            audited.took.as_secs_f64(),
            audited.judged as f64 / audited.took.as_secs_f64(),
            audited.most / 1024.0,
            calls.len(),
            calls.iter().filter(|event| writes(event)).count(),
        ));
        assert!(audited.judged >= 2 * analyses, "{}", audited.judged);
        assert_eq!(audited.failing, bad(analyses), "each bad pod is found");
        let asked = tally(&calls);
        assert!(
            calls.iter().all(|event| event["verb"] == "list" || event["verb"] == "get"),
            "it only reads: {asked:#?}"
        );
        let listed = |resource: &str| calls.iter().filter(|event| is_list_of(event, resource)).count();
        // Each kind once, page by page.
        assert_eq!([listed("pods"), listed("networkpolicies")], [pages, pages], "{asked:#?}");
        assert!(calls.len() <= 2 * pages + OTHERS, "{} calls: {asked:#?}", calls.len());

        publishes(&cluster, &log, bad(analyses)).await;
        drop(kubelet);
    });
}

/// The controller writes a report for each object that fails, and the next one none again that has not changed.
async fn publishes(cluster: &ByService, log: &Log, failing: usize) {
    let mut begun = log.lines();
    let about_pods = |event: &Value| event["requestObject"]["scope"]["kind"] == "Pod";
    for (controller, reports) in [("second", failing), ("third", 0)] {
        cluster.add_controller(controller).await;
        let said = cluster.folder.join(format!("controller-{controller}.log"));
        let line = |what: &str| {
            let text = fs::read_to_string(&said).unwrap_or_default();
            text.lines().find(|line| line.contains(what)).map(str::to_owned)
        };
        wait_until("the report is published", LONG, async || line("the report is published")).await;
        let published = log.since(begun, writes);
        begun = log.lines();
        let bytes: usize = published.iter().map(|event| event["requestObject"].to_string().len()).sum();
        told(&format!(
            "published: {} calls that write, {bytes} bytes; {}",
            published.len(),
            line("the cluster was audited").unwrap(),
        ));
        let about = published.iter().filter(|event| about_pods(event)).count();
        assert_eq!(about, reports, "each once: {:#?}", tally(&published));
        for mut part in cluster.controllers.lock().await.drain(..) {
            part.signal("TERM");
            part.wait();
        }
    }
}

/// Stores what the webhook and the controller would have made of the analyses, on the node that it gives; every [`BAD`]th
/// pod is in the node's network.
async fn store_analyses(cluster: &ByService, analyses: usize) -> Kubelet {
    let mut pod = good_analysis("template");
    pod["metadata"]["name"] = json!("template");
    cluster.admin.create(PODS, &pod).await.unwrap();
    let template = wait_until("the gate is lifted", PATIENCE, async || {
        let pod = cluster.admin.get(&format!("{PODS}/template")).await.ok()?;
        pod["spec"]["schedulingGates"].is_null().then_some(pod)
    })
    .await;
    for mut controller in cluster.controllers.lock().await.drain(..) {
        controller.signal("KILL");
        controller.wait();
    }
    prepare(&cluster.admin).await;
    let kubelet = Kubelet::start(&cluster.plane, "node-1").await;
    kubelet.order(NAMESPACE, Order::Wait);

    let callers = callers(&cluster.plane, CALLERS).await;
    let files = policy_files(&[]);
    let policies = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
    let app = |number: usize| format!("analysis-{number}");
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies");
    let policy = |number| isolation::policy(&app(number), NAMESPACE, &policies.analysis, &policies.gateway);
    store(&callers, &path, analyses, policy).await;
    store(&callers, PODS, analyses, |number| {
        let mut spec = template["spec"].clone();
        spec["nodeName"] = json!(kubelet.name());
        spec["containers"][0]["name"] = json!(app(number));
        if number % BAD == 0 {
            spec["hostNetwork"] = json!(true);
        }
        let labels = json!({"component": "flame-analysis", "app": app(number)});
        let annotations = template["metadata"]["annotations"].clone();
        let metadata = json!({"name": app(number), "labels": labels, "annotations": annotations});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    })
    .await;
    kubelet
}

/// How many of so many analyses are bad.
fn bad(analyses: usize) -> usize {
    analyses.div_ceil(BAD)
}

/// What an audit from the command line was.
struct Audited {
    judged: usize,
    /// Pods with a finding.
    failing: usize,
    took: Duration,
    /// The most resident memory, in KiB.
    most: f64,
}

fn audit(cluster: &ByService) -> Audited {
    let report = cluster.folder.join("report.json");
    let mut command = Command::new(program());
    command.args(["audit", "--cluster", "--image", &image('0'), "--output"]);
    command.arg(format!("json={}", report.display())).arg("--policies").arg(cluster.folder.join("policies"));
    command.arg("--kubeconfig").arg(cluster.plane.kubeconfig("auditor", Some("system:masters")));
    let begun = Instant::now();
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (most, code) = most_memory(child);
    let took = begun.elapsed();
    assert_eq!(code, Some(3), "it finds something, and could not look at all");
    let report: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    let found = report["findings"].as_array().unwrap().iter().filter(|finding| finding["rule"] == "host-namespaces");
    let judged = usize::try_from(report["summary"]["judged"].as_u64().unwrap()).unwrap();
    Audited { judged, failing: found.count(), took, most }
}

/// The most resident memory of a child as it was seen every few milliseconds, in KiB, and its exit code.
fn most_memory(mut child: Child) -> (f64, Option<i32>) {
    let status = format!("/proc/{}/status", child.id());
    let mut most: f64 = 0.0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(peak.unwrap_or_default());
        if let Some(status) = child.try_wait().unwrap() {
            return (most, status.code());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The API server's audit log.
struct Log(std::path::PathBuf);

impl Log {
    fn of(cluster: &ByService) -> Log {
        Log(cluster.plane.folder().join(AUDIT_LOG))
    }

    fn lines(&self) -> usize {
        fs::read_to_string(&self.0).unwrap().lines().count()
    }

    /// The calls that have ended since then and are such.
    fn since(&self, line: usize, is: impl Fn(&Value) -> bool) -> Vec<Value> {
        let text = fs::read_to_string(&self.0).unwrap();
        let events = text.lines().skip(line).filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["stage"] == "ResponseComplete" && is(event)).collect()
    }
}

#[expect(clippy::print_stdout, reason = "figures are read by people")]
fn told(figures: &str) {
    println!("{figures}");
}

fn writes(event: &Value) -> bool {
    ["create", "update", "patch", "delete"].iter().any(|verb| event["verb"] == *verb)
}

/// Whether it asks for a page of that namespace's objects or of all that are not asked for namespace by namespace.
fn is_list_of(event: &Value, resource: &str) -> bool {
    let (about, others) =
        (&event["objectRef"], event["requestURI"].as_str().unwrap().contains("metadata.namespace%21%3D"));
    event["verb"] == "list"
        && about["resource"] == resource
        && (about["namespace"] == NAMESPACE || !others && about["namespace"].is_null())
}

/// How often what was asked for.
fn tally(calls: &[Value]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for event in calls {
        let path = event["requestURI"].as_str().unwrap().split('?').next().unwrap();
        *tally.entry(format!("{} {path}", event["verb"].as_str().unwrap())).or_default() += 1;
    }
    tally
}

const PODS: &str = "/api/v1/namespaces/flame-attacks/pods";
/// One in so many is bad.
const BAD: usize = 500;
/// Objects of a page, as the auditor asks for them.
const PAGE: usize = 500;
/// Calls for all that is not of analyses: some 25 in each of the tests' eleven namespaces, and what is installed.
const OTHERS: usize = 380;
const CALLERS: usize = 8;
const LONG: Duration = Duration::from_secs(900);

//! Reports that are hard to write: hostile texts in every field, everything that a report can hold, and many findings.

use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use flamewarden::model::{Excepted, Severity};
use flamewarden::report::{
    Baseline, Colours, Entry, ExceptionUse, Form, Found, Object, Outcome, Problem, Report, RuleAbout, Subject, Summary,
    Told,
};
use serde_json::Value;

/// One report in every form.
pub(crate) struct Sample {
    folder: PathBuf,
    pub(crate) json: Value,
}

/// Of manifests, by the program, with a baseline.
pub(crate) static FILES: LazyLock<Sample> = LazyLock::new(|| {
    let folder = emptied("files");
    write_policies(&folder);
    let bare = |name: &str, more: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: flame, labels: {{component: flame-analysis, app: analysis-{name}}}}}, spec: {{{more}containers: [{{name: {name}, image: harbor.example/node/a:1}}]}}}}\n"
        )
    };
    let excepted = bare("c", "").replace("{name: c, n", "{name: c, annotations: {team: x}, n");
    let was_bad = bare("f", "hostNetwork: true, ");
    write(&folder, "in/h.yaml", HOSTILE);
    write(&folder, "in/c.yaml", &excepted);
    write(&folder, "in/f.yaml", &was_bad);
    write(&folder, "in/gone.yaml", &was_bad.replace("name: f", "name: gone"));
    audit(&folder, &["in", "--output", "json=baseline.json"], 3);
    write(&folder, "in/f.yaml", &bare("f", ""));
    fs::remove_file(folder.join("in/gone.yaml")).unwrap();
    write(&folder, "in/n.yaml", &bare("n", "hostPID: true, "));
    write(&folder, "in/<b> & \"www.evil.example\" @x.yaml", "kind: [\n");
    write_all(&folder, &["in", "--baseline", "baseline.json"], 5)
});

/// Of a cluster, with everything that a report can hold.
pub(crate) static CLUSTER: LazyLock<Sample> = LazyLock::new(|| {
    let folder = emptied("cluster");
    let before = report(&["gone", "there"]);
    let baseline = Baseline::read(Form::Json.of(&before, Colours::Off).unwrap().as_bytes()).unwrap();
    let mut report = report(&["there", "new"]);
    let judged: HashSet<Object> = report.findings.iter().map(|entry| (*entry.object).clone()).collect();
    baseline.mark(&mut report, &judged).unwrap();
    for (form, name, _) in Form::ALL {
        fs::write(folder.join(format!("report.{name}")), form.of(&report, Colours::Off).unwrap()).unwrap();
    }
    Sample { json: serde_json::to_value(&report).unwrap(), folder }
});

/// Of many manifests, by the program.
pub(crate) static LARGE: LazyLock<Sample> = LazyLock::new(|| {
    let folder = emptied("large");
    write_policies(&folder);
    let mut pods = String::new();
    for number in 0..PODS {
        let pod =
            HOSTILE.replace("</b>", &format!("</b>{number}")).replace("analysis-b", &format!("analysis-{number}"));
        writeln!(pods, "{pod}---").unwrap();
    }
    write(&folder, "in/pods.yaml", &pods);
    write_all(&folder, &["in"], 3)
});

impl Sample {
    pub(crate) fn file(&self, form: Form) -> PathBuf {
        self.folder.join(format!("report.{}", form.name()))
    }

    /// Findings with that outcome.
    pub(crate) fn count(&self, outcome: &str) -> usize {
        self.findings().filter(|finding| finding["outcome"] == outcome).count()
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = &Value> {
        self.json["findings"].as_array().unwrap().iter()
    }

    /// Findings that fail.
    pub(crate) fn failing(&self) -> usize {
        self.count("violated") + self.count("refused")
    }
}

/// All of them.
pub(crate) fn samples() -> [&'static Sample; 3] {
    [&FILES, &CLUSTER, &LARGE]
}

/// Findings on objects of these names and on one without a name of its own, with every outcome, severity and member.
fn report(names: &[&str]) -> Report {
    let uid = |name: &str| format!("0d8a1f2e-1c2b-4d3e-8f40-{:0>12x}", name.len());
    let mut objects: Vec<Object> = Vec::new();
    for name in names {
        let (api_version, kind, namespace) = ("v1".to_owned(), "Pod".to_owned(), "flame".to_owned());
        objects.push(Object { api_version, kind, namespace, name: (*name).to_owned(), uid: uid(name) });
    }
    let cluster_wide = |kind: &str, name: &str, uid: String| Object {
        api_version: "rbac.authorization.k8s.io/v1".to_owned(),
        kind: kind.to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
        uid,
    };
    objects.push(cluster_wide("ClusterRole", "system:x", uid("a role")));
    objects.push(cluster_wide(TEXT, TEXT, String::new()));
    let findings: Vec<Entry> = objects.into_iter().map(Arc::new).flat_map(|object| findings(&object)).collect();
    let problem = |document, line| Problem { file: TEXT.to_owned(), document, line, message: TEXT.to_owned() };
    let problems = vec![
        problem(None, None),
        problem(Some(1), None),
        problem(Some(1), Some(7)),
        Problem::of_cluster(TEXT.to_owned()),
    ];
    let now = "2026-11-22T10:11:12.123456789Z".parse().unwrap();
    let used = |expires: &str, count| ExceptionUse::new(TEXT, TEXT, excepted(expires), count, now);
    let exceptions = vec![
        used("2999-01-01T00:00:00Z", Some(3)),
        used("2999-01-01T00:00:00Z", Some(0)),
        used("2999-01-01T00:00:00Z", None),
        used("2020-01-01T00:00:00Z", None),
    ];
    let objects = Summary { judged: 5, unguarded: 2, not_judged: 3, ..Summary::default() };
    let found = Found { subject: Subject::Cluster, objects, looked_at: 9, findings, exceptions, problems };
    let about = |id: &str| RuleAbout {
        id: id.to_owned(),
        title: TEXT.to_owned(),
        why: if id == "network" { String::new() } else { TEXT.to_owned() },
        severity: Severity::High,
        controls: vec![
            "PSS baseline: Host Namespaces".to_owned(),
            "CIS 5.2.3".to_owned(),
            "NSA/CISA: Pod security".to_owned(),
        ],
    };
    Report::new(found, about, now)
}

fn findings(object: &Arc<Object>) -> Vec<Entry> {
    let all = [Outcome::Violated, Outcome::Refused, Outcome::Mended, Outcome::Warning, Outcome::Reported];
    let severities = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low];
    let pairs = all.into_iter().flat_map(|outcome| severities.map(|severity| (outcome, severity)));
    let entry = |(outcome, severity): (Outcome, Severity)| Entry {
        place: None,
        object: Arc::clone(object),
        outcome,
        excepted: (outcome == Outcome::Reported && severity != Severity::Low)
            .then(|| Arc::new(excepted("2999-01-01T00:00:00Z"))),
        since: None,
        told: Told {
            rule: if severity == Severity::Low { "network" } else { "privileged" }.into(),
            severity,
            path: format!("spec.containers[0].{}{TEXT}", severity.word()).into(),
            value: TEXT.into(),
            message: TEXT.into(),
            remedy: if severity == Severity::Low {
                Arc::default()
            } else {
                vec![TEXT.to_owned(), TEXT.to_owned()].into()
            },
        }
        .into(),
    };
    pairs.map(entry).collect()
}

fn excepted(expires: &str) -> Excepted {
    Excepted {
        covers: TEXT.to_owned(),
        owner: TEXT.to_owned(),
        reason: TEXT.to_owned(),
        expires: expires.parse().unwrap(),
    }
}

fn write_policies(folder: &Path) {
    let exceptions = "  exceptions:\n    - {rule: annotations, app: analysis-c, owner: '<i>o</i>', reason: '=1+1', expires: 2999-01-01T00:00:00Z}\n    \
        - {rule: annotations, app: analysis-z, owner: '@o', reason: '[r](javascript:x)', expires: 2020-01-01T00:00:00Z}\n";
    write(
        folder,
        "policies/flame-analysis.yaml",
        &format!("{}{exceptions}", include_str!("../../policies/flame-analysis.yaml")),
    );
    write(folder, "policies/flame-gateway.yaml", include_str!("../../policies/flame-gateway.yaml"));
    write(folder, "policies/installation.yaml", include_str!("../fixtures/installation.yaml"));
}

/// The program's report in every form.
fn write_all(folder: &Path, arguments: &[&str], code: i32) -> Sample {
    let outputs: Vec<String> = Form::ALL.iter().map(|(_, name, _)| format!("--output={name}=report.{name}")).collect();
    let outputs = outputs.iter().map(String::as_str);
    audit(folder, &arguments.iter().copied().chain(outputs).collect::<Vec<_>>(), code);
    let json = fs::read(folder.join("report.json")).unwrap();
    Sample { json: serde_json::from_slice(&json).unwrap(), folder: folder.to_owned() }
}

fn audit(folder: &Path, arguments: &[&str], code: i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    let output = command.arg("audit").args(arguments).current_dir(folder).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A folder that stays after the tests, so that what they have found can be looked at.
fn emptied(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("forms").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

const PODS: usize = 300;
/// Markup, quotes, ends of sections, formulas, mentions, addresses, and letters that are no text in some form: control
/// characters, noncharacters, private ones, and those that turn the direction of writing.
const TEXT: &str = "=1+1 <script>alert(1)</script> & \"q\" 'q' ]]> <!-- --> {{x}} | `c` *b* ~s~ [l](javascript:x) ![i](x) \
    https://evil.example www.evil.example @everyone \u{1b}[31m\u{0}\u{b}\u{7f}\u{9b} \u{202e}rtl \u{feff}\u{fffe}\u{ffff}\u{fdd0}\u{1fffe} \u{e000} \r\n\tend\\";
/// The same wherever a manifest may have it.
const HOSTILE: &str = r#"apiVersion: v1
kind: Pod
metadata:
  name: "<b onclick=alert(1)>www.evil.example</b>"
  namespace: flame
  labels: {component: flame-analysis, app: analysis-b, "=cmd|' /C calc'!A0": "[x](javascript:alert(1)) @everyone"}
  annotations: {"<img src=x>": "\e[31mred\e[0m \u202Ereversed | `cell` | *b* \uFEFF\uE000 https://evil.example"}
spec: {hostIPC: true, nodeName: "]]><!-- -->", containers: [{name: analysis-b, image: "<script>alert(1)</script>", workingDir: "www.evil.example\0\uFFFE"}]}
"#;

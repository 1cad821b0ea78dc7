//! Edge: `flamewarden audit`: judges manifests or a cluster, and writes the report in every form that is asked for.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::manifests::Source;
use super::{Broken, kubeconfig};
use crate::auditor::{
    Asker, Auditor, Collection, Live, Mended, audit_cluster, audit_log, compare, comparison_text, each_subject, gather,
    judge_files, live_subjects, preflight, preflight_text,
};
use crate::cluster::Cluster;
use crate::install::{Endpoint, Settings, to_yaml};
use crate::model::Severity;
use crate::policy::PolicySet;
use crate::report::{Baseline, Colours, Form, Problem, Report, Since, Subject};
use crate::serve::read_policies;

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Audit {
    /// Files (YAML with any number of documents, or JSON) and folders, `-` for standard input; none is `-`.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder of the policy files (*.yaml), an Installation among them.
    #[arg(long, value_name = "DIR", default_value = "policies")]
    policies: PathBuf,
    /// The user who is taken to create the objects; by default nobody in particular, who is no creator.
    #[arg(long = "as", value_name = "USER", default_value = "")]
    user: String,
    /// Groups of that user.
    #[arg(long = "as-group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The namespace of objects that name none.
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Folder of other policies: says which objects would be answered differently under them.
    #[arg(long, value_name = "DIR", requires = "compare")]
    policy: Option<PathBuf>,
    /// Compares the policies of `--policy` with those of `--policies`; exit code 3 where an answer differs.
    #[arg(long, requires = "policy")]
    compare: bool,
    /// Audits the cluster instead of files; with `--compare`, compares on what is in its guarded namespaces too.
    #[arg(long)]
    cluster: bool,
    /// The namespace of Flamewarden, for `--cluster`.
    #[arg(long, value_name = "NAME", default_value = "flamewarden-system")]
    system_namespace: String,
    /// The image of Flamewarden that is to run, by digest, for `--cluster`; without it that is told as not looked at.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Who makes the webhook's certificate, for `--cluster`, as it was said to `manifests`.
    #[arg(long, value_enum, default_value = "own")]
    certificates: Source,
    /// Where the API server reaches the webhook, for `--cluster`, if not by its Service, as it was said to `manifests`.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// An audit log of the API server (JSON lines), for `--cluster`: what it tells of calls that admission never sees. May
    /// be given several times.
    #[arg(long, value_name = "FILE", requires = "cluster")]
    audit_log: Vec<PathBuf>,
    /// Says what in the cluster stands in the way of installing, or of a new minor of Kubernetes.
    #[arg(long, conflicts_with_all = ["files", "compare"])]
    preflight: bool,
    /// How to reach the API server, for `--preflight` and `--cluster`; without it, by KUBECONFIG or ~/.kube/config,
    /// or as a pod does.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Prints the manifests as admission would mend them; the report goes to standard error.
    #[arg(long, conflicts_with_all = ["compare", "preflight"])]
    fix: bool,
    #[command(flatten)]
    told: Told,
}

/// What is written, and what the exit code says of it.
#[derive(Args)]
struct Told {
    /// How the report is written: text, json, sarif, junit, csv, markdown, html, openreports or policyreports. With
    /// `=FILE` it goes to that file; may be given several times, without a file once.
    #[arg(long = "output", short, value_name = "FORM[=FILE]", default_value = "text")]
    outputs: Vec<Output>,
    /// The least severity of a failing finding that makes the exit code 3, or 5.
    #[arg(long, value_name = "SEVERITY", default_value = "low")]
    fail_on: FailOn,
    /// A score below this makes the exit code 4.
    #[arg(long, value_name = "SCORE", value_parser = clap::value_parser!(u8).range(..=100))]
    min_score: Option<u8>,
    /// An earlier report in JSON: only what it does not have makes the exit code 5, and nothing makes it 3.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["compare", "preflight"])]
    baseline: Option<PathBuf>,
}

/// From which severity on a finding counts.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Every failing finding.
    Low,
    /// What weakens containment together with something else, and worse.
    Medium,
    /// What weakens containment, and worse.
    High,
    /// What ends containment.
    Critical,
    /// None.
    Never,
}

/// A form, and the file that it goes to; standard output where none is named.
#[derive(Clone)]
struct Output {
    form: Form,
    file: Option<PathBuf>,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(PathBuf::from(file))));
        let known = || Form::ALL.iter().map(|(_, name, _)| *name).collect::<Vec<_>>().join(", ");
        let form = Form::named(name).ok_or_else(|| format!("`{name}` is none of {}", known()))?;
        if file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            return Err("the file has no name".to_owned());
        }
        Ok(Output { form, file })
    }
}

impl Audit {
    /// The text to print and the exit code.
    pub(super) fn run(&self) -> anyhow::Result<(String, u8)> {
        self.told.check()?;
        let policies = read(&self.policies)?;
        let kubeconfig = kubeconfig(self.kubeconfig.clone());
        let now = jiff::Timestamp::now();
        let asker = Asker { user: self.user.clone(), groups: self.groups.clone(), namespace: self.namespace.clone() };
        let auditor = Auditor::new(&policies, asker.clone(), now)?;
        if self.preflight {
            let found = in_cluster(kubeconfig.as_deref(), async |cluster| preflight(&cluster, &policies, now).await)?;
            let shown = self.told.shown(&found, |colours| preflight_text(&found, colours))?;
            return Ok((shown, found.exit_code()));
        }
        if let Some(folder) = &self.policy {
            let others = read(folder)?;
            let subjects = self.compared(kubeconfig.as_deref(), &policies)?;
            let comparison = compare(subjects, &auditor, &Auditor::new(&others, asker, now)?);
            let shown = self.told.shown(&comparison, |colours| comparison_text(&comparison, colours))?;
            return Ok((shown, comparison.exit_code()));
        }
        let baseline = self.told.baseline()?;
        let subject = if self.cluster { Subject::Cluster } else { Subject::Files };
        let mut collection = Collection::new(subject);
        if baseline.is_some() {
            collection = collection.remembering();
        }
        if self.cluster {
            self.look(kubeconfig.as_deref(), &policies, &mut collection, now)?;
        }
        let mut mended = self.fix.then(Mended::default);
        if !self.cluster {
            self.judge(&auditor, &mut collection, mended.as_mut());
        }
        // A path that leads to nothing must not look like one that leads to good objects only.
        ensure!(!collection.is_empty(), "nothing to judge: no objects in {}", named(&self.files));
        let (mut report, judged) = collection.report(&policies, now);
        if let Some(baseline) = baseline {
            baseline.mark(&mut report, &judged).context(format!("baseline {}", self.told.baseline_name()))?;
        }
        let code = self.told.exit_code(&report);
        Ok((self.told.written(&report, mended.as_ref())?, code))
    }

    /// Judges the files, and mends what is in them where that is asked for.
    fn judge(&self, auditor: &Auditor<'_>, collection: &mut Collection, mended: Option<&mut Mended>) {
        let (sources, progress) = (gather(&self.files), progress());
        let Some(mended) = mended else {
            return judge_files(sources, auditor, collection, |file, objects| {
                progress.inc(objects);
                progress.set_message(file.to_owned());
            });
        };
        for source in sources {
            each_subject(&source, &mut |subject| {
                subject.iter().for_each(|subject| mended.take(subject, auditor));
                collection.take(subject, auditor);
            });
        }
    }

    /// Audits the cluster.
    fn look(
        &self,
        kubeconfig: Option<&Path>,
        policies: &PolicySet,
        collection: &mut Collection,
        now: jiff::Timestamp,
    ) -> anyhow::Result<()> {
        ensure!(self.files.is_empty() && !self.fix, "--cluster goes with no files and without --fix");
        let asker = Asker { user: policies.installation.controller.clone(), ..Asker::default() };
        let auditor = Auditor::new(policies, asker, now)?;
        let installation = Settings {
            namespace: self.system_namespace.clone(),
            image: self.image.clone().unwrap_or_default(),
            endpoint: match &self.url {
                // What signs the certificate is not compared.
                Some(base) => Endpoint::Url { base: base.clone(), ca_bundle: String::new() },
                None => Endpoint::Service,
            },
            certificates: self.certificates.into(),
            files: read_policies(&self.policies)?,
        };
        let progress = progress();
        in_cluster(kubeconfig, async |cluster| {
            let live = Live { cluster: &cluster, policies, installation, now };
            audit_cluster(&live, &auditor, collection, |what| progress.set_message(what.to_owned())).await;
        })?;
        for log in &self.audit_log {
            progress.set_message(log.display().to_string());
            audit_log(log, policies, &self.system_namespace, collection);
        }
        progress.finish_and_clear();
        Ok(())
    }

    /// What two sets of policies are compared on.
    fn compared(
        &self,
        kubeconfig: Option<&Path>,
        policies: &PolicySet,
    ) -> anyhow::Result<Vec<Result<crate::auditor::Subject, Problem>>> {
        let mut subjects = Vec::new();
        // A cluster that is asked for stands in for standard input.
        if !(self.cluster && self.files.is_empty()) {
            gather(&self.files).for_each(|source| each_subject(&source, &mut |subject| subjects.push(subject)));
        }
        if self.cluster {
            subjects.extend(in_cluster(kubeconfig, async |cluster| live_subjects(&cluster, policies).await)?);
        }
        ensure!(self.cluster || !subjects.is_empty(), "nothing to judge: no objects in {}", named(&self.files));
        Ok(subjects)
    }
}

impl Told {
    /// Holds what is asked for to what can be done.
    fn check(&self) -> anyhow::Result<()> {
        let to_standard_output = self.outputs.iter().filter(|output| output.file.is_none()).count();
        ensure!(to_standard_output <= 1, "only one --output can go to standard output; name files: --output FORM=FILE");
        Ok(())
    }

    fn baseline(&self) -> anyhow::Result<Option<Baseline>> {
        let Some(file) = &self.baseline else { return Ok(None) };
        let text = fs::read(file).with_context(|| format!("cannot read the baseline {}", file.display()))?;
        Ok(Some(Baseline::read(&text).with_context(|| format!("baseline {}", file.display()))?))
    }

    fn baseline_name(&self) -> String {
        self.baseline.as_ref().map(|file| file.display().to_string()).unwrap_or_default()
    }

    /// What is not a report of findings has two forms.
    fn shown(&self, found: &impl Serialize, text: impl FnOnce(Colours) -> String) -> anyhow::Result<String> {
        match self.outputs.as_slice() {
            [Output { form: Form::Text, file: None }] => Ok(text(colours(io::stdout().is_terminal()))),
            [Output { form: Form::Json, file: None }] => {
                Ok(serde_json::to_string_pretty(found).context("cannot write the report as JSON")? + "\n")
            }
            _ => Err(anyhow!("this is written as text or json, to standard output")),
        }
    }

    /// Writes what goes to files, and gives what goes to standard output: the mended manifests where they are asked for.
    fn written(&self, report: &Report, mended: Option<&Mended>) -> anyhow::Result<String> {
        let mut printed = String::new();
        for Output { form, file } in &self.outputs {
            let terminal = match (file, mended) {
                (Some(_), _) => false,
                (None, Some(_)) => io::stderr().is_terminal(),
                (None, None) => io::stdout().is_terminal(),
            };
            let text = form.of(report, colours(terminal)).context(Broken)?;
            match file {
                Some(file) => fs::write(file, text)
                    .with_context(|| format!("cannot write the report to {}", file.display()))
                    .context(Broken)?,
                None => printed = text,
            }
        }
        let Some(mended) = mended else { return Ok(printed) };
        super::complain_text(&printed);
        to_yaml(mended.objects()).context("cannot write the manifests as YAML").context(Broken)
    }

    /// 0: all is well; 3: something fails; 4: the score is too low; 5: something fails that the baseline does not have;
    /// 6: something could not be looked at, so nobody knows. What is certain comes first.
    fn exit_code(&self, report: &Report) -> u8 {
        let fails = self
            .fail_on
            .severity()
            .is_some_and(|least| report.failing_from(least).any(|entry| entry.since != Some(Since::Known)));
        match (fails, &self.baseline) {
            (true, None) => 3,
            (true, Some(_)) => 5,
            (false, _) if self.min_score.is_some_and(|least| report.score.number() < least) => 4,
            (false, _) if !report.coverage.is_whole() => 6,
            (false, _) => 0,
        }
    }
}

impl FailOn {
    fn severity(self) -> Option<Severity> {
        match self {
            FailOn::Low => Some(Severity::Low),
            FailOn::Medium => Some(Severity::Medium),
            FailOn::High => Some(Severity::High),
            FailOn::Critical => Some(Severity::Critical),
            FailOn::Never => None,
        }
    }
}

/// How far the work is, on a terminal alone.
fn progress() -> ProgressBar {
    let progress = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} objects, {per_sec}  {wide_msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(200));
    progress
}

/// Files and folders as they were given.
pub(super) fn named(files: &[PathBuf]) -> String {
    match files {
        [] => "standard input".to_owned(),
        _ => files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "),
    }
}

/// Asks a cluster with a connection of our own.
fn in_cluster<T>(kubeconfig: Option<&Path>, ask: impl AsyncFnOnce(Cluster) -> T) -> anyhow::Result<T> {
    // A second call finds the provider in place, which is all that is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::connect(kubeconfig, "flamewarden-audit").await.context(Broken)?;
        Ok(ask(cluster).await)
    })
}

/// The policies of a folder.
pub(super) fn read(folder: &Path) -> anyhow::Result<PolicySet> {
    parse(&read_policies(folder)?)
}

/// The policies of files, by their names.
pub(super) fn parse(files: &BTreeMap<String, String>) -> anyhow::Result<PolicySet> {
    Ok(PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?)
}

/// Colours for a terminal whose user did not ask for none (no-color.org).
fn colours(terminal: bool) -> Colours {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && terminal { Colours::On } else { Colours::Off }
}

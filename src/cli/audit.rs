//! Edge: `flamewarden audit`: judges manifests or a cluster, and writes the report in every form that is asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::audit_told::{FailOn, Told};
use super::manifests::Source;
use super::{Broken, kubeconfig};
use crate::auditor::{
    Asker, Auditor, Collection, Live, Mended, audit_cluster, audit_log, compare, comparison_text, each_subject, gather,
    judge_files, live_subjects, preflight, preflight_text,
};
use crate::cluster::Cluster;
use crate::install::{Endpoint, Settings};
use crate::policy::PolicySet;
use crate::report::{Problem, Subject};
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

impl Audit {
    /// The text to print and the exit code.
    pub(super) fn run(&self) -> anyhow::Result<(String, u8)> {
        self.told.check()?;
        ensure!(
            !(self.preflight || self.compare) || self.told.min_score.is_none() && self.told.fail_on == FailOn::Low,
            "--min-score and --fail-on are of reports of findings, and go neither with --preflight nor with --compare"
        );
        ensure!(!self.cluster || !self.fix, "--fix mends files; it does not go with --cluster");
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
        ensure!(self.files.is_empty(), "--cluster goes with no files: leave out {}", named(&self.files));
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
        // Asked once: of what does not answer, nobody waits for each list.
        if let Err(problem) = cluster.read_path("/version").await
            && problem.may_pass()
        {
            let named =
                kubeconfig.map_or_else(|| "the pod's environment".to_owned(), |file| file.display().to_string());
            return Err(problem).context(format!("no cluster answers at the address of {named}")).context(Broken);
        }
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

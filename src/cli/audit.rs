//! Edge: `flamewarden audit`: judges manifests and prints what would become of them.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::kubeconfig;
use crate::auditor::{
    Asker, Auditor, Colours, compare, comparison_text, gather, live_subjects, preflight, preflight_text, subjects, text,
};
use crate::cluster::Cluster;
use crate::policy::PolicySet;
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
    /// Compares the policies of `--policy` with those of `--policies`; exit code 1 where an answer differs.
    #[arg(long, requires = "policy")]
    compare: bool,
    /// Compares on the pods, workloads and network policies of the guarded namespaces too.
    #[arg(long, requires = "compare")]
    cluster: bool,
    /// Says what in the cluster stands in the way of installing, or of a new minor of Kubernetes.
    #[arg(long, conflicts_with_all = ["files", "compare"])]
    preflight: bool,
    /// How to reach the API server, for `--preflight` and `--cluster`; without it, by KUBECONFIG or ~/.kube/config,
    /// or as a pod does.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How the report is written.
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
}

/// How a report is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs: `flamewarden.dev/audit/v1alpha1`.
    Json,
}

impl Audit {
    /// The text to print and the exit code.
    pub(super) fn run(self) -> anyhow::Result<(String, u8)> {
        let policies = read(&self.policies)?;
        let kubeconfig = kubeconfig(self.kubeconfig);
        let now = jiff::Timestamp::now();
        let asker = Asker { user: self.user, groups: self.groups, namespace: self.namespace };
        let auditor = Auditor::new(&policies, asker.clone(), now)?;
        if self.preflight {
            let found = in_cluster(kubeconfig.as_deref(), async |cluster| preflight(&cluster, &policies, now).await)?;
            let shown = self.output.of(&found, |colours| preflight_text(&found, colours))?;
            return Ok((shown, found.exit_code()));
        }
        // A cluster that is asked for stands in for standard input.
        let sources = if self.cluster && self.files.is_empty() { Vec::new() } else { gather(&self.files) };
        let mut subjects: Vec<_> = sources.iter().flat_map(subjects).collect();
        if self.cluster {
            let live = in_cluster(kubeconfig.as_deref(), async |cluster| live_subjects(&cluster, &policies).await);
            subjects.extend(live?);
        }
        // A path that leads to nothing must not look like one that leads to good objects only.
        ensure!(self.cluster || !subjects.is_empty(), "nothing to judge: no objects in {}", named(&self.files));
        if let Some(folder) = self.policy {
            let others = read(&folder)?;
            let comparison = compare(subjects, &auditor, &Auditor::new(&others, asker, now)?);
            let shown = self.output.of(&comparison, |colours| comparison_text(&comparison, colours))?;
            return Ok((shown, comparison.exit_code()));
        }
        let report = auditor.report(subjects);
        Ok((self.output.of(&report, |colours| text(&report, colours))?, report.exit_code()))
    }
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
    runtime.block_on(async { Ok(ask(Cluster::connect(kubeconfig, "flamewarden-audit").await?).await) })
}

impl Output {
    /// What was found, in that form.
    fn of(self, found: &impl Serialize, text: impl FnOnce(Colours) -> String) -> anyhow::Result<String> {
        match self {
            Output::Text => Ok(text(colours())),
            Output::Json => Ok(serde_json::to_string_pretty(found).context("cannot write the report as JSON")? + "\n"),
        }
    }
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
fn colours() -> Colours {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && io::stdout().is_terminal() { Colours::On } else { Colours::Off }
}

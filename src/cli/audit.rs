//! Edge: `flamewarden audit`: judges manifests and prints what would become of them.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::auditor::{Asker, Auditor, Colours, gather, subjects, text};
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
    /// How the report is written.
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
}

/// How a report is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Text,
    /// For programs: `flamewarden.dev/audit/v1alpha1`.
    Json,
}

impl Audit {
    /// The text to print and the exit code.
    pub(super) fn run(self) -> anyhow::Result<(String, u8)> {
        let policies = read(&self.policies)?;
        let asker = Asker { user: self.user, groups: self.groups, namespace: self.namespace };
        let auditor = Auditor::new(&policies, asker, jiff::Timestamp::now())?;
        let report = auditor.report(gather(&self.files).iter().flat_map(subjects));
        let shown = match self.output {
            Output::Text => text(&report, colours()),
            Output::Json => serde_json::to_string_pretty(&report).context("cannot write the report as JSON")? + "\n",
        };
        Ok((shown, report.exit_code()))
    }
}

/// The policies of a folder.
pub(super) fn read(folder: &std::path::Path) -> anyhow::Result<PolicySet> {
    let files = read_policies(folder)?;
    Ok(PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?)
}

/// Colours for a terminal whose user did not ask for none (no-color.org).
pub(super) fn colours() -> Colours {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && io::stdout().is_terminal() { Colours::On } else { Colours::Off }
}

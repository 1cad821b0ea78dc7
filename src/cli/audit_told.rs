//! Edge: in which forms `flamewarden audit` writes its report, where to, and what its exit code says.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, anyhow, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{Broken, complain_text};
use crate::auditor::Mended;
use crate::install::to_yaml;
use crate::model::Severity;
use crate::report::{Baseline, Colours, Form, Report, Since};

/// What is written, and what the exit code says of it.
#[derive(Args)]
pub(super) struct Told {
    /// How the report is written: text, json, sarif, junit, csv, markdown, html, openreports or policyreports. With
    /// `=FILE` it goes to that file; may be given several times, without a file once.
    #[arg(long = "output", short, value_name = "FORM[=FILE]", default_value = "text")]
    outputs: Vec<Output>,
    /// The least severity of a failing finding that makes the exit code 3, or 5.
    #[arg(long, value_name = "SEVERITY", default_value = "low")]
    pub(super) fail_on: FailOn,
    /// A score below this makes the exit code 4.
    #[arg(long, value_name = "SCORE", value_parser = clap::value_parser!(u8).range(..=100))]
    pub(super) min_score: Option<u8>,
    /// An earlier report in JSON: only what it does not have makes the exit code 5, and nothing makes it 3.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["compare", "preflight"])]
    baseline: Option<PathBuf>,
}

/// From which severity on a finding counts.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
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

impl Told {
    /// Holds what is asked for to what can be done.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let to_standard_output = self.outputs.iter().filter(|output| output.file.is_none()).count();
        ensure!(to_standard_output <= 1, "only one --output can go to standard output; name files: --output FORM=FILE");
        Ok(())
    }

    pub(super) fn baseline(&self) -> anyhow::Result<Option<Baseline>> {
        let Some(file) = &self.baseline else { return Ok(None) };
        let text = fs::read(file).with_context(|| format!("cannot read the baseline {}", file.display()))?;
        Ok(Some(Baseline::read(&text).with_context(|| format!("baseline {}", file.display()))?))
    }

    pub(super) fn baseline_name(&self) -> String {
        self.baseline.as_ref().map(|file| file.display().to_string()).unwrap_or_default()
    }

    /// What is not a report of findings has two forms.
    pub(super) fn shown(&self, found: &impl Serialize, text: impl FnOnce(Colours) -> String) -> anyhow::Result<String> {
        match self.outputs.as_slice() {
            [Output { form: Form::Text, file: None }] => Ok(text(colours(io::stdout().is_terminal()))),
            [Output { form: Form::Json, file: None }] => {
                Ok(serde_json::to_string_pretty(found).context("cannot write the report as JSON")? + "\n")
            }
            _ => Err(anyhow!(
                "--preflight and --compare write text or json, to standard output; take --output text or json"
            )),
        }
    }

    /// Writes what goes to files, and gives what goes to standard output: the mended manifests where they are asked for.
    pub(super) fn written(&self, report: &Report, mended: Option<&Mended>) -> anyhow::Result<String> {
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
        complain_text(&printed);
        to_yaml(mended.objects()).context("cannot write the manifests as YAML").context(Broken)
    }

    /// 0: all is well; 3: something fails; 4: the score is too low; 5: something fails that the baseline does not have;
    /// 6: something could not be looked at, so nobody knows. What is certain comes first.
    pub(super) fn exit_code(&self, report: &Report) -> u8 {
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

/// Colours for a terminal whose user did not ask for none (no-color.org).
pub(super) fn colours(terminal: bool) -> Colours {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && terminal { Colours::On } else { Colours::Off }
}

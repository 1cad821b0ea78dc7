//! Edge: `flamewarden scan`: says whether an image may run by what Grype found in it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::audit::parse;
use crate::model::{ScanOutcome, Verdict};
use crate::policy::ScanPolicy;
use crate::scan::{Census, ShownScan, Subject, assess, read, weigh};
use crate::serve::read_policies;

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Scan {
    /// A report of Grype's (`grype … -o json=FILE`); `-` for standard input.
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
    /// The SBOM of the same run (`grype … -o cyclonedx-json=FILE`): shows that packages were found at all.
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// The platform manifest that the report must be of: sha256: and 64 hexadecimal digits.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// The platform that it must be of, such as linux/amd64.
    #[arg(long, value_name = "OS/ARCH", requires = "digest")]
    platform: Option<String>,
    /// Folder of the policy files (*.yaml); without it, the limits are those that Flamewarden is shipped with.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Whose limits count.
    #[arg(long, value_enum, default_value = "analysis", requires = "policies")]
    role: ScanRole,
    /// How the answer is written.
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScanRole {
    /// Those of the profile of analyses.
    Analysis,
    /// Those of the profile of gateways.
    Gateway,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs: `flamewarden.dev/scan/v1alpha1`.
    Json,
    /// For code hosts: SARIF 2.1.0.
    Sarif,
}

impl Scan {
    /// The text to print and the exit code.
    pub(super) fn run(self) -> anyhow::Result<(String, u8)> {
        let policy = self.policy()?;
        let sbom =
            self.sbom.as_deref().map(|file| Census::read(open(file)?).with_context(|| shown(file))).transpose()?;
        let subject = self.digest.map(|digest| Subject { digest, platform: self.platform });
        let (now, name) = (jiff::Timestamp::now(), shown(&self.report));
        let read = read(open(&self.report)?);
        let (report, verdict) = match &read {
            Ok(report) => (Some(report), assess(report, sbom.as_ref(), subject.as_ref(), &policy, now)),
            Err(problem) => (None, Verdict::new(ScanOutcome::ScanError, vec![problem.to_string()], None)),
        };
        let weighed = report.map(|report| weigh(&report.matches, report.digest(), &policy, now)).unwrap_or_default();
        let scan = ShownScan { name: &name, report, weighed: &weighed, verdict: &verdict };
        let text = match self.output {
            Output::Text => scan.text(),
            Output::Json => format!("{:#}\n", scan.json()),
            Output::Sarif => format!("{:#}\n", scan.sarif()),
        };
        Ok((text, exit_code(verdict.outcome)))
    }

    fn policy(&self) -> anyhow::Result<ScanPolicy> {
        let Some(folder) = &self.policies else { return Ok(ScanPolicy::default()) };
        let policies = parse(&read_policies(folder)?)?;
        let profile = match self.role {
            ScanRole::Analysis => &policies.analysis,
            ScanRole::Gateway => &policies.gateway,
        };
        Ok(profile.scan.clone())
    }
}

fn open(file: &Path) -> anyhow::Result<Box<dyn Read>> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(file).with_context(|| format!("cannot read {}", file.display()))?))
}

fn shown(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

/// 0: the image may run; 1: something in it fails; 3: nobody knows.
fn exit_code(outcome: ScanOutcome) -> u8 {
    match outcome {
        ScanOutcome::Pass | ScanOutcome::Excepted => 0,
        ScanOutcome::Fail => 1,
        ScanOutcome::Stale | ScanOutcome::NoResult | ScanOutcome::ScanError | ScanOutcome::Inconclusive => 3,
    }
}

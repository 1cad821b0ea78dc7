//! Edge: `flamewarden scan`: says whether an image may run by what Grype finds in it.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;

use super::audit::parse;
use super::duration;
use crate::model::{ImageRef, ScanOutcome, Verdict};
use crate::policy::ScanPolicy;
use crate::registry::{Grype, GrypeProblem, Scanned, Transport, is_asked_plainly};
use crate::scan::{Census, Report, ShownScan, Subject, assess, read, weigh};
use crate::serve::read_policies;

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Scan {
    /// An image in a registry; Grype scans it. Docker's settings say with which credentials.
    #[arg(value_name = "IMAGE", required_unless_present = "report", conflicts_with = "report")]
    image: Option<String>,
    /// A report of Grype's (`grype … -o json=FILE`); `-` for standard input.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The SBOM of the same run (`grype … -o cyclonedx-json=FILE`): shows that packages were found at all.
    #[arg(long, value_name = "FILE", requires = "report")]
    sbom: Option<PathBuf>,
    /// The platform manifest that the report must be of: sha256: and 64 hexadecimal digits.
    #[arg(long, value_name = "DIGEST", requires = "report")]
    digest: Option<String>,
    /// The platform to scan, or that the report must be of, such as linux/amd64.
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Folder of the policy files (*.yaml); without it, the limits are those that Flamewarden is shipped with.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Whose limits count.
    #[arg(long, value_enum, default_value = "analysis", requires = "policies")]
    role: ScanRole,
    #[command(flatten)]
    by: GrypeArguments,
    /// How the answer is written.
    #[arg(long, short, value_enum, default_value = "text")]
    output: Output,
}

/// How Grype is run.
#[derive(Args)]
struct GrypeArguments {
    /// The program.
    #[arg(long, value_name = "PROGRAM", default_value = "grype")]
    grype: PathBuf,
    /// Folder of Grype's databases; `grype db update` keeps them new. By default where Grype keeps them.
    #[arg(long, value_name = "DIR", env = "GRYPE_DB_CACHE_DIR")]
    database: Option<PathBuf>,
    /// How long the scan may take.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    timeout: Duration,
    /// Speaks HTTP to the registry where it has no TLS.
    #[arg(long)]
    plain_http: bool,
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

/// What is judged: a report or why there is none, with what else is known.
struct Found {
    name: String,
    report: Result<Report, String>,
    sbom: Option<Census>,
    subject: Option<Subject>,
}

impl Scan {
    /// The text to print and the exit code.
    pub(super) fn run(self) -> anyhow::Result<(String, u8)> {
        let policy = self.policy()?;
        let found = match (&self.image, &self.report) {
            (Some(image), _) => self.scanned(image)?,
            (None, Some(report)) => self.given(report)?,
            (None, None) => anyhow::bail!("name an image, or a report"),
        };
        let now = jiff::Timestamp::now();
        let (report, verdict) = match &found.report {
            Ok(report) => (Some(report), assess(report, found.sbom.as_ref(), found.subject.as_ref(), &policy, now)),
            Err(problem) => (None, Verdict::new(ScanOutcome::ScanError, vec![problem.clone()], None)),
        };
        let weighed = report.map(|report| weigh(&report.matches, report.digest(), &policy, now)).unwrap_or_default();
        let scan = ShownScan { name: &found.name, report, weighed: &weighed, verdict: &verdict };
        let text = match self.output {
            Output::Text => scan.text(),
            Output::Json => format!("{:#}\n", scan.json()),
            Output::Sarif => format!("{:#}\n", scan.sarif()),
        };
        Ok((text, exit_code(verdict.outcome)))
    }

    /// A report that is there already.
    fn given(&self, report: &Path) -> anyhow::Result<Found> {
        let sbom =
            self.sbom.as_deref().map(|file| Census::read(open(file)?).with_context(|| shown(file))).transpose()?;
        ensure!(
            self.digest.is_some() || self.platform.is_none(),
            "--platform goes with --digest where a report is read"
        );
        let subject =
            self.digest.as_ref().map(|digest| Subject { digest: digest.clone(), platform: self.platform.clone() });
        let read = read(open(report)?).map_err(|problem| problem.to_string());
        Ok(Found { name: shown(report), report: read, sbom, subject })
    }

    /// The report of a scan that is made now.
    fn scanned(&self, image: &str) -> anyhow::Result<Found> {
        let host = ImageRef::parse(image).with_context(|| format!("image `{image}`"))?.host;
        let grype = self.by.grype(host)?;
        let progress = progress(image);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let scanned = runtime.block_on(grype.scan(image, self.platform.as_deref()));
        progress.finish_and_clear();
        let name = image.to_owned();
        match scanned {
            Ok(scanned) => {
                let (report, sbom) = taken(&scanned)?;
                let digest = report.as_ref().ok().and_then(Report::digest).map(str::to_owned);
                let subject = digest.map(|digest| Subject { digest, platform: self.platform.clone() });
                Ok(Found { name, report, sbom: Some(sbom), subject })
            }
            // That it cannot be run at all is the caller's to mend.
            Err(problem @ GrypeProblem::Local { .. }) => Err(problem.into()),
            Err(problem) => {
                let withheld = if grype.credentials.is_none() && is_asked_plainly(host) { WITHHELD } else { "" };
                Ok(Found { name, report: Err(format!("{problem}{withheld}")), sbom: None, subject: None })
            }
        }
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

impl GrypeArguments {
    /// To scan an image of that host.
    fn grype(&self, host: &str) -> anyhow::Result<Grype> {
        let home = env::var_os("HOME").map(PathBuf::from);
        let own = || {
            let caches =
                env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".cache")));
            caches.map(|caches| caches.join("grype/db"))
        };
        let databases =
            self.database.clone().or_else(own).context("name the folder of Grype's databases by --database")?;
        // Relative to where we are, not to where Grype will be.
        let databases = std::path::absolute(&databases)?;
        let is_name = self.grype.components().count() == 1;
        let program = if is_name { self.grype.clone() } else { std::path::absolute(&self.grype)? };
        let environment =
            HANDED_ON.iter().filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?))).collect();
        let docker = env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(home?.join(".docker")));
        // Whether Docker has a credential for the host only its helpers know.
        let credentials = docker.filter(|_| self.plain_http || !is_asked_plainly(host));
        let transport = if self.plain_http { Transport::Plain } else { Transport::Tls };
        Ok(Grype {
            program,
            through: Vec::new(),
            databases,
            transport,
            credentials,
            environment,
            patience: self.timeout,
        })
    }
}

/// What a scan left behind, read.
fn taken(scanned: &Scanned) -> anyhow::Result<(Result<Report, String>, Census)> {
    let report = read(scanned.report()?).map_err(|problem| problem.to_string());
    Ok((report, Census::read(scanned.sbom()?).context("the SBOM that Grype wrote")?))
}

/// Says on a terminal that something is under way, and for how long.
fn progress(image: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let progress = ProgressBar::new_spinner().with_message(format!("scanning {image}"));
    progress.enable_steady_tick(Duration::from_millis(200));
    progress
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

/// Said where a scan failed.
const WITHHELD: &str = "; Docker's credentials were not used, since grype also asks a host that looks local in plain HTTP: \
    name the registry by a DNS name that does not end in .local or .localhost, or use --plain-http if that is meant";

/// Where programs, proxies and authorities are.
const HANDED_ON: &[&str] = &[
    "PATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

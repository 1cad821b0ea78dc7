//! Edge: the command line: one table of commands, and what each makes of its arguments.

mod audit;
mod bundle;
mod manifests;
mod release;
mod scan;
mod scan_worker;
mod test;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::app;
use crate::cluster::LeaseTiming;
use crate::orchestrator::OutsideFiles;
use crate::serve::{ConnectionLimits, renew_folder, service_names};
use crate::telemetry::{LogFormat, start_log};
use crate::webhook::ReviewLimits;

/// Keeps untrusted FLAME analyses contained in Kubernetes.
///
/// Exit codes: 0 all is well; 1 it could not be done, with the reason on standard error;
/// 2 the arguments make no sense. `audit` and `test` have their own.
#[derive(Parser)]
#[command(name = "flamewarden", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Every command; a new one is one variant here and one line in [`run`].
#[derive(Subcommand)]
enum Command {
    /// Runs the webhook, the controller, or both.
    Serve(Box<Serve>),
    /// Makes or renews the serving certificate in a folder, with an authority of its own.
    Certs(Certs),
    /// Prints what is to be installed, in the order of installation, as YAML.
    Manifests(manifests::Manifests),
    /// Judges manifests as the webhook would, and says what is mended at admission and what is refused.
    ///
    /// Exit codes: 0 nothing is refused; 1 something is; 2 the arguments or policies make no sense;
    /// 3 something could not be read or judged.
    Audit(audit::Audit),
    /// Prints the objects that a create request leads to, without a cluster.
    ///
    /// Secrets among them: what it prints holds the request's password.
    Bundle(bundle::Bundle),
    /// Frees a cluster of Flamewarden: webhook configurations, finalizers, policies that nobody needs, gates on demand.
    ///
    /// Tells each thing that it did. Refuses while a controller is at work.
    Release(release::Release),
    /// Says whether an image may run by what Grype found in it.
    ///
    /// Exit codes: 0 it may; 1 something in it fails; 2 the arguments or policies make no sense; 3 nobody knows, since
    /// the report is too old, no report, or tells too little.
    Scan(scan::Scan),
    /// Makes one scan for the controller, which alone starts it.
    #[command(hide = true)]
    ScanWorker(scan_worker::ScanWorker),
    /// Runs policies against example requests with the answers expected of them.
    ///
    /// Exit codes: 0 all answers are as expected; 1 one isn't; 2 the arguments, policies or tests make no sense.
    Test(test::Test),
}

/// Runs the command that the arguments ask for.
pub fn run() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Certs(certs) => certs.run(),
        Command::Manifests(manifests) => manifests.run().and_then(|text| print(&text)),
        Command::Bundle(bundle) => bundle.run().and_then(|text| print(&text)),
        Command::Release(release) => release.run(),
        Command::Audit(audit) => return judged(audit.run()),
        Command::Scan(scan) => return judged(scan.run()),
        Command::ScanWorker(worker) => return coded(worker.run()),
        Command::Test(test) => return judged(test.run()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            complain(&problem);
            ExitCode::FAILURE
        }
    }
}

/// The exit code of a command that judges: its own, or 2 where it could not begin.
fn judged(done: anyhow::Result<(String, u8)>) -> ExitCode {
    match done.and_then(|(text, code)| print(&text).map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            complain(&problem);
            ExitCode::from(2)
        }
    }
}

/// The exit code of a command that has its own.
fn coded(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|problem| {
        complain(&problem);
        ExitCode::FAILURE
    })
}

#[derive(Args)]
struct Serve {
    /// What to run.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "webhook")]
    parts: Vec<app::Part>,
    /// Folder of the policy files (*.yaml).
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// Folder of the serving certificate (tls.crt, tls.key); the webhook needs it.
    #[arg(long, value_name = "DIR")]
    certificates: Option<PathBuf>,
    /// How to reach the API server; without it, by the file in the variable KUBECONFIG, or as a pod does.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Flamewarden's own namespace.
    #[arg(long, value_name = "NAME", default_value = "flamewarden-system")]
    namespace: String,
    /// The controller's name in the election of the leader.
    #[arg(long, value_name = "NAME", env = "HOSTNAME", default_value = "flamewarden-controller")]
    identity: String,
    /// Where the webhook's replicas are asked for their decisions, instead of where its Service says.
    #[arg(long, value_name = "ADDR", hide = true)]
    webhook_address: Vec<SocketAddr>,
    /// Who makes the webhook's certificate.
    #[arg(long, value_enum, default_value = "own")]
    certificate_source: app::CertificateSource,
    /// The secret of the Keycloak client that makes the analyses' clients, for an Orchestrator with a section `tokens`.
    #[arg(long, value_name = "FILE")]
    keycloak_secret: Option<PathBuf>,
    /// The secret of the node's Hub client, for an Orchestrator with a section `hub`.
    #[arg(long, value_name = "FILE")]
    hub_secret: Option<PathBuf>,
    /// Folder with the addresses of proxies (http-proxy, https-proxy), where the Orchestrator's `ways` say `fromSecret`.
    #[arg(long, value_name = "DIR")]
    proxies: Option<PathBuf>,
    /// Certificates of authorities (PEM) to trust besides the machine's, where the Orchestrator's `ways` name them.
    #[arg(long, value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// Folder of the controller's archive in SQLite (archive.db); without any archive no history is kept.
    #[arg(long, value_name = "DIR", conflicts_with = "archive_url_file")]
    archive: Option<PathBuf>,
    /// File with the URL of the controller's archive in PostgreSQL, postgres://USER:PASSWORD@HOST/DATABASE.
    #[arg(long, value_name = "FILE")]
    archive_url_file: Option<PathBuf>,
    /// Where the API server calls.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:9443")]
    listen: SocketAddr,
    /// Where probes and metrics are answered, without TLS.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    probes: SocketAddr,
    /// Where the controller answers the REST API, without TLS, where the policies have one.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8000")]
    api: SocketAddr,
    /// Authorities of client certificates (PEM); callers without a certificate of theirs are turned away.
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// The common name that client certificates must have.
    #[arg(long, value_name = "CN", requires = "client_ca")]
    client_name: Option<String>,
    /// Bytes of review bodies held at one time; calls beyond that are told to come again.
    #[arg(long, value_name = "BYTES", default_value_t = ReviewLimits::default().bytes_in_flight)]
    bytes_in_flight: usize,
    /// How long calls are still answered after SIGTERM, at most.
    #[arg(long, value_name = "TIME", default_value = "100s", value_parser = duration)]
    drain: Duration,
    /// How long calls are still answered after SIGTERM, at least: until everybody knows.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    linger: Duration,
    /// How logs are written.
    #[arg(long, value_enum, default_value = "text")]
    log_format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Serve {
    fn run(self) -> anyhow::Result<()> {
        start_log(match self.log_format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        });
        app::run(&app::Settings {
            parts: self.parts,
            policies: self.policies,
            certificates: self.certificates,
            listen: self.listen,
            probes: self.probes,
            api: self.api,
            client_authorities: self.client_ca,
            client_name: self.client_name,
            look: Duration::from_secs(1),
            connections: ConnectionLimits { drain: self.drain, linger: self.linger, ..ConnectionLimits::default() },
            reviews: ReviewLimits { bytes_in_flight: self.bytes_in_flight, ..ReviewLimits::default() },
            controller: app::ControllerSettings {
                kubeconfig: self.kubeconfig.or_else(from_environment),
                namespace: self.namespace,
                identity: self.identity,
                timing: LeaseTiming::default(),
                webhook_addresses: self.webhook_address,
                certificates: self.certificate_source,
                files: OutsideFiles {
                    keycloak_secret: self.keycloak_secret,
                    hub_secret: self.hub_secret,
                    proxies: self.proxies,
                    authorities: self.authorities,
                },
                archive: match (self.archive, self.archive_url_file) {
                    (_, Some(file)) => app::ArchivePlace::UrlIn(file),
                    (Some(folder), None) => app::ArchivePlace::Folder(folder),
                    (None, None) => app::ArchivePlace::Nowhere,
                },
            },
        })
    }
}

#[derive(Args)]
struct Certs {
    /// Where ca.crt, ca.key, tls.crt and tls.key stand or are to stand.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Name of the webhook's Service.
    #[arg(long, default_value = "flamewarden-webhook")]
    name: String,
    /// Namespace of the webhook's Service.
    #[arg(long, default_value = "flamewarden-system")]
    namespace: String,
    /// Further names or addresses under which it is called, such as 127.0.0.1.
    #[arg(long, value_name = "NAME")]
    also: Vec<String>,
}

impl Certs {
    fn run(self) -> anyhow::Result<()> {
        start_log(LogFormat::Text);
        let mut names = service_names(&self.name, &self.namespace);
        names.extend(self.also);
        let done = renew_folder(&self.folder, &names, jiff::Timestamp::now())?;
        tracing::info!(folder = %self.folder.display(), ?done, "certificates looked at");
        Ok(())
    }
}

/// Writes to standard output; a reader that has gone, such as `head`, is no fault.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(problem) if problem.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|problem: jiff::Error| problem.to_string())?;
    Duration::try_from(span).map_err(|_| "must not be negative".to_owned())
}

/// The file that the variable KUBECONFIG names. An empty variable is as none, which clap's own reading does not know.
fn from_environment() -> Option<PathBuf> {
    named(std::env::var_os("KUBECONFIG"))
}

fn named(variable: Option<OsString>) -> Option<PathBuf> {
    variable.filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// The kubeconfig of a command that people type: as given, or where kubectl looks. None is left to pods.
fn kubeconfig(given: Option<PathBuf>) -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    given.or_else(from_environment).or_else(|| home().filter(|file| file.exists()))
}

/// The one line that says why nothing was done; logs may be off. Where nobody reads it, the exit code says so.
fn complain(problem: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "flamewarden: {problem:#}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_names_no_kubeconfig() {
        let of = |variable: Option<&str>| named(variable.map(OsString::from));
        assert_eq!([of(None), of(Some("")), of(Some("/a"))], [None, None, Some(PathBuf::from("/a"))]);
    }
}

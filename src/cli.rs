//! Edge: the command line: one table of commands, and what each makes of its arguments.

mod archived;
mod audit;
mod audit_export;
mod audit_told;
mod audit_verify;
mod audits;
mod bundle;
mod canary;
mod completions;
mod manifests;
mod release;
mod scan;
mod scan_worker;
mod serve;
mod test;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::serve::{renew_folder, service_names};
use crate::telemetry::{LogFormat, start_log};

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
    Serve(Box<serve::Serve>),
    /// Makes or renews the serving certificate in a folder, with an authority of its own.
    Certs(Certs),
    /// Prints what is to be installed, in the order of installation, as YAML.
    Manifests(manifests::Manifests),
    /// Judges manifests as the webhook would, and says what is mended at admission and what is refused.
    ///
    /// Exit codes: 0 all is well; 1 the audit could not be made; 2 the arguments or policies make no sense; 3 something
    /// fails, or differs, or is in the way; 4 the score is below --min-score; 5 something fails that the baseline does not
    /// have; 6 something could not be read or judged, so nobody knows.
    Audit(Box<audits::Audits>),
    /// Prints a script that completes the commands and arguments in a shell.
    Completions(completions::Completions),
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
    /// What the pods of a canary do, which the controller alone makes.
    #[command(hide = true)]
    Canary(canary::Canary),
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
        Command::Completions(completions) => completions.run(Arguments::command()).and_then(|text| print(&text)),
        Command::Scan(scan) => return judged(scan.run()),
        Command::ScanWorker(worker) => return coded(worker.run()),
        Command::Canary(canary) => canary.run(),
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

/// Marks a problem of ours or of what was asked, where the arguments make sense.
#[derive(Debug, Clone, Copy)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it could not be done")
    }
}

/// The exit code of a command that judges: its own, 2 where it could not begin, 1 where it broke.
fn judged(done: anyhow::Result<(String, u8)>) -> ExitCode {
    match done.and_then(|(text, code)| print(&text).map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            complain(&problem);
            ExitCode::from(if problem.is::<Broken>() { 1 } else { 2 })
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

/// Writes to standard error what is for people while standard output is for programs.
fn complain_text(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
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

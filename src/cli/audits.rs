//! Edge: what `flamewarden audit` is asked for: an audit, or something of what was kept of audits and decisions.

use clap::{Args, Subcommand};

use super::audit::Audit;
use super::audit_export::Export;
use super::audit_verify::Verify;

/// Arguments of the command.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Audits {
    #[command(subcommand)]
    history: Option<History>,
    #[command(flatten)]
    audit: Audit,
}

#[derive(Subcommand)]
enum History {
    /// Verifies the journal in an archive from its first entry to its last.
    ///
    /// Exit codes: 0 it is as it was written; 1 it could not be read, or nobody can tell; 2 the arguments make no sense; 3
    /// it is not as it was written: the first entry that does not fit is named.
    Verify(Verify),
    /// Prints the journal in an archive as lines of JSON.
    Export(Export),
}

impl Audits {
    /// The text to print and the exit code.
    pub(super) fn run(self) -> anyhow::Result<(String, u8)> {
        match self.history {
            Some(History::Verify(verify)) => verify.run(),
            Some(History::Export(export)) => export.run(),
            None => self.audit.run(),
        }
    }
}

//! Edge: `flamewarden test`: runs policies against example requests with the answers expected of them.

use std::path::PathBuf;

use clap::Args;

use super::audit::read;
use crate::auditor::{Asker, Auditor, CaseFile, failures_text, gather, run_cases};

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Test {
    /// Files of tests (kind: PolicyTest) and folders of them; by default `tests` in the folder of the policies.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder of the policy files (*.yaml), an Installation among them.
    #[arg(long, value_name = "DIR", default_value = "policies")]
    policies: PathBuf,
}

impl Test {
    /// The text to print and the exit code.
    pub(super) fn run(self) -> anyhow::Result<(String, u8)> {
        let policies = read(&self.policies)?;
        let auditor = Auditor::new(&policies, Asker::default(), jiff::Timestamp::now())?;
        let files = if self.files.is_empty() { vec![self.policies.join("tests")] } else { self.files };
        let mut failures = Vec::new();
        let mut cases = 0;
        for source in gather(&files) {
            let text = source.text.map_err(|reason| anyhow::anyhow!("test file {}: {reason}", source.file))?;
            let file = CaseFile::parse(&source.file, &text)?;
            cases += file.len();
            failures.push((source.file, run_cases(&file, &auditor)));
        }
        anyhow::ensure!(
            cases > 0,
            "no test cases in {}",
            files.iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(", ")
        );
        let failed = failures.iter().any(|(_, failures)| !failures.is_empty());
        Ok((failures_text(&failures, cases), u8::from(failed)))
    }
}

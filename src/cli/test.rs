//! Edge: `flamewarden test`: runs policies against example requests with the answers expected of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, ensure};
use clap::Args;

use super::audit::{named, parse};
use crate::auditor::{Asker, Auditor, CaseFile, failures_text, gather, run_cases};
use crate::serve::read_policies;

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Test {
    /// Files of tests (kind: PolicyTest) and folders of them; by default `tests` in the folder of the policies. A file
    /// `installation.yaml` among them stands in for that of the policies.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder of the policy files (*.yaml), an Installation among them.
    #[arg(long, value_name = "DIR", default_value = "policies")]
    policies: PathBuf,
}

impl Test {
    /// The text to print and the exit code.
    pub(super) fn run(self) -> anyhow::Result<(String, u8)> {
        let files = if self.files.is_empty() { vec![self.policies.join("tests")] } else { self.files };
        let mut tests = BTreeMap::new();
        for source in gather(&files) {
            let text = source.text.map_err(|reason| anyhow!("test file {}: {reason}", source.file))?;
            tests.insert(source.file, text);
        }
        let mut policies = read_policies(&self.policies)?;
        let stands_in = |file: &String| Path::new(file).file_name().is_some_and(|name| name == INSTALLATION);
        policies
            .extend(tests.extract_if(.., |file, _| stands_in(file)).map(|(_, text)| (INSTALLATION.to_owned(), text)));
        let policies = parse(&policies)?;
        let auditor = Auditor::new(&policies, Asker::default(), jiff::Timestamp::now())?;
        let mut failures = Vec::new();
        let mut cases = 0;
        for (name, text) in tests {
            let file = CaseFile::parse(&name, &text)?;
            cases += file.len();
            failures.push((name, run_cases(&file, &auditor)));
        }
        ensure!(cases > 0, "no test cases in {}", named(&files));
        let failed = failures.iter().any(|(_, failures)| !failures.is_empty());
        Ok((failures_text(&failures, cases), u8::from(failed)))
    }
}

const INSTALLATION: &str = "installation.yaml";

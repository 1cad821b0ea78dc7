//! Edge: the folder of policy files, compared by content like the certificate's.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::policy::{PolicyProblem, PolicySet};

/// A folder of policy files, looked at again and again.
#[derive(Debug)]
pub struct PolicyFolder {
    folder: PathBuf,
    /// Name and text of each file as they were last judged good or bad.
    seen: Option<BTreeMap<String, String>>,
    unreadable: bool,
}

/// Why a folder gives no policies.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesProblem {
    /// A file or the folder cannot be read.
    #[error("cannot read policies in {folder}")]
    Read {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What stands there is no set of policies.
    #[error(transparent)]
    Policy(#[from] PolicyProblem),
}

impl PolicyFolder {
    /// A folder that has not been looked at.
    pub fn new(folder: &Path) -> Self {
        PolicyFolder { folder: folder.to_owned(), seen: None, unreadable: false }
    }

    /// Looks once; nothing where nothing has changed since the last look.
    pub fn look(&mut self) -> Option<Result<PolicySet, PoliciesProblem>> {
        let files = match files(&self.folder) {
            Ok(files) => files,
            Err(source) => {
                // Said once, and looked at afresh when it can be read again.
                let known = std::mem::replace(&mut self.unreadable, true);
                self.seen = None;
                return (!known).then(|| Err(PoliciesProblem::Read { folder: self.folder.clone(), source }));
            }
        };
        self.unreadable = false;
        if self.seen.as_ref() == Some(&files) {
            return None;
        }
        let set = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        self.seen = Some(files);
        Some(set.map_err(|problem| PoliciesProblem::Policy(first_line(problem))))
    }
}

/// The policy files of a folder, by name.
///
/// # Errors
/// The folder or a file cannot be read.
pub fn read_policies(folder: &Path) -> Result<BTreeMap<String, String>, PoliciesProblem> {
    files(folder).map_err(|source| PoliciesProblem::Read { folder: folder.to_owned(), source })
}

fn files(folder: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // A mounted ConfigMap keeps its generations in folders whose names begin with dots.
        let is_policy = [".yaml", ".yml"].iter().any(|ending| name.ends_with(ending)) && !name.starts_with('.');
        if is_policy {
            let text = fs::read_to_string(folder.join(&name))?;
            files.insert(name, text);
        }
    }
    Ok(files)
}

/// The problem without the excerpt of the file that follows its first line: it goes into one line of the log.
fn first_line(problem: PolicyProblem) -> PolicyProblem {
    match problem {
        PolicyProblem::Document { file, reason } => {
            let line = reason.lines().next().unwrap_or_default();
            PolicyProblem::Document { file, reason: line.trim_start_matches("error: ").to_owned() }
        }
        problem => problem,
    }
}

//! What could not be looked at: nobody knows how it stands.

use serde::{Deserialize, Serialize};

/// What could not be read or judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The file, or `cluster`.
    pub file: String,
    /// The document, where the file could be cut into some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// The line in the file, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    /// A problem with the cluster rather than with a file.
    pub fn of_cluster(message: String) -> Self {
        Problem { file: "cluster".to_owned(), document: None, line: None, message }
    }

    /// Where it is, for people: file and line as far as they are known.
    pub fn place(&self) -> String {
        match (self.line, self.document) {
            (Some(line), _) => format!("{}:{line}", self.file),
            (None, Some(document)) => format!("{}, document {document}", self.file),
            (None, None) => self.file.clone(),
        }
    }
}

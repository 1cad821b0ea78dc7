//! What a worker is asked for, and what it brings.

use std::fmt;

use crate::model::Digest;
use crate::scan::{Census, Report};

/// One scan that is to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct Errand {
    /// Where the image stands: host and path, without tag and digest.
    pub repository: String,
    /// The manifest of one platform.
    pub digest: Digest,
    /// Its platform, such as `linux/amd64`, where that is known.
    pub platform: Option<String>,
    /// The registry's one credential, as a `.dockerconfigjson` with that entry alone.
    pub credential: Option<String>,
    /// The registry's own authorities, in PEM.
    pub authorities: Option<String>,
    /// Whether the registry is spoken to without TLS.
    pub insecure: bool,
}

/// What a worker has brought: Grype's report and the SBOM of the same run. Nobody has believed it yet.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The report.
    pub report: Report,
    /// What the SBOM counts.
    pub census: Census,
}

impl Errand {
    /// The image by its digest.
    pub fn image(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = if self.credential.is_some() { " with a credential" } else { "" };
        write!(f, "{}{with}", self.image())
    }
}

//! Why a call failed, on one line: what the API server answered, or what kept us from asking.

use std::error::Error;
use std::fmt;
use std::path::Path;

use kube::config::{InClusterError, KubeconfigError};
use kube::core::Status;

use super::ClusterProblem;
use crate::model::yaml_problem;
use crate::telemetry::whole;

/// Why a call failed. Its own causes stand in its text and are not told again.
#[derive(Debug)]
pub struct Failure(Box<kube::Error>);

impl Failure {
    /// What the API server answered, if it did.
    pub(super) fn status(&self) -> Option<&Status> {
        match self.0.as_ref() {
            kube::Error::Api(status) => Some(status),
            _ => None,
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(cause: kube::Error) -> Self {
        Failure(Box::new(cause))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status() {
            Some(status) => write!(to, "{} ({})", status.message, status.code),
            None => to.write_str(&whole(self.0.as_ref())),
        }
    }
}

impl Error for Failure {}

/// A kubeconfig that cannot be used. Nothing of its text is told: it holds credentials.
pub(super) fn unusable(path: &Path, cause: KubeconfigError) -> ClusterProblem {
    let reason = match &cause {
        KubeconfigError::Parse(problem) => yaml_problem(problem),
        cause => whole(cause),
    };
    unreachable(format!("kubeconfig {}: {reason}", path.display()))
}

/// Neither a kubeconfig nor a pod's service account.
pub(super) fn no_pod(cause: &InClusterError) -> ClusterProblem {
    unreachable(format!(
        "name a kubeconfig (--kubeconfig FILE, or KUBECONFIG); this is no pod either: {}",
        whole(cause)
    ))
}

/// Something else is wrong with what says how to reach the API server.
pub(super) fn unreachable(reason: String) -> ClusterProblem {
    ClusterProblem::Config { source: reason.into() }
}

#[cfg(test)]
mod tests {
    use kube::config::Kubeconfig;

    use super::*;

    #[test]
    fn a_broken_kubeconfig_is_told_by_place_and_not_by_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let told = |text: Option<&str>| {
            if let Some(text) = text {
                std::fs::write(&file, text).unwrap();
            }
            let problem = unusable(Path::new("config"), Kubeconfig::read_from(&file).unwrap_err());
            problem.source().unwrap().to_string().replace(&format!("{file:?}"), "FILE")
        };
        assert_eq!(
            told(None),
            "kubeconfig config: failed to read kubeconfig from 'FILE': No such file or directory (os error 2)"
        );
        let broken = told(Some("users:\n- user: {token: SECRET}\nbad: ["));
        assert!(broken.starts_with("kubeconfig config: ") && broken.contains("at line"), "{broken}");
        assert!(!broken.contains("SECRET") && broken.lines().count() == 1, "{broken}");
    }

    #[test]
    fn what_the_api_server_answered_is_told_once() {
        let status = Status { message: "pods is forbidden".to_owned(), code: 403, ..Status::default() };
        let failure = Failure::from(kube::Error::Api(Box::new(status)));
        assert_eq!((failure.to_string(), failure.source().is_none()), ("pods is forbidden (403)".to_owned(), true));
        let failure = Failure::from(kube::Error::Service("refused".into()));
        assert_eq!(failure.to_string().matches("refused").count(), 1, "{failure}");
    }
}

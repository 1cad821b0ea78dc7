//! What kept a registry from being asked, or its answer from being believed.

use crate::model::Digest;
use crate::remote::RemoteProblem;

/// Why there is no answer. `what` is an image, or a part of one.
#[derive(Debug, thiserror::Error)]
pub enum RegistryProblem {
    /// Nobody was asked.
    #[error("{what} is not below a registry of this installation; use an image from there, or name its registry")]
    NotAllowed {
        /// The image.
        what: String,
    },
    /// Nobody was asked.
    #[error("{what} is pinned by a digest that is not used here; pin it by `@sha256:` and 64 hexadecimal digits")]
    Algorithm {
        /// The image.
        what: String,
    },
    /// It is not there; registries say the same of what somebody may not see.
    #[error("the registry has no {what}; push it, or correct its name")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// Whoever asks may not read it.
    #[error("the registry lets {what} be read only with {}", needed(*shown))]
    Unauthorized {
        /// What was asked for.
        what: String,
        /// What was shown.
        shown: Shown,
    },
    /// A redirection that is not followed.
    #[error("for {what} the registry sends to {to}; only itself is asked, so have it serve its content itself")]
    Elsewhere {
        /// What was asked for.
        what: String,
        /// Scheme, host and port.
        to: String,
    },
    /// It wants a token from somebody who is not known to hand out its tokens, and who was therefore not asked.
    #[error(
        "for {what} the registry wants a token of {realm}, which is another host and gets nobody's password; let the registry hand out its tokens itself"
    )]
    ForeignRealm {
        /// What was asked for.
        what: String,
        /// Scheme, host and port.
        realm: String,
    },
    /// Content and digest do not belong together.
    #[error(
        "{what} is said to be {said} and is {found}; somebody between here and the registry changes content, or it is damaged there"
    )]
    Mismatch {
        /// What was asked for.
        what: String,
        /// What was asked for by digest, or what the registry says that it is.
        said: String,
        /// The digest of what came.
        found: Digest,
    },
    /// More than is read.
    #[error("{what} has more than {most}; that is more than is read")]
    Large {
        /// What was asked for.
        what: String,
        /// Such as `64 manifests`.
        most: String,
    },
    /// It is none of the forms that are known.
    #[error("{what} {reason}; push it with a current tool")]
    Form {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Encryption.
    #[error(
        "cannot speak TLS with {host}: {reason}; registries need a certificate of an authority that is known here, or named \
         in `registries` of the document of kind Scanner"
    )]
    Tls {
        /// Who was asked.
        host: String,
        /// Why not.
        reason: String,
    },
    /// It took too long.
    #[error("no whole answer about {what} in time")]
    Late {
        /// What was asked for.
        what: String,
    },
    /// Nobody answered, or not to the end.
    #[error("cannot ask {host}: {source}")]
    Remote {
        /// Who was asked.
        host: String,
        /// Why not.
        source: RemoteProblem,
    },
    /// It answered that it does not answer.
    #[error("asked for {what}, the registry answered {status}")]
    Status {
        /// What was asked for.
        what: String,
        /// 429, 503 and so on.
        status: u16,
    },
    /// What somebody answered cannot be understood.
    #[error("asked for {what}, {who} answered what is not understood: {reason}")]
    Answer {
        /// What was asked for.
        what: String,
        /// The registry, or who hands out its tokens.
        who: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

/// What a registry was shown that did not let us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// No credential was given.
    Nothing,
    /// One was given and is not taken, or not for this.
    Credential,
}

impl RegistryProblem {
    /// The same in words for whoever asks for the image: without what happened between us and the registry.
    pub fn told(&self) -> String {
        match self {
            RegistryProblem::Remote { host, .. } => {
                format!("{host} does not answer; see that it runs, and that Flamewarden's controller may reach it")
            }
            other => other.to_string(),
        }
    }

    /// Whether the same may be answered a moment later.
    pub fn may_pass(&self) -> bool {
        match self {
            RegistryProblem::Late { .. } => true,
            RegistryProblem::Remote { source, .. } => source.may_pass(),
            RegistryProblem::Status { status, .. } => *status == 408 || *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

fn needed(shown: Shown) -> &'static str {
    match shown {
        Shown::Nothing => "a credential; give the pod a pull secret for it",
        Shown::Credential => "another credential; correct user and password in the pull secret, or what they may read",
    }
}

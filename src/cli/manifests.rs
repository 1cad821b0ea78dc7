//! Edge: `flamewarden manifests`: prints what is to be installed.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;

use crate::install::{Endpoint, Settings, manifests, to_yaml};
use crate::policy::{ALSO, PolicySet};
use crate::serve::read_policies;

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Manifests {
    /// Folder of the policy files (*.yaml), an Installation among them.
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// Folder of other policies under which objects are accepted too, while one set follows the other.
    #[arg(long, value_name = "DIR")]
    also: Option<PathBuf>,
    /// The image of Flamewarden, by digest: NAME@sha256:….
    #[arg(long, value_name = "IMAGE")]
    image: String,
    /// The namespace of Flamewarden.
    #[arg(long, value_name = "NAME", default_value = "flamewarden-system")]
    namespace: String,
    /// Where the API server reaches the webhook, if not by its Service: https://HOST:PORT.
    #[arg(long, value_name = "URL", requires = "ca")]
    url: Option<String>,
    /// The authority that signed the webhook's certificate (PEM), for `--url`.
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
}

impl Manifests {
    /// The text to print.
    pub(super) fn run(self) -> anyhow::Result<String> {
        let mut files = read_policies(&self.policies)?;
        if let Some(also) = &self.also {
            files.extend(read_policies(also)?.into_iter().map(|(name, text)| (format!("{ALSO}{name}"), text)));
        }
        let policies = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))?;
        let endpoint = match (self.url, self.ca) {
            (Some(base), Some(ca)) => {
                let authority = fs::read(&ca).with_context(|| format!("cannot read {}", ca.display()))?;
                Endpoint::Url { base, ca_bundle: STANDARD.encode(authority) }
            }
            _ => Endpoint::Service,
        };
        let settings = Settings { namespace: self.namespace, image: self.image, endpoint, files };
        to_yaml(&manifests(&settings, &policies)).context("cannot write the objects as YAML")
    }
}

//! Edge: `flamewarden manifests`: prints what is to be installed.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, ValueEnum};

use super::audit::parse;
use crate::install::{CONTROLLER, Certificates, Endpoint, Settings, manifests, to_yaml};
use crate::model::ImageRef;
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
    /// Takes an image without a digest, for trying only: whoever may push to its tag replaces the guard.
    #[arg(long)]
    image_by_tag: bool,
    /// Who makes the webhook's certificate.
    #[arg(long, value_enum, default_value = "own")]
    certificates: Source,
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

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Source {
    /// Flamewarden's controller, with an authority of its own.
    Own,
    /// cert-manager, which must be installed; prints what it is asked for.
    CertManager,
    /// Somebody else writes the Secret and each caBundle.
    Other,
}

impl From<Source> for Certificates {
    fn from(source: Source) -> Self {
        match source {
            Source::Own => Certificates::Own,
            Source::CertManager => Certificates::CertManager,
            Source::Other => Certificates::Other,
        }
    }
}

impl Manifests {
    /// The text to print.
    pub(super) fn run(self) -> anyhow::Result<String> {
        check_image(&self.image, self.image_by_tag)?;
        let mut files = read_policies(&self.policies)?;
        if let Some(also) = &self.also {
            files.extend(read_policies(also)?.into_iter().map(|(name, text)| (format!("{ALSO}{name}"), text)));
        }
        let policies = parse(&files)?;
        check_namespace(&self.namespace, &policies)?;
        check_scanner(&policies)?;
        check_pages(&policies)?;
        let endpoint = match (self.url, self.ca) {
            (Some(base), Some(ca)) => {
                let authority = fs::read(&ca).with_context(|| format!("cannot read {}", ca.display()))?;
                Endpoint::Url { base, ca_bundle: STANDARD.encode(authority) }
            }
            _ => Endpoint::Service,
        };
        let certificates = self.certificates.into();
        let settings = Settings { namespace: self.namespace, image: self.image, endpoint, certificates, files };
        to_yaml(&manifests(&settings, &policies)).context("cannot write the objects as YAML")
    }
}

/// The policies say by name who Flamewarden's controller is; another would be refused like anybody else.
fn check_namespace(namespace: &str, policies: &PolicySet) -> anyhow::Result<()> {
    let controller = format!("system:serviceaccount:{namespace}:{CONTROLLER}");
    ensure!(
        policies.installation.controller == controller,
        "--namespace {namespace} makes the controller `{controller}`, and the Installation names `{}`: set `controller` \
         there, or print for the namespace that it names",
        policies.installation.controller
    );
    Ok(())
}

/// Without an archive there is nothing to show, and the controller shows no pages.
fn check_pages(policies: &PolicySet) -> anyhow::Result<()> {
    ensure!(
        policies.auditor.pages.is_none() || policies.archive().is_some(),
        "the Auditor has `pages`, and there is no archive that they could show: write `archive: {{}}` beside `pages`"
    );
    Ok(())
}

/// What is printed has no Grype but in the Jobs' image.
fn check_scanner(policies: &PolicySet) -> anyhow::Result<()> {
    ensure!(
        policies.scanner.as_ref().is_none_or(|scanner| scanner.worker.is_some()),
        "the profiles ask for verdicts on images, and nothing in the cluster would scan any: copy scanner.yaml.example to \
         scanner.yaml and name the image of its section `worker`, or write `verdict: any` in the section `scan` of both \
         profiles"
    );
    Ok(())
}

/// A tag can be moved to another program afterwards, which would then hold the guard's rights.
fn check_image(image: &str, by_tag: bool) -> anyhow::Result<()> {
    let reference = ImageRef::parse(image).with_context(|| format!("--image {image}"))?;
    ensure!(
        by_tag || reference.digest.is_some(),
        "--image {image} has no digest, so what runs could be replaced under the same name; write NAME@sha256:… \
         (`skopeo inspect --format '{{{{.Digest}}}}' docker://{image}` tells it), or add --image-by-tag to try it"
    );
    Ok(())
}

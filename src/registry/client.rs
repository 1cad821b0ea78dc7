//! Edge: what images stand for in their registries.

use std::time::Duration;

use tokio::time::timeout;

use super::grype::Transport;
use super::manifest::{self, Described, Manifest};
use super::reach::Reach;
use super::visit::{Visit, Wanted, checked};
use super::{Credential, RegistryProblem};
use crate::model::{Digest, ImageRef, PlatformManifest};
use crate::remote::{Answer, Remote, RemoteProblem, Ways};
use crate::telemetry::printable;

/// Asks registries, those within its reach alone.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(super) remote: Remote,
    pub(super) transport: Transport,
    pub(super) reach: Reach,
    pub(super) patience: Duration,
}

/// What a reference stands for at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// One image.
    Manifest {
        /// Of the manifest.
        digest: Digest,
        /// What its configuration says; none where it says nothing, or where the registry keeps it elsewhere.
        platform: Option<String>,
    },
    /// An image for each of several platforms.
    Index {
        /// Of the index.
        digest: Digest,
        /// All that a node may choose from.
        manifests: Vec<PlatformManifest>,
    },
}

impl Registry {
    /// A client that reaches registries by these ways. One question may take as long as the ways say, all that belong
    /// together as long as `patience`.
    ///
    /// # Errors
    /// The ways cannot be used.
    pub fn new(ways: &Ways, transport: Transport, reach: Reach, patience: Duration) -> Result<Self, RemoteProblem> {
        Ok(Registry { remote: Remote::new(ways)?, transport, reach, patience })
    }

    /// The same for a registry whose certificate these authorities (PEM) have signed, if not one that the machine knows.
    ///
    /// # Errors
    /// The ways or the authorities cannot be used.
    pub fn trusting(ways: &Ways, authorities: &str, reach: Reach, patience: Duration) -> Result<Self, RemoteProblem> {
        Ok(Registry { remote: Remote::trusting(ways, authorities)?, transport: Transport::Tls, reach, patience })
    }

    /// What a tag or a digest stands for now.
    ///
    /// # Errors
    /// The registry may not be asked, did not answer, or answered something that cannot be believed.
    pub async fn resolve(
        &self,
        image: &ImageRef<'_>,
        credential: Option<&Credential>,
    ) -> Result<Resolved, RegistryProblem> {
        let mut visit = Visit::of(self, image, credential)?;
        let late = || RegistryProblem::Late { what: image.to_string() };
        timeout(self.patience, visit.resolve(image)).await.unwrap_or_else(|_| Err(late()))
    }

    /// The same by the first of these credentials that the registry takes, as kubelets try each; with that one. Of what
    /// somebody may not see registries say too that it is not there.
    ///
    /// # Errors
    /// As [`Registry::resolve`], with the last of them.
    pub async fn resolve_by<'c>(
        &self,
        image: &ImageRef<'_>,
        credentials: &'c [Credential],
    ) -> Result<(Resolved, Option<&'c Credential>), RegistryProblem> {
        let last = credentials.last();
        for credential in credentials.iter().take(credentials.len().saturating_sub(1)) {
            match self.resolve(image, Some(credential)).await {
                Err(RegistryProblem::Unauthorized { .. } | RegistryProblem::NotFound { .. }) => {}
                answer => return answer.map(|resolved| (resolved, Some(credential))),
            }
        }
        self.resolve(image, last).await.map(|resolved| (resolved, last))
    }

    /// The bytes of a manifest of an image's repository, by its digest.
    ///
    /// # Errors
    /// The registry may not be asked, did not answer, or answered something else.
    pub async fn manifest(
        &self,
        image: &ImageRef<'_>,
        digest: Digest,
        credential: Option<&Credential>,
    ) -> Result<Vec<u8>, RegistryProblem> {
        let mut visit = Visit::of(self, image, credential)?;
        let late = || RegistryProblem::Late { what: format!("{}/{}@{digest}", image.host, image.path()) };
        let answer = timeout(self.patience, visit.answered("", Some(digest))).await.unwrap_or_else(|_| Err(late()));
        answer.map(|(_, answer)| answer.into_bytes())
    }
}

impl Visit<'_> {
    async fn resolve(&mut self, image: &ImageRef<'_>) -> Result<Resolved, RegistryProblem> {
        let pinned = match image.digest {
            None => None,
            Some(text) => match Digest::parse(text) {
                Some(digest) => Some(digest),
                None => return Err(RegistryProblem::Algorithm { what: image.to_string() }),
            },
        };
        let (digest, manifest) = self.manifest(image.effective_tag(), pinned).await?;
        match manifest {
            Manifest::Image(parts) => {
                let config = parts.config.digest;
                // The next answer may take long.
                drop(parts);
                Ok(Resolved::Manifest { digest, platform: self.platform(config).await? })
            }
            Manifest::Index(entries) => Ok(Resolved::Index { digest, manifests: self.choices(digest, entries)? }),
        }
    }

    /// A manifest by its digest, or by its tag where there is none.
    pub(super) async fn manifest(
        &mut self,
        tag: &str,
        pinned: Option<Digest>,
    ) -> Result<(Digest, Manifest), RegistryProblem> {
        let (digest, answer) = self.answered(tag, pinned).await?;
        let content_type = answer.header("content-type").unwrap_or_default();
        let what = self.named(tag, pinned);
        let form = |reason| RegistryProblem::Form { what, reason };
        Ok((digest, manifest::read(answer.bytes(), content_type).map_err(form)?))
    }

    fn named(&self, tag: &str, pinned: Option<Digest>) -> String {
        let name = self.name();
        pinned.map_or_else(|| format!("{name}:{tag}"), |digest| format!("{name}@{digest}"))
    }

    /// The same as it came, with its digest.
    async fn answered(&mut self, tag: &str, pinned: Option<Digest>) -> Result<(Digest, Answer), RegistryProblem> {
        let reference = pinned.map_or_else(|| tag.to_owned(), |digest| digest.to_string());
        let what = self.named(tag, pinned);
        let wanted = Wanted {
            what: what.clone(),
            path: &["manifests", &reference],
            accept: manifest::ACCEPT,
            most: LONGEST_MANIFEST,
        };
        let answer = self.get(&wanted).await?;
        let digest = checked(&what, answer.bytes(), pinned)?;
        // A registry need not say it; what it says must be true.
        for said in answer.headers("docker-content-digest") {
            if Digest::parse(said) != Some(digest) {
                return Err(RegistryProblem::Mismatch { what, said: printable(said).into_owned(), found: digest });
            }
        }
        Ok((digest, answer))
    }

    /// The images of an index that a node may choose from. Some runtimes take an entry that names no platform for any
    /// node's, others look what the image says of itself: what all see alike is asked for.
    fn choices(&self, index: Digest, entries: Vec<Described>) -> Result<Vec<PlatformManifest>, RegistryProblem> {
        let what = format!("{}@{index}", self.name());
        if entries.len() > MOST_MANIFESTS {
            return Err(RegistryProblem::Large { what, most: format!("{MOST_MANIFESTS} manifests") });
        }
        let form = |reason| RegistryProblem::Form { what: what.clone(), reason };
        let mut manifests = Vec::new();
        for entry in entries {
            if entry.is_index() {
                return Err(form("is an index of indexes"));
            }
            if !entry.is_manifest() {
                return Err(form("is an index of things that are no images"));
            }
            if entry.is_attestation() {
                continue;
            }
            let platform = entry.platform.ok_or_else(|| form("names an image without its platform"))?;
            manifests.push(PlatformManifest { digest: entry.digest, platform });
        }
        // Of nothing it would be true that all of it has passed.
        if manifests.is_empty() { Err(form("is an index without images")) } else { Ok(manifests) }
    }

    /// What a configuration says.
    async fn platform(&mut self, digest: Digest) -> Result<Option<String>, RegistryProblem> {
        let config = match self.blob(digest, LONGEST_CONFIG).await {
            Ok(config) => config,
            Err(RegistryProblem::Elsewhere { .. }) => return Ok(None),
            Err(problem) => return Err(problem),
        };
        let what = format!("{}@{digest}", self.name());
        manifest::configured_platform(&config).map_err(|reason| RegistryProblem::Form { what, reason })
    }
}

/// Of what runs as a container a manifest has some ten kilobytes. Many may be read at the same time.
pub(super) const LONGEST_MANIFEST: usize = 1 << 20;
const LONGEST_CONFIG: usize = 1 << 20;
const MOST_MANIFESTS: usize = 64;

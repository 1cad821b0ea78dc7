//! Edge: signatures and attestations that stand beside an image, as they were pushed; nobody has verified them.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::timeout;

use super::client::Registry;
use super::manifest::{self, Described, Manifest, Parts};
use super::visit::{Visit, Wanted};
use super::{Credential, RegistryProblem};
use crate::model::{Digest, ImageRef};

/// One of them. Anybody who may push there may have made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Of the content, such as `application/vnd.dsse.envelope.v1+json`.
    pub media_type: String,
    /// Of the content; cosign's signatures stand here.
    pub annotations: BTreeMap<String, String>,
    /// What its digest in the registry says.
    pub content: Vec<u8>,
}

impl Registry {
    /// What is attached to a digest in an image's repository: by cosign's tags, and by what refers to it (the referrers of
    /// OCI 1.1, or the tag that stands in for them). Only what can be a signature or an attestation is fetched.
    ///
    /// # Errors
    /// The registry may not be asked, did not answer, or answered something that cannot be believed or is too much.
    pub async fn attached(
        &self,
        image: &ImageRef<'_>,
        digest: Digest,
        credential: Option<&Credential>,
    ) -> Result<Vec<Attached>, RegistryProblem> {
        let mut visit = Visit::of(self, image, credential)?;
        let late = || RegistryProblem::Late { what: format!("what is attached to {image}") };
        timeout(self.patience, visit.attached(digest)).await.unwrap_or_else(|_| Err(late()))
    }

    /// What is attached to an index in an image's repository, if that index names this manifest as an image: its bytes
    /// are had by its digest and read for that. None where it does not, or where there is no such index.
    ///
    /// # Errors
    /// As [`Registry::attached`].
    pub async fn attached_to_index(
        &self,
        image: &ImageRef<'_>,
        index: Digest,
        manifest: Digest,
        credential: Option<&Credential>,
    ) -> Result<Option<Vec<Attached>>, RegistryProblem> {
        let mut visit = Visit::of(self, image, credential)?;
        let late = || RegistryProblem::Late { what: format!("what is attached to the index {index} of {image}") };
        timeout(self.patience, visit.attached_to_index(index, manifest)).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Visit<'_> {
    async fn attached(&mut self, digest: Digest) -> Result<Vec<Attached>, RegistryProblem> {
        let tag = digest.to_string().replace(':', "-");
        let what = format!("what is attached to {}@{digest}", self.name());
        let mut seen = BTreeSet::new();
        let mut attached = Vec::new();
        let mut left = MOST_BYTES;
        for manifest in self.beside(digest, &tag).await? {
            let layers = manifest.layers.into_iter().filter(|layer| is_wanted(&layer.media_type));
            for layer in layers {
                // Two tools may have pushed the same; what differs in annotations alone is another signature.
                if !seen.insert((layer.digest, layer.annotations.clone())) {
                    continue;
                }
                if attached.len() == MOST {
                    return Err(RegistryProblem::Large { what, most: format!("{MOST} signatures and attestations") });
                }
                let content = self.blob(layer.digest, LONGEST.min(left)).await?;
                left -= content.len();
                attached.push(Attached { media_type: layer.media_type, annotations: layer.annotations, content });
            }
        }
        Ok(attached)
    }

    async fn attached_to_index(
        &mut self,
        index: Digest,
        manifest: Digest,
    ) -> Result<Option<Vec<Attached>>, RegistryProblem> {
        let entries = match self.manifest("", Some(index)).await {
            Ok((_, Manifest::Index(entries))) => entries,
            Ok((_, Manifest::Image(_))) | Err(RegistryProblem::NotFound { .. }) => return Ok(None),
            Err(problem) => return Err(problem),
        };
        let names_it = |entry: &Described| entry.digest == manifest && entry.is_manifest() && !entry.is_attestation();
        if entries.iter().any(names_it) { self.attached(index).await.map(Some) } else { Ok(None) }
    }

    /// The manifests of all that is attached.
    async fn beside(&mut self, digest: Digest, tag: &str) -> Result<Vec<Parts>, RegistryProblem> {
        let mut manifests = Vec::new();
        for ending in ENDINGS {
            manifests.extend(self.parts(&format!("{tag}{ending}"), None).await?);
        }
        let referrers = self.referrers(digest, tag).await?;
        if referrers.len() > MOST {
            let what = format!("what refers to {}@{digest}", self.name());
            return Err(RegistryProblem::Large { what, most: format!("{MOST} manifests") });
        }
        for referrer in referrers {
            manifests.extend(self.parts("", Some(referrer)).await?);
        }
        Ok(manifests)
    }

    /// One manifest, if it is there and no index.
    async fn parts(&mut self, tag: &str, pinned: Option<Digest>) -> Result<Option<Parts>, RegistryProblem> {
        match self.manifest(tag, pinned).await {
            Ok((_, Manifest::Image(parts))) => Ok(Some(parts)),
            Ok((_, Manifest::Index(_))) | Err(RegistryProblem::NotFound { .. }) => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Manifests that refer to a digest, those that could not be an image's manifest left out.
    async fn referrers(&mut self, digest: Digest, tag: &str) -> Result<Vec<Digest>, RegistryProblem> {
        let (what, text) = (format!("the referrers of {}@{digest}", self.name()), digest.to_string());
        let wanted = Wanted { what: what.clone(), path: &["referrers", &text], accept: OCI_INDEX, most: LONGEST_LIST };
        let listed = match self.get(&wanted).await {
            Ok(answer) => {
                let form = |reason| RegistryProblem::Form { what, reason };
                manifest::read(answer.bytes(), answer.header("content-type").unwrap_or_default()).map_err(form)?
            }
            // Registries before OCI 1.1 have no referrers; whoever pushes there keeps the list under a tag.
            Err(RegistryProblem::NotFound { .. }) => match self.manifest(tag, None).await {
                Ok((_, listed)) => listed,
                Err(RegistryProblem::NotFound { .. }) => return Ok(Vec::new()),
                Err(problem) => return Err(problem),
            },
            Err(problem) => return Err(problem),
        };
        let Manifest::Index(entries) = listed else { return Ok(Vec::new()) };
        Ok(entries.into_iter().filter(|entry| entry.is_manifest()).map(|entry| entry.digest).collect())
    }
}

fn is_wanted(media_type: &str) -> bool {
    WANTED.contains(&media_type) || media_type.starts_with(BUNDLE)
}

/// What cosign puts behind the digest in its tags.
const ENDINGS: &[&str] = &[".sig", ".att"];
/// Cosign's signatures, and envelopes of statements by two names.
const WANTED: &[&str] = &[
    "application/vnd.dev.cosign.simplesigning.v1+json",
    "application/vnd.dsse.envelope.v1+json",
    "application/vnd.in-toto+json",
];
/// Sigstore's bundles, of whichever version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MOST: usize = 64;
/// An attestation may hold a whole report.
const LONGEST: usize = 16 << 20;
const MOST_BYTES: usize = 32 << 20;
const LONGEST_LIST: usize = 4 << 20;

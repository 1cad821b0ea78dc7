//! Edge: signatures and attestations that stand beside an image, as they were pushed; nobody has verified them.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::client::{LONGEST_MANIFEST, Registry};
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

/// All that stands beside an image, and beside indexes that name it. Where that is much, nobody else reads as much for as
/// long as this is there.
#[derive(Debug, Default)]
pub struct Attachments {
    /// Beside the image itself.
    pub image: Vec<Attached>,
    /// Beside indexes that name it, by their bytes.
    pub indexes: Vec<InIndex>,
    _hold: Option<SemaphorePermit<'static>>,
}

/// An index that names an image.
#[derive(Debug)]
pub struct InIndex {
    /// Of the index.
    pub digest: Digest,
    /// What is attached to it, or why that is not known.
    pub attached: Result<Vec<Attached>, RegistryProblem>,
}

impl Registry {
    /// What is attached to a digest in an image's repository: by cosign's tags, and by what refers to it (the referrers of
    /// OCI 1.1, or the tag that stands in for them); and to those of these indexes that name it as an image, which is read
    /// from their bytes. Only what can be a signature or an attestation is fetched.
    ///
    /// What is small is read beside others. Of what is large one is read at a time in this process, and the next when that
    /// is let go.
    ///
    /// # Errors
    /// The registry may not be asked, did not answer, or answered something that cannot be believed or is too much. An
    /// index that cannot be read is none; what is attached to it is not known then.
    pub async fn attached(
        &self,
        image: &ImageRef<'_>,
        digest: Digest,
        indexes: &[Digest],
        credential: Option<&Credential>,
    ) -> Result<Attachments, RegistryProblem> {
        let until = Instant::now() + self.patience;
        let small = Visit::of(self, image, credential)?.keeping_at_most(SMALL).all(digest, indexes, until).await;
        if !is_too_much(&small) {
            return small;
        }
        drop(small);
        let late = || RegistryProblem::Late { what: format!("what is attached to {image}") };
        let hold = timeout_at(until, LARGE.acquire()).await.map_err(|_| late())?;
        let large = Visit::of(self, image, credential)?.keeping_at_most(MOST_BYTES).all(digest, indexes, until).await?;
        Ok(Attachments { _hold: hold.ok(), ..large })
    }
}

impl Visit<'_> {
    async fn all(
        &mut self,
        digest: Digest,
        indexes: &[Digest],
        until: Instant,
    ) -> Result<Attachments, RegistryProblem> {
        let late = |what| RegistryProblem::Late { what: format!("what is attached to {what}") };
        let own = timeout_at(until, self.attached(digest)).await;
        let mut all = Attachments { image: own.map_err(|_| late(self.name()))??, ..Attachments::default() };
        for index in indexes {
            let left = self.left();
            let found = timeout_at(until, self.attached_to_index(*index, digest)).await;
            // One that nobody can read is not signed; that must not keep the image from being scanned.
            let found = found.unwrap_or_else(|_| Err(late(format!("the index {index}"))));
            if found.is_err() {
                self.set_left(left);
            }
            let found = found.transpose();
            all.indexes.extend(found.map(|attached| InIndex { digest: *index, attached }));
        }
        Ok(all)
    }

    async fn attached(&mut self, digest: Digest) -> Result<Vec<Attached>, RegistryProblem> {
        let tag = digest.to_string().replace(':', "-");
        let what = format!("what is attached to {}@{digest}", self.name());
        let mut seen = BTreeSet::new();
        let mut attached = Vec::new();
        // One manifest after the other: each may be long.
        for (tag, pinned) in self.beside(digest, &tag).await? {
            let layers = self.parts(&tag, pinned).await?.map(|parts| parts.layers).unwrap_or_default();
            for Described { media_type, digest, annotations, .. } in layers {
                // Two tools may have pushed the same; what differs in annotations alone is another signature.
                if !is_wanted(&media_type) || !seen.insert((digest, annotations.clone())) {
                    continue;
                }
                if attached.len() == MOST {
                    return Err(RegistryProblem::Large { what, most: format!("{MOST} signatures and attestations") });
                }
                let written: usize = annotations.values().map(String::len).sum();
                self.set_left(self.left().checked_sub(written).ok_or_else(|| self.too_much())?);
                let content = self.blob(digest, LONGEST).await?;
                self.set_left(self.left().saturating_sub(content.len()));
                attached.push(Attached { media_type, annotations, content });
            }
        }
        Ok(attached)
    }

    async fn attached_to_index(
        &mut self,
        index: Digest,
        manifest: Digest,
    ) -> Result<Option<Vec<Attached>>, RegistryProblem> {
        let names_it = |entry: Described| entry.digest == manifest && entry.is_manifest() && !entry.is_attestation();
        let is_named = match self.manifest("", Some(index)).await {
            Ok((_, Manifest::Index(entries))) => entries.into_iter().any(names_it),
            Ok((_, Manifest::Image(_))) | Err(RegistryProblem::NotFound { .. }) => false,
            Err(problem) => return Err(problem),
        };
        if is_named { self.attached(index).await.map(Some) } else { Ok(None) }
    }

    /// The manifests of all that is attached, each by its tag or its digest.
    async fn beside(&mut self, digest: Digest, tag: &str) -> Result<Vec<(String, Option<Digest>)>, RegistryProblem> {
        let referrers = self.referrers(digest, tag).await?;
        if referrers.len() > MOST {
            let what = format!("what refers to {}@{digest}", self.name());
            return Err(RegistryProblem::Large { what, most: format!("{MOST} manifests") });
        }
        let tagged = ENDINGS.iter().map(|ending| (format!("{tag}{ending}"), None));
        Ok(tagged.chain(referrers.into_iter().map(|digest| (String::new(), Some(digest)))).collect())
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
        let wanted =
            Wanted { what: what.clone(), path: &["referrers", &text], accept: OCI_INDEX, most: LONGEST_MANIFEST };
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

/// Whether more of it is there than was read.
fn is_too_much(all: &Result<Attachments, RegistryProblem>) -> bool {
    let is_large = |problem: &RegistryProblem| matches!(problem, RegistryProblem::Large { .. });
    match all {
        Ok(all) => all.indexes.iter().any(|index| index.attached.as_ref().is_err_and(is_large)),
        Err(problem) => is_large(problem),
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
/// Of an image and its indexes together.
const MOST_BYTES: usize = 32 << 20;
/// Of those together that are read side by side: some for each judgement and each scan that is begun.
const SMALL: usize = 2 << 20;
/// The right to read more than that.
static LARGE: Semaphore = Semaphore::const_new(1);

//! The content that FLAME's Hub approved.
//!
//! The Hub's worker builds an analysis' image from a master image and the code that all nodes approved, and records the
//! id that Docker gives it (`build_hash` of the analysis: PrivateAIM/hub, `apps/server-core-worker`,
//! `analysis-builder/handlers/execute`, which takes `Id` of `docker inspect`; FLAME's documentation, page "Security &
//! Operations", calls it the image's content hash, to be compared by hand with what `crictl inspecti` names `id`). With
//! Docker's own image store that is the digest of the image's configuration, which names each layer's content; with
//! containerd's, which new installations of Docker have since version 29, that of the manifest. Either is bound to the
//! bytes, and both can be told from the manifest.

use serde::Deserialize;

use super::statement::shortened;
use super::trust::withheld;
use crate::model::{AnalysisId, Digest, ImageRef, ScanOutcome, Verdict};

/// Whether the Hub approved an image's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// It did.
    Given,
    /// It approved something else.
    Refuted(String),
    /// It did not say.
    Unknown(String),
}

impl Approval {
    /// The verdict with it: what was not approved does not run, whatever scans say; and where nobody knows, only what fails
    /// anyway is known.
    pub fn verdict(&self, verdict: Verdict) -> Verdict {
        match self {
            Approval::Given => verdict,
            Approval::Refuted(reason) => withheld(Some(verdict), vec![reason.clone()]),
            Approval::Unknown(_) if verdict.outcome == ScanOutcome::Fail => verdict,
            Approval::Unknown(reason) => Verdict::new(ScanOutcome::Inconclusive, vec![reason.clone()], None),
        }
    }
}

/// Why an image's content is not what the Hub approved.
#[derive(Debug, thiserror::Error)]
pub enum ContentProblem {
    /// The Hub records something else than is known here.
    #[error("the Hub's content hash is `{0}`, which is no digest; it should be sha256: and 64 hexadecimal digits")]
    Hash(String),
    /// What is compared is not what would run.
    #[error("the manifest that the registry gave is not that of {0}")]
    Bytes(Digest),
    /// The manifest names no configuration.
    #[error("the manifest {0} is of no image of one platform: {1}")]
    Manifest(Digest, #[source] serde_json::Error),
    /// It is another image.
    #[error(
        "the image is not the one that the Hub built from the approved code: the Hub names {approved}, and this one has \
         the configuration {configuration} and the manifest {manifest}"
    )]
    Other {
        /// What the Hub recorded.
        approved: Digest,
        /// The image's configuration.
        configuration: String,
        /// The image's manifest.
        manifest: Digest,
    },
}

/// Whether the image with this platform manifest is the one whose hash the Hub recorded.
///
/// # Errors
/// It is not, or that cannot be told.
pub fn approved_content(hash: &str, digest: Digest, manifest: &[u8]) -> Result<(), ContentProblem> {
    let approved = Digest::parse(hash).ok_or_else(|| ContentProblem::Hash(shortened(hash)))?;
    if Digest::of(manifest) != digest {
        return Err(ContentProblem::Bytes(digest));
    }
    if approved == digest {
        return Ok(());
    }
    let Manifest { config } =
        serde_json::from_slice(manifest).map_err(|problem| ContentProblem::Manifest(digest, problem))?;
    if Digest::parse(&config.digest) == Some(approved) {
        return Ok(());
    }
    Err(ContentProblem::Other { approved, configuration: shortened(&config.digest), manifest: digest })
}

/// Which of the Hub's analyses an image is of: the Hub pushes it to each node's project under the analysis' id
/// (`analysis-distributor/handlers/execute`).
pub fn hub_analysis(image: &ImageRef<'_>) -> Option<AnalysisId> {
    let path = image.path();
    let (_, last) = path.rsplit_once('/')?;
    // Other ways to write one are not the Hub's.
    last.parse().ok().filter(|id: &AnalysisId| id.to_string() == last)
}

#[derive(Deserialize)]
struct Manifest {
    config: Configuration,
}

#[derive(Deserialize)]
struct Configuration {
    digest: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_approved_by_its_configuration_or_manifest_and_by_nothing_else_in_it() {
        let (configuration, layer) = (Digest::of(b"configuration"), Digest::of(b"layer"));
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{configuration}"}},"layers":[{{"digest":"{layer}"}}],"annotations":{{"config":"{layer}"}}}}"#
        );
        let digest = Digest::of(manifest.as_bytes());
        let told = |hash: &str, digest, manifest: &str| {
            approved_content(hash, digest, manifest.as_bytes()).map_err(|problem| problem.to_string())
        };
        for approved in [configuration, digest] {
            assert_eq!(told(&approved.to_string(), digest, &manifest), Ok(()));
        }
        let other = format!(
            "the image is not the one that the Hub built from the approved code: the Hub names {layer}, and this one has the \
             configuration {configuration} and the manifest {digest}"
        );
        assert_eq!(told(&layer.to_string(), digest, &manifest), Err(other));
        let short = configuration.to_string().replace("sha256:", "");
        let index = format!(r#"{{"manifests":[{{"digest":"{configuration}"}}]}}"#);
        let twice = manifest.replacen('{', &format!(r#"{{"config":{{"digest":"{layer}"}},"#), 1);
        let of_index = Digest::of(index.as_bytes());
        for (hash, digest, manifest, want) in [
            (short.as_str(), digest, &manifest, "which is no digest"),
            ("", digest, &manifest, "which is no digest"),
            (&configuration.to_string(), layer, &manifest, "is not that of sha256:"),
            // The Hub's hash is that of the wanted digest, and the bytes are others.
            (&layer.to_string(), layer, &manifest, "is not that of sha256:"),
            (&configuration.to_string(), of_index, &index, "is of no image of one platform: missing field `config`"),
            (&layer.to_string(), Digest::of(twice.as_bytes()), &twice, "duplicate field `config`"),
        ] {
            let told = told(hash, digest, manifest);
            assert!(told.as_ref().is_err_and(|problem| problem.contains(want)), "{want}: {told:?}");
        }
    }

    #[test]
    fn what_is_not_approved_does_not_run_and_what_nobody_knows_is_inconclusive() {
        let verdict =
            |outcome, grounds: &[&str]| Verdict::new(outcome, grounds.iter().map(|&ground| ground.to_owned()), None);
        let graceless = |grounds: &[&str]| Verdict { graceless: true, ..verdict(ScanOutcome::Fail, grounds) };
        let (other, silent) = (Approval::Refuted("other".to_owned()), Approval::Unknown("silent".to_owned()));
        let (pass, fail) = (verdict(ScanOutcome::Pass, &[]), verdict(ScanOutcome::Fail, &["CVE-1"]));
        let (stale, unknown) = (verdict(ScanOutcome::Stale, &["old"]), verdict(ScanOutcome::Inconclusive, &["silent"]));
        for (approval, before, want) in [
            (&Approval::Given, &pass, &pass),
            (&Approval::Given, &fail, &fail),
            (&Approval::Given, &stale, &stale),
            (&other, &pass, &graceless(&["other"])),
            (&other, &fail, &graceless(&["other", "CVE-1"])),
            (&silent, &pass, &unknown),
            (&silent, &verdict(ScanOutcome::Excepted, &["CVE-1"]), &unknown),
            (&silent, &stale, &unknown),
            (&silent, &fail, &fail),
        ] {
            assert_eq!(&approval.verdict(before.clone()), want, "{approval:?} {before:?}");
        }
    }

    #[test]
    fn the_hub_s_images_are_known_by_their_repository() {
        let id = "0192f5b4-7a3e-7c41-9d0c-0a1b2c3d4e5f";
        for (image, want) in [
            (format!("harbor.example/node-1/{id}:latest"), true),
            (format!("harbor.example/node-1/{id}@sha256:{}", "0".repeat(64)), true),
            (format!("harbor.example/{id}/nginx:1"), false),
            (format!("harbor.example/node-1/{}:latest", id.replace('-', "")), false),
            ("harbor.example/node-1/analysis:1".to_owned(), false),
        ] {
            let found = hub_analysis(&ImageRef::parse(&image).unwrap());
            assert_eq!(found.map(|id| id.to_string()), want.then(|| id.to_owned()), "{image}");
        }
    }
}

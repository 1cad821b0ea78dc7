//! Reads a Grype report, piece by piece and within bounds.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::bounded::{BoundProblem, read_within};
use super::report::{Database, Distribution, ImageSource, Match, Report, Source};
use super::settings::{IgnoredBy, Settings};
use super::written::{Db, Document, ImageTarget, Target};
use crate::model::{Digest, platform_name};

/// Why a text is no Grype report.
#[derive(Debug, thiserror::Error)]
pub enum ReportProblem {
    /// There is no text: what Grype leaves behind when it came to no end (exit code 1).
    #[error("the report is empty: Grype came to no end, and what it wrote to standard error says why")]
    Empty,
    /// It is not one whole JSON document of Grype's form, or too long to be read.
    #[error("no Grype report: {0}; write it by `grype … -o json=FILE`")]
    Form(BoundProblem),
    /// Somebody else's report.
    #[error("the report is by `{0}`, not by grype")]
    Scanner(String),
}

/// Reads a report of Grype's form `json`, whatever its database's version.
///
/// # Errors
/// It is empty, too long, or not one whole document of that form: nothing is known of the image then.
pub fn read(report: impl Read) -> Result<Report, ReportProblem> {
    let document: Document = read_within(report).map_err(|problem| match problem {
        BoundProblem::Empty => ReportProblem::Empty,
        problem => ReportProblem::Form(problem),
    })?;
    of_document(document)
}

/// What a document says that is read already.
pub(super) fn of_document(document: Document) -> Result<Report, ReportProblem> {
    match document.descriptor.name.0.as_str() {
        "grype" => Ok(report_of(document)),
        _ => Err(ReportProblem::Scanner(document.descriptor.name.0)),
    }
}

fn report_of(document: Document) -> Report {
    let Document { matches, ignored_matches, alerts_by_package, source, distro, descriptor } = document;
    let has_own_rules = descriptor.configuration.as_ref().is_none_or(Settings::has_own_rules);
    let ignored = ignored_matches.unwrap_or_default().found.into_iter().filter(|(_, by)| match by {
        IgnoredBy::Grype => false,
        IgnoredBy::Either => has_own_rules,
        IgnoredBy::Settings => true,
    });
    let matches: Vec<Match> = matches.found.into_iter().chain(ignored).map(|(found, _)| found).collect();
    let distribution = distro.filter(|distro| !distro.name.0.is_empty());
    Report {
        version: descriptor.version.0,
        taken: descriptor.timestamp.0,
        source: source.map_or(Source::Other("nothing".to_owned()), |source| match source.target {
            Some(Target::Image(image)) if source.kind.0 == "image" => Source::Image(image_source(&image)),
            _ => Source::Other(source.kind.0),
        }),
        distribution: distribution.map(|distro| Distribution { name: distro.name.0, version: distro.version.0 }),
        database: descriptor.db.map(database),
        matches,
        end_of_life: alerts_by_package.0.0,
        settings: descriptor.configuration.as_ref().map(Settings::told),
    }
}

fn database(written: Db) -> Database {
    let providers = written.providers.map(|all| all.0).unwrap_or_default();
    match written.status {
        Some(status) => Database {
            schema: status.schema_version.0,
            from: status.from.0,
            built: status.built.0,
            problem: status.error.map(|said| said.0).or_else(|| match status.valid {
                Some(true) => None,
                _ => Some("Grype does not say that it is valid".to_owned()),
            }),
            providers,
        },
        None => Database {
            schema: written.schema_version.0,
            from: written.checksum.0,
            built: written.built.0,
            problem: written.error.map(|said| said.0),
            providers,
        },
    }
}

/// What the embedded manifest and configuration say. Grype's own `architecture` is empty for some images.
fn image_source(image: &ImageTarget) -> ImageSource {
    let bytes = |text: &Option<String>| STANDARD.decode(text.as_ref()?).ok();
    let (manifest, config) = (bytes(&image.manifest), bytes(&image.config));
    let has = |bytes: &Option<Vec<u8>>, digest: &str| {
        bytes.as_ref().is_some_and(|bytes| Digest::of(bytes).to_string() == digest)
    };
    let named = manifest.as_ref().and_then(|bytes| serde_json::from_slice::<Manifest>(bytes).ok());
    let is_whole = has(&manifest, &image.manifest_digest.0)
        && has(&config, &image.image_id.0)
        && named.is_some_and(|manifest| manifest.config.digest == image.image_id.0);
    let platform = config.and_then(|bytes| serde_json::from_slice::<Platform>(&bytes).ok());
    ImageSource {
        manifest: image.manifest_digest.0.clone(),
        is_whole,
        platform: platform.as_ref().and_then(Platform::name).unwrap_or_default(),
    }
}

#[derive(Deserialize)]
struct Manifest {
    config: Described,
}

#[derive(Deserialize)]
struct Described {
    digest: String,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    architecture: String,
    #[serde(default)]
    variant: String,
}

impl Platform {
    fn name(&self) -> Option<String> {
        platform_name(&self.os, &self.architecture, &self.variant)
    }
}

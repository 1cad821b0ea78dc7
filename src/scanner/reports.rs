//! Edge: keeps what later judgements need of scans: in their objects, or in the archive, what is too large for that.
//!
//! The archive is believed nothing: a report counts only where it has the digest that stands in the object's status. No
//! verdict waits for it either. What it has lost, cannot take or cannot give is found out by another scan.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::brought::Holder;
use super::errand::Evidence;
use super::heavy::heavy;
use super::kept::{self, Kept};
use crate::archive::{Archive, LONGEST_REPORT};
use crate::model::Digest;
use crate::telemetry::whole;

/// Where reports are kept.
#[derive(Clone)]
pub(super) struct Reports {
    archive: Option<Arc<Archive>>,
    /// Whose turn it is to hold a large report, be it kept or just brought.
    holder: Holder,
}

impl Reports {
    /// In objects alone, where there is no archive.
    pub(super) fn new(archive: Option<Arc<Archive>>, holder: Holder) -> Self {
        Reports { archive, holder }
    }

    /// Who gives the right to hold one.
    pub(super) fn holder(&self) -> &Holder {
        &self.holder
    }

    /// The archive, if there is one.
    pub(super) fn archive(&self) -> Option<&Archive> {
        self.archive.as_deref()
    }

    /// Keeps what a scan has found, and tells where.
    pub(super) async fn keep(&self, image: Digest, evidence: Option<&Evidence>) -> Kept {
        let Some(evidence) = evidence else { return Kept::Nowhere };
        let most = if self.archive.is_some() { LONGEST_REPORT } else { HERE };
        let text = heavy(|| kept::text(evidence, most));
        let (text, archive) = match (text, self.archive()) {
            (Some(text), _) if text.len() <= HERE => return Kept::Here(text),
            (Some(text), Some(archive)) => (text, archive),
            _ => {
                info!(%image, "the report is too large to be kept; for other limits the image is scanned again");
                return Kept::Nowhere;
            }
        };
        let digest = heavy(|| Digest::of(text.as_bytes()));
        match archive.store_report(image, text).await {
            Ok(()) => Kept::Archived(digest),
            Err(problem) => {
                let problem = whole(&problem);
                warn!(%image, problem, "the report is not kept; for other limits the image is scanned again");
                Kept::Nowhere
            }
        }
    }

    /// Looks at what a scan has found; gives nothing where that is not at hand any more.
    pub(super) async fn look<T>(&self, image: Digest, kept: Kept, look: impl FnOnce(&Evidence) -> T) -> Option<T> {
        let (text, digest, _hold) = match kept {
            Kept::Nowhere => return None,
            Kept::Here(text) => (text, None, None),
            Kept::Archived(digest) => {
                let hold = self.holder.take().await;
                (self.fetch(image).await?, Some(digest), hold)
            }
        };
        let read = spawn_blocking(move || match digest {
            Some(digest) if digest != Digest::of(text.as_bytes()) => Err("it is another than was stored"),
            _ => kept::evidence(&text).ok_or("it cannot be read"),
        });
        match read.await.unwrap_or(Err("reading it broke off")) {
            Ok(evidence) => Some(heavy(|| look(&evidence))),
            Err(problem) => {
                warn!(%image, problem, "the kept report is not believed; the image is scanned again");
                None
            }
        }
    }

    async fn fetch(&self, image: Digest) -> Option<String> {
        let problem = match self.archive() {
            None => "there is no archive any more".to_owned(),
            Some(archive) => match archive.report(image).await {
                Ok(Some(text)) => return Some(text),
                Ok(None) => "the archive has it no more".to_owned(),
                Err(problem) => whole(&problem),
            },
        };
        warn!(%image, problem, "the kept report is not at hand; the image is scanned again");
        None
    }
}

/// Of what stands in an object: with the rest far below what etcd takes; some 1,500 matches.
const HERE: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::time::timeout;

    use super::*;

    /// What a scan has found, in one package with a name of that length.
    fn evidence(length: usize) -> Evidence {
        let found = json!({
            "id": "CVE-1", "aliases": [], "severity": "low", "fix": "unknown", "fixedIn": [], "cvss": null, "epss": null,
            "knownExploited": false, "package": "x".repeat(length), "version": "1", "kind": "deb",
        });
        let report = json!({
            "version": "1", "taken": null, "source": {"other": "file"}, "distribution": null, "database": null,
            "matches": [found], "endOfLife": 0, "settings": null,
        });
        kept::evidence(&json!({"report": report, "packages": {"deb": 1}}).to_string()).unwrap()
    }

    fn archive() -> (tempfile::TempDir, Reports) {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::at(&format!("sqlite:{}", folder.path().join("archive.db").display())).unwrap();
        (folder, Reports::new(Some(Arc::new(archive)), Holder::default()))
    }

    async fn found(reports: &Reports, image: Digest, kept: Kept) -> Option<crate::scan::Report> {
        reports.look(image, kept, |evidence| evidence.report.clone()).await
    }

    #[tokio::test]
    async fn a_report_is_kept_in_its_object_in_the_archive_or_nowhere_by_its_length() {
        let (_folder, with) = archive();
        let without = Reports::new(None, Holder::default());
        let image = Digest::of(b"an image");
        for (length, in_object, in_archive) in [(1, true, false), (HERE, false, true), (LONGEST_REPORT, false, false)] {
            let evidence = evidence(length);
            let [kept, bare] = [with.keep(image, Some(&evidence)).await, without.keep(image, Some(&evidence)).await];
            assert_eq!(matches!(kept, Kept::Here(_)), in_object, "{length}");
            assert_eq!(matches!(kept, Kept::Archived(_)), in_archive, "{length}");
            assert_eq!(bare, if in_object { kept.clone() } else { Kept::Nowhere });
            let want = (in_object || in_archive).then(|| evidence.report.clone());
            assert_eq!(found(&with, image, kept).await, want, "{length}");
        }
        assert_eq!(with.keep(image, None).await, Kept::Nowhere);
    }

    #[tokio::test]
    async fn what_the_archive_has_instead_of_a_report_is_not_believed() {
        let (_folder, reports) = archive();
        let archive = reports.archive().unwrap();
        let (image, other) = (Digest::of(b"an image"), Digest::of(b"another"));
        let worse = evidence(HERE);
        let kept = reports.keep(image, Some(&worse)).await;
        let text = archive.report(image).await.unwrap().unwrap();
        for changed in [text.replace("CVE-1", "CVE-2"), format!("{text} "), String::new()] {
            archive.store_report(image, changed).await.unwrap();
            assert_eq!(found(&reports, image, kept.clone()).await, None);
        }
        archive.store_report(image, text.clone()).await.unwrap();
        assert_eq!(found(&reports, image, kept.clone()).await, Some(worse.report));
        // A former one of the same image, and one of another.
        let newer = reports.keep(image, Some(&evidence(HERE + 1))).await;
        assert_eq!(found(&reports, image, kept.clone()).await, None);
        archive.store_report(other, text).await.unwrap();
        assert_eq!(found(&reports, other, newer).await, None);
        archive.forget_report(image).await.unwrap();
        assert_eq!(found(&reports, image, kept).await, None);
    }

    #[tokio::test]
    async fn a_kept_report_is_not_held_beside_one_that_was_brought() {
        let (_folder, reports) = archive();
        let (image, small) = (Digest::of(b"an image"), evidence(1));
        let (kept, here) = (reports.keep(image, Some(&evidence(HERE))).await, reports.keep(image, Some(&small)).await);
        let brought = reports.holder().take().await;
        let waiting = timeout(Duration::from_millis(200), found(&reports, image, kept.clone())).await;
        assert!(waiting.is_err(), "it is held all the same");
        assert_eq!(found(&reports, image, here).await, Some(small.report), "a small one waits for nobody");
        drop(brought);
        assert!(found(&reports, image, kept).await.is_some());
    }

    #[tokio::test]
    async fn an_archive_that_is_away_keeps_nothing_and_nobody_waiting() {
        let away = Archive::at("sqlite:/nowhere/archive.db").unwrap();
        let reports = Reports::new(Some(Arc::new(away)), Holder::default());
        let image = Digest::of(b"an image");
        assert_eq!(reports.keep(image, Some(&evidence(HERE))).await, Kept::Nowhere);
        assert_eq!(found(&reports, image, Kept::Archived(image)).await, None);
        assert_eq!(found(&Reports::new(None, Holder::default()), image, Kept::Archived(image)).await, None);
    }
}

//! What Grype writes is what we read: verdicts of images with and without what fails, and Grype's exit codes beside them.

use flamewarden::model::{ScanOutcome, Verdict};
use flamewarden::policy::ScanPolicy;
use flamewarden::scan::{Census, ReportProblem, Subject, assess, read};
use jiff::{SignedDuration, Timestamp};

use crate::advisories::advisories;
use crate::image::{Image, index};
use crate::lab::{Scanned, database, scan};
use crate::registry::Registry;
use crate::samples::{LODASH, RELEASE, openssl};

#[tokio::test]
async fn a_verdict_is_of_what_grype_found_in_exactly_those_bytes() {
    let registry = Registry::start().await;
    let databases = database(&advisories(SignedDuration::from_hours(1)));
    let (old, new) = (openssl("3.0.11-1"), openssl("3.0.12-1"));
    let failing = Image::of("linux/amd64", &[RELEASE, ("var/lib/dpkg/status", &old), LODASH]);
    let passing = Image::of("linux/amd64", &[RELEASE, ("var/lib/dpkg/status", &new)]);
    let stripped = Image::of("linux/amd64", &[RELEASE]);
    let nameless = Image::of("linux/amd64", &[("var/lib/dpkg/status", &new)]);
    let empty = Image::of("linux/amd64", &[("program", "x")]);
    for (what, image, outcome, ground) in [
        (
            "a hole",
            &failing,
            ScanOutcome::Fail,
            "CVE-2026-0001 (critical) in openssl 3.0.11-1 (deb): critical and above fail",
        ),
        ("none", &passing, ScanOutcome::Pass, ""),
        ("its packages hidden", &stripped, ScanOutcome::Inconclusive, "none of its packages (deb) is found"),
        ("its distribution hidden", &nameless, ScanOutcome::Inconclusive, "no distribution is recognised"),
        ("nothing in it", &empty, ScanOutcome::Inconclusive, "no package is found"),
    ] {
        let name = registry.push("team/app", image).await;
        let scanned = scan(databases.path(), &name, &[]);
        assert_eq!(scanned.done.status.code(), Some(0), "{what}: {}", String::from_utf8_lossy(&scanned.done.stderr));
        let verdict = verdict(&scanned, &image.manifest.digest(), "linux/amd64");
        assert_eq!(verdict.outcome, outcome, "{what}: {verdict:?}");
        assert!(verdict.grounds.first().map_or("", String::as_str).contains(ground), "{what}: {verdict:?}");
    }
    // Replayed for another image, it says nothing.
    let name = registry.push("team/app", &passing).await;
    let replayed = verdict(&scan(databases.path(), &name, &[]), &failing.manifest.digest(), "linux/amd64");
    assert_eq!(replayed.outcome, ScanOutcome::Inconclusive, "{replayed:?}");
}

#[tokio::test]
async fn of_an_index_grype_scans_one_platform_and_the_report_says_which() {
    let registry = Registry::start().await;
    let databases = database(&advisories(SignedDuration::from_hours(1)));
    let (old, new) = (openssl("3.0.11-1"), openssl("3.0.12-1"));
    let images = [
        ("linux/amd64", Image::of("linux/amd64", &[RELEASE, ("var/lib/dpkg/status", &new)]), ScanOutcome::Pass),
        ("linux/arm64", Image::of("linux/arm64", &[RELEASE, ("var/lib/dpkg/status", &old)]), ScanOutcome::Fail),
    ];
    for (_, image, _) in &images {
        registry.push("team/app", image).await;
    }
    let both = index(&images.each_ref().map(|(_, image, _)| image));
    let name = registry.push_manifest("team/app", &both).await;
    for (platform, image, outcome) in &images {
        let scanned = scan(databases.path(), &name, &["--platform", platform]);
        assert_eq!(verdict(&scanned, &image.manifest.digest(), platform).outcome, *outcome, "{platform}");
        let of_index = verdict(&scanned, &both.digest(), platform);
        assert_eq!(
            of_index.outcome,
            ScanOutcome::Inconclusive,
            "one platform says nothing of the others: {of_index:?}"
        );
    }
}

#[tokio::test]
async fn exit_codes_and_settings_are_no_verdict() {
    let registry = Registry::start().await;
    let databases = database(&advisories(SignedDuration::from_hours(1)));
    let old = openssl("3.0.11-1");
    let image = Image::of("linux/amd64", &[RELEASE, ("var/lib/dpkg/status", &old)]);
    let name = registry.push("team/app", &image).await;
    let outcome = |more: &[&str]| {
        let scanned = scan(databases.path(), &name, more);
        (scanned.done.status.code(), verdict(&scanned, &image.manifest.digest(), "linux/amd64").outcome)
    };
    assert_eq!(outcome(&["--fail-on", "critical"]), (Some(2), ScanOutcome::Fail));
    // The exit code says that all is well.
    assert_eq!(outcome(&["--fail-on", "critical", "--only-notfixed"]), (Some(0), ScanOutcome::Fail));
    assert_eq!(outcome(&["--fail-on", "critical", "--only-notfixed", "--by-cve"]).0, Some(0));
    assert_ne!(outcome(&["--only-notfixed", "--by-cve"]).1, ScanOutcome::Pass);
    assert_eq!(outcome(&["--distro", "debian:99"]), (Some(0), ScanOutcome::Inconclusive));
    // An image that is not there: exit code 1, and an empty report.
    let absent = scan(databases.path(), &format!("{}/team/none:1", registry.host), &[]);
    assert_eq!((absent.done.status.code(), absent.report.as_str()), (Some(1), ""));
    assert!(matches!(read(absent.report.as_bytes()), Err(ReportProblem::Empty)));
}

#[tokio::test]
async fn an_old_database_is_stale_to_us_also_where_grype_takes_it() {
    let registry = Registry::start().await;
    let databases = database(&advisories(SignedDuration::from_hours(119)));
    let new = openssl("3.0.12-1");
    let image = Image::of("linux/amd64", &[RELEASE, ("var/lib/dpkg/status", &new)]);
    let name = registry.push("team/app", &image).await;
    let scanned = scan(databases.path(), &name, &[]);
    let later = |hours| {
        let now = Timestamp::now() + SignedDuration::from_hours(hours);
        verdict_at(&scanned, &image.manifest.digest(), "linux/amd64", now)
    };
    assert_eq!(later(0).outcome, ScanOutcome::Pass, "{:?}", later(0));
    assert_eq!(later(2).outcome, ScanOutcome::Stale);
    assert!(!later(0).admits(Timestamp::now() + SignedDuration::from_hours(2)));
    // Grype itself refuses it by then, with an empty report.
    let older = database(&advisories(SignedDuration::from_hours(121)));
    let refused = scan(older.path(), &name, &[]);
    assert_eq!((refused.done.status.code(), refused.report.as_str()), (Some(1), ""));
}

fn verdict(scanned: &Scanned, digest: &str, platform: &str) -> Verdict {
    verdict_at(scanned, digest, platform, Timestamp::now())
}

fn verdict_at(scanned: &Scanned, digest: &str, platform: &str, now: Timestamp) -> Verdict {
    let report = read(scanned.report.as_bytes()).unwrap();
    let census = Census::read(scanned.sbom.as_bytes()).unwrap();
    let subject = Subject { digest: digest.to_owned(), platform: Some(platform.to_owned()) };
    assess(&report, Some(&census), Some(&subject), &ScanPolicy::default(), now)
}

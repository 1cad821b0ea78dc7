//! One row for each way in which a report can be misread.

use flamewarden::model::ScanOutcome::{self, Excepted, Fail, Inconclusive, Pass, Stale};
use serde_json::{Value, json};

use crate::sample::Sample;

/// What leads to which answer, and of its first ground a part.
fn expect(rows: impl IntoIterator<Item = (&'static str, Sample, ScanOutcome, &'static str)>) {
    for (what, sample, outcome, ground) in rows {
        let verdict = sample.verdict();
        assert_eq!(verdict.outcome, outcome, "{what}: {verdict:?}");
        let first = verdict.grounds.first().map(String::as_str).unwrap_or_default();
        assert!(first.contains(ground), "{what}: {first}");
        assert_eq!(first.is_empty(), ground.is_empty(), "{what}: {first}");
    }
}

#[test]
fn what_is_suppressed_is_no_pass() {
    let setting = |key: &str, value: Value| Sample::passing().with(&format!("/descriptor/configuration/{key}"), value);
    let rule = |more: Value| {
        let mut rule = json!({"vulnerability": "CVE-2026-0001", "namespace": "", "package": {"language": ""}});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    let own = json!([{"vulnerability": "CVE-2026-0001"}]);
    expect([
        ("only-fixed", setting("only-fixed", json!(true)), Inconclusive, "`only-fixed`"),
        ("only-notfixed", setting("only-notfixed", json!(true)), Inconclusive, "`only-notfixed`"),
        ("states", setting("ignore-wontfix", json!("wont-fix")), Inconclusive, "`ignore-states`"),
        ("rules", setting("ignore", own.clone()), Inconclusive, "`ignore` has rules"),
        (
            "a rule with a reason of Grype's",
            setting("ignore", json!([{"vulnerability": "CVE-2026-0001", "reason": "DistroPackageFixed"}])),
            Inconclusive,
            "`ignore` has rules",
        ),
        ("no rules", setting("ignore", json!(null)), Pass, ""),
        ("VEX", setting("vex-documents", json!(["vex.json"])), Inconclusive, "`vex-documents`"),
        ("paths", setting("exclude", json!(["./**"])), Inconclusive, "`exclude`"),
        ("distribution", setting("distro", json!("alpine:3")), Inconclusive, "`distro`"),
        ("scope", setting("search", json!({"scope": "one"})), Inconclusive, "`search.scope`"),
        ("all layers", setting("search", json!({"scope": "all-layers"})), Pass, ""),
        ("archives", setting("search", json!({"indexed-archives": false})), Inconclusive, "`search.indexed-archives`"),
        ("CPEs", setting("match", json!({"stock": {"using-cpes": false}})), Inconclusive, "`match.stock.using-cpes`"),
        ("JVM", setting("match", json!({"jvm": {"using-cpes": false}})), Inconclusive, "`match.jvm.using-cpes`"),
        (
            "Go",
            setting("match", json!({"golang": {"always-use-cpe-for-stdlib": false}})),
            Inconclusive,
            "`match.golang.always-use-cpe-for-stdlib`",
        ),
        ("channel", setting("fix-channel", json!({"redhat-eus": {"apply": "never"}})), Inconclusive, "`fix-channel"),
        ("a setting to come", setting("leave-out", json!({"all": ["x"]})), Inconclusive, "`leave-out` is not known"),
        ("one that says nothing", setting("leave-out", json!({"all": [], "much": 0, "a": ""})), Pass, ""),
        ("by-cve alone", setting("by-cve", json!(true)), Pass, ""),
        ("no settings", Sample::passing().without("/descriptor/configuration"), Inconclusive, "under which settings"),
        // What was left out counts, where the report still names it.
        (
            "a user's rule",
            Sample::new().ignoring(&rule(json!({}))).with("/descriptor/configuration/ignore", own),
            Fail,
            "CVE-2026-0001",
        ),
        ("a reason", Sample::new().ignoring(&rule(json!({"reason": "we know"}))), Fail, "CVE-2026-0001"),
        ("by VEX", Sample::new().ignoring(&rule(json!({"vex-status": "fixed"}))), Fail, "CVE-2026-0001"),
        ("by VEX's namespace", Sample::new().ignoring(&rule(json!({"namespace": "vex"}))), Fail, "CVE-2026-0001"),
        ("by fix state", Sample::new().ignoring(&rule(json!({"fix-state": "fixed"}))), Fail, "CVE-2026-0001"),
        // What Grype leaves out by itself does not.
        ("by Grype", Sample::new().ignoring(&rule(json!({"reason": "DistroPackageFixed"}))), Pass, ""),
        ("by Grype's own list", Sample::new().ignoring(&rule(json!({}))), Pass, ""),
        (
            "headers",
            Sample::new().ignoring(&json!({
                "namespace": "",
                "match-type": "exact-indirect-match",
                "package": {"name": "linux-libc-dev", "language": "", "type": "deb", "upstream-name": "linux"}
            })),
            Pass,
            "",
        ),
    ]);
}

#[test]
fn what_is_too_old_or_undated_is_no_pass() {
    let built = |at: &str| Sample::passing().with("/descriptor/db/status/built", at.into());
    let taken = |at: &str| Sample::passing().with("/descriptor/timestamp", at.into());
    let captured = |at: Value| Sample::passing().with("/descriptor/db/providers/kev/captured", at);
    let flat = |more: Value| {
        let mut db =
            json!({"built": "2026-11-21T00:00:00Z", "schemaVersion": 5, "location": "/db/5", "checksum": "sha256:0"});
        db.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Sample::passing().with("/descriptor/db", db).under("failOn: {knownExploited: false}")
    };
    expect([
        ("an old database", built("2026-11-16T23:00:00Z"), Stale, "the database is 121 hours old, and 120 are allowed"),
        ("at the limit", built("2026-11-17T00:00:00Z"), Stale, "the database is 120 hours old"),
        ("just within", built("2026-11-17T00:00:01Z"), Pass, ""),
        ("to come", built("2026-11-22T00:06:00Z"), Inconclusive, "the database is of 2026-11-22T00:06:00Z"),
        ("undated", Sample::passing().without("/descriptor/db/status/built"), Inconclusive, "when it was built"),
        ("none", Sample::passing().without("/descriptor/db"), Inconclusive, "does not name its database"),
        ("invalid", Sample::passing().with("/descriptor/db/status/valid", json!(false)), Inconclusive, "not valid"),
        ("unsaid", Sample::passing().without("/descriptor/db/status/valid"), Inconclusive, "not valid"),
        (
            "with an error",
            Sample::passing().with("/descriptor/db/status/error", json!("built 5 days ago")),
            Inconclusive,
            "not valid: built 5 days ago",
        ),
        ("an old report", taken("2026-11-15T00:00:00Z"), Stale, "the report is 168 hours old"),
        ("in local time", taken("2026-11-21T23:00:00.123456789+01:00"), Pass, ""),
        ("of the future", taken("2026-11-22T00:05:01Z"), Inconclusive, "yet to come"),
        ("clocks apart", taken("2026-11-22T00:05:00Z"), Pass, ""),
        ("undated report", Sample::passing().without("/descriptor/timestamp"), Inconclusive, "when it was made"),
        ("dated wrongly", taken("yesterday"), Inconclusive, "when it was made"),
        (
            "an old provider",
            captured(json!("2026-11-08T00:00:00Z")),
            Stale,
            "what the database has of `kev` is 336 hours",
        ),
        ("an undated provider", captured(json!(null)), Inconclusive, "when `kev` was captured"),
        ("a provider to come", captured(json!("2027-01-01T00:00:00Z")), Inconclusive, "yet to come"),
        ("version 5", flat(json!({"error": null})), Pass, ""),
        ("version 5, with an error", flat(json!({"error": "x"})), Inconclusive, "not valid: x"),
        ("version 5, old", flat(json!({"built": "2026-11-01T00:00:00Z"})), Stale, "the database is 504 hours old"),
        ("version 5 tells of nothing exploited", flat(json!({})).under("{}"), Inconclusive, "nothing of `kev`"),
        // What is known to fail does so however old it is.
        ("old and failing", Sample::new().at("2027-11-22T00:00:00Z"), Fail, "CVE-2026-0001"),
    ]);
}

#[test]
fn what_could_not_be_found_is_no_pass() {
    let empty = || Sample::passing().with("/matches", json!([]));
    let nameless = || empty().with("/distro", json!({"name": "", "version": "", "idLike": null}));
    let of = |name: &str| empty().with("/distro", json!({"name": name, "version": "1", "idLike": null}));
    expect([
        ("nothing found", empty(), Pass, ""),
        ("nothing found, no SBOM", empty().without_sbom(), Inconclusive, "said by the SBOM"),
        ("something found, no SBOM", Sample::passing().without_sbom(), Pass, ""),
        (
            "its packages gone",
            empty().holding(&["npm"]),
            Inconclusive,
            "debian 12 is recognised and none of its packages",
        ),
        ("another's packages", empty().holding(&["deb", "rpm"]), Inconclusive, "nothing of type rpm is looked up"),
        ("its name gone", nameless(), Inconclusive, "packages of type deb and no distribution"),
        ("its name gone, found", Sample::passing().with("/distro", json!(null)), Inconclusive, "no distribution"),
        ("no packages at all", nameless().holding(&[]), Inconclusive, "no package is found"),
        ("a single program", nameless().holding(&[]).under("withoutPackages: accept"), Pass, ""),
        ("no packages, no SBOM", nameless().without_sbom(), Inconclusive, "said by the SBOM"),
        (
            "no packages, no SBOM, accepted",
            nameless().without_sbom().under("withoutPackages: accept"),
            Inconclusive,
            "said by the SBOM",
        ),
        ("Python alone", nameless().holding(&["python"]), Pass, ""),
        ("an unknown distribution", of("linuxmint"), Inconclusive, "distribution linuxmint 1"),
        ("one without data", of("ubuntu"), Inconclusive, "the database has nothing of `ubuntu`"),
        (
            "no advisories of languages",
            Sample::passing().without("/descriptor/db/providers/github"),
            Inconclusive,
            "nothing of `github`, which packages of type npm need",
        ),
        ("no list of exploited", Sample::passing().without("/descriptor/db/providers/kev"), Inconclusive, "of `kev`"),
        (
            "no probabilities",
            Sample::passing().without("/descriptor/db/providers/epss").under("failOn: {epss: 0.9}"),
            Inconclusive,
            "of `epss`",
        ),
        (
            "end of life is not told",
            Sample::passing().without("/descriptor/configuration/alerts").under("failOn: {endOfLife: true}"),
            Inconclusive,
            "`failOn.endOfLife`",
        ),
        (
            "end of life",
            Sample::passing()
                .with("/alertsByPackage", json!([{"package": {}, "alerts": [{"type": "distro-eol", "message": "x"}]}]))
                .under("failOn: {endOfLife: true}"),
            Fail,
            "1 packages are of a distribution that gets no fixes any more",
        ),
    ]);
}

#[test]
fn a_report_of_something_else_says_nothing() {
    let digest = Sample::new().digest().to_owned();
    let other = format!("sha256:{}", "0".repeat(64));
    let target = |key: &str, value: Value| Sample::passing().with(&format!("/source/target/{key}"), value);
    let directory = Sample::passing().with("/source", json!({"type": "directory", "target": "/"}));
    expect([
        (
            "a replayed report",
            Sample::passing().asked_for(&other, "linux/amd64"),
            Inconclusive,
            "the report is of sha256:",
        ),
        (
            "a failing one, too",
            Sample::new().asked_for(&other, "linux/amd64"),
            Inconclusive,
            "the report is of sha256:",
        ),
        (
            "another platform",
            Sample::passing().asked_for(&digest, "linux/arm64"),
            Inconclusive,
            "is of linux/amd64, not",
        ),
        ("a variant", Sample::passing().asked_for(&digest, "linux/amd64/v3"), Pass, ""),
        ("another name of it", Sample::passing().on("x86_64"), Pass, ""),
        (
            "another name of another",
            Sample::passing().on("aarch64"),
            Inconclusive,
            "is of linux/arm64, not of linux/amd64",
        ),
        (
            "no architecture",
            Sample::passing().asked_for(&digest, "linux"),
            Inconclusive,
            "is of linux/amd64, not of linux",
        ),
        ("a daemon's manifest", target("manifestDigest", other.as_str().into()), Inconclusive, "container daemon"),
        ("another configuration", target("imageID", other.as_str().into()), Inconclusive, "does not hold"),
        ("a changed configuration", target("config", "e30=".into()), Inconclusive, "does not hold"),
        ("no manifest", target("manifest", json!(null)), Inconclusive, "does not hold"),
        ("a manifest that is no base64", target("manifest", "{}".into()), Inconclusive, "does not hold"),
        // By the bytes alone, whatever names they go by.
        ("by tag", target("userInput", "busybox:1".into()).with("/source/target/repoDigests", json!([])), Pass, ""),
        ("by Docker Hub's", target("userInput", "index.docker.io/library/busybox".into()), Pass, ""),
        ("a folder", directory, Inconclusive, "a source of type `directory`"),
        ("an SBOM", target("x", json!(1)).with("/source/type", "sbom-file".into()), Inconclusive, "type `sbom-file`"),
        ("nothing", Sample::passing().with("/source", json!(null)), Inconclusive, "type `nothing`"),
    ]);
}

#[test]
fn limits_hold_for_what_a_report_says_and_for_what_it_leaves_open() {
    let severity = |word: Value| Sample::of_one(|found| found["vulnerability"]["severity"] = word);
    let fix = |word: &'static str, grade: &'static str| {
        Sample::of_one(move |found| {
            found["vulnerability"]["fix"] = json!({"state": word, "versions": []});
            found["vulnerability"]["severity"] = grade.into();
        })
    };
    expect([
        ("critical", severity("Critical".into()), Fail, "critical and above fail;"),
        ("in small letters", severity("critical".into()), Fail, "critical and above fail;"),
        ("high with a fix", severity("High".into()), Fail, "high and above fail where a fix exists;"),
        ("medium", severity("Medium".into()), Pass, ""),
        ("negligible", severity("Negligible".into()), Pass, ""),
        (
            "negligible, where that fails",
            severity("Negligible".into()).under("failOn: {severity: negligible}"),
            Fail,
            "CVE",
        ),
        ("unknown", severity("Unknown".into()), Fail, "as which an unknown severity counts"),
        ("absent", severity(json!(null)), Fail, "as which an unknown severity counts"),
        ("a new word", severity("Apocalyptic".into()), Fail, "as which an unknown severity counts"),
        ("unknown counts as told", severity("Unknown".into()).under("unknown: {severity: low}"), Pass, ""),
        (
            "unknown, but graded elsewhere",
            Sample::of_one(|found| {
                found["vulnerability"]["severity"] = "Unknown".into();
                found["relatedVulnerabilities"][0]["severity"] = "Low".into();
            }),
            Pass,
            "",
        ),
        ("high without a fix", fix("not-fixed", "High"), Pass, ""),
        ("high that will not be fixed", fix("wont-fix", "High"), Pass, ""),
        ("high, and nobody says", fix("unknown", "High"), Fail, "or where nobody says"),
        ("high, and nothing is said", fix("", "High"), Fail, "or where nobody says"),
        ("as told", fix("", "High").under("unknown: {fixState: not-fixed}"), Pass, ""),
        ("critical without a fix", fix("not-fixed", "Critical"), Fail, "there is no fix: use another package"),
        ("no limits", severity("Critical".into()).under("failOn: {severity: null, severityFixed: null}"), Pass, ""),
    ]);
}

#[test]
fn what_is_likely_to_be_exploited_fails_however_mild_it_is_called() {
    let likely = |value: Value| {
        Sample::of_one(move |found| {
            found["vulnerability"]["severity"] = "Low".into();
            found["vulnerability"]["epss"] = json!([{"cve": "CVE-2026-0001", "epss": value}]);
        })
    };
    let scored = |score: f64| {
        Sample::of_one(move |found| {
            found["vulnerability"]["severity"] = "Low".into();
            found["vulnerability"]["cvss"] =
                json!([{"metrics": {"baseScore": 1.0}}, {"metrics": {"baseScore": score}}]);
        })
    };
    let exploited = || {
        Sample::of_one(|found| {
            found["vulnerability"]["severity"] = "Low".into();
            found["relatedVulnerabilities"][0]["knownExploited"] = json!([{"cve": "CVE-2026-0001"}]);
        })
    };
    expect([
        ("likely", likely(json!(0.5)).under("failOn: {epss: 0.5}"), Fail, "its EPSS probability 0.5 reaches 0.5"),
        ("likely, as a text", likely(json!("0.5")).under("failOn: {epss: 0.5}"), Fail, "its EPSS probability 0.5"),
        ("unlikely", likely(json!(0.49)).under("failOn: {epss: 0.5}"), Pass, ""),
        ("scored", scored(9.1).under("failOn: {cvss: 9}"), Fail, "its CVSS score 9.1 reaches 9"),
        ("scored low", scored(8.9).under("failOn: {cvss: 9}"), Pass, ""),
        ("exploited", exploited(), Fail, "it is known to be exploited"),
        ("exploited, and let through", exploited().under("failOn: {knownExploited: false}"), Pass, ""),
    ]);
}

#[test]
fn lists_and_exceptions_hold_for_what_they_name() {
    let digest = Sample::new().digest().to_owned();
    let openssl = || Sample::of_one(|_| {});
    let excepted = |binding: &str, until: &str| {
        openssl().under(&format!("exceptions: [{{{binding}, owner: o, reason: r, expires: {until}}}]"))
    };
    let till = "2026-11-22T00:00:01Z";
    let owned = |binding: String| excepted(&binding, till);
    expect([
        ("allowed", openssl().under("allow: [cve-2026-0001]"), Pass, ""),
        ("denied", openssl().under("deny: [CVE-2026-0001]"), Fail, "it is in `deny`"),
        ("denied though mild", Sample::passing().under("deny: [CVE-2026-0002]"), Fail, "it is in `deny`"),
        (
            "denied and allowed",
            openssl().under("deny: [CVE-2026-0001]\nallow: [CVE-2026-0001]"),
            Fail,
            "it is in `deny`",
        ),
        (
            "by its other name",
            Sample::new().under("deny: [CVE-2026-0003]\nallow: [CVE-2026-0001]"),
            Fail,
            "it is in `deny`",
        ),
        ("allowed by its other name", Sample::new().under("allow: [CVE-2026-0001, CVE-2026-0003]"), Pass, ""),
        ("excepted", owned("vulnerability: CVE-2026-0001".into()), Excepted, "excepted until 2026-11-22T00:00:01Z"),
        (
            "its last moment is over",
            excepted("vulnerability: CVE-2026-0001", "2026-11-22T00:00:00Z"),
            Fail,
            "CVE-2026-0001",
        ),
        ("by package", owned("package: openssl".into()), Excepted, "excepted until"),
        ("by digest", owned(format!("digest: '{digest}'")), Excepted, "excepted until"),
        ("another package", owned("package: libssl".into()), Fail, "CVE-2026-0001"),
        ("another digest", owned(format!("digest: 'sha256:{}'", "0".repeat(64))), Fail, "CVE-2026-0001"),
        ("another vulnerability", owned("vulnerability: CVE-2026-0002".into()), Fail, "CVE-2026-0001"),
        (
            "two bindings, one fits",
            owned("package: openssl, vulnerability: CVE-2026-0002".into()),
            Fail,
            "CVE-2026-0001",
        ),
        (
            "denied and excepted",
            {
                let exception = format!("exceptions: [{{package: openssl, owner: o, reason: r, expires: {till}}}]");
                openssl().under(&format!("deny: [CVE-2026-0001]\n{exception}"))
            },
            Fail,
            "it is in `deny`",
        ),
    ]);
    let verdict = excepted("package: openssl", till).verdict();
    assert_eq!(verdict.until, Some(till.parse().unwrap()), "an exception's end is the verdict's");
    assert!(!verdict.admits(till.parse().unwrap()));
}

#[test]
fn an_advisory_of_several_vulnerabilities_is_not_allowed_by_one_of_them() {
    let two = || {
        Sample::of_one(|found| {
            found["vulnerability"]["id"] = "GHSA-xxxx-yyyy-zzzz".into();
            let related = |id: &str| json!({"id": id, "namespace": "nvd:cpe", "severity": "Critical"});
            found["relatedVulnerabilities"] = json!([related("CVE-2026-0001"), related("CVE-2026-0009")]);
        })
    };
    expect([
        ("one", two().under("allow: [CVE-2026-0001]"), Fail, "GHSA-xxxx-yyyy-zzzz"),
        ("both", two().under("allow: [CVE-2026-0001, CVE-2026-0009]"), Pass, ""),
        ("itself", two().under("allow: [GHSA-xxxx-yyyy-zzzz]"), Pass, ""),
        ("one denied", two().under("deny: [CVE-2026-0009]"), Fail, "it is in `deny`"),
    ]);
}

#[test]
fn what_is_found_in_many_places_is_told_once_and_what_names_hold_is_harmless() {
    let mut many = Sample::of_one(|_| {});
    let found: Value = serde_json::from_str(&many.text()).unwrap();
    many = many.with("/matches", Value::Array(vec![found["matches"][0].clone(); 1000]));
    assert_eq!(many.verdict().grounds.len(), 1);
    let odd = Sample::of_one(|found| {
        found["artifact"]["version"] = "17.0.10+7\u{0}-J-ms8m\u{1b}[2J".into();
        found["artifact"]["name"] = "n".repeat(1 << 20).into();
    });
    let verdict = odd.verdict();
    let ground = verdict.grounds.first().unwrap();
    assert!(ground.len() < 1000 && !ground.contains(char::is_control), "{ground:?}");
    assert!(ground.contains("17.0.10+7-J-ms8m[2J"), "{ground}");
}

/// Texts of the image and of the report are anybody's, and stand in what people read.
#[test]
fn what_a_report_says_reaches_people_as_short_lines() {
    let odd = format!("odd\u{1b}[2J\n\u{0}\u{202e}{}", "x".repeat(1 << 20));
    let of = |pointer: &str| Sample::passing().with(pointer, odd.clone().into());
    let provider = format!("/descriptor/db/providers/{}", odd.replace('/', ""));
    let image = "/source/target";
    for (what, sample, says) in [
        ("distribution", of("/distro/name"), "nothing is known of the vulnerabilities of the distribution odd[2J"),
        ("version", of("/distro/version").holding(&["rpm"]), "debian odd[2J"),
        ("source", of("/source/type"), "the report is of a source of type `odd[2J"),
        ("manifest", of(&format!("{image}/manifestDigest")), "the report is of odd[2J"),
        ("platform", Sample::passing().on(&odd), "the report is of no platform that has a name"),
        ("database", of("/descriptor/db/status/error"), "the database is not valid: odd[2J"),
        ("provider", Sample::passing().with(&provider, serde_json::json!({})), "does not say when `odd[2J"),
        ("key", of(&format!("/descriptor/configuration/{odd}")), "`odd[2J"),
    ] {
        let grounds = sample.verdict().grounds;
        let is_odd = |c: char| c.is_control() || c == '\u{202e}';
        assert!(grounds.iter().any(|ground| ground.contains(says)), "{what}: {grounds:?}");
        assert!(grounds.iter().all(|ground| ground.chars().count() <= 2048 && !ground.contains(is_odd)), "{what}");
    }
}

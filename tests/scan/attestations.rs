//! Scans that others signed: which count, what follows from them, and what is passed over.

use flamewarden::model::ScanOutcome::{self, Excepted, Fail, Inconclusive, Pass, Stale};
use flamewarden::model::{ImageRef, Verdict};
use flamewarden::policy::ScanPolicy;
use flamewarden::scan::{Beside, Signature, Subject, trust};
use serde_json::{Value, json};

use crate::attested::{COSIGN, VULNS, believing, found, graded, list, statement, statement_of, subject, verdict};
use crate::sample::{NOW, Sample};
use crate::signer::{Attached, BUNDLE, STATEMENT, Signer, views};

/// A whole report, as `cosign attest --type vuln` has it.
fn report(sample: &Sample) -> Value {
    let report: Value = serde_json::from_str(&sample.text()).unwrap();
    json!({
        "invocation": {"parameters": [], "uri": "", "event_id": "", "builder.id": ""},
        "scanner": {"uri": "pkg:github/anchore/grype", "version": "", "db": {"uri": "", "version": ""}, "result": report},
        "metadata": {"scanStartedOn": "2026-11-21T23:20:00Z", "scanFinishedOn": "2026-11-21T23:30:00Z"},
    })
}

#[test]
fn a_whole_report_that_was_signed_is_judged_as_one_s_own() {
    let ci = Signer::new("ci");
    let sbom = |sample: &Sample| ci.attests(&statement("https://cyclonedx.org/bom", sample.sbom().unwrap().clone()));
    let without = |sample: Sample| (sample.clone().without_sbom(), vec![]);
    let with = |sample: Sample| (sample.clone(), vec![sbom(&sample)]);
    let samples = [
        ("failing", with(Sample::new())),
        ("passing", with(Sample::passing())),
        ("nothing shows the packages", without(Sample::passing().with("/matches", json!([])))),
        ("an SBOM shows them", with(Sample::passing().with("/matches", json!([])))),
        ("suppressed", with(Sample::passing().with("/descriptor/configuration/only-fixed", json!(true)))),
        ("without settings", with(Sample::passing().without("/descriptor/configuration"))),
        ("an old database", with(Sample::passing().with("/descriptor/db/status/built", json!("2026-11-01T00:00:00Z")))),
        ("of another image", with(Sample::passing().with("/source/target/manifestDigest", json!("sha256:00")))),
        ("excepted", with(Sample::new().under(
            "exceptions: [{package: openssl, owner: o, reason: r, expires: 2026-12-01T00:00:00Z}, {package: lodash, owner: o, reason: r, expires: 2026-11-23T00:00:00Z}]",
        ))),
    ];
    let mut outcomes = Vec::new();
    for (what, (sample, more)) in samples {
        let own = sample.verdict();
        for attested in
            [ci.attests(&statement(COSIGN, report(&sample))), ci.attests(&statement(VULNS, report(&sample))).bundled()]
        {
            let attached: Vec<Attached> = [attested].into_iter().chain(more.clone()).collect();
            let trust = found(&attached, &believing(&[&ci], sample.policy()), NOW);
            assert_eq!(verdict(&trust), &own, "{what}");
            assert_eq!(trust.attested.unwrap().by, "ci");
        }
        outcomes.push(own.outcome);
    }
    assert_eq!(outcomes, [Fail, Pass, Inconclusive, Pass, Inconclusive, Inconclusive, Stale, Inconclusive, Excepted]);
    // A report may have been attested long after it was made, or claim so: whichever is older counts.
    let mut late = report(&Sample::passing());
    late["metadata"]["scanFinishedOn"] = json!("2026-11-10T00:00:00Z");
    let attached = [ci.attests(&statement(COSIGN, late)), sbom(&Sample::passing())];
    assert_eq!(verdict(&found(&attached, &believing(&[&ci], "{}"), NOW)).outcome, Stale);
    let later = [ci.attests(&statement(COSIGN, report(&Sample::passing()))), sbom(&Sample::passing())];
    assert_eq!(verdict(&found(&later, &believing(&[&ci], "{}"), "2026-11-29T00:00:00Z")).outcome, Stale);
}

#[test]
fn one_signature_of_several_is_enough_and_one_subject_of_several() {
    let (ci, other) = (Signer::new("ci"), Signer::new("other"));
    let mut several = statement(VULNS, list(json!([])));
    let elsewhere = json!({"name": "elsewhere", "digest": {"sha256": "b".repeat(64)}});
    several["subject"].as_array_mut().unwrap().insert(0, elsewhere);
    several["_type"] = json!("https://in-toto.io/Statement/v0.1");
    let text = several.to_string();
    let (theirs, ours) = (other.over(STATEMENT, &text), ci.over(STATEMENT, &text));
    let attested = Attached::envelope(STATEMENT, &text, &["AA==", &theirs, &ours]);
    let trust = found(&[attested], &believing(&[&ci], "{}"), NOW);
    assert_eq!((trust.attested.unwrap().by.as_str(), trust.passed_over), ("ci", vec![]));
    // A profile's key counts in that profile.
    assert_eq!(found(&[ci.attests(&several)], &believing(&[&other], "{}"), NOW).attested, None);
}

#[test]
fn what_a_key_signed_last_counts_and_of_several_keys_what_fails() {
    let (ci, lab) = (Signer::new("ci"), Signer::new("lab"));
    let at = |signer: &Signer, hour: &str, found: Value| {
        let mut list = list(found);
        list["metadata"]["scanFinishedOn"] = json!(format!("2026-11-21T{hour}:00:00Z"));
        signer.attests(&statement(VULNS, list))
    };
    let (clean, bad) = (json!([]), json!([graded("CVE-2026-0001", "critical")]));
    let undated = {
        let mut list = list(bad.clone());
        list["metadata"] = json!({});
        ci.attests(&statement(VULNS, list))
    };
    let both = believing(&[&ci, &lab], "{}");
    for (what, attached, by, outcome) in [
        ("found clean later", vec![at(&ci, "20", bad.clone()), at(&ci, "21", clean.clone())], "ci", Pass),
        ("found bad later", vec![at(&ci, "21", bad.clone()), at(&ci, "20", clean.clone())], "ci", Fail),
        ("at once", vec![at(&ci, "20", clean.clone()), at(&ci, "20", bad.clone())], "ci", Fail),
        ("at once, the other way round", vec![at(&ci, "20", bad.clone()), at(&ci, "20", clean.clone())], "ci", Fail),
        ("nobody knows when", vec![undated, at(&ci, "20", clean.clone())], "ci", Pass),
        ("by another earlier", vec![at(&lab, "19", bad.clone()), at(&ci, "20", clean.clone())], "lab", Fail),
        ("by another later", vec![at(&ci, "20", clean), at(&lab, "21", bad)], "lab", Fail),
    ] {
        let attested = found(&attached, &both, NOW).attested.unwrap();
        assert_eq!((attested.by.as_str(), attested.verdict.outcome), (by, outcome), "{what}");
    }
    // Of several scanners in one attestation likewise.
    let mut predicate = list(json!([]));
    let scanner = predicate["scanner"].take();
    let mut failing = scanner.clone();
    failing["result"] = json!([graded("CVE-2026-0001", "critical")]);
    let several = json!({"scanners": [scanner, failing], "metadata": predicate["metadata"]});
    let trust = found(&[ci.attests(&statement(COSIGN, several))], &both, NOW);
    assert_eq!(verdict(&trust).outcome, Fail);
}

#[test]
fn an_attested_scan_counts_like_one_s_own_and_an_unsigned_image_does_not_run() {
    let (ci, release) = (Signer::new("ci"), Signer::new("release"));
    let mut policy = believing(&[&ci], "{}");
    let of = |found: Value| ci.attests(&statement(VULNS, list(found)));
    let (clean, bad) = (of(json!([])), of(json!([graded("CVE-2026-0001", "critical")])));
    let open = of(json!([graded("CVE-2026-0001", "low")]));
    let own = |outcome| Some(Verdict::new(outcome, vec!["own".to_owned()], None));
    for (attached, given, want, spares) in [
        (&clean, None, Some(Pass), true),
        (&clean, own(Stale), Some(Pass), true),
        (&clean, own(Fail), Some(Fail), true),
        (&bad, own(Pass), Some(Fail), true),
        (&open, None, Some(Inconclusive), false),
        (&open, own(Pass), Some(Pass), false),
        (&open, own(ScanOutcome::ScanError), Some(Inconclusive), false),
    ] {
        let trust = found(std::slice::from_ref(attached), &policy, NOW);
        assert_eq!(trust.verdict(given.clone()).map(|verdict| verdict.outcome), want, "{given:?}");
        assert_eq!(trust.spares_a_scan(), spares, "{given:?}");
    }
    let none = found(&[], &policy, NOW);
    assert_eq!((none.verdict(own(Pass)), none.verdict(None), none.spares_a_scan()), (own(Pass), None, false));
    policy.image_signature = Some(serde_json::from_value(json!({"keys": [release.key()]})).unwrap());
    let signature = release.signs(&json!({"critical": {
        "identity": {"docker-reference": "harbor.example/node-1/analysis"},
        "image": {"docker-manifest-digest": subject().digest},
        "type": "cosign container image signature",
    }, "optional": null}));
    let unsigned = found(std::slice::from_ref(&clean), &policy, NOW);
    for given in [None, own(Pass), own(Fail)] {
        let verdict = unsigned.verdict(given).unwrap();
        assert_eq!((verdict.outcome, verdict.until, verdict.graceless), (Fail, None, true));
        assert!(verdict.grounds[0].starts_with("the image has no signature by `release`"), "{verdict:?}");
        assert!(!verdict.admits(NOW.parse().unwrap()));
    }
    assert_eq!(unsigned.verdict(own(Fail)).unwrap().grounds.last().unwrap(), "own");
    let signed = found(&[clean, signature], &policy, NOW);
    assert_eq!(signed.signature, Signature::By("release".to_owned()));
    assert_eq!(signed.verdict(None).map(|verdict| verdict.outcome), Some(Pass));
}

#[test]
fn who_may_push_cannot_hide_what_counts_among_much_else_without_being_told_of() {
    let (ci, other) = (Signer::new("ci"), Signer::new("other"));
    let mut attached: Vec<Attached> =
        (0..64).map(|number| other.attests(&statement(&format!("{VULNS}-{number}"), json!({})))).collect();
    attached.push(ci.attests(&statement(VULNS, list(json!([])))));
    let trust = found(&attached, &believing(&[&ci], "{}"), NOW);
    let told = ["none of the keys signed it", "65 are attached, of which the first 64 are looked at"];
    assert_eq!((trust.attested, trust.passed_over), (None, told.map(str::to_owned).to_vec()));
    let reasons: Vec<Attached> =
        (0..9).map(|number| ci.attests(&statement(&format!("x-{number}"), json!({})))).collect();
    let told = found(&reasons, &believing(&[&ci], "{}"), NOW).passed_over;
    assert_eq!((told.len(), told.last().map(String::as_str)), (7, Some("3 more do not count")));
}

/// sigstore/sigstore-conformance, `test/assets/bundle-verify/intoto-canonical-log-entry`: a bundle by a key, with its
/// entry in a log left out.
#[test]
fn a_bundle_that_others_published_is_opened_by_its_key() {
    let payload = "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJuYW1lIjoiYS50eHQiLCJkaWdlc3QiOnsic2hhMjU2IjoiYTBjZmM3MTI3MWQ2ZTI3OGU1N2NkMzMyZmY5NTdjM2Y3MDQzZmRkYTM1NGM0Y2JiMTkwYTMwZDU2ZWZhMDFiZiJ9fV0sInByZWRpY2F0ZVR5cGUiOiJodHRwczovL2V4YW1wbGUuY29tL3Rlc3QiLCJwcmVkaWNhdGUiOnt9fQ==";
    let bundle = json!({
        "mediaType": BUNDLE,
        "verificationMaterial": {
            "publicKey": {"hint": "rJuYlKqs5PMzdPzjkZBg4BveZRpD97PBnngUXPZSlr8="},
            "tlogEntries": [], "timestampVerificationData": {"rfc3161Timestamps": []},
        },
        "dsseEnvelope": {"payload": payload, "payloadType": STATEMENT, "signatures": [{
            "sig": "MEUCIBb8Pe4/Z0vKtXSvAHV6pcC1F3eTwCZnVejwWERFVwKeAiEAre6v18YSEs3mKaeMgE8Ti0l62CzT5yZvwfGiVd1eTIw=",
            "keyid": "",
        }]},
    });
    let key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7pBlkILi/WN1X8FiQTlZBK2/GlQD\nOl9bn1iDaSE8B5Eu+uccNndQid2Nmgp8mrTWhT2XhZbshUGMDSDx/6jwvw==\n-----END PUBLIC KEY-----\n";
    let policy: ScanPolicy =
        serde_json::from_value(json!({"attestations": {"keys": [{"name": "theirs", "publicKey": key}]}})).unwrap();
    let told = |digest: &str| {
        let attached = [Attached::of(BUNDLE, bundle.to_string())];
        let subject = Subject { digest: digest.to_owned(), platform: None };
        let image = ImageRef::parse("harbor.example/a").unwrap();
        let attached = views(&attached);
        let places = [Beside { digest, attached: &attached }];
        trust(&places, &subject, &image, &policy, NOW.parse().unwrap()).passed_over.join("")
    };
    let theirs = "sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf";
    assert_eq!(
        told(theirs),
        "what `theirs` signed says nothing of vulnerabilities: its predicate is `https://example.com/test`"
    );
    assert_eq!(told(&subject().digest), format!("what `theirs` signed is of {theirs}, not of {}", subject().digest));
}

#[test]
fn what_is_attested_of_an_index_says_nothing_of_an_image_in_it() {
    let ci = Signer::new("ci");
    let (subject, policy) = (subject(), believing(&[&ci], "{}"));
    let index = format!("sha256:{}", "b".repeat(64));
    let image = ImageRef::parse("harbor.example/node-1/analysis:1").unwrap();
    let passes = |digest: &str| vec![ci.attests(&statement_of(digest, VULNS, list(json!([]))))];
    let found = |beside_it: &[Attached], beside_index: &[Attached]| {
        let (manifest, listed) = (views(beside_it), views(beside_index));
        let places =
            [Beside { digest: &subject.digest, attached: &manifest }, Beside { digest: &index, attached: &listed }];
        trust(&places, &subject, &image, &policy, NOW.parse().unwrap())
            .attested
            .map(|attested| attested.verdict.outcome)
    };
    assert_eq!(found(&passes(&subject.digest), &[]), Some(Pass));
    assert_eq!(found(&passes(&index), &[]), None);
    assert_eq!(found(&[], &passes(&index)), None);
    assert_eq!(found(&[], &passes(&subject.digest)), None);
}

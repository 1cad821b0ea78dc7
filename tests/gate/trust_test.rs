//! What others say of images: whose scans count, what runs where a signature is asked for, and what the Hub approved.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::gate::{Gate, debian_for, gate};
use crate::hub::NODE;
use crate::image::{Content, Image, beside, index};
use crate::shared::run;
use crate::signer::{Attached, ENVELOPE, Signer};

const SIGNATURE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

#[test]
fn a_scan_that_a_known_key_attested_counts_and_no_other_does() {
    run(async {
        let gate = gate().await;
        let (ci, stranger) = (Signer::new("ci"), Signer::new("stranger"));
        let changed = gate.changed(&format!("{ALONE}    attestations: {{keys: [{}]}}\n", ci.key())).await;
        // Grype cannot tell of these by itself: they have no packages.
        let [vouched, foreign, replayed] = ["vouched", "foreign", "replayed"].map(empty);
        let warned = debian_for("linux/amd64", "warned", "3.0.12-1");
        let nothing = json!([]);
        let critical = json!([{"id": "CVE-2026-0009", "severity": [{"method": "nvd", "score": "critical"}]}]);
        let mut names = Vec::new();
        for (id, image, attested) in [
            ("vouched", &vouched, ci.attests(&scanned(&vouched, &nothing))),
            ("foreign", &foreign, stranger.attests(&scanned(&foreign, &nothing))),
            ("replayed", &replayed, ci.attests(&scanned(&vouched, &nothing))),
            ("warned", &warned, ci.attests(&scanned(&warned, &critical))),
        ] {
            let name = gate.registry.push(&format!("node/{id}"), image).await;
            attach(gate, id, &image.manifest, "att", &attested).await;
            gate.deployment("gate-a", id, &name).await.unwrap();
            names.push(name);
        }
        let [vouched_name, foreign_name, replayed_name, warned_name] = names.try_into().unwrap();

        gate.verdict(&vouched_name, ANALYSIS, "pass").await;
        // Whoever believes nobody knows no more than Grype.
        gate.verdict(&vouched_name, GATEWAY, "inconclusive").await;
        gate.runs("gate-a", "vouched").await;
        gate.admitted("gate-a", "vouched-too", &vouched_name).await;

        for (id, image, told) in [
            ("foreign", &foreign_name, "does not count: none of the keys signed it".to_owned()),
            (
                "replayed",
                &replayed_name,
                format!("what `ci` signed is of {}, not of {}", vouched.manifest.digest(), replayed.manifest.digest()),
            ),
        ] {
            let verdict = gate.verdict(image, ANALYSIS, "inconclusive").await;
            let grounds = verdict["grounds"].as_array().unwrap();
            assert!(grounds.iter().any(|ground| ground.as_str().unwrap().contains(&told)), "{id}: {verdict}");
            let refused = gate.pod("gate-a", &format!("{id}-too"), image).await.unwrap_err();
            assert!(refused.message.contains("image-scan"), "{}", refused.message);
        }

        let verdict = gate.verdict(&warned_name, ANALYSIS, "fail").await;
        assert!(verdict["grounds"][0].as_str().unwrap().starts_with("CVE-2026-0009 (critical)"), "{verdict}");
        gate.verdict(&warned_name, GATEWAY, "pass").await;
        gate.refused("gate-a", "warned-too", &warned_name, "CVE-2026-0009 (critical)").await;
        drop(changed);
    });
}

#[test]
fn nothing_runs_unsigned_where_a_signature_is_asked_for_until_it_is_signed() {
    run(async {
        let gate = gate().await;
        let (release, stranger) = (Signer::new("release"), Signer::new("stranger"));
        let changed = gate.changed(&format!("{ALONE}    imageSignature: {{keys: [{}]}}\n", release.key())).await;
        let [signed, late, forged, copied] =
            ["signed", "late", "forged-signature", "copied"].map(|id| debian_for("linux/amd64", id, "3.0.12-1"));
        let holed = debian_for("linux/amd64", "signed-holed", "3.0.11-1");
        let mut names = Vec::new();
        for (id, image, signature) in [
            ("signed", &signed, Some(release.signs(&payload(gate, "signed", &signed.manifest)))),
            ("late", &late, None),
            ("forged-signature", &forged, Some(stranger.signs(&payload(gate, "forged-signature", &forged.manifest)))),
            // The signature of another image of the same repository.
            ("copied", &copied, Some(release.signs(&payload(gate, "copied", &signed.manifest)))),
            ("signed-holed", &holed, Some(release.signs(&payload(gate, "signed-holed", &holed.manifest)))),
        ] {
            let name = gate.registry.push(&format!("node/{id}"), image).await;
            if let Some(signature) = signature {
                attach(gate, id, &image.manifest, "sig", &signature).await;
            }
            gate.deployment("gate-b", id, &name).await.unwrap();
            names.push(name);
        }
        let [signed_name, late_name, forged_name, copied_name, holed_name] = names.try_into().unwrap();

        gate.verdict(&signed_name, ANALYSIS, "pass").await;
        gate.runs("gate-b", "signed").await;
        for (id, image, told) in [
            ("late", &late_name, "no signature by `release`".to_owned()),
            ("forged", &forged_name, "a signature is by none of the keys".to_owned()),
            ("copied", &copied_name, format!("`release` signed {}, not this image", signed.manifest.digest())),
        ] {
            let verdict = gate.verdict(image, ANALYSIS, "fail").await;
            let grounds = verdict["grounds"].as_array().unwrap();
            assert!(grounds.iter().any(|ground| ground.as_str().unwrap().contains(&told)), "{id}: {verdict}");
            // Its scan passes.
            gate.verdict(image, GATEWAY, "pass").await;
            gate.refused("gate-b", &format!("{id}-too"), image, "has no signature by `release` over sha256:").await;
        }
        // Grace is for what scans find.
        let since = async |image: &str| gate.scan(image, |scan| Some(scan["status"]["failedSince"].clone())).await;
        assert_eq!(since(&late_name).await, Value::Null);
        let verdict = gate.verdict(&holed_name, ANALYSIS, "fail").await;
        assert!(since(&holed_name).await.is_string());
        assert!(verdict["grounds"][0].as_str().unwrap().starts_with("CVE-2026-0001 (critical)"), "{verdict}");

        let begun = std::time::Instant::now();
        attach(gate, "late", &late.manifest, "sig", &release.signs(&payload(gate, "late", &late.manifest))).await;
        gate.verdict(&late_name, ANALYSIS, "pass").await;
        println!("known {} ms after it was signed", begun.elapsed().as_millis());
        gate.admitted("gate-b", "late-too", &late_name).await;
        drop(changed);
    });
}

#[test]
fn the_signature_of_an_index_counts_for_the_platforms_that_its_bytes_name() {
    run(async {
        let gate = gate().await;
        let release = Signer::new("release");
        let changed = gate.changed(&format!("{ALONE}    imageSignature: {{keys: [{}]}}\n", release.key())).await;
        let both = |id: &str| ["linux/amd64", "linux/arm64"].map(|platform| debian_for(platform, id, "3.0.12-1"));
        let (whole, copied) = (both("signed-index"), both("copied-index"));
        let signed = index(&[&whole[0], &whole[1]]);
        let mut names = Vec::new();
        for (id, [one, other]) in [("signed-index", &whole), ("copied-index", &copied)] {
            let repository = format!("node/{id}");
            let part = gate.registry.push(&repository, one).await;
            gate.registry.push(&repository, other).await;
            names.push((part, gate.registry.push_manifest(&repository, &index(&[one, other])).await));
            // The signature of another index, or of none.
            let over = if id == "signed-index" { &one.manifest } else { &signed };
            let none = release.signs(&payload(gate, id, over));
            attach(gate, id, &index(&[one, other]), "sig", &none).await;
        }
        let [(part, whole_name), (copied_part, copied_name)] = names.try_into().unwrap();
        // By itself it is not signed; what is beside it does not count.
        gate.deployment("gate-c", "signed-part", &part).await.unwrap();
        let verdict = gate.verdict(&part, ANALYSIS, "fail").await;
        assert_eq!(verdict["graceless"], true, "{verdict}");

        attach(gate, "signed-index", &signed, "sig", &release.signs(&payload(gate, "signed-index", &signed))).await;
        gate.deployment("gate-c", "signed-index", &whole_name).await.unwrap();
        gate.deployment("gate-c", "copied-index", &copied_name).await.unwrap();
        gate.verdict(&part, ANALYSIS, "pass").await;
        gate.runs("gate-c", "signed-index").await;
        gate.admitted("gate-c", "signed-part-too", &part).await;

        let verdict = gate.verdict(&copied_part, ANALYSIS, "fail").await;
        let grounds = verdict["grounds"].as_array().unwrap().iter().map(|ground| ground.as_str().unwrap());
        let told = format!("`release` signed {}, not this image", signed.digest());
        assert!(grounds.clone().any(|ground| ground.contains(&told)), "{verdict}");
        gate.verdict(&copied_part, GATEWAY, "pass").await;
        gate.refused("gate-c", "copied-index-too", &copied_name, "has no signature by `release`").await;
        drop(changed);
    });
}

#[test]
fn what_the_hub_has_not_built_does_not_run_where_its_content_hash_is_asked_for() {
    run(async {
        let gate = gate().await;
        let changed = gate.changed(&format!("{ALONE}    contentHash: hub\n")).await;
        let [approved, other, late, silent] =
            [1, 2, 3, 4].map(|number| format!("55555555-0000-4000-8000-{number:012}"));
        let image = |id: &str| debian_for("linux/amd64", id, "3.0.12-1");
        let configuration = |id: &str| image(id).blobs[0].digest();
        let deployed = async |id: &str| {
            let name = gate.registry.push(&format!("node/{id}"), &image(id)).await;
            gate.deployment("gate-g", id, &name).await.unwrap();
            name
        };
        let told = async |name: &str, outcome: &str, told: &str| {
            let verdict = gate.verdict(name, ANALYSIS, outcome).await;
            assert!(verdict["grounds"][0].as_str().unwrap().contains(told), "{verdict}");
            // Its scan passes.
            gate.verdict(name, GATEWAY, "pass").await;
            gate.refused("gate-g", "too", name, told).await;
        };
        for id in [&approved, &other, &late, &silent] {
            gate.hub.part(id, NODE, None);
        }
        gate.hub.built(&approved, Some(&configuration(&approved)));
        gate.hub.built(&other, Some(&configuration(&approved)));
        gate.hub.built(&late, None);
        gate.hub.built(&silent, Some(&image(&silent).manifest.digest()));

        let approved_name = deployed(&approved).await;
        gate.verdict(&approved_name, ANALYSIS, "pass").await;
        gate.runs("gate-g", &approved).await;
        told(&deployed(&other).await, "fail", "is not the one that the Hub built from the approved code").await;
        told(&deployed("no-analysis").await, "inconclusive", "the Hub approves analyses alone").await;
        let late_name = deployed(&late).await;
        told(&late_name, "inconclusive", "the Hub has recorded no content hash").await;
        gate.hub.built(&late, Some(&configuration(&late)));
        gate.verdict(&late_name, ANALYSIS, "pass").await;

        gate.hub.stop().await;
        let silent_name = deployed(&silent).await;
        told(&silent_name, "inconclusive", "cannot find what the Hub has built").await;
        gate.admitted("gate-g", "approved-before", &approved_name).await;
        gate.hub.start_again().await;
        gate.verdict(&silent_name, ANALYSIS, "pass").await;
        gate.admitted("gate-g", "heard", &silent_name).await;
        drop(changed);
    });
}

impl Gate {
    /// Waits until the verdict under a profile's limits is this one, and gives it.
    async fn verdict(&self, image: &str, profile: &str, outcome: &str) -> Value {
        self.scan(image, |scan| {
            let mut verdicts = scan["status"]["verdicts"].as_array()?.iter();
            // Those under limits that count no longer may stand beside it until it is judged anew.
            verdicts.find(|one| one["profile"] == *profile && one["outcome"] == *outcome).cloned()
        })
        .await
    }
}

/// An image in which nothing is installed.
fn empty(id: &str) -> Image {
    Image::of("linux/amd64", &[("etc/motd", id)])
}

/// A scan of an image that found these, a minute ago.
fn scanned(image: &Image, found: &Value) -> Value {
    let (now, built) = (Timestamp::now(), Timestamp::now() - SignedDuration::from_hours(1));
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a", "digest": {"sha256": image.manifest.digest().trim_start_matches("sha256:")}}],
        "predicateType": "https://in-toto.io/attestation/vulns/v0.2",
        "predicate": {
            "scanner": {
                "uri": "pkg:github/anchore/grype", "version": "0.110.0",
                "db": {"uri": "https://grype.anchore.io", "version": "6", "lastUpdate": built}, "result": found,
            },
            "metadata": {"scanStartedOn": now, "scanFinishedOn": now},
        },
    })
}

/// What cosign signs of an image or an index, as of that repository.
fn payload(gate: &Gate, id: &str, signed: &Content) -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": format!("{}/node/{id}", gate.registry.host)},
            "image": {"docker-manifest-digest": signed.digest()},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
}

/// Pushes something beside an image or an index, as cosign does.
async fn attach(gate: &Gate, id: &str, signed: &Content, ending: &str, attached: &Attached) {
    let media_type = if ending == "sig" { SIGNATURE } else { ENVELOPE };
    let annotations: Vec<(&str, &str)> =
        attached.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let content = beside(media_type, std::str::from_utf8(&attached.content).unwrap(), &annotations);
    let repository = format!("node/{id}");
    gate.registry.push(&repository, &content).await;
    let tag = format!("{}.{ending}", signed.digest().replace(':', "-"));
    gate.registry.tag(&repository, &tag, &content.manifest).await;
}

/// What the gateways' profile does not ask for.
const ALONE: &str = "  # Of analyses alone.\n";
const ANALYSIS: &str = "flame-analysis";
const GATEWAY: &str = "flame-gateway";

//! What runs, and what does not, by what Grype found.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::advisories::advisories;
use crate::caller::PatchKind;
use crate::gate::{SOUND, analysis, debian_for, gate};
use crate::image::{Content, Image, index};
use crate::registry::{PASSWORD, USER};
use crate::shared::{PATIENCE, run, wait_until};

const FAILS: &str = "its scan fails: CVE-2026-0001 (critical) in openssl 3.0.11-1 (deb): critical and above fail; build \
                     the image with 3.0.12-1";
const UNSCANNED: &str = "there is no scan of it yet";

#[test]
fn an_image_runs_once_it_was_scanned_and_one_with_a_hole_never_does() {
    run(async {
        let gate = gate().await;
        let _unchanged = gate.unchanged().await;
        let (good, bad) = (gate.debian("good", "3.0.12-1").await, gate.debian("bad", "3.0.11-1").await);
        gate.refused("gate-a", "early", &good, UNSCANNED).await;

        gate.deployment("gate-a", "good", &good).await.unwrap();
        gate.deployment("gate-a", "bad", &bad).await.unwrap();
        let scan = gate.judged(&good, "pass").await;
        assert_eq!(scan["spec"]["image"], good);
        assert_eq!(scan["status"]["platform"], "linux/amd64");
        let pod = gate.runs("gate-a", "good").await;
        assert_eq!(pod["spec"]["containers"][0]["image"], good);

        let scan = gate.judged(&bad, "fail").await;
        assert!(scan["status"]["failedSince"].is_string(), "{scan}");
        for refused in [
            gate.pod("gate-a", "late", &bad).await.unwrap_err(),
            gate.deployment("gate-a", "late", &bad).await.unwrap_err(),
        ] {
            assert!(refused.message.contains(FAILS), "{}", refused.message);
        }
    });
}

#[test]
fn a_tag_stands_for_what_was_scanned_and_no_longer_once_it_was_moved() {
    run(async {
        let gate = gate().await;
        let _unchanged = gate.unchanged().await;
        let (tag, good) = gate.tagged("moved", "1", "3.0.12-1").await;
        gate.deployment("gate-b", "tag", &tag).await.unwrap();
        let pod = gate.runs("gate-b", "tag").await;
        let digest = good.split_once('@').unwrap().1;
        assert_eq!(pod["spec"]["containers"][0]["image"], format!("{tag}@{digest}"));

        let (_, bad) = gate.tagged("moved", "1", "3.0.11-1").await;
        gate.judged(&bad, "fail").await;
        let told = gate.refused("gate-b", "moved", &tag, "its scan fails").await;
        assert!(told.contains(FAILS), "{told}");
        // What was scanned before is what it was.
        gate.pod("gate-b", "pinned", &format!("{tag}@{digest}")).await.unwrap();
    });
}

#[test]
fn each_platform_of_an_index_that_a_node_has_counts_and_no_other() {
    run(async {
        let gate = gate().await;
        let _unchanged = gate.unchanged().await;
        let (fixed, holed) = ("3.0.12-1", "3.0.11-1");
        for (id, amd64, arm64, want) in [("amd64-good", fixed, holed, "pass"), ("arm64-good", holed, fixed, "fail")] {
            let (one, other) = (debian_for("linux/amd64", id, amd64), debian_for("linux/arm64", id, arm64));
            let repository = format!("node/{id}");
            let part = gate.registry.push(&repository, &one).await;
            gate.registry.push(&repository, &other).await;
            let both = gate.registry.push_manifest(&repository, &index(&[&one, &other])).await;
            gate.deployment("gate-c", id, &both).await.unwrap();
            gate.judged(&part, want).await;
            let scan = gate.scan(&both, |scan| scan["status"]["manifests"].as_array().map(|_| scan.clone())).await;
            assert_eq!(
                scan["status"]["manifests"],
                json!([{"digest": one.manifest.digest(), "platform": "linux/amd64"}]),
                "the only platform that there is"
            );
            match want {
                "pass" => drop(gate.runs("gate-c", id).await),
                _ => {
                    gate.refused("gate-c", "late", &both, FAILS).await;
                }
            }
        }
        // One for another platform alone is not scanned, and does not run.
        let other = debian_for("linux/arm64", "other", fixed);
        gate.registry.push("node/other", &other).await;
        let alone = gate.registry.push_manifest("node/other", &index(&[&other])).await;
        gate.deployment("gate-c", "other", &alone).await.unwrap();
        gate.logged("the image is for linux/arm64, and the cluster's nodes are linux/amd64", "other").await;
        gate.refused("gate-c", "elsewhere", &alone, UNSCANNED).await;
    });
}

#[test]
fn when_a_node_of_another_platform_comes_its_image_counts_too() {
    run(async {
        let gate = gate().await;
        // Other tests' indexes are asked for it as well.
        let _changed = gate.changed("").await;
        let (good, bad) = (debian_for("linux/amd64", "joined", SOUND), debian_for("linux/arm64", "joined", "3.0.11-1"));
        for image in [&good, &bad] {
            gate.registry.push("node/joined", image).await;
        }
        let both = gate.registry.push_manifest("node/joined", &index(&[&good, &bad])).await;
        gate.deployment("gate-c", "joined", &both).await.unwrap();
        gate.runs("gate-c", "joined").await;
        let parts = |here: &[&Image], others: &[&Image]| {
            let of = |images: &[&Image]| images.iter().map(|image| json!(image.manifest.digest())).collect::<Vec<_>>();
            json!([of(here), of(others)])
        };
        let stored = async |want: Value| {
            let digests = |scan: &Value, field: &str| {
                let all = scan["status"][field].as_array().map_or(&[][..], Vec::as_slice);
                all.iter().map(|one| one["digest"].clone()).collect::<Vec<_>>()
            };
            gate.scan(&both, |scan| {
                (json!([digests(scan, "manifests"), digests(scan, "otherManifests")]) == want).then_some(())
            })
            .await;
        };
        stored(parts(&[&good], &[&bad])).await;

        let labels = json!({"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "gate-arm64", "labels": labels}});
        gate.cluster.admin.create("/api/v1/nodes", &node).await.unwrap();
        stored(parts(&[&good, &bad], &[])).await;
        gate.judged(&format!("{}@{}", both.split('@').next().unwrap(), bad.manifest.digest()), "fail").await;
        gate.refused("gate-c", "joined-late", &both, FAILS).await;

        gate.cluster.admin.delete("/api/v1/nodes/gate-arm64", None).await.unwrap();
        stored(parts(&[&good], &[&bad])).await;
        gate.admitted("gate-c", "joined-again", &both).await;
    });
}

#[test]
fn an_index_says_nothing_of_others_images_and_leaves_nothing_to_its_readers() {
    run(async {
        let gate = gate().await;
        let _unchanged = gate.unchanged().await;
        let (image, arm) = (debian_for("linux/amd64", "named", SOUND), debian_for("linux/arm64", "named", SOUND));
        let own = gate.registry.push("node/named", &image).await;
        gate.registry.push("node/misnamed", &image).await;
        gate.registry.push("node/misnamed", &arm).await;
        let changed = async |from: &str, to: &str| {
            let both = index(&[&image, &arm]);
            let text = String::from_utf8(both.bytes).unwrap();
            assert!(text.contains(from), "{text}");
            let bytes = text.replace(from, to).into_bytes();
            gate.registry.push_manifest("node/misnamed", &Content { bytes, media_type: both.media_type }).await
        };
        // The image is its owner's; another names it as of a platform that nodes run, too.
        let misnamed = changed("amd64", "386").await;
        gate.deployment("gate-c", "misnamed", &misnamed).await.unwrap();
        gate.runs("gate-c", "misnamed").await;
        gate.deployment("gate-c", "named", &own).await.unwrap();
        gate.runs("gate-c", "named").await;
        let scan = gate.judged(&own, "pass").await;
        assert_eq!(scan["status"]["platform"], "linux/amd64");

        let unnamed = changed(r#""platform":{"architecture":"arm64","os":"linux"}"#, r#""size2":0"#).await;
        gate.deployment("gate-c", "unnamed", &unnamed).await.unwrap();
        gate.logged("names an image without its platform", "misnamed").await;
        gate.refused("gate-c", "unnamed-too", &unnamed, UNSCANNED).await;
    });
}

#[test]
fn a_private_image_is_scanned_with_the_credential_of_whoever_asks_for_it() {
    run(async {
        let gate = gate().await;
        let _unchanged = gate.unchanged().await;
        let image = debian_for("linux/amd64", "private", "3.0.12-1");
        let name = gate.private.push("node/private", &image).await;
        gate.deployment("gate-d", "private", &name).await.unwrap();
        gate.logged("credential", gate.private.host.as_str()).await;
        let docker = json!({"auths": {gate.private.host.as_str(): {"username": USER, "password": PASSWORD}}});
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "flame-harbor-credentials"},
            "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": docker.to_string()},
        });
        let creator = gate.cluster.plane.caller(crate::gate::CREATOR, Some("system:masters")).await;
        creator.create("/api/v1/namespaces/gate-d/secrets", &secret).await.unwrap();
        gate.judged(&name, "pass").await;
        gate.runs("gate-d", "private").await;
    });
}

#[test]
fn nobody_but_the_controller_says_what_a_scan_has_found() {
    run(async {
        let gate = gate().await;
        let _unchanged = gate.unchanged().await;
        let bad = gate.debian("forged", "3.0.11-1").await;
        let path = crate::gate::path(&bad);
        let (scans, name) = path.rsplit_once('/').unwrap();
        let creator = gate.cluster.plane.caller(crate::gate::CREATOR, Some("system:masters")).await;
        let scan = |image: &str| {
            json!({"apiVersion": "flamewarden.dev/v1alpha1", "kind": "ImageScan", "metadata": {"name": name},
                "spec": {"image": image}})
        };
        // Anybody's word under another digest's name.
        let other = bad.replace(name.trim_start_matches("sha256-"), &"0".repeat(64));
        let refused = creator.create(scans, &scan(&other)).await.unwrap_err();
        assert!(refused.message.contains("the name must be sha256- and the digits"), "{}", refused.message);
        let refused = gate.cluster.admin.create(scans, &scan(&bad)).await.unwrap_err();
        assert!(refused.message.contains("image-scan-writer"), "{}", refused.message);
        creator.create(scans, &scan(&bad)).await.unwrap();
        let stored = gate.judged(&bad, "fail").await;
        let mut verdict = stored["status"]["verdicts"][0].clone();
        verdict["outcome"] = json!("pass");
        let forged = json!({"status": {"verdicts": [verdict]}});
        for caller in [&creator, &gate.cluster.admin] {
            let refused = caller.patch(&format!("{path}/status"), PatchKind::Merge, &forged).await.unwrap_err();
            assert!(refused.message.contains("image-scan-status"), "{}", refused.message);
        }
        let refused = creator.delete(&path, None).await.unwrap_err();
        assert!(refused.message.contains("image-scan-writer"), "{}", refused.message);
        gate.refused("gate-a", "forged", &bad, FAILS).await;
    });
}

#[test]
fn an_image_that_is_put_in_place_of_another_is_judged_as_a_new_one_is() {
    run(async {
        let gate = gate().await;
        let good = gate.debian("before", "3.0.12-1").await;
        let (bad, unscanned) = (gate.debian("after", "3.0.11-1").await, gate.debian("later", "3.0.12-1 ").await);
        let (tag, _) = gate.tagged("retagged", "1", "3.0.12-1").await;
        let holed = debian_for("linux/amd64", "replaced", "3.0.11-1");
        let sound = debian_for("linux/arm64", "replaced", SOUND);
        let part = gate.registry.push("node/replaced", &holed).await;
        gate.registry.push("node/replaced", &sound).await;
        let both = gate.registry.push_manifest("node/replaced", &index(&[&holed, &sound])).await;
        // Softened as far as a profile can be: then the scan alone decides.
        let changed = gate.changed("  modes: {image-change: audit}\n").await;
        gate.deployment("gate-e", "before", &good).await.unwrap();
        gate.deployment("gate-e", "after", &bad).await.unwrap();
        gate.deployment("gate-e", "retagged", &tag).await.unwrap();
        gate.deployment("gate-e", "replaced", &both).await.unwrap();
        gate.judged(&bad, "fail").await;
        gate.judged(&part, "fail").await;
        gate.runs("gate-e", "retagged").await;
        let (_, moved) = gate.tagged("retagged", "1", "3.0.11-1").await;
        gate.judged(&moved, "fail").await;
        gate.refused("gate-e", "moved", &tag, FAILS).await;
        let pod = gate.runs("gate-e", "before").await;
        let path = format!("/api/v1/namespaces/gate-e/pods/{}", pod["metadata"]["name"].as_str().unwrap());
        for (image, told) in [(&bad, FAILS), (&unscanned, UNSCANNED), (&tag, FAILS), (&both, FAILS)] {
            let put = json!({"spec": {"containers": [{"name": "analysis-before", "image": image}]}});
            let refused = gate.cluster.admin.patch(&path, PatchKind::Strategic, &put).await.unwrap_err();
            assert!(refused.message.contains(told), "{}", refused.message);
        }
        drop(changed);
    });
}

#[test]
fn an_exception_lets_an_image_run_until_the_moment_at_which_it_expires() {
    run(async {
        let gate = gate().await;
        let bad = gate.debian("excepted", "3.0.11-1").await;
        let unchanged = gate.unchanged().await;
        gate.deployment("gate-f", "excepted", &bad).await.unwrap();
        gate.judged(&bad, "fail").await;
        drop(unchanged);
        let moment = jiff::Timestamp::now() + SignedDuration::from_secs(15);
        let exception = format!(
            "    exceptions: [{{vulnerability: CVE-2026-0001, owner: security, reason: a test, expires: '{moment}'}}]\n"
        );
        let changed = gate.changed(&exception).await;
        let scan = gate.scan(&bad, |scan| {
            let verdicts = scan["status"]["verdicts"].as_array()?;
            verdicts.iter().find(|one| one["outcome"] == "excepted").cloned()
        });
        assert_eq!(scan.await["until"], moment.to_string());
        gate.admitted("gate-f", "soon", &bad).await;
        assert!(jiff::Timestamp::now() < moment, "the test took too long to see anything");
        wait_until("the moment has come", PATIENCE, async || (jiff::Timestamp::now() >= moment).then_some(())).await;
        let refused = gate.pod("gate-f", "late", &bad).await.unwrap_err();
        assert!(refused.message.contains("its scan"), "{}", refused.message);
        gate.judged(&bad, "fail").await;
        let refused = gate.refused("gate-f", "later", &bad, "its scan fails").await;
        assert!(refused.contains(FAILS), "{refused}");
        drop(changed);
    });
}

#[test]
fn a_database_that_is_too_old_lets_nothing_run() {
    run(async {
        let gate = gate().await;
        let (good, fresh) = (gate.debian("aged", "3.0.12-1").await, gate.debian("young", "3.0.12-1").await);
        let unchanged = gate.unchanged().await;
        gate.deployment("gate-g", "young", &fresh).await.unwrap();
        let runs = gate.runs("gate-g", "young").await;
        drop(unchanged);
        // It is an hour old.
        let changed = gate.changed("    maximumAgeHours: {database: 1}\n").await;
        gate.deployment("gate-g", "aged", &good).await.unwrap();
        gate.scan(&good, |scan| {
            let verdicts = scan["status"]["verdicts"].as_array()?;
            verdicts.iter().find(|one| one["outcome"] == "stale").map(drop)
        })
        .await;
        let refused = gate.pod("gate-g", "aged", &good).await.unwrap_err();
        let told = "its scan is too old and is to be made anew: the database is 1 hours old, and 1 are allowed";
        assert!(refused.message.contains(told), "{}", refused.message);
        let path = format!("/api/v1/namespaces/gate-g/pods/{}", runs["metadata"]["name"].as_str().unwrap());
        let put = json!({"spec": {"containers": [{"name": "analysis-young", "image": good}]}});
        let refused = gate.cluster.admin.patch(&path, PatchKind::Strategic, &put).await.unwrap_err();
        assert!(refused.message.contains(told), "{}", refused.message);
        drop(changed);
        // The same report under other limits: nothing is scanned again for that.
        let _unchanged = gate.unchanged().await;
        gate.judged(&good, "pass").await;
        gate.admitted("gate-g", "fresh", &good).await;
    });
}

#[test]
fn a_scan_that_is_broken_off_is_begun_again() {
    run(async {
        let gate = gate().await;
        let changed = gate.changed("").await;
        let image = gate.debian("killed", "3.0.12-1").await;
        let waits = gate.grype_waits();
        gate.deployment("gate-h", "killed", &image).await.unwrap();
        gate.logged("an image is scanned", &image).await;
        gate.kill_controller().await;
        gate.refused("gate-h", "meanwhile", &image, UNSCANNED).await;
        std::fs::remove_file(waits).unwrap();
        gate.judged(&image, "pass").await;
        gate.runs("gate-h", "killed").await;
        drop(changed);
    });
}

#[test]
fn a_worker_that_speaks_for_another_image_gets_nowhere() {
    run(async {
        let gate = gate().await;
        let changed = gate.changed("").await;
        let (good, bad) = (gate.debian("innocent", "3.0.12-1").await, gate.debian("guilty", "3.0.11-1").await);
        let other = gate.grype_scans_only(&good);
        gate.deployment("gate-h", "guilty", &bad).await.unwrap();
        let scan = gate.judged(&bad, "scanError").await;
        let told = scan["status"]["conditions"][0]["message"].as_str().unwrap();
        let [of, not] = [&good, &bad].map(|image| image.split_once('@').unwrap().1);
        assert_eq!(told, format!("the worker's report is of {of}, not of {not}"));
        let refused = gate.pod("gate-h", "guilty", &bad).await.unwrap_err();
        assert!(refused.message.contains("its scan came to no end and is tried again"), "{}", refused.message);
        std::fs::remove_file(other).unwrap();
        gate.judged(&bad, "fail").await;
        drop(changed);
    });
}

#[test]
fn a_pod_that_waits_for_its_verdict_goes_as_soon_as_it_passes_and_is_told_when_it_fails() {
    run(async {
        let gate = gate().await;
        let changed = gate.changed("    onUnknown: hold\n").await;
        let (good, by_digest) = gate.tagged("held", "1", "3.0.12-1").await;
        let (bad, _) = gate.tagged("held-bad", "1", "3.0.11-1").await;
        let waits = gate.grype_waits();
        let pod = gate.pod("gate-b", "held", &good).await.unwrap();
        let gates = json!([{"name": "flamewarden.dev/network-policy"}, {"name": "flamewarden.dev/scan"}]);
        let mut stored: Vec<String> = pod["spec"]["schedulingGates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|gate| gate["name"].as_str().unwrap().to_owned())
            .collect();
        stored.sort();
        assert_eq!(json!(stored.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()), gates);
        // Nobody else opens the gate.
        let path = "/api/v1/namespaces/gate-b/pods/analysis-held";
        let open = json!({"spec": {"schedulingGates": null}});
        let refused = gate.cluster.admin.patch(path, PatchKind::Merge, &open).await.unwrap_err();
        assert!(refused.message.contains("gate-lift"), "{}", refused.message);
        gate.pod("gate-b", "held-bad", &bad).await.unwrap();
        gate.logged("an image is scanned", "node/held").await;
        std::fs::remove_file(waits).unwrap();

        gate.judged(&by_digest, "pass").await;
        let seen = std::time::Instant::now();
        let pod = gate.cluster.read(path, |pod| pod["spec"]["nodeName"].as_str().map(|_| pod.clone())).await;
        println!("bound {} ms after the verdict was seen", seen.elapsed().as_millis());
        let digest = by_digest.split_once('@').unwrap().1;
        assert_eq!(pod["spec"]["containers"][0]["image"], format!("{good}@{digest}"));

        let path = "/api/v1/namespaces/gate-b/pods/analysis-held-bad";
        let told = gate
            .cluster
            .read(path, |pod| {
                let conditions = pod["status"]["conditions"].as_array()?;
                conditions.iter().find(|one| one["type"] == "flamewarden.dev/Scanned").cloned()
            })
            .await;
        assert_eq!((&told["status"], &told["reason"]), (&json!("False"), &json!("NoPassingVerdict")));
        assert!(told["message"].as_str().unwrap().contains("CVE-2026-0001"), "{told}");
        gate.cluster
            .read("/apis/events.k8s.io/v1/namespaces/gate-b/events", |list| {
                let events = list["items"].as_array()?;
                events
                    .iter()
                    .find(|event| event["reason"] == "ScanHeld" && event["regarding"]["name"] == "analysis-held-bad")
                    .map(drop)
            })
            .await;
        assert!(gate.cluster.admin.get(path).await.unwrap()["spec"]["nodeName"].is_null());
        // What has failed is refused at once.
        gate.refused("gate-b", "held-late", &bad, FAILS).await;
        drop(changed);
    });
}

#[test]
fn what_ran_before_goes_on_for_a_while_when_it_comes_to_fail_unless_it_is_exploited() {
    run(async {
        let gate = gate().await;
        let changed = gate.changed("").await;
        let image = gate.debian("graceful", "3.0.12-1").await;
        gate.deployment("gate-d", "graceful", &image).await.unwrap();
        let mut pod = gate.runs("gate-d", "graceful").await;
        gate.scan(&image, |scan| scan["status"]["ranBy"].as_array().map(drop)).await;

        for exploited in [false, true] {
            let mut newer = advisories(SignedDuration::ZERO);
            newer["advisories"][0]["constraint"] = json!("< 3.0.13-1");
            newer["advisories"][0]["fixVersion"] = json!("3.0.13-1");
            newer["advisories"][0]["knownExploited"] = json!(exploited);
            gate.know(&newer);
            let graceless = |scan: &Value| scan["status"]["verdicts"][0]["graceless"] == json!(true);
            gate.scan(&image, |scan| {
                let fails = scan["status"]["verdicts"][0]["outcome"] == "fail";
                (fails && graceless(scan) == exploited).then_some(())
            })
            .await;
            gate.refused("gate-d", "others", &image, "its scan fails").await;
            let path = format!("/api/v1/namespaces/gate-d/pods/{}", pod["metadata"]["name"].as_str().unwrap());
            gate.cluster.admin.delete(&path, None).await.unwrap();
            gate.cluster.gone(&path).await;
            if exploited {
                gate.cluster.read("/apis/apps/v1/namespaces/gate-d/replicasets", makes_no_pod).await;
            } else {
                pod = gate.runs("gate-d", "graceful").await;
            }
        }
        gate.know(&advisories(SignedDuration::from_hours(1)));
        drop(changed);
    });
}

/// Whether the ReplicaSet of the test is told why its pod is refused.
fn makes_no_pod(list: &Value) -> Option<()> {
    let is_it =
        |set: &&Value| set["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("analysis-graceful"));
    let set = list["items"].as_array()?.iter().find(is_it)?;
    let failure = set["status"]["conditions"].as_array()?.iter().find(|one| one["type"] == "ReplicaFailure")?;
    failure["message"].as_str()?.contains("its scan fails").then_some(())
}

#[test]
fn an_image_without_a_name_that_can_be_looked_up_is_refused() {
    run(async {
        let gate = gate().await;
        let _unchanged = gate.unchanged().await;
        let mut pod = analysis("volume", "x");
        pod["spec"]["containers"][0]["image"] =
            json!(format!("{}/node/a@sha512:{}", gate.registry.host, "0".repeat(128)));
        let refused = gate.cluster.admin.create("/api/v1/namespaces/gate-a/pods", &pod).await.unwrap_err();
        assert!(refused.message.contains("scans go by sha256"), "{}", refused.message);
    });
}

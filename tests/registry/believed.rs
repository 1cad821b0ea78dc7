//! What is believed of a registry's answers.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use flamewarden::model::{ImageRef, PlatformManifest};
use flamewarden::registry::{Reach, RegistryProblem, Resolved};
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::stand_in::{Held, INDEX, MANIFEST, StandIn, answer, client, image, index};

fn config(platform: &str) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap();
    json!({"os": os, "architecture": architecture})
}

#[tokio::test]
async fn a_digest_is_counted_and_not_believed() {
    let (config, manifest) = image(&config("linux/amd64"));
    let (digest, other) = (manifest.digest().to_string(), config.digest().to_string());
    let held = move |said: Option<String>| {
        let (config, manifest) = (config.clone(), manifest.clone());
        StandIn::start(move |asked| {
            if asked.path.contains("/blobs/") {
                return config.answer();
            }
            let mut headers = vec![("content-type", MANIFEST)];
            headers.extend(said.as_deref().map(|said| ("docker-content-digest", said)));
            answer(200, &headers, manifest.bytes.clone())
        })
    };
    let fine = Ok(Some("linux/amd64".to_owned()));
    let mismatch = |reference: &str, said: &str| {
        let text = "somebody between here and the registry changes content, or it is damaged there";
        Err(format!("HOST/team/app{reference} is said to be {said} and is {digest}; {text}"))
    };
    for (reference, said, want) in [
        (":1".to_owned(), None, fine.clone()),
        (":1".to_owned(), Some(digest.clone()), fine.clone()),
        (format!("@{digest}"), None, fine.clone()),
        (":1".to_owned(), Some(other.clone()), mismatch(":1", &other)),
        (":1".to_owned(), Some("sha512:x".to_owned()), mismatch(":1", "sha512:x")),
        (format!("@{other}"), None, mismatch(&format!("@{other}"), &other)),
        (format!("@{other}"), Some(other.clone()), mismatch(&format!("@{other}"), &other)),
        (format!("@{digest}"), Some(other.clone()), mismatch(&format!("@{digest}"), &other)),
    ] {
        let registry = held(said.clone()).await;
        let got = match registry.resolve(&format!("team/app{reference}")).await {
            Ok(Resolved::Manifest { digest: found, platform }) if found.to_string() == digest => Ok(platform),
            Ok(other) => panic!("{other:?}"),
            Err(problem) => Err(problem.to_string().replace(&registry.host, "HOST")),
        };
        assert_eq!(got, want, "{reference} {said:?}");
    }
}

#[tokio::test]
async fn a_configuration_that_is_not_what_the_manifest_names_is_not_read() {
    let (config, manifest) = image(&config("linux/amd64"));
    let forged = Held { bytes: b"{\"os\":\"linux\",\"architecture\":\"arm64\"}".to_vec(), ..config.clone() };
    let held = vec![("/manifests/1".to_owned(), manifest), (config.digest().to_string(), forged)];
    let problem = StandIn::holding(held).await.resolve("a:1").await.unwrap_err();
    assert!(matches!(problem, RegistryProblem::Mismatch { .. }), "{problem}");
}

#[tokio::test]
async fn an_index_says_what_a_node_may_choose() {
    let (amd64_config, amd64) = image(&config("linux/amd64"));
    let (_, arm) = image(&json!({"os": "linux", "architecture": "arm", "variant": "v7"}));
    let (_, proof) = image(&json!({}));
    let (bare_config, _) = image(&json!({}));
    let arm_entry = arm.named(&json!({"platform": {"os": "linux", "architecture": "arm", "variant": "v7"}}));
    let attestation = proof.named(&json!({
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }));
    let amd64_entry = amd64.named(&json!({"platform": {"os": "linux", "architecture": "amd64"}}));
    let unnamed = || Err("names an image without its platform; push it with a current tool");
    let platform =
        |held: &Held, platform: &str| PlatformManifest { digest: held.digest(), platform: platform.to_owned() };
    let nested = index(&[]).named(&json!({"platform": {"os": "linux", "architecture": "amd64"}}));
    let many = |count: usize| vec![arm_entry.clone(); count];
    for (entries, want) in [
        (
            vec![arm_entry.clone(), attestation.clone(), amd64_entry],
            Ok(vec![platform(&arm, "linux/arm/v7"), platform(&amd64, "linux/amd64")]),
        ),
        (many(64), Ok(vec![platform(&arm, "linux/arm/v7"); 64])),
        (many(65), Err("has more than 64 manifests; that is more than is read")),
        (vec![], Err("is an index without images; push it with a current tool")),
        (vec![attestation], Err("is an index without images; push it with a current tool")),
        (vec![arm_entry.clone(), nested], Err("is an index of indexes; push it with a current tool")),
        (vec![arm_entry.clone(), amd64.named(&json!({}))], unnamed()),
        (vec![arm_entry.clone(), amd64.named(&json!({"platform": {}}))], unnamed()),
        (vec![arm_entry.clone(), amd64.named(&json!({"platform": {"architecture": "amd64"}}))], unnamed()),
        (
            vec![bare_config.named(&json!({}))],
            Err("is an index of things that are no images; push it with a current tool"),
        ),
    ] {
        let both = index(&entries);
        let inner = index(std::slice::from_ref(&arm_entry));
        let mut held = vec![("/manifests/1".to_owned(), both.clone()), amd64_config.at(), amd64.at(), bare_config.at()];
        held.extend([proof.at(), inner.at()]);
        let registry = StandIn::holding(held).await;
        let got = registry.resolve("a:1").await;
        match want {
            Ok(manifests) => assert_eq!(got.unwrap(), Resolved::Index { digest: both.digest(), manifests }),
            Err(text) => {
                let told = got.unwrap_err().to_string();
                assert!(
                    told.ends_with(text) && told.starts_with(&format!("{}/a@", registry.host)),
                    "{told}, not {text}"
                );
            }
        }
    }
}

#[tokio::test]
async fn old_forms_are_refused() {
    for (media_type, body) in [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", json!({"schemaVersion": 1, "fsLayers": []})),
        ("application/vnd.docker.distribution.manifest.v1+json", json!({"schemaVersion": 1})),
        (MANIFEST, json!({"schemaVersion": 1})),
        (INDEX, json!({"schemaVersion": 2, "manifests": [], "fsLayers": []})),
    ] {
        let held = Held { media_type, bytes: body.to_string().into_bytes() };
        let registry = StandIn::holding(vec![("/manifests/1".to_owned(), held)]).await;
        let told = registry.resolve("a:1").await.unwrap_err().to_string();
        let reason = "is of schema 1, whose content is not what its digest says; push it with a current tool";
        assert_eq!(told, format!("{}/a:1 {reason}", registry.host));
        assert_eq!(
            registry.accepted(),
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
             application/vnd.docker.distribution.manifest.list.v2+json, \
             application/vnd.docker.distribution.manifest.v2+json"
        );
    }
}

#[tokio::test]
async fn an_answer_without_end_is_ended() {
    let piece = || stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 64 << 10]))]);
    let large = StandIn::start(move |_| {
        answer(200, &[("content-type", MANIFEST)], Body::from_stream(stream::repeat(()).flat_map(move |()| piece())))
    });
    let slow = StandIn::start(move |_| {
        answer(200, &[("content-type", MANIFEST)], Body::from_stream(piece().chain(stream::pending())))
    });
    let (large, slow) = (large.await, slow.await);
    let told = large.resolve("a:1").await.unwrap_err().to_string();
    assert_eq!(told, format!("{}/a:1 has more than 1048576 bytes; that is more than is read", large.host));
    let reach = Reach { registries: vec![slow.host.clone()], ..Reach::default() };
    let name = format!("{}/a:1", slow.host);
    for (each, whole) in [(SHORT, LONG), (LONG, SHORT)] {
        let begun = Instant::now();
        let got = client(reach.clone(), each, whole).resolve(&ImageRef::parse(&name).unwrap(), None).await.unwrap_err();
        assert!(matches!(got, RegistryProblem::Late { .. }) && got.may_pass(), "{got}");
        assert!(begun.elapsed() < LONG / 2, "the shorter of the two counts: {each:?} {whole:?}");
    }
}

#[tokio::test]
async fn each_refusal_is_told_apart() {
    for (status, want, may_pass) in [
        (403, "the registry lets HOST/a:1 be read only with a credential; give the pod a pull secret for it", false),
        (404, "the registry has no HOST/a:1; push it, or correct its name", false),
        (418, "asked for HOST/a:1, the registry answered 418", false),
        (429, "asked for HOST/a:1, the registry answered 429", true),
        (500, "asked for HOST/a:1, the registry answered 500", true),
        (503, "asked for HOST/a:1, the registry answered 503", true),
        (204, "asked for HOST/a:1, the registry answered 204", false),
    ] {
        let registry = StandIn::start(move |_| answer(status, &[], "")).await;
        let problem = registry.resolve("a:1").await.unwrap_err();
        let told = problem.to_string().replace(&registry.host, "HOST");
        assert_eq!((told.as_str(), problem.may_pass()), (want, may_pass), "{status}");
    }
}

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(30);

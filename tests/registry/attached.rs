//! What stands beside an image.

use std::time::Duration;

use flamewarden::model::{Digest, ImageRef};
use flamewarden::registry::{Attached, Reach, RegistryProblem};
use serde_json::{Value, json};

use crate::stand_in::{Held, MANIFEST, StandIn, client, image, index};

const SIGNATURE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const KEY: &str = "dev.cosignproject.cosign/signature";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn layer(media_type: &'static str, text: &str) -> Held {
    Held { media_type, bytes: text.as_bytes().to_vec() }
}

fn manifest(layers: &[Value]) -> Held {
    let config = layer("application/vnd.oci.empty.v1+json", "{}").named(&json!({}));
    Held::of(&json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}))
}

fn attached(held: &Held, annotations: &[(&str, &str)]) -> Attached {
    let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Attached { media_type: held.media_type.to_owned(), annotations, content: held.bytes.clone() }
}

async fn ask(registry: &StandIn, digest: Digest) -> Result<Vec<Attached>, RegistryProblem> {
    let name = format!("{}/a", registry.host);
    let found = registry.client().attached(&ImageRef::parse(&name).unwrap(), digest, &[], None).await?;
    assert_eq!(found.indexes.len(), 0);
    Ok(found.image)
}

#[tokio::test]
async fn signatures_and_attestations_are_found_by_tag_and_by_reference() {
    let (_, signed) = image(&json!({}));
    let tag = signed.digest().to_string().replace(':', "-");
    let (signature, envelope) = (layer(SIGNATURE, "{\"critical\":1}"), layer(ENVELOPE, "{\"payload\":1}"));
    let (bundle, sbom) = (layer(BUNDLE, "{\"bundle\":1}"), layer("text/spdx+json", "{}"));
    let first = signature.named(&json!({"annotations": {KEY: "MEU="}}));
    let second = signature.named(&json!({"annotations": {KEY: "MEQ="}}));
    let by_tag = manifest(&[first.clone(), second, sbom.named(&json!({}))]);
    let (by_att, referring) = (manifest(&[envelope.named(&json!({}))]), manifest(&[bundle.named(&json!({})), first]));
    let list = index(&[referring.named(&json!({"artifactType": BUNDLE}))]);
    let want = vec![
        attached(&signature, &[(KEY, "MEU=")]),
        attached(&signature, &[(KEY, "MEQ=")]),
        attached(&envelope, &[]),
        attached(&bundle, &[]),
    ];
    let listed = [format!("/v2/a/referrers/{}", signed.digest()), format!("/v2/a/manifests/{tag}")];
    for place in listed {
        let held = vec![
            (format!("/manifests/{tag}.sig"), by_tag.clone()),
            (format!("/manifests/{tag}.att"), by_att.clone()),
            (place.clone(), list.clone()),
            referring.at(),
            signature.at(),
            envelope.at(),
            bundle.at(),
        ];
        assert_eq!(ask(&StandIn::holding(held).await, signed.digest()).await.unwrap(), want, "{place}");
    }
    assert_eq!(ask(&StandIn::holding(vec![]).await, signed.digest()).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_attached_is_what_its_digest_says_and_not_too_much() {
    let (_, signed) = image(&json!({}));
    let place = format!("/manifests/{}.sig", signed.digest().to_string().replace(':', "-"));
    let signature = layer(SIGNATURE, "{}");
    let numbered = |count: usize| -> Vec<Value> {
        (0..count).map(|number| signature.named(&json!({"annotations": {KEY: number.to_string()}}))).collect()
    };
    let forged = Held { bytes: b"[]".to_vec(), ..signature.clone() };
    for (layers, held, want) in [
        (numbered(64), &signature, None),
        (vec![numbered(1)[0].clone(); 65], &signature, None),
        (numbered(65), &signature, Some("has more than 64 signatures and attestations")),
        (numbered(1), &forged, Some("is said to be sha256:")),
    ] {
        let held = vec![(place.clone(), manifest(&layers)), (signature.digest().to_string(), held.clone())];
        let got = ask(&StandIn::holding(held).await, signed.digest()).await.map_err(|problem| problem.to_string());
        match want {
            None => assert!(got.is_ok(), "{got:?}"),
            Some(text) => assert!(got.as_ref().is_err_and(|told| told.contains(text)), "{got:?}"),
        }
    }
    let many: Vec<Value> = numbered(65).into_iter().map(|entry| manifest(&[entry]).named(&json!({}))).collect();
    let held = vec![(format!("/referrers/{}", signed.digest()), index(&many))];
    let told = ask(&StandIn::holding(held).await, signed.digest()).await.unwrap_err().to_string();
    assert!(told.contains("has more than 64 manifests"), "{told}");
    let large = Held { bytes: vec![b' '; (16 << 20) + 1], ..signature };
    let held = vec![(place, manifest(&[large.named(&json!({}))])), large.at()];
    let told = ask(&StandIn::holding(held).await, signed.digest()).await.unwrap_err().to_string();
    assert!(told.contains("has more than 16777216 bytes"), "{told}");
}

#[tokio::test]
async fn what_is_attached_to_an_index_is_told_where_its_bytes_name_the_image() {
    let (_, named) = image(&json!({}));
    let (_, other) = image(&json!({"os": "linux"}));
    let attestation = json!({
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    });
    let signature = layer(SIGNATURE, "{}");
    let signed = manifest(&[signature.named(&json!({}))]);
    let naming = index(&[other.named(&json!({})), named.named(&json!({}))]);
    let without = index(&[other.named(&json!({}))]);
    let beside = index(&[other.named(&json!({})), named.named(&attestation)]);
    let forged = Held { bytes: [naming.bytes.as_slice(), b" "].concat(), ..naming.clone() };
    for (what, asked, held, want) in [
        ("it names the image", &naming, &naming, Some(Ok(vec![attached(&signature, &[])]))),
        ("it names another", &without, &without, None),
        ("it names it as something else", &beside, &beside, None),
        ("it is an image itself", &other, &other, None),
        ("it is other bytes", &naming, &forged, Some(Err("is said to be sha256:"))),
    ] {
        let place = format!("/manifests/{}.sig", asked.digest().to_string().replace(':', "-"));
        let held = vec![(place, signed.clone()), (asked.digest().to_string(), held.clone()), signature.at()];
        let registry = StandIn::holding(held).await;
        let found = in_index(&registry, asked.digest(), named.digest()).await;
        match (found, want) {
            (None, None) => {}
            (Some(Ok(found)), Some(Ok(want))) => assert_eq!(found, want, "{what}"),
            (Some(Err(problem)), Some(Err(text))) => assert!(problem.to_string().contains(text), "{what}: {problem}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    let gone = in_index(&StandIn::holding(vec![]).await, naming.digest(), named.digest()).await;
    assert!(gone.is_none(), "{gone:?}");
}

async fn in_index(registry: &StandIn, index: Digest, image: Digest) -> Option<Result<Vec<Attached>, RegistryProblem>> {
    let name = format!("{}/a", registry.host);
    let found = registry.client().attached(&ImageRef::parse(&name).unwrap(), image, &[index], None).await.unwrap();
    assert_eq!(found.image, [], "nothing is attached to the image itself");
    found.indexes.into_iter().next().map(|found| found.attached)
}

/// Whoever may push could attach any amount to an index that names the image.
#[tokio::test]
async fn what_is_too_much_beside_an_index_keeps_nobody_from_the_rest() {
    let (_, named) = image(&json!({}));
    let tagged = |digest: Digest| format!("/manifests/{}.sig", digest.to_string().replace(':', "-"));
    let [much, good] = [1, 2].map(|number| index(&[named.named(&json!({"annotations": {"n": number.to_string()}}))]));
    let filling = |letter: &str| layer(SIGNATURE, &letter.repeat(12 << 20));
    let fillings = ["a", "b", "c"].map(filling);
    let signature = layer(SIGNATURE, "{}");
    let signed = manifest(&[signature.named(&json!({}))]);
    let mut held: Vec<(String, Held)> = fillings.iter().chain([&signature, &much, &good]).map(Held::at).collect();
    held.push((tagged(much.digest()), manifest(&fillings.each_ref().map(|one| one.named(&json!({}))))));
    held.extend([(tagged(good.digest()), signed.clone()), (tagged(named.digest()), signed)]);
    let registry = StandIn::holding(held).await;
    let name = format!("{}/a", registry.host);
    let indexes = [much.digest(), good.digest()];
    let name = ImageRef::parse(&name).unwrap();
    let found = registry.client().attached(&name, named.digest(), &indexes, None).await.unwrap();
    let want = vec![attached(&signature, &[])];
    assert_eq!(found.image, want);
    let told = found.indexes[0].attached.as_ref().unwrap_err().to_string();
    assert!(told.contains("has more than 33554432 bytes"), "{told}");
    assert_eq!(found.indexes[1].attached.as_ref().unwrap(), &want);
}

#[tokio::test]
async fn what_is_small_is_read_while_somebody_holds_what_is_large() {
    let large = layer(SIGNATURE, &"x".repeat(3 << 20));
    let small = layer(SIGNATURE, "{}");
    let [much, little] = ["much", "little"].map(|text| Digest::of(text.as_bytes()));
    let place = |digest: Digest| format!("/manifests/{}.sig", digest.to_string().replace(':', "-"));
    let listed = |held: &Held| manifest(&[held.named(&json!({}))]);
    let held = vec![(place(much), listed(&large)), (place(little), listed(&small)), large.at(), small.at()];
    let registry = StandIn::holding(held).await;
    let name = format!("{}/a", registry.host);
    let name = ImageRef::parse(&name).unwrap();
    let held = registry.client().attached(&name, much, &[], None).await.unwrap();
    assert_eq!(held.image[0].content.len(), 3 << 20);
    let found = registry.client().attached(&name, little, &[], None).await.unwrap();
    assert_eq!(found.image, [attached(&small, &[])]);
    let reach = Reach { registries: vec![registry.host.clone()], ..Reach::default() };
    let hurried = client(reach, Duration::from_secs(3), Duration::from_secs(3));
    let waited = hurried.attached(&name, much, &[], None).await.map(drop).unwrap_err();
    assert!(matches!(waited, RegistryProblem::Late { .. }), "{waited}");
    drop(held);
    registry.client().attached(&name, much, &[], None).await.unwrap();
}

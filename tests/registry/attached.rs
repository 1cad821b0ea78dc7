//! What stands beside an image.

use flamewarden::model::{Digest, ImageRef};
use flamewarden::registry::{Attached, RegistryProblem};
use serde_json::{Value, json};

use crate::stand_in::{Held, MANIFEST, StandIn, image, index};

const SIGNATURE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
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
    registry.client().attached(&ImageRef::parse(&name).unwrap(), digest, None).await
}

#[tokio::test]
async fn signatures_and_attestations_are_found_by_tag_and_by_reference() {
    let (_, signed) = image(&json!({}));
    let tag = signed.digest().to_string().replace(':', "-");
    let (signature, envelope) = (layer(SIGNATURE, "{\"critical\":1}"), layer(ENVELOPE, "{\"payload\":1}"));
    let (bundle, sbom) = (layer(BUNDLE, "{\"bundle\":1}"), layer("text/spdx+json", "{}"));
    let first = signature.named(&json!({"annotations": {"dev.cosignproject.cosign/signature": "MEU="}}));
    let second = signature.named(&json!({"annotations": {"dev.cosignproject.cosign/signature": "MEQ="}}));
    let by_tag = manifest(&[first.clone(), second, sbom.named(&json!({}))]);
    let (by_att, referring) = (manifest(&[envelope.named(&json!({}))]), manifest(&[bundle.named(&json!({})), first]));
    let list = index(&[referring.named(&json!({"artifactType": BUNDLE}))]);
    let want = vec![
        attached(&signature, &[("dev.cosignproject.cosign/signature", "MEU=")]),
        attached(&signature, &[("dev.cosignproject.cosign/signature", "MEQ=")]),
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
        (0..count).map(|number| signature.named(&json!({"annotations": {"number": number.to_string()}}))).collect()
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
        ("it names the image", &naming, &naming, Ok(Some(vec![attached(&signature, &[])]))),
        ("it names another", &without, &without, Ok(None)),
        ("it names it as something else", &beside, &beside, Ok(None)),
        ("it is an image itself", &other, &other, Ok(None)),
        ("it is other bytes", &naming, &forged, Err("is said to be sha256:")),
    ] {
        let place = format!("/manifests/{}.sig", asked.digest().to_string().replace(':', "-"));
        let held = vec![(place, signed.clone()), (asked.digest().to_string(), held.clone()), signature.at()];
        let registry = StandIn::holding(held).await;
        let name = format!("{}/a", registry.host);
        let client = registry.client();
        let got =
            client.attached_to_index(&ImageRef::parse(&name).unwrap(), asked.digest(), named.digest(), None).await;
        match want {
            Ok(want) => assert_eq!(got.unwrap(), want, "{what}"),
            Err(text) => assert!(got.is_err_and(|problem| problem.to_string().contains(text)), "{what}"),
        }
    }
    let registry = StandIn::holding(vec![]).await;
    let name = format!("{}/a", registry.host);
    let name = ImageRef::parse(&name).unwrap();
    let got = registry.client().attached_to_index(&name, naming.digest(), named.digest(), None).await;
    assert_eq!(got.unwrap(), None, "it is gone");
}

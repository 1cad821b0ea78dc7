//! Image signatures: whose count, over which bytes, for which repository.

use flamewarden::model::ImageRef;
use flamewarden::policy::ImageSignature;
use flamewarden::scan::{Beside, Signature, signed};
use serde_json::{Value, json};

use crate::signer::{Attached, STATEMENT, Signer, views};

const IMAGE: &str = "harbor.example/node-1/analysis:1";

fn digest() -> String {
    format!("sha256:{}", "a".repeat(64))
}

/// What cosign signs.
fn payload() -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": "harbor.example/node-1/analysis"},
            "image": {"docker-manifest-digest": digest()},
            "type": "cosign container image signature",
        },
        "optional": {"creator": "ci"},
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut payload = payload();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    payload.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    payload
}

fn wanted(keys: &[&Signer], repositories: Value) -> ImageSignature {
    let keys: Vec<Value> = keys.iter().map(|signer| signer.key()).collect();
    serde_json::from_value(json!({"keys": keys, "repositories": repositories})).unwrap()
}

fn found(attached: &[Attached], wanted: &ImageSignature) -> Signature {
    let attached = views(attached);
    let places = [Beside { digest: &digest(), attached: &attached }];
    signed(&places, &ImageRef::parse(IMAGE).unwrap(), Some(wanted))
}

/// A signature does not count, for this reason.
fn expect_missing(what: &str, attached: Attached, wanted: &ImageSignature, reason: &str) {
    let Signature::Missing(reasons) = found(&[attached], wanted) else { panic!("{what}: it counts") };
    assert!(reasons[0].starts_with("the image has no signature by `release` over sha256:aaaa"), "{what}: {reasons:?}");
    match reason {
        "" => assert_eq!(reasons.len(), 1, "{what}: {reasons:?}"),
        _ => assert!(reasons[1].contains(reason) && reasons.len() == 2, "{what}: {reasons:?}"),
    }
}

#[test]
fn a_signature_counts_by_a_key_of_the_profile_over_these_bytes_for_this_repository() {
    let (release, other) = (Signer::new("release"), Signer::new("other"));
    let own = wanted(&[&release], json!("own"));
    let by = Signature::By("release".to_owned());
    let good = release.signs(&payload());
    assert_eq!(found(std::slice::from_ref(&good), &own), by);
    // Beside others that do not count, and by one key of several.
    let several = [other.signs(&payload()), Attached::of("text/plain", "x".to_owned()), good.clone()];
    assert_eq!(found(&several, &own), by);
    assert_eq!(found(&several, &wanted(&[&other, &release], json!("own"))), Signature::By("other".to_owned()));
    // Programs that write base64 break its lines.
    let mut broken = good.clone();
    let text = broken.annotations.values_mut().next().unwrap();
    *text = format!("{}\n{}\n", &text[..40], &text[40..]);
    assert_eq!(found(&[broken], &own), by);
    let missing = found(&[], &wanted(&[&other, &release], json!("own")));
    let sought = format!(
        "the image has no signature by one of `other`, `release` over {}; have it signed (`cosign sign --key …`), which \
         takes no new image",
        digest()
    );
    assert_eq!(missing, Signature::Missing(vec![sought]));
    let (digest, good) = (digest(), [good]);
    let places = [Beside { digest: &digest, attached: &views(&good) }];
    let unasked = signed(&places, &ImageRef::parse(IMAGE).unwrap(), None);
    assert_eq!(unasked, Signature::NotAsked);
}

#[test]
fn a_signature_by_nobody_known_or_over_something_else_does_not_count() {
    let (release, other) = (Signer::new("release"), Signer::new("other"));
    let own = wanted(&[&release], json!("own"));
    let good = release.signs(&payload());
    let text = payload().to_string();
    let annotated = |signature: Option<&str>| {
        let mut changed = good.clone();
        let (name, _) = changed.annotations.pop_first().unwrap();
        changed.annotations.extend(signature.map(|text| (name, text.to_owned())));
        changed
    };
    let as_envelope = Attached::simple(&text, &release.over(STATEMENT, &text));
    let nobody = "by none of the keys";
    for (what, attached, reason) in [
        ("another key", other.signs(&payload()), nobody),
        ("a changed text", good.replaced("node-1", "node-2"), nobody),
        ("a space more", good.replaced("{", "{ "), nobody),
        ("signed as an envelope", as_envelope, nobody),
        ("an empty signature", annotated(Some("")), nobody),
        ("odd base64", annotated(Some("not base64!")), "missing or no base64"),
        ("no signature", annotated(None), "missing or no base64"),
        ("another kind of layer", Attached { media_type: "application/json".to_owned(), ..good.clone() }, ""),
    ] {
        expect_missing(what, attached, &own, reason);
    }
    // The tables fail if nothing counts at all.
    assert_eq!(found(&[good], &own), Signature::By("release".to_owned()));
}

#[test]
fn what_was_signed_must_name_these_bytes_and_this_repository() {
    let release = Signer::new("release");
    let own = wanted(&[&release], json!("own"));
    let elsewhere = format!("sha256:{}", "b".repeat(64));
    let signed = |pointer: &str, value: Value| release.signs(&with(pointer, value));
    let of = |digest: &str| signed("/critical/image/docker-manifest-digest", json!(digest));
    let reference = |text: &str| signed("/critical/identity/docker-reference", json!(text));
    for (what, attached, reason) in [
        ("another image", of(&elsewhere), "`release` signed sha256:bbbb"),
        ("a digest alone", of(&"a".repeat(64)), "not this image"),
        ("another type", signed("/critical/type", json!("atomic container signature")), "of the type `atomic"),
        ("another repository", reference("harbor.example/node-2/analysis"), "signed it for `harbor.example/node-2"),
        ("another registry", reference("other.example/node-1/analysis"), "signed it for `other.example"),
        ("no repository", reference(""), "signed it for ``"),
        ("no name", reference("HARBOR.example/Node"), "signed it for `HARBOR"),
        ("two digests", reference(&format!("harbor.example/node-1/analysis@{elsewhere}")), "signed it for"),
        ("the digest alone", reference(&format!("harbor.example/node-1/other@{}", digest())), "signed it for"),
    ] {
        expect_missing(what, attached, &own, reason);
    }
    let whole = reference(&format!("harbor.example/node-1/analysis:9@{}", digest()));
    assert_eq!(found(&[whole], &own), Signature::By("release".to_owned()));
}

#[test]
fn what_was_signed_is_read_whole_and_understood() {
    let release = Signer::new("release");
    let own = wanted(&[&release], json!("own"));
    let text = payload().to_string();
    let raw = |text: &str| Attached::simple(text, &release.plainly(text.as_bytes()));
    let field = r#""docker-manifest-digest":"#;
    let twice = text.replacen(field, &format!("{field}\"sha256:{}\",{field}", "b".repeat(64)), 1);
    let large = with("/optional/much", json!("x".repeat(1 << 16))).to_string();
    for (what, text, reason) in [
        (
            "more that is critical",
            with("/critical/expires", json!("2020-01-01")).to_string(),
            "unknown field `expires`",
        ),
        ("more in the image", with("/critical/image/size", json!(1)).to_string(), "unknown field `size`"),
        ("two digests", twice, "duplicate field"),
        ("two texts", format!("{text}{text}"), "trailing characters"),
        ("half a text", text[..text.len() - 4].to_owned(), "not what cosign signs"),
        ("no text", String::new(), "not what cosign signs"),
        ("a list", "[]".to_owned(), "not what cosign signs"),
        ("a large text", large, "of more than 65536 bytes"),
    ] {
        expect_missing(what, raw(&text), &own, reason);
    }
    assert_eq!(found(&[raw(&text)], &own), Signature::By("release".to_owned()));
}

#[test]
fn a_bundle_names_no_repository_and_counts_where_none_is_asked_for() {
    let release = Signer::new("release");
    let statement = |predicate: &str| {
        release.attests(&json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": "a".repeat(64)}, "annotations": {}}],
            "predicateType": predicate,
            "predicate": {},
        }))
    };
    let sign = statement("https://sigstore.dev/cosign/sign/v1");
    let (own, any) = (wanted(&[&release], json!("own")), wanted(&[&release], json!("any")));
    for attached in [sign.clone(), sign.bundled()] {
        assert_eq!(found(std::slice::from_ref(&attached), &any), Signature::By("release".to_owned()));
        expect_missing("own", attached, &own, "since its version 3; `repositories: any` takes that");
    }
    // What the same key signed of a scan is no word on whose image it is.
    expect_missing("a scan", statement("https://in-toto.io/attestation/vulns/v0.2").bundled(), &any, "");
    let other = release.attests(&json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "b".repeat(64)}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {},
    }));
    expect_missing("another image", other.bundled(), &any, "not of sha256:aaaa");
    expect_missing(
        "another version",
        sign.bundled().replaced("v0.3+json", "v0.4+json"),
        &any,
        "no bundle of version 0.3",
    );
    let old = wanted(&[&release], json!(["harbor.example/"]));
    assert_eq!(found(&[release.signs(&payload())], &old), Signature::By("release".to_owned()));
}

/// Whoever signs an index signs the manifests that its bytes name: `cosign sign` without `--recursive`.
#[test]
fn the_signature_of_an_index_counts_for_what_is_in_it() {
    let release = Signer::new("release");
    let index = format!("sha256:{}", "b".repeat(64));
    let of_index = with("/critical/image/docker-manifest-digest", json!(index));
    let own = wanted(&[&release], json!("own"));
    let image = ImageRef::parse(IMAGE).unwrap();
    let found = |beside_it: &[Attached], beside_index: &[Attached]| {
        let (manifest, listed) = (views(beside_it), views(beside_index));
        let digest = digest();
        let places = [Beside { digest: &digest, attached: &manifest }, Beside { digest: &index, attached: &listed }];
        signed(&places, &image, Some(&own))
    };
    let by = Signature::By("release".to_owned());
    assert_eq!(found(&[], &[release.signs(&of_index)]), by);
    assert_eq!(found(&[release.signs(&payload())], &[]), by);
    let stranger = Signer::new("stranger");
    let elsewhere = {
        let mut of_index = of_index.clone();
        of_index["critical"]["identity"]["docker-reference"] = json!("harbor.example/other/analysis");
        release.signs(&of_index)
    };
    for (what, beside_it, beside_index, told) in [
        // Each signature is over the digest that it stands beside.
        ("changed places", vec![release.signs(&of_index)], vec![release.signs(&payload())], "not this image"),
        ("by another", vec![], vec![stranger.signs(&of_index)], "by none of the keys"),
        ("for another repository", vec![], vec![elsewhere], "none of the `repositories` that count"),
        ("none", vec![], vec![], "over sha256:aaaa"),
    ] {
        let Signature::Missing(reasons) = found(&beside_it, &beside_index) else { panic!("{what} counts") };
        assert!(reasons.iter().any(|reason| reason.contains(told)), "{what}: {reasons:?}");
        assert!(reasons[0].contains(&format!("{} or the index {index}", digest())), "{what}: {reasons:?}");
    }
}

/// By others: kubewarden/policy-fetcher, `src/verify/verification_constraints.rs`, of cosign's making; and
/// GoogleCloudPlatform/confidential-space, `server/signedcontainer/verify_test.go` (ECDSA, PKCS 1 and PSS).
#[test]
fn signatures_that_others_published_count() {
    let confidential = |key: &str, algorithm: &str, signature: &str| {
        // Its payload names the key in base64 without padding.
        use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
        let payload = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"us-docker.pkg.dev/confidential-space-images-dev/cs-cosign-tests/base"}},"image":{{"docker-manifest-digest":"sha256:9494e567c7c44e8b9f8808c1658a47c9b7979ef3cceef10f48754fc2706802ba"}},"type":"cosign container image signature"}},"optional":{{"dev.cosignproject.cosign/pub": "{}","dev.cosignproject.cosign/sigalg": "{algorithm}"}}}}"#,
            STANDARD_NO_PAD.encode(key)
        );
        (key.to_owned(), Attached::simple(&payload, signature))
    };
    let image = "us-docker.pkg.dev/confidential-space-images-dev/cs-cosign-tests/base";
    let theirs = "sha256:9494e567c7c44e8b9f8808c1658a47c9b7979ef3cceef10f48754fc2706802ba";
    let busybox = r#"{"critical":{"identity":{"docker-reference":"registry-testing.svc.lan/busybox"},"image":{"docker-manifest-digest":"sha256:f3cfc9d0dbf931d3db4685ec659b7ac68e2a578219da4aae65427886e649b06b"},"type":"cosign container image signature"},"optional":null}"#;
    let kubewarden = (
        KUBEWARDEN.to_owned(),
        Attached::simple(
            busybox,
            "MEYCIQDWWxPQa3XFUsPbyTY+n+bZu/6Pwhg5WwyYDQtEfQho9wIhAPkKW7eub8b7BX+YbbRac8TwwIrK5KxvdtQ6NuoD+ivW",
        ),
    );
    for ((key, attached), image, digest) in [
        (
            kubewarden,
            "registry-testing.svc.lan/busybox:1",
            "sha256:f3cfc9d0dbf931d3db4685ec659b7ac68e2a578219da4aae65427886e649b06b",
        ),
        (confidential(P256, "ECDSA_P256_SHA256", BY_P256), image, theirs),
        (confidential(RSA, "RSASSA_PKCS1V15_SHA256", BY_PKCS1), image, theirs),
        (confidential(RSA, "RSASSA_PSS_SHA256", BY_PSS), image, theirs),
    ] {
        let wanted: ImageSignature =
            serde_json::from_value(json!({"keys": [{"name": "theirs", "publicKey": key}]})).unwrap();
        let (image, attached) = (ImageRef::parse(image).unwrap(), [attached]);
        let found = |digest: &str, attached: &[Attached]| {
            signed(&[Beside { digest, attached: &views(attached) }], &image, Some(&wanted))
        };
        assert_eq!(found(digest, &attached), Signature::By("theirs".to_owned()), "{digest}");
        assert_ne!(found(&super::signatures::digest(), &attached), Signature::By("theirs".to_owned()));
        let changed = [attached[0].replaced("critical", "Critical")];
        assert_ne!(found(digest, &changed), Signature::By("theirs".to_owned()));
    }
}

const KUBEWARDEN: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELKhD7F5OKy77Z582Y6h0u1J3GNA+
kvUsh4eKpd1lwkDAzfFDs7yXEExsEkPPuiQJBelDT68n7PDIWB/QEY7mrA==
-----END PUBLIC KEY-----";
const P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMLdxI5u7ON+1QzJ+njeahioIRU/V
gqLf36SUAhbJ/Qnof5HkiJfXB/cBawuddv9JfNFL4nXLNZTHfz4uBrPduw==
-----END PUBLIC KEY-----";
const RSA: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtXmc2Ir66Wq0D2eO6+fK
I7SKJ85N6/FTsBW+i/KHQaecmpAmaatqqoSzmQ+34Ibpe6UPH+MlI19cwEYP/8Vk
MbMII9mM460jdLPUvhigJthv5nHm1htN+WPG9BiQuDkktWhOdJgZFbWtHXCEMW38
zZH6FDsnvuTW9oPDjEKNB7CpWnpbZNx50pTb2mMQZBW75W0mYuw4h++fo5Z7EpWm
N8Fg2TK/2Qu4KUSSdu8yYiZTn97AMNjoAiNFjRwWw7G+O2rOcMhuU2Gt8eieXyFm
JI6E7jgZRHtW6VddCLbchgJAXtbNOkV5cG2GLyoXq6sVJ61F70tx5VB54665SgNU
JwIDAQAB
-----END PUBLIC KEY-----";
const BY_P256: &str =
    "MEUCIDWVapx3r93lFmKRR3v2AzYUui2Pdur3AYSYkiicZKcEAiEAj3GC2+1JdRXxypXrUmTqtFrPxneCY3jQAdqoCDmjVx0=";
const BY_PKCS1: &str = "PxShLjtQfmju/mKLtHJ5gsX1M8nlkEv2uYpKuNvVeANSrH3Px4hAOw302G2YLPaLRMcsBnLKIVL4lHr0FqqDQluVj/eJJ+PHvcmSltbLhCvw2f1ZTjt/NcgThfL5gpywgAHVXSYESettaCezWsPvRlyf6vypKMbnaO8D6gWX96hAiAFdHbTnVlpQ5rBjbyErx5NkyZhaGPOqXk6FAtZDHFy7Cg+vaq9wItZzp/7+JC7dEIRQel9xSKYUKIG4W563Q/7i8DGMg+rETOxgpBR9oco3QNev7YIuDUd++Dk3M/Wv9b1u6I9aqBdVe86TU+5Ur2nyNxw9chzhNmtdu5zTyA==";
const BY_PSS: &str = "egqyxSJnAqS/GJ0ryeL2RXz2xCl53ynSt2Nk09VjP20IffO3uAjMsfneJOQjOljJRzMknsp4S0yr7E+6pBIi9x3Qkcs+KTpUNMpEAtXhn/qloE1SUx/j7uTUSQBkaxnlQvwrmMup+PChDNL6aRRfzEiV/rmywAicWCS4kLtHXNFOcV3emd1t3Vzp00ywfGFKjTzFnJlyxsLjO+uEsYlpUWjGaJ4n2f0wOthEGHH02wVEYNHS5wEYpu0GbcaL7C3pdBsYfpQHZWhHTNcalLBASbQ5ienMn17ZDm0bXplEbtjd2hj+xFIy0iKD39YV94vtsA0yjIkRSiXHVCWEKKWIUA==";

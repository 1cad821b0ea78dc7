//! Manifests as registries hold them, and those that two readers would read as two things.

use serde_json::{Value, json};

use super::*;

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const NO_JSON: &str = "is no JSON that all readers read alike";
const MISSPELT: &str = "has a key in other letters than the standard's";
const ELSEWHERE: &str = "sends its readers elsewhere for a part of it (`urls`)";
const BOTH: &str = "is an image and an index at once";
const SCHEMA_1: &str = "is of schema 1, whose content is not what its digest says";

fn named(media_type: &str, digit: char, more: &[(&str, Value)]) -> Value {
    let digest = format!("sha256:{}", digit.to_string().repeat(64));
    let mut named = json!({"mediaType": media_type, "digest": digest, "size": 2});
    for (key, value) in more {
        named[*key] = value.clone();
    }
    named
}

fn image() -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI, "config": named("c", 'a', &[]), "layers": [named("l", 'b', &[])]})
}

fn both(manifests: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
}

fn with(mut value: Value, key: &str, member: Value) -> Value {
    value[key] = member;
    value
}

fn without(mut value: Value, key: &str) -> Value {
    value.as_object_mut().unwrap().remove(key);
    value
}

fn described(media_type: &str, digit: char, platform: Option<&str>) -> Described {
    let digest = Digest::parse(&format!("sha256:{}", digit.to_string().repeat(64))).unwrap();
    let (media_type, platform) = (media_type.to_owned(), platform.map(str::to_owned));
    Described { media_type, digest, annotations: BTreeMap::new(), platform }
}

#[test]
fn images_and_indexes_of_both_standards_are_read() {
    let parts =
        || Manifest::Image(Parts { config: described("c", 'a', None), layers: vec![described("l", 'b', None)] });
    let platform = |value: Value| named(OCI, 'c', &[("platform", value)]);
    let index = both(&[platform(json!({"os": "linux", "architecture": "amd64"})), named(DOCKER, 'd', &[])]);
    let entries = || Manifest::Index(vec![described(OCI, 'c', Some("linux/amd64")), described(DOCKER, 'd', None)]);
    for (value, content_type, want) in [
        (image(), OCI, parts()),
        (image(), &format!("{OCI}; charset=utf-8"), parts()),
        (without(image(), "mediaType"), OCI, parts()),
        (without(image(), "mediaType"), DOCKER, parts()),
        (with(image(), "mediaType", json!(DOCKER)), DOCKER, parts()),
        (with(image(), "manifests", Value::Null), OCI, parts()),
        (with(image(), "subject", named(OCI, 'e', &[])), OCI, parts()),
        (index.clone(), INDEX, entries()),
        (with(index, "mediaType", json!(LIST)), LIST, entries()),
    ] {
        assert_eq!(read(value.to_string().as_bytes(), content_type), Ok(want), "{content_type}: {value}");
    }
}

#[test]
fn what_readers_could_take_for_different_things_is_refused() {
    let text = image().to_string();
    let twice = text.replacen('{', r#"{"config":{},"#, 1);
    let entry = || named(OCI, 'c', &[]);
    for (text, content_type, want) in [
        (text.clone(), INDEX, "is of another media type than the registry says"),
        (text.clone(), "", "is of another media type than the registry says"),
        (text.clone(), "application/json", "is of another media type than the registry says"),
        (without(image(), "mediaType").to_string(), "application/json", "is of a media type that is no image's"),
        (without(image(), "mediaType").to_string(), INDEX, BOTH),
        (without(both(&[entry()]), "mediaType").to_string(), OCI, BOTH),
        (with(image(), "manifests", json!([])).to_string(), OCI, BOTH),
        (with(both(&[]), "layers", json!([])).to_string(), INDEX, BOTH),
        (with(both(&[]), "config", entry()).to_string(), INDEX, BOTH),
        (with(image(), "schemaVersion", json!(1)).to_string(), OCI, SCHEMA_1),
        (with(image(), "fsLayers", json!([])).to_string(), OCI, SCHEMA_1),
        (without(image(), "schemaVersion").to_string(), OCI, SCHEMA_1),
        (with(image(), "Config", entry()).to_string(), OCI, MISSPELT),
        (with(both(&[entry()]), "manife\u{17f}ts", json!([])).to_string(), INDEX, MISSPELT),
        (with(both(&[entry()]), "MANIFESTS", json!([])).to_string(), INDEX, MISSPELT),
        (both(&[with(entry(), "Digest", json!("x"))]).to_string(), INDEX, MISSPELT),
        (both(&[with(entry(), "platform", json!({"OS": "linux"}))]).to_string(), INDEX, MISSPELT),
        (twice, OCI, NO_JSON),
        (format!("{text}{text}"), OCI, NO_JSON),
        (String::new(), OCI, NO_JSON),
        ("[]".to_owned(), OCI, "is no object where one belongs"),
        (without(image(), "config").to_string(), OCI, "has no configuration"),
        (with(image(), "layers", json!({})).to_string(), OCI, "has no list where one belongs"),
        (both(&[json!("x")]).to_string(), INDEX, "is no object where one belongs"),
        (both(&[with(entry(), "platform", json!("x"))]).to_string(), INDEX, "is no object where one belongs"),
        (both(&[without(entry(), "mediaType")]).to_string(), INDEX, "names something without its media type"),
        (
            with(image(), "layers", json!([with(entry(), "urls", json!(["http://10.0.0.1/"]))])).to_string(),
            OCI,
            ELSEWHERE,
        ),
        (with(image(), "config", with(entry(), "urls", json!(["http://10.0.0.1/"]))).to_string(), OCI, ELSEWHERE),
        (both(&[with(entry(), "urls", json!(["http://10.0.0.1/"]))]).to_string(), INDEX, ELSEWHERE),
        (both(&[with(entry(), "urls", json!("http://10.0.0.1/"))]).to_string(), INDEX, "has no list where one belongs"),
        (
            both(&[with(entry(), "digest", json!(format!("sha512:{}", "a".repeat(128))))]).to_string(),
            INDEX,
            "names something by another digest than sha256",
        ),
        (
            both(&[with(entry(), "annotations", json!({"a": 1}))]).to_string(),
            INDEX,
            "has an annotation that is no text",
        ),
    ] {
        assert_eq!(read(text.as_bytes(), content_type), Err(want), "{content_type}: {text}");
    }
}

#[test]
fn platforms_are_named_as_runtimes_compare_them() {
    for (platform, want) in [
        (json!({"os": "linux", "architecture": "amd64"}), Some("linux/amd64")),
        (json!({"os": "Linux", "architecture": "AMD64"}), Some("linux/amd64")),
        (json!({"os": "linux", "architecture": "amd64", "variant": "v1"}), Some("linux/amd64")),
        (json!({"os": "linux", "architecture": "amd64", "variant": "v3"}), Some("linux/amd64/v3")),
        (json!({"os": "linux", "architecture": "x86_64"}), Some("linux/amd64")),
        (json!({"os": "linux", "architecture": "aarch64"}), Some("linux/arm64")),
        (json!({"os": "linux", "architecture": "arm64", "variant": "v8"}), Some("linux/arm64")),
        (json!({"os": "linux", "architecture": "arm"}), Some("linux/arm/v7")),
        (json!({"os": "linux", "architecture": "arm", "variant": "v6"}), Some("linux/arm/v6")),
        (json!({"os": "linux", "architecture": "armhf"}), Some("linux/arm/v7")),
        (json!({"os": "linux", "architecture": "i386"}), Some("linux/386")),
        (json!({"os": "windows", "architecture": "amd64", "os.version": "10.0"}), Some("windows/amd64")),
        (json!({"architecture": "amd64"}), Some("linux/amd64")),
        (json!({"os": "linux"}), None),
        (json!({"os": "linux/amd64", "architecture": "x"}), None),
        (json!({"os": "linux", "architecture": "amd64 "}), None),
        (json!({}), None),
    ] {
        let config = platform.to_string();
        assert_eq!(configured_platform(config.as_bytes()), Ok(want.map(str::to_owned)), "{platform}");
    }
    assert_eq!(configured_platform(br#"{"os":"linux","architecture":"amd64","OS":"x"}"#), Err(MISSPELT));
    assert_eq!(configured_platform(b"\x1f\x8b"), Err(NO_JSON));
}

#[test]
fn an_attestation_is_for_no_platform_and_says_so() {
    let unknown = ("platform", json!({"os": "unknown", "architecture": "unknown"}));
    let says = ("annotations", json!({REFERENCE_TYPE: "attestation-manifest"}));
    let amd64 = ("platform", json!({"os": "linux", "architecture": "amd64"}));
    for (more, want) in [
        (vec![unknown.clone(), says.clone()], true),
        (vec![unknown], false),
        (vec![amd64, says.clone()], false),
        (vec![says], false),
    ] {
        let text = both(&[named(OCI, 'c', &more)]).to_string();
        let Ok(Manifest::Index(entries)) = read(text.as_bytes(), INDEX) else { panic!("{text}") };
        assert_eq!(entries[0].is_attestation(), want, "{text}");
    }
}

//! What a manifest says: an image's parts, or the manifests of an index. What readers could take for different things is refused.

use std::collections::BTreeMap;

use crate::model::{Digest, Json, parse_at_most, platform_name};

/// A manifest, by its form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    /// Of one image, or of something else that is kept like one.
    Image(Parts),
    /// Of several.
    Index(Vec<Described>),
}

/// What an image is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) config: Described,
    pub(super) layers: Vec<Described>,
}

/// Something else in the registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    /// Those that anybody here reads; of the others there may be any amount.
    pub(super) annotations: BTreeMap<String, String>,
    /// Such as `linux/arm/v7`, as runtimes take it.
    pub(super) platform: Option<String>,
}

/// Reads a manifest that came with that `Content-Type`; or says what is wrong with it.
pub(super) fn read(bytes: &[u8], content_type: &str) -> Result<Manifest, &'static str> {
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    let manifest =
        object(bytes, &["schemaVersion", "mediaType", "config", "layers", "manifests", "fsLayers", "history"])?;
    if manifest.at(&["schemaVersion"]).and_then(Json::integer) != Some(2) || manifest.get("fsLayers").is_some() {
        return Err("is of schema 1, whose content is not what its digest says");
    }
    // Who reads the type in the header and who reads it in the text must see the same.
    let media_type = match manifest.get("mediaType") {
        None => content_type,
        Some(own) if own.text() == Some(content_type) => content_type,
        Some(_) => return Err("is of another media type than the registry says"),
    };
    let (single, several) = (manifest.get("config").or(manifest.get("layers")), manifest.get("manifests"));
    match (MANIFESTS.contains(&media_type), INDEXES.contains(&media_type)) {
        (true, _) if several.is_none() => {
            let config = described(manifest.get("config").ok_or("has no configuration")?)?;
            let layers = items(manifest.get("layers"))?.iter().map(described).collect::<Result<_, _>>()?;
            Ok(Manifest::Image(Parts { config, layers }))
        }
        (_, true) if single.is_none() => {
            Ok(Manifest::Index(items(several)?.iter().map(described).collect::<Result<_, _>>()?))
        }
        (false, false) => Err("is of a media type that is no image's"),
        _ => Err("is an image and an index at once"),
    }
}

/// The platform that an image's configuration names.
pub(super) fn configured_platform(bytes: &[u8]) -> Result<Option<String>, &'static str> {
    Ok(platform(&object(bytes, PLATFORM)?))
}

impl Described {
    /// Whether it is a manifest of one image.
    pub(super) fn is_manifest(&self) -> bool {
        MANIFESTS.contains(&self.media_type.as_str())
    }

    /// Whether it is an index again.
    pub(super) fn is_index(&self) -> bool {
        INDEXES.contains(&self.media_type.as_str())
    }

    /// Whether it says something about its neighbours and is for no platform; no runtime takes it for an image.
    pub(super) fn is_attestation(&self) -> bool {
        self.platform.as_deref() == Some("unknown/unknown")
            && self.annotations.get(REFERENCE_TYPE).map(String::as_str) == Some("attestation-manifest")
    }
}

fn described(entry: &Json<'_>) -> Result<Described, &'static str> {
    only_spelt(entry, &["mediaType", "digest", "size", "platform", "annotations", "urls", "data"])?;
    let text = |key| entry.get(key).and_then(Json::text);
    let digest = text("digest").and_then(Digest::parse).ok_or("names something by another digest than sha256")?;
    let mut annotations = BTreeMap::new();
    for (key, value) in entry.get("annotations").map(Json::entries).unwrap_or_default() {
        let value = value.text().ok_or("has an annotation that is no text")?;
        if ANNOTATIONS.contains(&key.as_ref()) {
            annotations.insert(key.to_string(), value.to_owned());
        }
    }
    // Whoever reads the image would ask these hosts, whoever they are.
    if !items(entry.get("urls"))?.is_empty() {
        return Err("sends its readers elsewhere for a part of it (`urls`)");
    }
    let platform = match entry.get("platform") {
        Some(named) => {
            only_spelt(named, PLATFORM)?;
            let has = |key| named.get(key).and_then(Json::text).is_some_and(|text| !text.is_empty());
            // An image may leave it to whoever reads it; an index says what its readers choose by.
            if has("os") && has("architecture") { platform(named) } else { None }
        }
        None => None,
    };
    let media_type = text("mediaType").ok_or("names something without its media type")?;
    if media_type.len() > LONGEST_TYPE {
        return Err("names something by a media type that is longer than any");
    }
    let media_type = media_type.to_owned();
    Ok(Described { media_type, digest, annotations, platform })
}

fn platform(named: &Json<'_>) -> Option<String> {
    let text = |key: &str| named.get(key).and_then(Json::text).unwrap_or_default();
    platform_name(text("os"), text("architecture"), text("variant"))
}

fn object<'a>(bytes: &'a [u8], known: &[&str]) -> Result<Json<'a>, &'static str> {
    let value = parse_at_most(bytes, VALUES).map_err(|_| "is no JSON that all readers read alike")?;
    only_spelt(&value, known)?;
    Ok(value)
}

/// Programs in Go take a key in other letters for the same key, so that two readers could see two different images.
fn only_spelt(value: &Json<'_>, known: &[&str]) -> Result<(), &'static str> {
    let Json::Object(entries) = value else { return Err("is no object where one belongs") };
    let folded = |key: &str| key.replace('\u{17f}', "s").replace('\u{212a}', "k").to_ascii_lowercase();
    let misspelt = |key: &str| {
        let key_folded = folded(key);
        known.iter().any(|name| *name != key && name.eq_ignore_ascii_case(&key_folded))
    };
    if entries.iter().any(|(key, _)| misspelt(key)) {
        Err("has a key in other letters than the standard's")
    } else {
        Ok(())
    }
}

fn items<'j, 'a>(value: Option<&'j Json<'a>>) -> Result<&'j [Json<'a>], &'static str> {
    match value {
        None => Ok(&[]),
        Some(Json::Array(items)) => Ok(items),
        Some(_) => Err("has no list where one belongs"),
    }
}

/// What is asked for, by its media types.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
const MANIFESTS: &[&str] =
    &["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const INDEXES: &[&str] =
    &["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const PLATFORM: &[&str] = &["os", "architecture", "variant"];
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const ANNOTATIONS: &[&str] = &[REFERENCE_TYPE, "dev.cosignproject.cosign/signature"];
/// Two names of 127 characters (RFC 6838) and what stands between them.
const LONGEST_TYPE: usize = 255;
/// Of an image of a thousand layers each has a handful. Each takes more memory than its text.
const VALUES: usize = 10_000;

#[cfg(test)]
mod tests;

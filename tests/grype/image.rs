//! Images that tests make: one layer, of a few text files, for one platform; and indexes of several.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What a registry holds under a digest.
pub(crate) struct Content {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// An image for one platform.
pub(crate) struct Image {
    pub(crate) manifest: Content,
    pub(crate) blobs: [Content; 2],
    platform: Value,
}

impl Content {
    pub(crate) fn digest(&self) -> String {
        let digits: String = Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{digits}")
    }

    fn described(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len()})
    }
}

impl Image {
    /// An image of these files, by path and text, for a platform such as `linux/arm64`.
    pub(crate) fn of(platform: &str, files: &[(&str, &str)]) -> Image {
        let (os, architecture) = platform.split_once('/').unwrap();
        let layer = Content { media_type: "application/vnd.oci.image.layer.v1.tar", bytes: archive(files) };
        let config = json!({
            "os": os, "architecture": architecture, "config": {"User": "65532"},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest()]},
        });
        let media_type = "application/vnd.oci.image.config.v1+json";
        let config = Content { media_type, bytes: config.to_string().into_bytes() };
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config.described(), "layers": [layer.described()],
        });
        Image {
            manifest: Content { media_type: MANIFEST, bytes: manifest.to_string().into_bytes() },
            blobs: [config, layer],
            platform: json!({"os": os, "architecture": architecture}),
        }
    }
}

/// What tools push beside an image: one layer of some form, with annotations, and no configuration.
pub(crate) fn beside(media_type: &'static str, text: &str, annotations: &[(&str, &str)]) -> Image {
    let layer = Content { media_type, bytes: text.as_bytes().to_vec() };
    let config = Content { media_type: "application/vnd.oci.empty.v1+json", bytes: b"{}".to_vec() };
    let mut described = layer.described();
    for (key, value) in annotations {
        described["annotations"][*key] = json!(value);
    }
    let manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config.described(), "layers": [described]});
    Image {
        manifest: Content { media_type: MANIFEST, bytes: manifest.to_string().into_bytes() },
        blobs: [config, layer],
        platform: Value::Null,
    }
}

/// The index of several images.
pub(crate) fn index(images: &[&Image]) -> Content {
    let described = images.iter().map(|image| {
        let mut described = image.manifest.described();
        described.as_object_mut().unwrap().insert("platform".to_owned(), image.platform.clone());
        described
    });
    let manifests: Vec<Value> = described.collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    Content { media_type: INDEX, bytes: index.to_string().into_bytes() }
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

//! Image references: read or refused, and what was read is the same when it is written and read again.

use flamewarden::model::ImageRef;

use super::Target;

pub(super) const TARGET: Target = Target { name: "image", seeds, attempt };

fn attempt(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let image = match ImageRef::parse(&text) {
        Ok(image) => image,
        Err(problem) => return problem.to_string(),
    };
    let written = written(&image);
    assert_eq!(ImageRef::parse(&written), Ok(image), "{text:?} is written {written:?}");
    assert!(image.is_below(image.host), "{text:?} is not below its host");
    assert!(image.is_listed(&written), "{text:?} is not what {written:?} lists");
    let port = image.host.contains(':');
    format!("{port} {} {} {}", image.path().matches('/').count(), image.tag.is_some(), image.digest.is_some())
}

fn written(image: &ImageRef<'_>) -> String {
    let tag = image.tag.map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = image.digest.map(|digest| format!("@{digest}")).unwrap_or_default();
    format!("{}/{}{tag}{digest}", image.host, image.path())
}

fn seeds() -> Vec<Vec<u8>> {
    let digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let texts = [
        "nginx",
        "nginx:latest",
        "docker.io/library/nginx:1.29.8",
        "index.docker.io/nginx",
        "localhost/a/b",
        "localhost:5000/a",
        "harbor.example/node/analysis:1",
        "HOST/a__b/c-d.e",
        "[::1]:5000/a:b",
        "registry.example:443/a/b/c/d:v1.2-3_4",
    ];
    let pinned = texts.iter().map(|text| format!("{text}{digest}").into_bytes());
    texts.iter().map(|text| text.as_bytes().to_vec()).chain(pinned).collect()
}

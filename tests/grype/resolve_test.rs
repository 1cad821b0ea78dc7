//! What tags and digests stand for, by a real registry.

use std::time::Duration;

use flamewarden::model::{Digest, ImageRef, PlatformManifest};
use flamewarden::registry::{Attached, Credential, Reach, Registry as Client, RegistryProblem, Resolved, Transport};
use flamewarden::remote::Ways;
use serde_json::json;

use crate::image::{Content, Image, beside, index};
use crate::registry::{Access, PASSWORD, Registry, USER};

#[tokio::test]
async fn a_tag_stands_for_what_it_was_put_on_last() {
    let registry = Registry::start().await;
    let client = client(&registry);
    let (first, second) = (Image::of("linux/amd64", &[("a", "1")]), Image::of("linux/arm64", &[("a", "2")]));
    let pinned = registry.push("team/app", &first).await;
    registry.push("team/app", &second).await;
    let tagged = registry.tag("team/app", "1", &first.manifest).await;
    let manifest = |image: &Image, platform: &str| Resolved::Manifest {
        digest: digest(&image.manifest),
        platform: Some(platform.to_owned()),
    };
    assert_eq!(resolve(&client, &tagged).await.unwrap(), manifest(&first, "linux/amd64"));
    registry.tag("team/app", "1", &second.manifest).await;
    assert_eq!(resolve(&client, &tagged).await.unwrap(), manifest(&second, "linux/arm64"), "the tag was moved");
    assert_eq!(resolve(&client, &pinned).await.unwrap(), manifest(&first, "linux/amd64"), "a digest was not");
    let both = pinned.replace("team/app@", "team/app:1@");
    assert_eq!(resolve(&client, &both).await.unwrap(), manifest(&first, "linux/amd64"), "the digest counts");
}

#[tokio::test]
async fn an_index_names_its_images() {
    let registry = Registry::start().await;
    let (first, second) = (Image::of("linux/amd64", &[("a", "1")]), Image::of("linux/arm64", &[("a", "2")]));
    registry.push("team/app", &first).await;
    registry.push("team/app", &second).await;
    let both = index(&[&first, &second]);
    let tagged = registry.tag("team/app", "both", &both).await;
    let choice = |image: &Image, platform: &str| PlatformManifest {
        digest: digest(&image.manifest),
        platform: platform.to_owned(),
    };
    let manifests = vec![choice(&first, "linux/amd64"), choice(&second, "linux/arm64")];
    let want = Resolved::Index { digest: digest(&both), manifests };
    assert_eq!(resolve(&client(&registry), &tagged).await.unwrap(), want);
}

#[tokio::test]
async fn what_is_not_there_or_not_named_is_told_so() {
    let registry = Registry::start().await;
    let client = client(&registry);
    let absent = format!("{}/team/none:1", registry.host);
    let problem = resolve(&client, &absent).await.unwrap_err();
    assert_eq!(problem.to_string(), format!("the registry has no {absent}; push it, or correct its name"));
    assert!(!problem.may_pass());
    let elsewhere = resolve(&client, "localhost:1/team/app:1").await.unwrap_err();
    assert!(matches!(elsewhere, RegistryProblem::NotAllowed { .. }), "{elsewhere}");
}

#[tokio::test]
async fn a_private_registry_is_read_with_the_right_credential_alone() {
    let registry = Registry::with(Access::Private).await;
    let client = client(&registry);
    let image = Image::of("linux/amd64", &[("a", "1")]);
    registry.push("team/app", &image).await;
    let tagged = registry.tag("team/app", "1", &image.manifest).await;
    let name = ImageRef::parse(&tagged).unwrap();
    let with = |password: &str| {
        let auths =
            json!({&registry.host: {"username": USER, "password": password}, "other.example": {"auth": "YTpi"}});
        Credential::from_dockerconfigjson(json!({"auths": auths}).to_string().as_bytes(), &name).unwrap()
    };
    let (right, wrong) = (with(PASSWORD), with("open barley"));
    let needs = |what: &str| Err(format!("the registry lets {tagged} be read only with {what}"));
    let platform = Some("linux/amd64".to_owned());
    for (credential, want) in [
        (Some(&right), Ok(Resolved::Manifest { digest: digest(&image.manifest), platform })),
        (None, needs("a credential; give the pod a pull secret for it")),
        (
            Some(&wrong),
            needs("another credential; correct user and password in the pull secret, or what they may read"),
        ),
    ] {
        let got = client.resolve(&name, credential).await;
        assert_eq!(got.map_err(|problem| problem.to_string()), want);
    }
    // What a worker gets opens the same door.
    let handed = right.to_dockerconfigjson();
    assert!(!handed.reveal().contains("other.example"));
    let handed = Credential::from_dockerconfigjson(handed.reveal().as_bytes(), &name).unwrap();
    let manifest = digest(&image.manifest);
    assert_eq!(client.manifest(&name, manifest, Some(&handed)).await.unwrap(), image.manifest.bytes);
    client.manifest(&name, manifest, None).await.unwrap_err();
}

#[tokio::test]
async fn what_was_pushed_beside_an_image_is_found() {
    let registry = Registry::start().await;
    let image = Image::of("linux/amd64", &[("a", "1")]);
    let name = registry.push("team/app", &image).await;
    let tag = image.manifest.digest().replace(':', "-");
    let forms = [
        ("application/vnd.dev.cosign.simplesigning.v1+json", "dev.cosignproject.cosign/signature"),
        ("application/vnd.dsse.envelope.v1+json", "predicateType"),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", "other"),
    ];
    let all = forms.map(|(media_type, key)| beside(media_type, &format!("{{\"form\":\"{key}\"}}"), &[(key, "MEU=")]));
    for image in &all {
        registry.push("team/app", image).await;
    }
    registry.tag("team/app", &format!("{tag}.sig"), &all[0].manifest).await;
    registry.tag("team/app", &format!("{tag}.att"), &all[1].manifest).await;
    // This registry knows no referrers; tools keep their list under a tag.
    registry.tag("team/app", &tag, &index(&[&all[2]])).await;
    let want = forms.map(|(media_type, key)| Attached {
        media_type: media_type.to_owned(),
        // Of annotations those that are read.
        annotations: key.contains("cosign").then(|| (key.to_owned(), "MEU=".to_owned())).into_iter().collect(),
        content: format!("{{\"form\":\"{key}\"}}").into_bytes(),
    });
    let name = ImageRef::parse(&name).unwrap();
    let got = client(&registry).attached(&name, digest(&image.manifest), &[], None).await.unwrap();
    assert_eq!(got.image, want);
    let other = Digest::of(b"something else");
    assert_eq!(client(&registry).attached(&name, other, &[], None).await.unwrap().image, []);
}

async fn resolve(client: &Client, image: &str) -> Result<Resolved, RegistryProblem> {
    client.resolve(&ImageRef::parse(image).unwrap(), None).await
}

/// A client for that registry alone.
fn client(registry: &Registry) -> Client {
    let reach = Reach { registries: vec![registry.host.clone()], ..Reach::default() };
    Client::new(&Ways::plain(PATIENCE), Transport::Plain, reach, PATIENCE).unwrap()
}

fn digest(content: &Content) -> Digest {
    Digest::parse(&content.digest()).unwrap()
}

const PATIENCE: Duration = Duration::from_secs(30);

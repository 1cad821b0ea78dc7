//! A real registry on a free port of 127.0.0.1, in a folder of its own; it ends with the test, however that ends.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use reqwest::{Certificate, Method, RequestBuilder};
use tempfile::TempDir;

use crate::image::{Content, Image};
use crate::part::{Part, Recipe, write_file};
use crate::pki::Authority;

/// A running registry that holds what was pushed to it.
pub(crate) struct Registry {
    /// Host and port, as image names have it.
    pub(crate) host: String,
    /// Who signed its certificate, PEM, where it has one.
    pub(crate) authority: Option<String>,
    client: reqwest::Client,
    access: Access,
    part: Part,
    _folder: TempDir,
}

/// Who may read and write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Open,
    /// [`USER`] with [`PASSWORD`].
    Private,
}

impl Registry {
    /// Starts one for everybody and waits until it answers.
    pub(crate) async fn start() -> Registry {
        Registry::with(Access::Open).await
    }

    /// The same for those who may.
    pub(crate) async fn with(access: Access) -> Registry {
        Registry::launch(access, None).await
    }

    /// One for everybody with TLS, by an authority of its own.
    pub(crate) async fn with_tls() -> Registry {
        Registry::launch(Access::Open, Some(Authority::new("registry"))).await
    }

    async fn launch(access: Access, authority: Option<Authority>) -> Registry {
        let folder = tempfile::Builder::new().prefix("flamewarden-registry.").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let settings = folder.path().join("config.yml");
        let (storage, users) = (folder.path().join("storage"), folder.path().join("users"));
        write_file(&users, &format!("{USER}:{HASH}\n"));
        let users = match access {
            Access::Open => String::new(),
            Access::Private => format!("auth: {{htpasswd: {{realm: tests, path: {}}}}}\n", users.display()),
        };
        let tls = authority.as_ref().map(|authority| {
            let (leaf, certificate, key) =
                (authority.serving(&["127.0.0.1"]), folder.path().join("crt"), folder.path().join("key"));
            write_file(&certificate, &leaf.certificate);
            write_file(&key, &leaf.key);
            format!(", tls: {{certificate: {}, key: {}}}", certificate.display(), key.display())
        });
        let tls = tls.unwrap_or_default();
        write_file(
            &settings,
            &format!(
                "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{host}'{tls}}}\n{users}",
                storage.display()
            ),
        );
        let part = Part::start(Recipe {
            name: "docker-registry".to_owned(),
            program: "docker-registry".into(),
            arguments: vec!["serve".to_owned(), settings.display().to_string()],
            environment: Vec::new(),
            log: folder.path().join("log"),
        });
        let authority = authority.map(|authority| authority.certificate);
        let trusted = authority.iter().map(|pem| Certificate::from_pem(pem.as_bytes()).unwrap());
        let client = reqwest::Client::builder().tls_certs_merge(trusted).build().unwrap();
        let mut registry = Registry { host, authority, client, access, part, _folder: folder };
        registry.answers().await;
        registry
    }

    /// Pushes an image; its name is `repository@digest`.
    pub(crate) async fn push(&self, repository: &str, image: &Image) -> String {
        for blob in &image.blobs {
            self.push_blob(repository, blob).await;
        }
        self.push_manifest(repository, &image.manifest).await
    }

    /// Pushes a manifest or an index, whose parts are there already, by its digest.
    pub(crate) async fn push_manifest(&self, repository: &str, manifest: &Content) -> String {
        let digest = manifest.digest();
        self.put_manifest(repository, &digest, manifest).await;
        format!("{}/{repository}@{digest}", self.host)
    }

    /// Pushes a manifest or an index, whose parts are there already, by a tag, which may have been another's.
    pub(crate) async fn tag(&self, repository: &str, tag: &str, manifest: &Content) -> String {
        self.put_manifest(repository, tag, manifest).await;
        format!("{}/{repository}:{tag}", self.host)
    }

    async fn put_manifest(&self, repository: &str, reference: &str, manifest: &Content) {
        let url = format!("{}/v2/{repository}/manifests/{reference}", self.url());
        let pushed = self.ask(Method::PUT, &url).header("Content-Type", manifest.media_type);
        let answer = pushed.body(manifest.bytes.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }

    async fn push_blob(&self, repository: &str, blob: &Content) {
        let url = format!("{}/v2/{repository}/blobs/uploads/", self.url());
        let begun = self.ask(Method::POST, &url).send().await.unwrap();
        let place = begun.headers()["location"].to_str().unwrap().to_owned();
        let url = format!("{place}{}digest={}", if place.contains('?') { '&' } else { '?' }, blob.digest());
        let answer = self.ask(Method::PUT, &url).body(blob.bytes.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }

    fn url(&self) -> String {
        format!("{}://{}", if self.authority.is_some() { "https" } else { "http" }, self.host)
    }

    fn ask(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.client.request(method, url);
        match self.access {
            Access::Open => request,
            Access::Private => request.basic_auth(USER, Some(PASSWORD)),
        }
    }

    async fn answers(&mut self) {
        let begun = Instant::now();
        while self.client.get(format!("{}/v2/", self.url())).send().await.is_err() {
            let ended = self.part.ended();
            let problem = format!("ended {ended:?}, after {:?}; {}", begun.elapsed(), self.part.log_tail());
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "docker-registry does not answer: {problem}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) const USER: &str = "robot$node";
pub(crate) const PASSWORD: &str = "open sesame";
/// Of the password, by bcrypt.
const HASH: &str = "$2a$05$.GkyCb2325YP0BIxDSKDOeqzATpglj.XjbU7sBQp5xZGPOsoWZh4i";
const PATIENCE: Duration = Duration::from_secs(30);

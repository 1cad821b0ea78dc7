//! A real registry on a free port of 127.0.0.1, in a folder of its own; it ends with the test, however that ends.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::image::{Content, Image};
use crate::part::{Part, Recipe, write_file};

/// A running registry that holds what was pushed to it.
pub(crate) struct Registry {
    /// Host and port, as image names have it.
    pub(crate) host: String,
    client: reqwest::Client,
    part: Part,
    _folder: TempDir,
}

impl Registry {
    /// Starts one and waits until it answers.
    pub(crate) async fn start() -> Registry {
        let folder = tempfile::Builder::new().prefix("flamewarden-registry.").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let settings = folder.path().join("config.yml");
        let storage = folder.path().join("storage");
        write_file(
            &settings,
            &format!(
                "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{host}'}}\n",
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
        let mut registry = Registry { host, client: reqwest::Client::new(), part, _folder: folder };
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
        let url = format!("http://{}/v2/{repository}/manifests/{digest}", self.host);
        let pushed = self.client.put(url).header("Content-Type", manifest.media_type).body(manifest.bytes.clone());
        let answer = pushed.send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        format!("{}/{repository}@{digest}", self.host)
    }

    async fn push_blob(&self, repository: &str, blob: &Content) {
        let url = format!("http://{}/v2/{repository}/blobs/uploads/", self.host);
        let begun = self.client.post(url).send().await.unwrap();
        let place = begun.headers()["location"].to_str().unwrap().to_owned();
        let url = format!("{place}{}digest={}", if place.contains('?') { '&' } else { '?' }, blob.digest());
        let answer = self.client.put(url).body(blob.bytes.clone()).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    }

    async fn answers(&mut self) {
        let begun = Instant::now();
        while self.client.get(format!("http://{}/v2/", self.host)).send().await.is_err() {
            let ended = self.part.ended();
            let problem = format!("ended {ended:?}, after {:?}; {}", begun.elapsed(), self.part.log_tail());
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "docker-registry does not answer: {problem}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

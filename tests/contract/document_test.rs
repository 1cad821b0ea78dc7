//! The API does what its OpenAPI document says, whoever asks, and makes nothing but what was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flamewarden::model::AnalysisId;
use serde_json::{Value, json};

use crate::installed::{Installed, analysis_of, installed};
use crate::python::{beside, python, run};
use crate::shared;

/// How long each asks: in a minute all of it, or as long as `FLAMEWARDEN_SOAK` has time for.
fn seconds(short: u32) -> u32 {
    if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { short * 20 } else { short }
}

#[test]
fn an_administrator_is_answered_as_the_document_says_and_what_was_not_asked_for_is_not_made() {
    shared::run(async {
        let (installed, _turn) = installed().await;
        let asks = Asks::new(installed, installed.administrator().await);
        // Everything that is valid by the document is accepted here.
        asks.all(seconds(30), &["--checks=all"], &[("CONTRACT_IMAGES", "allowed")]);
        let made = asks.made();
        assert!(made.len() >= 10, "{} analyses were asked for", made.len());
        asks.nothing_else(installed, &made).await;
        // Images and registries as they come: hardly one may run, and none is an error of ours.
        asks.all(seconds(8), &["--exclude-checks=positive_data_acceptance", "--include-path-regex=^/po/?$"], &[]);
        asks.nothing_else(installed, &asks.made()).await;
        let deleted = installed.ask(&asks.token, "DELETE", "/po/delete", None).await;
        assert_eq!(deleted.0, 200, "{}", deleted.1);
        installed.empty().await;
    });
}

#[test]
fn who_may_not_is_refused_as_the_document_says_and_makes_nothing() {
    shared::run(async {
        let (installed, _turn) = installed().await;
        let analysis = "55555555-0000-4000-8000-000000000001";
        let client = keycloak_client(installed, analysis).await;
        let own = installed.keycloak.token("flame", analysis, &client).await;
        let expired = format!("{}x", installed.administrator().await);
        // What is valid is refused all the same, and what is not may be refused for that reason or the other.
        let checks = "--checks=not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,allow_header_conformance,unsupported_method";
        for token in [own, expired] {
            let asks = Asks::new(installed, token);
            asks.all(seconds(6), &[checks], &[("CONTRACT_IMAGES", "allowed")]);
            assert_eq!(asks.made(), BTreeMap::new());
        }
        assert_eq!(installed.objects("analyses").await, Vec::<Value>::new());
        installed.empty().await;
    });
}

/// Asks everything that the document has.
struct Asks {
    api: String,
    token: String,
    record: PathBuf,
    folder: tempfile::TempDir,
}

impl Asks {
    fn new(installed: &Installed, token: String) -> Asks {
        let folder = tempfile::tempdir().unwrap();
        Asks { api: installed.guarded.api.clone(), token, record: folder.path().join("record"), folder }
    }

    fn all(&self, seconds: u32, options: &[&str], environment: &[(&str, &str)]) {
        let program: &Path = python();
        let said = run(Command::new(program.with_file_name("st"))
            .current_dir(self.folder.path())
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("PYTHONPATH", beside(""))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CONTRACT_RECORD", &self.record)
            .envs(environment.iter().copied())
            .args(["run", &format!("{}/api/v1/openapi.json", self.api), "--seed=1", "--no-color"])
            // One that takes its time may be one that never answers.
            .args([&format!("--max-time={seconds}"), "--request-timeout=20"])
            .args(["-H", &format!("Authorization: Bearer {}", self.token)])
            .args(options));
        let counted =
            said.split("Test cases:\n").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_else(|| panic!("{said}"));
        println!("{}", counted.trim());
    }

    /// What was asked for and granted: the ids with all the bodies.
    fn made(&self) -> BTreeMap<AnalysisId, Vec<Value>> {
        let mut made = BTreeMap::new();
        let text = fs::read_to_string(&self.record).unwrap_or_default();
        for body in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            let id: AnalysisId = body["analysis_id"].as_str().unwrap().parse().unwrap();
            made.entry(id).or_insert_with(Vec::new).push(body);
        }
        made
    }

    /// Everything that is there belongs to an analysis that was asked for, and each Analysis is as it was asked for.
    async fn nothing_else(&self, installed: &Installed, made: &BTreeMap<AnalysisId, Vec<Value>>) {
        println!("{} of {} analyses are there", installed.objects("analyses").await.len(), made.len());
        let ids: BTreeSet<String> = made.keys().map(ToString::to_string).collect();
        for analysis in installed.objects("analyses").await {
            let name = analysis["metadata"]["name"].as_str().unwrap();
            let bodies = name.parse().ok().and_then(|id| made.get(&id)).unwrap_or_else(|| panic!("{name} is nobody's"));
            let (spec, text) = (&analysis["spec"], analysis.to_string());
            let project = |body: &Value| body["project_id"].as_str().unwrap().to_lowercase();
            assert!(bodies.iter().any(|body| spec["projectId"] == project(body) && spec["image"] == body["image_url"]));
            let long = |secret: &&str| secret.len() > 8;
            for secret in bodies.iter().flat_map(|body| [&body["registry_password"], &body["kong_token"]]) {
                assert!(!secret.as_str().filter(long).is_some_and(|secret| text.contains(secret)), "{text}");
            }
        }
        for resource in ["secrets", "services", "configmaps", "deployments", "networkpolicies", "pods"] {
            for object in installed.objects(resource).await {
                assert!(analysis_of(&object).is_none_or(|id| ids.contains(id)), "{resource}: {object}");
            }
        }
    }
}

/// Makes the client of an analysis as FLAME does; gives its secret.
async fn keycloak_client(installed: &Installed, analysis: &str) -> String {
    let secret = "secret-of-an-analysis";
    let client = json!({
        "clientId": analysis, "name": format!("flame-{analysis}"), "serviceAccountsEnabled": true, "secret": secret,
    });
    let made = installed.keycloak.administer(http::Method::POST, &["flame", "clients"], Some(&client)).await;
    assert_eq!(made.0, 201);
    secret.to_owned()
}

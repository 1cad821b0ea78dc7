//! The one installation of a test run: the real program, with a Keycloak whose realm is as FLAME's chart makes it.

use flamewarden::model::Secret;
use flamewarden::remote::{Address, Content, Question};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::flamewarden::{Guarded, MADE, More, RealmSettings, install};
use crate::keycloak::{HUB_ADAPTER_SECRET, Server, flame_realm, remote};
use crate::node::services;
use crate::part::write_file;
use crate::shared::{PATIENCE, cluster, wait_until};

/// Cluster, Keycloak and Flamewarden.
pub(crate) struct Installed {
    pub(crate) guarded: Guarded,
    pub(crate) keycloak: Server,
}

/// The installation and the turn: what is asked concerns all analyses, so one test asks at a time.
pub(crate) async fn installed() -> (&'static Installed, MutexGuard<'static, ()>) {
    static INSTALLED: OnceCell<Installed> = OnceCell::const_new();
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let start = async || {
        let keycloak = Server::start(&[flame_realm(&[])]).await;
        let cluster = cluster().await;
        let secret = cluster.plane.folder().join("keycloak-secret");
        write_file(&secret, keycloak.settings().secret.reveal());
        let realm = RealmSettings { keycloak: keycloak.address().as_str().to_owned(), secret: Some(secret) };
        let guarded = install(cluster, &realm, &More::default()).await;
        services(guarded.cluster, MADE).await;
        Installed { guarded, keycloak }
    };
    (INSTALLED.get_or_init(start).await, turn)
}

impl Installed {
    /// A token of the Hub adapter's own.
    pub(crate) async fn administrator(&self) -> String {
        self.keycloak.token("flame", "hub-adapter", HUB_ADAPTER_SECRET).await
    }

    /// Asks the API; gives status and body.
    pub(crate) async fn ask(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let token = Secret::new(token);
        let question = Question {
            method: method.parse().unwrap(),
            address: Address::parse(&self.guarded.api).unwrap().below(&segments),
            bearer: Some(&token),
            content: body.map_or(Content::Nothing, Content::Json),
            longest: 1 << 20,
        };
        let answer = remote().ask(question).await.unwrap();
        (answer.status, answer.json().unwrap_or_default())
    }

    /// The objects of a kind where analyses are made.
    pub(crate) async fn objects(&self, resource: &str) -> Vec<Value> {
        let group = match resource {
            "analyses" => "/apis/flamewarden.dev/v1alpha1",
            "deployments" | "replicasets" => "/apis/apps/v1",
            "networkpolicies" => "/apis/networking.k8s.io/v1",
            _ => "/api/v1",
        };
        let list = self.guarded.cluster.admin.get(&format!("{group}/namespaces/{MADE}/{resource}")).await.unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// Waits until nothing that bears an analysis's label is left.
    pub(crate) async fn empty(&self) {
        for resource in ["analyses", "deployments", "pods", "configmaps", "secrets", "services", "networkpolicies"] {
            wait_until(&format!("no {resource} are left"), PATIENCE, async || {
                let objects = self.objects(resource).await;
                let owned = |object: &&Value| resource == "analyses" || analysis_of(object).is_some();
                objects.iter().find(owned).is_none().then_some(())
            })
            .await;
        }
    }
}

/// The analysis that an object belongs to by its label.
pub(crate) fn analysis_of(object: &Value) -> Option<&str> {
    object["metadata"]["labels"]["flamewarden.dev/analysis"].as_str()
}

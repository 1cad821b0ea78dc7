//! The orchestrator dies after each of its calls, and at random: whoever comes after it ends in the same place.

use std::path::PathBuf;

use flamewarden::keycloak::Keycloak;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::flamewarden::{CRASH, guarded};
use crate::instance::{Instance, TURN};
use crate::isolated::Isolated;
use crate::keycloak::Server;
use crate::node::{IMAGE, Node};
use crate::shared::run;
use crate::shared_keycloak::{clients_of, keycloak, tokens, user_of};
use crate::tokens_test::{claims, token};

#[test]
fn after_a_death_at_any_call_an_analysis_is_made_and_taken_away_all_the_same() {
    run(async {
        let tokens = Tokens::of_analyses().await;
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let isolated = Isolated::start(&node).await;
        let whole = tokens.instance(&node, None).await;
        let id = id(0);
        tokens.ask_for(&node, &id).await;
        let made = tokens.made(&node, &id).await;
        let creation = whole.writes();
        tokens.taken_away(&node, &id).await;
        let deletion = whole.writes() - creation;
        drop(whole);
        assert!(creation >= 8 && deletion >= 8, "{creation} calls make an analysis, {deletion} take it away");

        let mut deaths = [0, 0];
        for number in 1..=creation.max(deletion) {
            let id = self::id(number);
            let dies = tokens.instance(&node, Some(number.min(creation))).await;
            tokens.ask_for(&node, &id).await;
            deaths[0] += usize::from(dies.died().await);
            let next = tokens.instance(&node, None).await;
            assert_eq!(tokens.made(&node, &id).await, made, "made after a death at call {number}");
            drop(next);
            let dies = tokens.instance(&node, Some(number.min(deletion))).await;
            node.creator.delete(&node.at("analyses", &id), None).await.unwrap();
            deaths[1] += usize::from(dies.died().await);
            let next = tokens.instance(&node, None).await;
            tokens.taken_away(&node, &id).await;
            drop(next);
        }
        // How often the status is written on the way depends on how soon pods are ready.
        assert!(deaths[0] >= creation - 2 && deaths[1] >= deletion - 1, "{deaths:?} of {creation} and {deletion}");

        // Whoever died between Keycloak and the API server left a client without a token, or a token without a client.
        let (id, after) = (self::id(AMID_KEYCLOAK), tokens.instance(&node, None).await);
        tokens.keycloak.client(&id).await.unwrap();
        tokens.ask_for(&node, &id).await;
        assert_eq!(tokens.made(&node, &id).await, made);
        tokens.keycloak.delete(&id).await.unwrap();
        tokens.taken_away(&node, &id).await;
        drop(after);
        let ids: Vec<String> = (0..=creation.max(deletion)).chain([AMID_KEYCLOAK]).map(self::id).collect();
        isolated.held(&format!("{BEGIN}000000000"), &ids).await;
        node.nothing_left(&format!("{BEGIN}000000000")).await;
    });
}

/// How many deaths; `tests/soak` has 200 of them.
const DEATHS: usize = 50;

#[test]
fn deaths_at_random_moments_lose_no_analysis_and_leave_nothing_behind() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let deaths = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { 200 } else { DEATHS };
        let ids: Vec<String> = (1000..1000 + AT_ONCE).map(id).collect();
        let isolated = Isolated::start(&node).await;
        // The order of numbers is the same in every run; what happens meanwhile is not.
        let mut died = 0;
        let mut random: u64 = 0x9E37_79B9_7F4A_7C15;
        for death in 0..deaths {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let after = usize::try_from(random >> 33).unwrap() % 24 + 1;
            let instance = Instance::start(&node, Some(after)).await;
            // Half of them come, half of them go, whatever the one before has left.
            for (index, id) in ids.iter().enumerate() {
                let at = node.at("analyses", id);
                match (node.creator.get(&at).await, (index + death) % 2 == 0) {
                    (Err(_), true) => ask_again(&node, id).await,
                    (Ok(_), false) => drop(node.creator.delete(&at, None).await),
                    _ => {}
                }
            }
            died += usize::from(instance.died().await);
        }
        assert!(died >= deaths / 2, "{died} of {deaths}");
        let last = Instance::start(&node, None).await;
        for id in &ids {
            let at = node.at("analyses", id);
            let found = node.creator.get(&at).await;
            let ends = |found: &Value| !found["metadata"]["deletionTimestamp"].is_null();
            if found.as_ref().is_ok_and(ends) {
                node.guarded.cluster.gone(&at).await;
            }
            if found.is_err() || found.as_ref().is_ok_and(ends) {
                ask_again(&node, id).await;
            }
        }
        for id in &ids {
            made(&node, id).await;
        }
        for id in &ids {
            taken_away(&node, id).await;
        }
        drop(last);
        isolated.held(&format!("{BEGIN}000000001"), &ids).await;
        node.nothing_left(&format!("{BEGIN}000000001")).await;
    });
}

/// Analyses that come and go at one time.
const AT_ONCE: usize = 6;

/// How the ids of analyses begin.
const BEGIN: &str = "22222222-0000-4000-8000-";
/// The number of the analysis with whose client something happens meanwhile.
const AMID_KEYCLOAK: usize = 900;

/// Orchestrators that get each analysis a token of a real Keycloak, which keeps count of clients.
struct Tokens {
    server: &'static Server,
    keycloak: Keycloak,
    section: String,
    secret: PathBuf,
    _folder: TempDir,
}

impl Tokens {
    async fn of_analyses() -> Tokens {
        let (server, folder) = (keycloak().await, tempfile::tempdir().unwrap());
        let (section, secret) = tokens(server, "flame", folder.path());
        Tokens { server, keycloak: user_of(server), section, secret, _folder: folder }
    }

    async fn instance(&self, node: &Node, dies_after: Option<usize>) -> Instance {
        Instance::with(node, dies_after, &self.section, Some(self.secret.clone())).await
    }

    async fn ask_for(&self, node: &Node, id: &str) {
        node.secrets_with(id, json!({"DATA_SOURCE_TOKEN": "none_needed"})).await;
        node.analysis(id, IMAGE).await;
    }

    /// The same, with one client, whose token stands in the Secret.
    async fn made(&self, node: &Node, id: &str) -> Vec<Value> {
        let made = made(node, id).await;
        assert_eq!(clients_of(self.server, "flame", id).await, [id]);
        let secret = node.admin().get(&node.at("secrets", &format!("flame-tokens-{id}"))).await.unwrap();
        assert_eq!(claims(&token(&secret))["azp"], *id);
        made
    }

    /// The same, with no client.
    async fn taken_away(&self, node: &Node, id: &str) {
        taken_away(node, id).await;
        assert_eq!(clients_of(self.server, "flame", id).await, [""; 0]);
    }
}

/// Whoever deletes an Analysis that nobody has taken charge of yet has his Secrets still.
async fn ask_again(node: &Node, id: &str) {
    if node.belongings(id).await.is_empty() {
        node.secrets(id).await;
    }
    node.analysis(id, IMAGE).await;
}

fn id(number: usize) -> String {
    format!("{BEGIN}{number:012}")
}

/// Everything of an analysis once it is said to be ready, without what differs between two of the same kind.
async fn made(node: &Node, id: &str) -> Vec<Value> {
    let status = node.status(id, |status| status["conditions"][0]["status"] == "True").await;
    assert_eq!((&status["phase"], &status["run"], &status["restarts"]), (&json!("started"), &json!(1), &json!(0)));
    let mut made = Vec::new();
    for resource in ["configmaps", "deployments", "networkpolicies", "services"] {
        let path = format!("{}?labelSelector=flamewarden.dev/analysis={id}", node.collection(resource));
        let list = node.creator.get(&path).await.unwrap();
        for object in list["items"].as_array().unwrap() {
            let mut object = object.clone();
            for pointer in ["/spec/clusterIP", "/spec/clusterIPs", "/spec/template/metadata/annotations"] {
                if let Some(value) = object.pointer_mut(pointer) {
                    *value = Value::Null;
                }
            }
            let text = json!([object["metadata"]["name"], object["metadata"]["labels"], object["spec"]]).to_string();
            made.push(serde_json::from_str(&text.replace(id, "ID")).unwrap());
        }
    }
    made
}

async fn taken_away(node: &Node, id: &str) {
    let _ = node.creator.delete(&node.at("analyses", id), None).await;
    node.guarded.cluster.gone(&node.at("analyses", id)).await;
    assert_eq!(node.belongings(id).await, [""; 0]);
}

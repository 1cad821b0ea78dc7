//! Tokens of analyses, on a real Keycloak: into the Secret before the analysis starts, renewed, gone at the end.

use std::time::{Duration, Instant};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::flamewarden::{CRASH, guarded};
use crate::gateway::{Gateway, Manner};
use crate::hub_test::{Log, silent_about};
use crate::instance::{Instance, TURN};
use crate::keycloak::{Server, flame_realm};
use crate::node::{IMAGE, Node};
use crate::proxy::Proxy;
use crate::shared::{PATIENCE, run, wait_until};
use crate::shared_keycloak::{SHORT, clients_of, keycloak, tokens};

#[test]
fn an_analysis_has_a_token_of_its_own_before_it_starts_and_its_client_goes_with_it() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let (server, folder) = (keycloak().await, tempfile::tempdir().unwrap());
        let (section, secret) = tokens(server, SHORT, folder.path());
        let wrong = folder.path().join("wrong");
        std::fs::write(&wrong, "not the secret").unwrap();
        let id = "44444444-0000-4000-8000-000000000001";

        // Keycloak does not let it in: all but the analysis is made, nothing runs without its token.
        let refused = Instance::with(&node, None, &section, Some(wrong)).await;
        node.secrets_with(id, json!({"DATA_SOURCE_TOKEN": "key"})).await;
        node.analysis(id, IMAGE).await;
        let gateway = node.at("deployments", &format!("nginx-analysis-{id}-1"));
        node.guarded.cluster.read(&gateway, |_| Some(())).await;
        let made = node.belongings(id).await;
        assert!(!made.contains(&format!("deployments analysis-{id}-1")), "{made:?}");
        drop(refused);

        let section = section + "  health: {periodSeconds: 1}\n";
        let instance = Instance::with(&node, None, &section, Some(secret)).await;
        let gateway = Gateway::of(&node, &format!("analysis-{id}-1"), Manner::Says("executing")).await;
        node.status(id, |status| status["conditions"][0]["status"] == "True").await;
        let stored = node.guarded.cluster.admin.get(&node.at("secrets", &format!("flame-tokens-{id}"))).await.unwrap();
        assert_eq!(stored["data"]["DATA_SOURCE_TOKEN"], STANDARD.encode("key"), "what was there stays");
        let first = token(&stored);
        assert_eq!(claims(&first)["azp"], *id);
        assert_eq!(clients_of(server, SHORT, id).await, [id]);
        let deployment = node.at("deployments", &format!("analysis-{id}-1"));
        let deployment = node.guarded.cluster.admin.get(&deployment).await.unwrap().to_string();
        assert!(!deployment.contains(&first) && deployment.contains("secretKeyRef"));
        let renewed = |secret: &Value| (token(secret) != first).then(|| token(secret));
        let second = node.guarded.cluster.read(&node.at("secrets", &format!("flame-tokens-{id}")), renewed).await;
        assert_eq!(claims(&second)["azp"], *id);
        // On a machine that is busy the next may have come already.
        wait_until("the analysis is given the token that its Secret holds now", PATIENCE, async || {
            let stored = node.admin().get(&node.at("secrets", &format!("flame-tokens-{id}"))).await.unwrap();
            let given = gateway.posted("token_refresh");
            (token(&stored) != first && given.last() == Some(&json!({"token": token(&stored)}))).then_some(())
        })
        .await;

        node.creator.delete(&node.at("analyses", id), None).await.unwrap();
        node.guarded.cluster.gone(&node.at("analyses", id)).await;
        assert_eq!(clients_of(server, SHORT, id).await, [""; 0]);
        drop(instance);
    });
}

#[test]
fn while_keycloak_is_away_what_runs_goes_on_and_what_is_new_waits_for_it() {
    run(async {
        let _turn = TURN.lock().await;
        let (log, node) = (Log::kept(), Node::of(guarded().await, CRASH).await);
        let mut realm = flame_realm(&[]);
        // Renewed after half of it.
        realm["accessTokenLifespan"] = json!(20);
        let (server, proxy) = (Server::start(&[realm]).await, Proxy::start().await);
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, server.settings().secret.reveal()).unwrap();
        let health = "  health: {periodSeconds: 1, startSeconds: 86400, silenceSeconds: 86400}\n";
        let ways = format!("  ways: {{httpProxy: 'http://{}'}}\n", proxy.authority);
        let section = format!("  tokens: {{keycloak: {}}}\n{health}{ways}", server.address().as_str());
        let instance = Instance::with(&node, None, &section, Some(secret)).await;
        let [first, ends, new] = [11, 12, 13].map(|number| format!("44444444-0000-4000-8000-{number:012}"));
        let mut gateways = Vec::new();
        for id in [&first, &ends] {
            node.secrets_with(id, json!({"DATA_SOURCE_TOKEN": "key"})).await;
            node.analysis(id, IMAGE).await;
            gateways.push(Gateway::of(&node, &format!("analysis-{id}-1"), Manner::Says("executing")).await);
            fresh(&node, id, "Fresh", "executing").await;
        }
        let stored = node.admin().get(&node.at("secrets", &format!("flame-tokens-{first}"))).await.unwrap();
        let held = token(&stored);

        server.stop();
        let away = Instant::now();
        node.secrets_with(&new, json!({"DATA_SOURCE_TOKEN": "key"})).await;
        node.analysis(&new, IMAGE).await;
        fresh(&node, &new, "KeycloakUnavailable", "starting").await;
        fresh(&node, &first, "KeycloakUnavailable", "executing").await;
        let made = node.belongings(&new).await;
        assert!(made.contains(&format!("deployments nginx-analysis-{new}-1")), "{made:?}");
        assert!(!made.contains(&format!("deployments analysis-{new}-1")), "{made:?}");
        gateways[1].does(Manner::Says("executed"));
        node.status(&ends, |status| status["phase"] == "executed").await;
        // In the long form it is away for a minute.
        let minute = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { 60 } else { 0 };
        let waited = async || (away.elapsed() >= Duration::from_secs(minute)).then_some(());
        wait_until("it was away for long", PATIENCE.max(Duration::from_secs(90)), waited).await;
        fresh(&node, &first, "KeycloakUnavailable", "executing").await;
        let down = instance.metrics.text();
        assert!(down.contains("flamewarden_remote_up{system=\"keycloak\"} 0\n"), "{down}");

        server.start_again().await;
        fresh(&node, &first, "Fresh", "executing").await;
        fresh(&node, &new, "Fresh", "started").await;
        let stored = node.admin().get(&node.at("secrets", &format!("flame-tokens-{first}"))).await.unwrap();
        let renewed = token(&stored);
        assert_ne!(renewed, held);
        assert!(instance.metrics.text().contains("flamewarden_remote_up{system=\"keycloak\"} 1\n"));
        let keycloak = server.address();
        let keycloak = keycloak.as_str().trim_end_matches('/');
        let asked = format!("POST {keycloak}/realms/flame/protocol/openid-connect/token");
        assert!(proxy.passed().iter().any(|passed| passed.line == asked), "{:?}", proxy.passed());
        takes_no_token(&node, &first, &gateways[0]).await;
        assert!(log.text().contains("no token"), "the log is kept");
        silent_about(&node, &log, &[server.settings().secret.reveal(), &held, &renewed]).await;
        for id in [&first, &ends, &new] {
            node.creator.delete(&node.at("analyses", id), None).await.unwrap();
            node.guarded.cluster.gone(&node.at("analyses", id)).await;
        }
        drop(instance);
    });
}

/// Its Secret takes no other token from now on: it is judged all the same.
async fn takes_no_token(node: &Node, id: &str, gateway: &Gateway) {
    let due = json!({"flamewarden.dev/renew-token-after": "2026-01-01T00:00:00Z"});
    let due = json!({"immutable": true, "metadata": {"annotations": due}});
    let secret = node.at("secrets", &format!("flame-tokens-{id}"));
    node.creator.patch(&secret, PatchKind::Merge, &due).await.unwrap();
    fresh(node, id, "SecretRefused", "executing").await;
    gateway.does(Manner::Says("executed"));
    node.status(id, |status| status["phase"] == "executed").await;
    assert!(Log::kept().text().contains("the Secret with its token is refused"), "it is logged");
}

/// Waits until the condition of its token has this reason in this phase.
async fn fresh(node: &Node, id: &str, reason: &str, phase: &str) {
    node.status(id, |status| {
        let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let told = conditions.iter().any(|told| told["type"] == "TokenFresh" && told["reason"] == reason);
        told && status["phase"] == phase
    })
    .await;
}

/// The token that a Secret holds.
pub(crate) fn token(secret: &Value) -> String {
    let text = secret["data"]["KEYCLOAK_TOKEN"].as_str().unwrap_or_default();
    String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
}

/// What a token says.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

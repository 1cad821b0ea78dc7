//! FLAME's REST API as the Hub adapter calls it.

use std::ops::Deref;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flamewarden::model::Secret;
use flamewarden::remote::{Address, Content, Question, Remote, Ways};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::flamewarden::realm::REALM;
use crate::flamewarden::{Guarded, MADE};
use crate::shared::{PATIENCE, wait_until};

/// The API of the shared installation.
pub(crate) struct Api {
    pub(crate) guarded: &'static Guarded,
    rest: Rest,
}

/// The API at an address, as an administrator sees it.
pub(crate) struct Rest {
    pub(crate) address: String,
    pub(crate) remote: Remote,
    pub(crate) token: String,
}

impl Deref for Api {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.rest
    }
}

impl Rest {
    pub(crate) fn at(address: &str) -> Rest {
        let remote = Remote::new(&Ways::plain(PATIENCE)).unwrap();
        Rest { address: address.to_owned(), remote, token: token(&REALM.key, &claims("hub-adapter")) }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.ask_with(Some(self.token.clone()), method, path, body).await
    }

    pub(crate) async fn ask_with(
        &self,
        token: Option<String>,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let bearer = token.map(Secret::new);
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let question = Question {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            address: Address::parse(&self.address).unwrap().below(&segments),
            bearer: bearer.as_ref(),
            content: body.map_or(Content::Nothing, Content::Json),
            longest: 32 << 20,
        };
        let answer = self.remote.ask(question).await.unwrap();
        (answer.status, serde_json::from_slice(answer.bytes()).unwrap())
    }
}

impl Api {
    pub(crate) async fn of(guarded: &'static Guarded) -> Api {
        Api::answered_at(guarded, &guarded.api).await
    }

    /// The same answered at another address.
    pub(crate) async fn answered_at(guarded: &'static Guarded, address: &str) -> Api {
        crate::node::services(guarded.cluster, MADE).await;
        Api { guarded, rest: Rest::at(address) }
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, method: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_until(&format!("{method} {path} says so"), PATIENCE, async || {
            let (status, told) = self.ask(method, path, None).await;
            assert_eq!(status, 200, "{told}");
            wanted(&told).then_some(told)
        })
        .await
    }

    pub(crate) async fn object(&self, resource: &str, name: &str) -> Option<Value> {
        let group = if resource == "analyses" { "/apis/flamewarden.dev/v1alpha1" } else { "/api/v1" };
        let path = format!("{group}/namespaces/{MADE}/{resource}/{name}");
        match self.guarded.cluster.admin.get(&path).await {
            Ok(object) => Some(object),
            Err(refusal) => {
                assert_eq!(refusal.code, 404, "{}", refusal.message);
                None
            }
        }
    }
}

/// A token of these claims, signed by this key under the name of the realm's.
pub(crate) fn token(key: &EcdsaKeyPair, claims: &Value) -> String {
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "1"});
    let signed = [&header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// What the realm says of a client.
pub(crate) fn claims(client: &str) -> Value {
    let now = Timestamp::now().as_second();
    json!({
        "iss": format!("{}/realms/flame", REALM.address), "typ": "Bearer", "azp": client, "sub": client,
        "iat": now, "exp": now + 300,
    })
}

/// As the Hub adapter sends it.
pub(crate) fn request(id: &str) -> Value {
    json!({
        "analysis_id": id, "project_id": PROJECT, "registry_url": "harbor.example", "image_url": IMAGE,
        "registry_user": "robot$node", "registry_password": PASSWORD, "kong_token": KONG,
    })
}

pub(crate) const PROJECT: &str = "7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d";
pub(crate) const IMAGE: &str = "harbor.example/node/analysis";
pub(crate) const PASSWORD: &str = "hunter2-of-the-registry";
pub(crate) const KONG: &str = "key-of-kong";

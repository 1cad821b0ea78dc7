//! A real Keycloak on a free port of 127.0.0.1, in a folder of its own; it ends with the test run, however that ends.
//!
//! Other targets take this file by `#[path]`; they need `tests/cluster/part.rs` as `crate::part`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flamewarden::keycloak::KeycloakSettings;
use flamewarden::model::Secret;
use flamewarden::remote::{Address, Content, Question, Remote, Ways};
use http::Method;
use serde_json::{Value, json};

use crate::part::{Janitor, Part, Recipe, write_file};

/// A running Keycloak with the realms that it was given.
pub(crate) struct Server {
    address: Address,
    recipe: Recipe,
    admin_password: String,
    part: Mutex<Option<Part>>,
    _janitor: Janitor,
}

impl Server {
    /// Fetches what is not there yet, starts, and waits until the realms answer.
    pub(crate) async fn start(realms: &[Value]) -> Server {
        let folder = tempfile::Builder::new().prefix("flamewarden-keycloak.").tempdir().unwrap().keep();
        let server = Server::launch(folder, realms);
        server.answers().await;
        server
    }

    /// The same in a folder that is there already, without waiting.
    pub(crate) fn launch(folder: PathBuf, realms: &[Value]) -> Server {
        let janitor = Janitor::of(&folder);
        let installed = install();
        let admin_password = fs::read_to_string(installed.join("admin-password")).unwrap();
        lay_out(&installed, &folder);
        for realm in realms {
            let file = folder.join(format!("data/import/{}-realm.json", realm["realm"].as_str().unwrap()));
            write_file(&file, &realm.to_string());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = Address::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let recipe = recipe(&folder, port);
        let part = Mutex::new(Some(Part::start(recipe.clone())));
        Server { address, recipe, admin_password, part, _janitor: janitor }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> Address {
        self.address.clone()
    }

    /// As whom a realm of FLAME's is asked to make clients.
    pub(crate) fn settings(&self) -> KeycloakSettings {
        KeycloakSettings {
            address: self.address(),
            realm: "flame".to_owned(),
            client: "service1".to_owned(),
            secret: Secret::new(SERVICE_SECRET),
        }
    }

    /// What a client is given for its id, its secret and more.
    pub(crate) async fn grant(&self, realm: &str, form: &[(&str, &str)]) -> Value {
        let address = self.address.below(&["realms", realm, "protocol", "openid-connect", "token"]);
        let secrets: Vec<(&str, Secret)> = form.iter().map(|(name, value)| (*name, Secret::new(*value))).collect();
        let form: Vec<(&str, &Secret)> = secrets.iter().map(|(name, value)| (*name, value)).collect();
        let question =
            Question { method: Method::POST, address, bearer: None, content: Content::Form(&form), longest: LONGEST };
        let answer = remote().ask(question).await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.bytes()));
        answer.json().unwrap()
    }

    /// A client's own token.
    pub(crate) async fn token(&self, realm: &str, client: &str, secret: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("client_id", client), ("client_secret", secret)];
        self.grant(realm, &form).await["access_token"].as_str().unwrap().to_owned()
    }

    /// Asks as the administrator of all realms; gives status and body.
    pub(crate) async fn administer(&self, method: Method, path: &[&str], body: Option<&Value>) -> (u16, Value) {
        let login = [("username", ADMIN), ("password", self.admin_password.as_str())];
        let form = [[("grant_type", "password"), ("client_id", "admin-cli")], login].concat();
        let granted = self.grant("master", &form).await;
        let token = Secret::new(granted["access_token"].as_str().unwrap());
        let question = Question {
            method,
            address: self.address.below(&["admin", "realms"]).below(path),
            bearer: Some(&token),
            content: body.map_or(Content::Nothing, Content::Json),
            longest: LONGEST,
        };
        let answer = remote().ask(question).await.unwrap();
        (answer.status, answer.json().unwrap_or_default())
    }

    /// Stops it. Not by force: its database would lose what was written last.
    pub(crate) fn stop(&self) {
        let mut part = self.part.lock().unwrap().take().expect("it runs");
        part.signal("TERM");
        part.wait();
    }

    /// Starts it with what it had, and waits until it answers.
    pub(crate) async fn start_again(&self) {
        *self.part.lock().unwrap() = Some(Part::start(self.recipe.clone()));
        self.answers().await;
    }

    async fn answers(&self) {
        let remote = remote();
        let begun = Instant::now();
        loop {
            let asked = remote.ask(Question::get(self.address.below(&["realms", "flame"]), LONGEST)).await;
            if asked.is_ok_and(|answer| answer.status == 200) {
                println!("Keycloak answers after {:.1} s", begun.elapsed().as_secs_f64());
                return;
            }
            self.complain(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Fails with the end of its log where it has ended, or takes too long.
    fn complain(&self, waited: Duration) {
        let problem = {
            let mut part = self.part.lock().unwrap();
            let part = part.as_mut().unwrap();
            let ended = part.ended().map(|status| format!("ended ({status})"));
            let late = (waited > PATIENCE).then(|| format!("does not answer after {waited:?}"));
            ended.or(late).map(|what| format!("{} {what}; its log ends:\n{}", part.recipe().name, part.log_tail()))
        };
        if let Some(problem) = problem {
            panic!("{problem}");
        }
    }
}

/// Connections without a proxy, to the loopback.
pub(crate) fn remote() -> Remote {
    let patience = Duration::from_secs(30);
    Remote::new(&Ways::plain(patience)).unwrap()
}

/// The realm `flame` as FLAME's chart makes it, with `service1` that makes clients, and what more a test needs.
pub(crate) fn flame_realm(clients: &[Value]) -> Value {
    let roles = json!(["create-client", "manage-clients", "view-events", "query-clients"]);
    let own = [
        client("hub-adapter", HUB_ADAPTER_SECRET),
        client("node-ui", NODE_UI_SECRET),
        client("service1", SERVICE_SECRET),
    ];
    let clients = [&own, clients].concat();
    json!({
        "realm": "flame", "enabled": true, "defaultSignatureAlgorithm": "RS256", "accessTokenLifespan": 7200,
        "requiredCredentials": ["password"],
        "roles": {"client": {"node-ui": [
            {"name": "admin", "clientRole": true}, {"name": "steward", "clientRole": true},
            {"name": "researcher", "clientRole": true},
        ]}},
        "users": [
            {
                "username": "service-account-service1", "enabled": true, "serviceAccountClientId": "service1",
                "realmRoles": ["default-roles-flame"],
                "clientRoles": {"realm-management": roles, "service1": ["uma_protection"]},
            },
            {
                "username": "flameuser", "enabled": true, "email": "user@example.org", "emailVerified": true,
                "firstName": "Flame", "lastName": "User",
                "credentials": [{"type": "password", "value": USER_PASSWORD}],
                "realmRoles": ["default-roles-flame"], "clientRoles": {"node-ui": ["admin"]},
            },
        ],
        "clients": clients,
    })
}

/// A client as those of FLAME's chart are.
pub(crate) fn client(id: &str, secret: &str) -> Value {
    json!({
        "clientId": id, "name": format!("Client {id}"), "enabled": true, "clientAuthenticatorType": "client-secret",
        "secret": secret, "redirectUris": ["/*"], "webOrigins": ["/*"], "bearerOnly": false,
        "standardFlowEnabled": true, "implicitFlowEnabled": false, "directAccessGrantsEnabled": true,
        "serviceAccountsEnabled": true, "publicClient": false,
    })
}

fn install() -> PathBuf {
    let output = Command::new(INSTALL).output().expect("cannot run tests/keycloak/install");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

/// Everything is shared but what it writes to.
fn lay_out(installed: &Path, folder: &Path) {
    for name in ["lib", "providers", "themes", "conf"] {
        symlink(installed.join(name), folder.join(name)).unwrap();
    }
    fs::create_dir_all(folder.join("data/import")).unwrap();
    fs::create_dir_all(folder.join("data/h2")).unwrap();
    for entry in fs::read_dir(installed.join("data/h2")).unwrap() {
        let file = entry.unwrap();
        fs::copy(file.path(), folder.join("data/h2").join(file.file_name())).unwrap();
    }
}

/// The same call that `kc.sh` makes in the end, without the shell: a signal to it would leave Java running.
fn recipe(folder: &Path, port: u16) -> Recipe {
    let at = |path: &str| folder.join(path).display().to_string();
    let machine = [
        "-Xms128m",
        "-Xmx512m",
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=\
         io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager",
        "-Dpicocli.disable.closures=true",
        "-Duser.language=en",
    ];
    let places = [format!("-Dkc.home.dir={}", at("")), format!("-Djboss.server.config.dir={}", at("conf"))];
    let program =
        ["-cp", &at("lib/quarkus-run.jar"), "io.quarkus.bootstrap.runner.QuarkusEntryPoint"].map(str::to_owned);
    let settings = [
        "start",
        "--optimized",
        "--import-realm",
        "--cache=local",
        "--hostname-strict=false",
        "--http-enabled=true",
        "--http-host=127.0.0.1",
        &format!("--http-port={port}"),
    ];
    let java = std::env::var_os("JAVA_HOME").map_or("java".into(), |home| PathBuf::from(home).join("bin/java"));
    Recipe {
        name: "Keycloak".to_owned(),
        program: java,
        arguments: [&machine.map(str::to_owned)[..], &places, &program, &settings.map(str::to_owned)].concat(),
        environment: Vec::new(),
        log: folder.join("keycloak.log"),
    }
}

/// The Hub adapter's.
pub(crate) const HUB_ADAPTER_SECRET: &str = "hub-adapter-secret";
/// The UI's.
pub(crate) const NODE_UI_SECRET: &str = "node-ui-secret";
/// Of the user `flameuser`.
pub(crate) const USER_PASSWORD: &str = "user-password";
/// The administrator of all realms, as `install` has made them.
const ADMIN: &str = "admin";
const SERVICE_SECRET: &str = "service1-secret";
const INSTALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keycloak/install");
const LONGEST: usize = 4 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(180);

//! What is mounted into the controller and the webhook besides their policies.

use std::path::Path;

use serde_json::{Value, json};

use super::Settings;
use super::workload::{insert, labels};
use crate::policy::{ArchiveDatabase, ArchiveSettings, Auditor, Authorities, Orchestrator};

/// A folder that comes from elsewhere.
pub(super) struct Mounted {
    volume: &'static str,
    from: From,
    path: &'static str,
}

/// Where the files of a folder come from.
enum From {
    Secret(&'static str),
    ConfigMap(&'static str),
    /// One that may be missing: what needs it does not work then, and all else does.
    MaybeConfigMap(&'static str),
    /// The same.
    MaybeSecret(&'static str),
    /// A volume, which is written to.
    Claim(&'static str),
    /// Room of so many bytes, which is written to and goes with the pod.
    Room(&'static str),
}

impl Mounted {
    /// A Secret.
    pub(super) fn of_secret(volume: &'static str, secret: &'static str, path: &'static str) -> Self {
        Mounted { volume, from: From::Secret(secret), path }
    }

    /// Room for files that go with the pod.
    pub(super) fn of_room(volume: &'static str, size: &'static str, path: &'static str) -> Self {
        Mounted { volume, from: From::Room(size), path }
    }

    /// Where the pod has it from.
    pub(super) fn volume(&self) -> Value {
        match self.from {
            From::Secret(name) => {
                json!({"name": self.volume, "secret": {"secretName": name, "defaultMode": 0o440}})
            }
            From::ConfigMap(name) => json!({"name": self.volume, "configMap": {"name": name}}),
            From::MaybeConfigMap(name) => json!({"name": self.volume, "configMap": {"name": name, "optional": true}}),
            From::MaybeSecret(name) => {
                json!({"name": self.volume, "secret": {"secretName": name, "defaultMode": 0o440, "optional": true}})
            }
            From::Claim(name) => json!({"name": self.volume, "persistentVolumeClaim": {"claimName": name}}),
            From::Room(size) => json!({"name": self.volume, "emptyDir": {"sizeLimit": size}}),
        }
    }

    /// Where its container sees it.
    pub(super) fn mount(&self) -> Value {
        let read_only = !matches!(self.from, From::Claim(_) | From::Room(_));
        json!({"name": self.volume, "mountPath": self.path, "readOnly": read_only})
    }
}

/// The files that reaching Keycloak and the Hub takes, each with the argument that names it.
pub(super) fn outside(orchestrator: &Orchestrator) -> Vec<(&'static str, Mounted)> {
    let keycloak =
        ("--keycloak-secret=/keycloak/client-secret", Mounted::of_secret("keycloak", KEYCLOAK_SECRET, "/keycloak"));
    let hub = ("--hub-secret=/hub/client-secret", Mounted::of_secret("hub", HUB_SECRET, "/hub"));
    let proxies = ("--proxies=/proxies", Mounted::of_secret("proxies", PROXIES, "/proxies"));
    let authorities = orchestrator.ways.authorities.map(|from| {
        let from = match from {
            Authorities::ConfigMap => From::ConfigMap(AUTHORITIES),
            Authorities::Secret => From::Secret(AUTHORITIES),
        };
        ("--authorities=/authorities/ca.crt", Mounted { volume: "authorities", from, path: "/authorities" })
    });
    let wanted = [
        orchestrator.tokens.is_some().then_some(keycloak),
        orchestrator.hub.is_some().then_some(hub),
        orchestrator.ways.has_secret_proxy().then_some(proxies),
        authorities,
    ];
    wanted.into_iter().flatten().collect()
}

/// Where the archive is, with the argument that names it.
pub(super) fn archived(archive: &ArchiveSettings) -> (&'static str, Mounted) {
    match archive.database {
        ArchiveDatabase::Sqlite => {
            ("--archive=/archive", Mounted { volume: "archive", from: From::Claim(ARCHIVE), path: "/archive" })
        }
        ArchiveDatabase::Postgresql => {
            ("--archive-url-file=/archive/url", Mounted::of_secret("archive", ARCHIVE, "/archive"))
        }
    }
}

/// What telling others takes, where the policies say that it is to be there: the certificates of who receives syslog, the
/// URL of who is told what fails newly, and by what the pages are known to the provider of logins.
pub(super) fn told(auditor: &Auditor) -> impl Iterator<Item = Mounted> {
    let is_in = |file: &Path, folder: &str| file.parent() == Some(Path::new(folder));
    let syslog = auditor.syslog.as_ref().filter(|syslog| is_in(&syslog.authority_file, SYSLOG_PATH));
    let syslog = syslog.map(|_| Mounted { volume: "syslog", from: From::MaybeConfigMap(SYSLOG), path: SYSLOG_PATH });
    let notify = auditor.notify.as_ref().filter(|notify| is_in(&notify.url_file, NOTIFY_PATH));
    let notify = notify.map(|_| Mounted { volume: "notify", from: From::MaybeSecret(NOTIFY), path: NOTIFY_PATH });
    let oidc = auditor.pages.as_ref().and_then(|pages| pages.oidc.as_ref());
    let pages = oidc.filter(|oidc| is_in(&oidc.client_secret_file, PAGES_PATH));
    let pages = pages.map(|_| Mounted { volume: "pages", from: From::MaybeSecret(PAGES), path: PAGES_PATH });
    syslog.into_iter().chain(notify).chain(pages)
}

/// The volume that an SQLite archive is on. One node at a time has it, and one controller.
pub(super) fn claim(settings: &Settings, archive: &ArchiveSettings) -> Option<Value> {
    let size = archive.size.as_ref().map_or_else(|| USUAL_SIZE.to_owned(), ToString::to_string);
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}});
    if let Some(class) = &archive.storage_class {
        insert(&mut spec, "storageClassName", class);
    }
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": ARCHIVE, "namespace": settings.namespace, "labels": labels("archive")},
        "spec": spec,
    });
    (archive.database == ArchiveDatabase::Sqlite).then_some(claim)
}

/// Key `client-secret`: the secret of the Keycloak client that makes the analyses' clients. The operator makes it.
const KEYCLOAK_SECRET: &str = "flamewarden-keycloak";
/// Key `client-secret`: the secret of the node's Hub client. The operator makes it.
const HUB_SECRET: &str = "flamewarden-hub";
/// Keys `http-proxy` and `https-proxy`: addresses of proxies, with users where they want to know who asks.
const PROXIES: &str = "flamewarden-proxies";
/// Key `ca.crt`: certificates of authorities, in a Secret or a ConfigMap.
const AUTHORITIES: &str = "flamewarden-authorities";
/// The claim of an SQLite archive's volume; or the Secret whose key `url` says where a PostgreSQL archive is, which the
/// operator makes.
const ARCHIVE: &str = "flamewarden-archive";
/// Key `ca.crt`: certificates of the authority of who receives syslog. The operator makes it.
const SYSLOG: &str = "flamewarden-syslog";
const SYSLOG_PATH: &str = "/syslog";
/// Key `url`: where what fails newly is told, with its token; perhaps key `ca.crt`, the receiver's authority. The operator
/// makes it.
const NOTIFY: &str = "flamewarden-notify";
const NOTIFY_PATH: &str = "/notify";
/// Key `client-secret`: the secret of the client that the pages are to the provider of logins. The operator makes it.
const PAGES: &str = "flamewarden-pages";
const PAGES_PATH: &str = "/pages";
const USUAL_SIZE: &str = "10Gi";

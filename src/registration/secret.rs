//! Edge: the two Secrets in which authority and certificate are kept.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::install::{AUTHORITY_SECRET, SERVING_SECRET};
use crate::serve::{Authority, Bundle, Leaf, each_certificate};

/// The bundle, and the versions of the Secrets that it was read from.
pub(super) struct Kept {
    pub(super) bundle: Bundle,
    authority_version: Option<String>,
    serving_version: Option<String>,
}

/// Reads what is kept. What cannot be read as certificates is as good as absent, and is written anew.
pub(super) async fn read(cluster: &Cluster, namespace: &str) -> Result<Kept, ClusterProblem> {
    let authority = Stored::read(cluster, namespace, AUTHORITY_SECRET).await?;
    let serving = Stored::read(cluster, namespace, SERVING_SECRET).await?;
    let bundle = Bundle {
        authority: authority
            .pair("tls.crt", "tls.key")
            .and_then(|(certificate, key)| Authority::parse(&certificate, &key)),
        former: authority.text(FORMER).map(|text| each_certificate(&text)).unwrap_or_default(),
        leaf: serving.pair("tls.crt", "tls.key").and_then(|(certificate, key)| Leaf::parse(&certificate, &key)),
    };
    Ok(Kept { bundle, authority_version: authority.version, serving_version: serving.version })
}

/// Writes both, the authority first: what it has not signed yet can be signed again.
pub(super) async fn write(cluster: &Cluster, namespace: &str, kept: &Kept) -> Result<(), ClusterProblem> {
    let Bundle { authority, former, leaf } = &kept.bundle;
    if let Some(authority) = authority {
        let data =
            [("tls.crt", authority.certificate.clone()), ("tls.key", authority.key.clone()), (FORMER, former.concat())];
        let version = kept.authority_version.as_deref();
        store(cluster, namespace, AUTHORITY_SECRET, version, &data).await?;
    }
    if let Some(leaf) = leaf {
        let data =
            [("tls.crt", leaf.certificate.clone()), ("tls.key", leaf.key.clone()), ("ca.crt", kept.bundle.trusted())];
        store(cluster, namespace, SERVING_SECRET, kept.serving_version.as_deref(), &data).await?;
    }
    Ok(())
}

const FORMER: &str = "former.crt";

/// A Secret's data and version; empty where there is none.
#[derive(Default)]
struct Stored {
    data: BTreeMap<String, String>,
    version: Option<String>,
}

impl Stored {
    async fn read(cluster: &Cluster, namespace: &str, name: &str) -> Result<Self, ClusterProblem> {
        let place = Place { namespace: namespace.to_owned(), name: name.to_owned() };
        let Some(text) = cluster.read(Kind::Secret, &place).await? else { return Ok(Stored::default()) };
        let secret: Value = serde_json::from_str(&text).map_err(|_| ClusterProblem::Shape(name.to_owned()))?;
        let data = secret.get("data").and_then(Value::as_object).into_iter().flatten();
        Ok(Stored {
            data: data.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
            version: secret.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned),
        })
    }

    fn text(&self, key: &str) -> Option<String> {
        String::from_utf8(STANDARD.decode(self.data.get(key)?).ok()?).ok()
    }

    fn pair(&self, certificate: &str, key: &str) -> Option<(String, String)> {
        Some((self.text(certificate)?, self.text(key)?))
    }
}

/// Replaces exactly the version that was read, so that of two writers one fails and reads again.
async fn store(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    version: Option<&str>,
    data: &[(&str, String)],
) -> Result<(), ClusterProblem> {
    let data: BTreeMap<&str, String> = data.iter().map(|(key, text)| (*key, STANDARD.encode(text))).collect();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": version},
        "data": data,
    });
    cluster.store(Kind::Secret, &Place { namespace: namespace.to_owned(), name: name.to_owned() }, &secret).await
}

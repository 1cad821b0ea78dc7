//! The section `worker` of a Scanner: with which image Jobs in the cluster make scans, and whom those may reach.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::api::address;
use super::dns::{self, DnsPeer};
use super::{Quantity, Want, checked};
use crate::model::{Digest, ImageRef};

/// How Jobs make scans. Without it, child processes of the controller do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Worker {
    /// The image that holds Flamewarden and Grype, by its digest.
    #[serde(deserialize_with = "pinned")]
    pub image: String,
    /// Grype in it.
    #[serde(default = "grype", deserialize_with = "absolute")]
    pub grype: PathBuf,
    /// Where Grype's databases are.
    pub databases: Databases,
    /// The Secret with which the image is pulled, in Flamewarden's namespace.
    #[serde(default, deserialize_with = "name")]
    pub pull_secret: Option<String>,
    /// The most cpu that a scan gets.
    #[serde(default = "cpu")]
    pub cpu: Quantity,
    /// Whether workers get a user namespace of their own (`hostUsers: false`), where the cluster has them.
    #[serde(default)]
    pub user_namespace: Want,
    /// The proxy by which registries are reached, without a user.
    #[serde(default, deserialize_with = "proxy")]
    pub https_proxy: Option<String>,
    /// Hosts that are reached without it.
    #[serde(default)]
    pub direct: Vec<String>,
    /// Where names are resolved.
    #[serde(default = "dns::cluster", deserialize_with = "dns::read")]
    pub dns: Vec<DnsPeer>,
    /// Registries and proxies, as a network policy knows them. Where none are named: HTTPS to all that is outside of
    /// private networks.
    #[serde(default)]
    pub egress: Vec<Egress>,
}

/// Where Grype's databases are. Nothing that scans may write to them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Databases {
    /// A PersistentVolumeClaim in Flamewarden's namespace.
    #[serde(deserialize_with = "claim")]
    Claim(String),
    /// A folder of the image.
    #[serde(deserialize_with = "absolute")]
    Folder(PathBuf),
}

/// Whom a worker may reach besides: an address or a network, or pods of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenEgress")]
pub struct Egress {
    /// Who.
    pub place: EgressPlace,
    /// On which ports, over TCP; one at least.
    pub ports: Vec<u16>,
}

/// Who may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressPlace {
    /// A network such as `10.1.2.0/24`.
    Network(String),
    /// Pods of one namespace that carry all of these labels, one at least.
    Pods {
        /// The namespace's name.
        namespace: String,
        /// The labels.
        labels: BTreeMap<String, String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenEgress {
    network: Option<String>,
    namespace: Option<String>,
    pods: Option<BTreeMap<String, String>>,
    ports: Vec<u16>,
}

impl TryFrom<WrittenEgress> for Egress {
    type Error = String;

    fn try_from(written: WrittenEgress) -> Result<Self, String> {
        if written.ports.is_empty() || written.ports.contains(&0) {
            return Err("egress: name the ports; without one all would be meant".to_owned());
        }
        let place = match (written.network, written.namespace, written.pods) {
            (Some(network), None, None) => EgressPlace::Network(checked_network(network)?),
            (None, Some(namespace), Some(labels)) => pods(namespace, labels)?,
            _ => return Err("egress: a peer is `network`, or `namespace` and `pods`".to_owned()),
        };
        Ok(Egress { place, ports: written.ports })
    }
}

fn pods(namespace: String, labels: BTreeMap<String, String>) -> Result<EgressPlace, String> {
    if !checked::is_label(&namespace) {
        return Err(format!("egress: namespace `{namespace}` is no name of a namespace"));
    }
    if labels.is_empty() {
        return Err(format!("egress: without labels all pods of `{namespace}` are meant; name the registry's"));
    }
    Ok(EgressPlace::Pods { namespace, labels })
}

fn checked_network(text: String) -> Result<String, String> {
    let problem = || format!("egress: network `{text}` is none; write it like 10.1.2.0/24, or 10.1.2.3/32");
    let (address, length) = text.split_once('/').ok_or_else(problem)?;
    let address: IpAddr = address.parse().map_err(|_| problem())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    match length.parse::<u8>() {
        // What is everybody is left out instead: that leaves out the cluster.
        Ok(length) if (1..=most).contains(&length) => Ok(text),
        _ => Err(problem()),
    }
}

fn grype() -> PathBuf {
    PathBuf::from("/grype")
}

fn cpu() -> Quantity {
    Quantity::whole_number(2)
}

/// A tag can be moved afterwards.
fn pinned<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let has_digest = text.split_once('@').is_some_and(|(_, digest)| Digest::parse(digest).is_some());
    if has_digest && ImageRef::parse(&text).is_ok() {
        return Ok(text);
    }
    Err(checked::wrong("worker: image", &text, "has no digest; write it like registry.example.org/scan@sha256:…"))
}

fn absolute<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let text = String::deserialize(from)?;
    let plain = Path::new(&text).is_absolute() && !text.contains("..") && !text.contains(char::is_control);
    if plain { Ok(PathBuf::from(text)) } else { Err(checked::wrong("path", &text, "must begin with `/`")) }
}

fn claim<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    name(from)?.ok_or_else(|| D::Error::custom("name a claim"))
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    if text.len() <= 253 && text.split('.').all(checked::is_label) {
        return Ok(Some(text));
    }
    Err(checked::wrong("name", &text, "is no name of an object"))
}

fn proxy<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    // The text itself is not shown: it may hold a password.
    let parsed = address(serde::de::value::StringDeserializer::<D::Error>::new(text));
    parsed.map(Some).map_err(|_| D::Error::custom("httpsProxy: write an address without a user"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DnsPlace;

    fn read(more: &str) -> Result<Worker, String> {
        let image = format!("registry.example/scan@sha256:{}", "0".repeat(64));
        let text = format!("image: {image}\n{more}\n");
        serde_saphyr::from_str(&text).map_err(|problem| problem.to_string())
    }

    #[test]
    fn what_is_left_out_is_as_documented() {
        let worker = read("databases: {claim: grype-db}").unwrap();
        assert_eq!(worker.databases, Databases::Claim("grype-db".to_owned()));
        assert_eq!((worker.grype, worker.cpu.whole(), worker.user_namespace), ("/grype".into(), 2, Want::Any));
        assert!(matches!(&worker.dns[..], [DnsPeer { place: DnsPlace::Pods { .. }, port: 53 }]));
        assert_eq!((worker.egress, worker.https_proxy, worker.pull_secret), (vec![], None, None));
        let egress =
            "egress: [{network: 10.1.2.3/32, ports: [5000]}, {namespace: harbor, pods: {app: harbor}, ports: [443]}]";
        let worker = read(&format!("databases: {{folder: /databases}}\n{egress}")).unwrap();
        assert_eq!(worker.databases, Databases::Folder("/databases".into()));
        let labels = BTreeMap::from([("app".to_owned(), "harbor".to_owned())]);
        let pods = EgressPlace::Pods { namespace: "harbor".to_owned(), labels };
        let network = EgressPlace::Network("10.1.2.3/32".to_owned());
        assert_eq!(
            worker.egress,
            [Egress { place: network, ports: vec![5000] }, Egress { place: pods, ports: vec![443] }]
        );
    }

    #[test]
    fn what_would_open_more_or_cannot_be_meant_is_refused() {
        for (text, says) in [
            ("", "missing field `databases`"),
            ("databases: {claim: Grype}", "is no name of an object"),
            ("databases: {folder: databases}", "must begin with `/`"),
            ("databases: {folder: /a/../b}", "must begin with `/`"),
            ("databases: {claim: a}\ngrype: grype", "must begin with `/`"),
            ("databases: {claim: a}\nhttpsProxy: http://user:hunter2@proxy", "write an address without a user"),
            ("databases: {claim: a}\negress: [{network: 0.0.0.0/0, ports: [443]}]", "is none; write it like"),
            ("databases: {claim: a}\negress: [{network: 10.0.0.1, ports: [443]}]", "is none; write it like"),
            ("databases: {claim: a}\negress: [{network: 10.0.0.0/33, ports: [443]}]", "is none; write it like"),
            ("databases: {claim: a}\negress: [{network: 10.0.0.0/8, ports: []}]", "name the ports"),
            ("databases: {claim: a}\negress: [{namespace: harbor, ports: [443]}]", "a peer is `network`, or"),
            ("databases: {claim: a}\negress: [{namespace: harbor, pods: {}, ports: [443]}]", "all pods of `harbor`"),
        ] {
            assert!(read(text).is_err_and(|problem| problem.contains(says)), "{text}: {:?}", read(text));
        }
        let read = |image: &str| {
            let read: Result<Worker, _> = serde_saphyr::from_str(&format!("image: {image}\ndatabases: {{claim: a}}\n"));
            read.map_err(|problem| problem.to_string())
        };
        for image in ["registry.example/scan:1", "registry.example/scan@sha256:0", "''"] {
            assert!(read(image).is_err_and(|problem| problem.contains("has no digest")), "{image}");
        }
        assert!(!read("x").unwrap_err().contains("hunter2"));
    }
}

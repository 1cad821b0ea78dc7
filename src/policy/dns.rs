//! Whom an analysis may ask for names: the cluster's DNS pods, a cache on the node, nobody.
//!
//! What stands here is a way out of every analysis, so a peer is some pods of one namespace or one single address, on
//! a port of DNS.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::checked::is_label;

/// One peer, and the port on which it answers, over UDP and TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsPeer {
    /// Who.
    pub place: DnsPlace,
    /// On which port, as the packet that arrives has it.
    pub port: u16,
}

/// Where names are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsPlace {
    /// Pods of one namespace that carry all of these labels, one at least.
    Pods {
        /// The namespace's name.
        namespace: String,
        /// The labels.
        labels: BTreeMap<String, String>,
    },
    /// One address, such as that of a cache on the node.
    Address(IpAddr),
}

/// The cluster's DNS as kubeadm and most distributions have it.
pub(super) fn cluster() -> Vec<DnsPeer> {
    let labels = BTreeMap::from([("k8s-app".to_owned(), "kube-dns".to_owned())]);
    vec![DnsPeer { place: DnsPlace::Pods { namespace: "kube-system".to_owned(), labels }, port: PORT }]
}

/// `cluster`, `none`, or a list of peers.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<DnsPeer>, D::Error> {
    from.deserialize_any(Peers)
}

struct Peers;

impl<'de> Visitor<'de> for Peers {
    type Value = Vec<DnsPeer>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("`cluster`, `none` or a list of peers")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Self::Value, E> {
        match word {
            "cluster" => Ok(cluster()),
            "none" => Ok(Vec::new()),
            other => Err(E::unknown_variant(other, &["cluster", "none"])),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut peers = Vec::new();
        while let Some(written) = items.next_element::<Written>()? {
            peers.push(written.peer().map_err(A::Error::custom)?);
        }
        if peers.is_empty() {
            return Err(A::Error::custom("dns: the list is empty; write `none`"));
        }
        Ok(peers)
    }
}

/// A peer as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    namespace: Option<String>,
    pods: Option<BTreeMap<String, String>>,
    address: Option<String>,
    port: Option<u16>,
}

impl Written {
    fn peer(self) -> Result<DnsPeer, String> {
        let port = self.port.unwrap_or(PORT);
        if !PORTS.contains(&port) {
            return Err(format!("dns: port {port} is none of DNS; 53, or 5353 for pods that listen there"));
        }
        let place = match (self.namespace, self.pods, self.address) {
            (Some(namespace), Some(labels), None) => pods(namespace, labels)?,
            (None, None, Some(address)) if port == PORT => DnsPlace::Address(checked_address(&address)?),
            (None, None, Some(_)) => return Err("dns: an address is asked on port 53 only".to_owned()),
            _ => return Err("dns: a peer is `namespace` and `pods`, or `address`".to_owned()),
        };
        Ok(DnsPeer { place, port })
    }
}

fn pods(namespace: String, labels: BTreeMap<String, String>) -> Result<DnsPlace, String> {
    if !is_label(&namespace) {
        return Err(format!("dns: namespace `{namespace}` is no name of a namespace"));
    }
    if labels.is_empty() {
        return Err(format!("dns: without labels all pods of `{namespace}` are meant; name those of its DNS"));
    }
    let strange =
        |text: &String| text.is_empty() || text.chars().any(|c| !(c.is_ascii_alphanumeric() || "-_./".contains(c)));
    if let Some((key, value)) = labels.iter().find(|(key, value)| strange(key) || strange(value)) {
        return Err(format!("dns: `{key}: {value}` is no label; a key and a value"));
    }
    Ok(DnsPlace::Pods { namespace, labels })
}

/// One address of the cluster's own networks: a resolver elsewhere is a way out.
fn checked_address(text: &str) -> Result<IpAddr, String> {
    let problem = |says: &str| Err(format!("dns: address `{text}` {says}"));
    let Ok(address) = text.parse::<IpAddr>() else {
        return problem("is not one single address; write it without a length, like 169.254.20.10");
    };
    let inside = match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local() || is_shared(address),
        IpAddr::V6(address) => is_local(address),
    };
    if inside { Ok(address) } else { problem("is not one of the cluster's own; private and link-local ones are") }
}

/// 100.64.0.0/10, which some clusters take for Services.
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second & 0b1100_0000 == 64
}

/// fc00::/7 and fe80::/10.
fn is_local(address: Ipv6Addr) -> bool {
    let [first, ..] = address.segments();
    first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
}

const PORT: u16 = 53;
/// OpenShift's DNS pods listen on the second; the Service translates.
const PORTS: [u16; 2] = [PORT, 5353];

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Network {
        #[serde(deserialize_with = "read")]
        dns: Vec<DnsPeer>,
    }

    fn parse(text: &str) -> Result<Vec<DnsPeer>, String> {
        let parsed: Result<Network, _> = serde_saphyr::from_str(&format!("dns: {text}\n"));
        parsed.map(|network| network.dns).map_err(|problem| problem.to_string())
    }

    #[test]
    fn peers_are_pods_of_one_namespace_or_one_address() {
        let pods = |namespace: &str, key: &str, value: &str, port| DnsPeer {
            place: DnsPlace::Pods {
                namespace: namespace.to_owned(),
                labels: BTreeMap::from([(key.to_owned(), value.to_owned())]),
            },
            port,
        };
        let address = |text: &str| DnsPeer { place: DnsPlace::Address(text.parse().unwrap()), port: 53 };
        for (text, want) in [
            ("cluster", vec![pods("kube-system", "k8s-app", "kube-dns", 53)]),
            ("none", vec![]),
            (
                "[{namespace: openshift-dns, pods: {dns.operator.openshift.io/daemonset-dns: default}, port: 5353}]",
                vec![pods("openshift-dns", "dns.operator.openshift.io/daemonset-dns", "default", 5353)],
            ),
            (
                "[{address: 169.254.20.10}, {address: 'fd00::a', port: 53}]",
                vec![address("169.254.20.10"), address("fd00::a")],
            ),
            ("[{address: 10.96.0.10}, {address: 100.64.0.10}]", vec![address("10.96.0.10"), address("100.64.0.10")]),
        ] {
            assert_eq!(parse(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn what_would_open_more_is_refused() {
        for (text, says) in [
            ("everywhere", "unknown variant `everywhere`"),
            ("[]", "the list is empty; write `none`"),
            ("[{}]", "a peer is `namespace` and `pods`, or `address`"),
            ("[{namespace: kube-system}]", "a peer is `namespace` and `pods`, or `address`"),
            ("[{pods: {a: b}}]", "a peer is `namespace` and `pods`, or `address`"),
            ("[{namespace: a, pods: {a: b}, address: 10.0.0.1}]", "a peer is `namespace` and `pods`, or `address`"),
            ("[{namespace: kube-system, pods: {}}]", "without labels all pods of `kube-system` are meant"),
            ("[{namespace: '', pods: {a: b}}]", "is no name of a namespace"),
            ("[{namespace: a, pods: {a: ''}}]", "is no label"),
            ("[{namespace: a, pods: {a: b}, port: 443}]", "port 443 is none of DNS"),
            ("[{address: 10.0.0.1, port: 5353}]", "an address is asked on port 53 only"),
            ("[{address: 10.0.0.0/8}]", "is not one single address"),
            ("[{address: 010.0.0.1}]", "is not one single address"),
            ("[{address: 10.0.0.1/32}]", "is not one single address"),
            ("[{address: 8.8.8.8}]", "is not one of the cluster's own"),
            ("[{address: 0.0.0.0}]", "is not one of the cluster's own"),
            ("[{address: 127.0.0.1}]", "is not one of the cluster's own"),
            ("[{address: 100.128.0.1}]", "is not one of the cluster's own"),
            ("[{address: '::ffff:10.0.0.1'}]", "is not one of the cluster's own"),
            ("[{address: '2001:db8::1'}]", "is not one of the cluster's own"),
            ("[{address: 10.0.0.1, prefix: 8}]", "unknown field `prefix`"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(says) && problem.contains("line 1"), "{text}: {problem}");
        }
    }
}

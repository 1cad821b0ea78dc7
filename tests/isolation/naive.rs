//! NetworkPolicy as the Kubernetes documentation describes it, tried out on a small world.
//!
//! This is a second implementation. It shares nothing with `src/isolation`: it reads the
//! official types and asks every rule about every pod, namespace, address and port there is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(crate) type Labels = BTreeMap<String, String>;

/// Everything that there is.
pub(crate) struct World {
    /// All labels that a namespace may have, its name among them.
    pub(crate) namespaces: Vec<Labels>,
    /// All labels that a pod may have; each such pod is in each namespace.
    pub(crate) pods: Vec<Labels>,
    /// Addresses that are no pod's.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) protocols: Vec<&'static str>,
    pub(crate) numbers: Vec<i32>,
    /// The number that any pod gives to any name of a port.
    pub(crate) named: i32,
}

/// One other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End<'w> {
    Pod { namespace: &'w Labels, labels: &'w Labels },
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// What one rule lets through.
pub(crate) struct Opening<'w> {
    pub(crate) way: Way,
    pub(crate) ends: Vec<End<'w>>,
    pub(crate) ports: Vec<(&'static str, i32)>,
}

pub(crate) const NAME: &str = "kubernetes.io/metadata.name";

/// Whether a selector selects what has these labels.
pub(crate) fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    for (key, value) in selector.match_labels.iter().flatten() {
        if labels.get(key) != Some(value) {
            return false;
        }
    }
    for expression in selector.match_expressions.iter().flatten() {
        let values = expression.values.clone().unwrap_or_default();
        let value = labels.get(&expression.key);
        let holds = match expression.operator.as_str() {
            "In" => value.is_some_and(|value| values.contains(value)),
            "NotIn" => !value.is_some_and(|value| values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            other => panic!("no operator {other}"),
        };
        if !holds {
            return false;
        }
    }
    true
}

/// Whether a policy of the pod's namespace is for the pod.
pub(crate) fn is_for(policy: &NetworkPolicy, pod: &Labels) -> bool {
    policy.spec.as_ref().is_none_or(|spec| spec.pod_selector.as_ref().is_none_or(|selector| selects(selector, pod)))
}

/// "If no policyTypes are specified on a NetworkPolicy then by default Ingress will always be set
/// and Egress will be set if the NetworkPolicy has any egress rules."
pub(crate) fn ways(policy: &NetworkPolicy) -> Vec<Way> {
    let Some(spec) = &policy.spec else { return vec![Way::In] };
    match spec.policy_types.as_deref() {
        None | Some([]) if spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()) => vec![Way::In, Way::Out],
        None | Some([]) => vec![Way::In],
        Some(types) => {
            let has = |word: &str| types.iter().any(|one| one == word);
            let mut ways = Vec::new();
            if has("Ingress") {
                ways.push(Way::In);
            }
            if has("Egress") {
                ways.push(Way::Out);
            }
            ways
        }
    }
}

/// What a policy of this namespace lets through, rule by rule.
pub(crate) fn openings<'w>(policy: &NetworkPolicy, namespace: &str, world: &'w World) -> Vec<Opening<'w>> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    let mut openings = Vec::new();
    for way in ways(policy) {
        let rules: Vec<_> = match way {
            Way::In => spec.ingress.iter().flatten().map(|rule| (&rule.from, &rule.ports)).collect(),
            Way::Out => spec.egress.iter().flatten().map(|rule| (&rule.to, &rule.ports)).collect(),
        };
        for (peers, ports) in rules {
            let peers = peers.as_deref().unwrap_or_default();
            let ports = ports.as_deref().unwrap_or_default();
            openings.push(Opening { way, ends: ends(peers, namespace, world), ports: all_ports(ports, world) });
        }
    }
    openings
}

fn ends<'w>(peers: &[NetworkPolicyPeer], own: &str, world: &'w World) -> Vec<End<'w>> {
    let mut ends = Vec::new();
    let everybody = NetworkPolicyPeer { namespace_selector: Some(LabelSelector::default()), ..Default::default() };
    let peers = if peers.is_empty() {
        ends.extend(world.addresses.iter().map(|address| End::Address(*address)));
        std::slice::from_ref(&everybody)
    } else {
        peers
    };
    for peer in peers {
        if let Some(block) = &peer.ip_block {
            let inside = |address: &IpAddr| {
                contains(&block.cidr, *address)
                    && !block.except.iter().flatten().any(|except| contains(except, *address))
            };
            ends.extend(world.addresses.iter().filter(|address| inside(address)).map(|address| End::Address(*address)));
            continue;
        }
        let here = |labels: &&Labels| match &peer.namespace_selector {
            Some(selector) => selects(selector, labels),
            None => labels.get(NAME).is_some_and(|name| name == own),
        };
        let chosen = |labels: &&Labels| peer.pod_selector.as_ref().is_none_or(|selector| selects(selector, labels));
        let pods: Vec<&Labels> = world.pods.iter().filter(chosen).collect();
        for namespace in world.namespaces.iter().filter(here) {
            ends.extend(pods.iter().map(|labels| End::Pod { namespace, labels }));
        }
    }
    ends
}

fn all_ports(ports: &[NetworkPolicyPort], world: &World) -> Vec<(&'static str, i32)> {
    let mut found = Vec::new();
    for protocol in &world.protocols {
        for number in &world.numbers {
            if ports.is_empty() || ports.iter().any(|port| is_port(port, protocol, *number, world.named)) {
                found.push((*protocol, *number));
            }
        }
    }
    found
}

fn is_port(port: &NetworkPolicyPort, protocol: &str, number: i32, named: i32) -> bool {
    if port.protocol.as_deref().unwrap_or("TCP") != protocol {
        return false;
    }
    match (&port.port, port.end_port) {
        (None, _) => true,
        (Some(IntOrString::String(_)), _) => number == named,
        (Some(IntOrString::Int(first)), Some(last)) => *first <= number && number <= last,
        (Some(IntOrString::Int(one)), None) => *one == number,
    }
}

fn contains(cidr: &str, address: IpAddr) -> bool {
    let (network, length) = cidr.split_once('/').unwrap();
    let length: u32 = length.parse().unwrap();
    let top = |bits: u128, width: u32| bits.checked_shr(width - length).unwrap_or(0);
    match (network.parse::<IpAddr>().unwrap(), address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            top(u32::from(network).into(), 32) == top(u32::from(address).into(), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => top(network.into(), 128) == top(address.into(), 128),
        _ => false,
    }
}

//! Reads a NetworkPolicy as Kubernetes means it: defaults applied, and what is unknown kept as unknown.

use std::net::IpAddr;

use super::selector::Selector;
use crate::model::{FieldPath, Json};

/// A NetworkPolicy of networking.k8s.io/v1.
#[derive(Debug)]
pub(super) struct Policy<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: Option<&'a str>,
    /// The pods that it is for.
    pub(super) pods: Selector,
    /// What it lets in and out. A direction that is not among its types is not in here.
    pub(super) sides: Vec<Side<'a>>,
    /// Parts outside the rules that are unknown, so that nobody can say whom the policy is for.
    pub(super) unknown: Vec<Unknown<'a>>,
}

/// One direction for which a policy isolates, and its rules.
#[derive(Debug)]
pub(super) struct Side<'a> {
    pub(super) direction: Direction,
    pub(super) rules: Vec<Rule<'a>>,
}

/// Which way a connection goes, seen from the selected pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// To the pod.
    Ingress,
    /// From the pod.
    Egress,
}

/// One rule: every one of its peers on every one of its ports.
#[derive(Debug)]
pub(super) struct Rule<'a> {
    pub(super) path: FieldPath,
    pub(super) json: &'a Json<'a>,
    /// None: everybody.
    pub(super) peers: Option<Vec<(FieldPath, &'a Json<'a>, Peer)>>,
    /// None: every port of every protocol.
    pub(super) ports: Option<Vec<(FieldPath, &'a Json<'a>, Ports)>>,
    /// Parts that are unknown, so that nobody can say what they let through.
    pub(super) unknown: Vec<Unknown<'a>>,
}

/// Whom a rule lets through.
#[derive(Debug)]
pub(super) enum Peer {
    /// Pods: in the policy's own namespace, or in those that a selector matches.
    Pods { namespaces: Option<Selector>, pods: Selector },
    /// Addresses: which one, where it is one only.
    Block(Option<IpAddr>),
    /// Nothing that we know.
    Unknown,
}

/// Through which ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ports {
    /// From the first to the last, both included.
    Range(Protocol, u16, u16),
    /// Whatever number the receiving pod gives that name.
    Named,
    /// Nothing that we know.
    Unknown,
}

/// What NetworkPolicies know of transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// A part of a policy that nobody here can read, and where it stands.
#[derive(Debug)]
pub(super) struct Unknown<'a> {
    pub(super) path: FieldPath,
    pub(super) value: Option<&'a Json<'a>>,
}

impl Direction {
    const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

    /// Its word among the policy types.
    pub(super) fn word(self) -> &'static str {
        match self {
            Direction::Ingress => "Ingress",
            Direction::Egress => "Egress",
        }
    }

    /// The field of the spec that has its rules.
    pub(super) fn field(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }

    /// The field of a rule that has its peers.
    pub(super) fn peers(self) -> &'static str {
        match self {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        }
    }
}

impl<'a> Policy<'a> {
    /// Reads the object.
    pub(super) fn read(object: &'a Json<'a>) -> Self {
        let spec = object.get("spec");
        let mut policy = Policy {
            name: object.text_at(&["metadata", "name"]).unwrap_or_default(),
            namespace: object.text_at(&["metadata", "namespace"]).filter(|name| !name.is_empty()),
            pods: Selector::read(spec.and_then(|spec| spec.get("podSelector"))),
            sides: Vec::new(),
            unknown: Vec::new(),
        };
        let Some(spec) = spec else { return policy };
        let root = FieldPath::of(&["spec"]);
        let unknown = &mut policy.unknown;
        expect_only(spec, &root, &["podSelector", "policyTypes", "ingress", "egress"], unknown);
        for direction in directions(spec, &root, unknown) {
            let path = root.key(direction.field());
            let rules = list(spec, direction.field(), &root, unknown).iter().enumerate();
            let rules = rules.map(|(index, rule)| Rule::read(rule, path.index(index), direction)).collect();
            policy.sides.push(Side { direction, rules });
        }
        policy
    }

    /// Whether nothing in it is unknown.
    pub(super) fn is_known(&self) -> bool {
        self.unknown.is_empty()
            && self.pods.terms().is_some()
            && self.sides.iter().flat_map(|side| &side.rules).all(Rule::is_known)
    }
}

impl<'a> Rule<'a> {
    fn read(json: &'a Json<'a>, path: FieldPath, direction: Direction) -> Self {
        let mut unknown = Vec::new();
        expect_only(json, &path, &[direction.peers(), "ports"], &mut unknown);
        let peers = list(json, direction.peers(), &path, &mut unknown);
        let ports = list(json, "ports", &path, &mut unknown);
        Rule {
            json,
            peers: some_of(peers, &path.key(direction.peers()), Peer::read),
            ports: some_of(ports, &path.key("ports"), Ports::read),
            path,
            unknown,
        }
    }

    fn is_known(&self) -> bool {
        let is_known_peer = |peer: &Peer| match peer {
            Peer::Pods { namespaces, pods } => {
                [namespaces.as_ref(), Some(pods)].into_iter().flatten().all(|selector| selector.terms().is_some())
            }
            Peer::Block(_) => true,
            Peer::Unknown => false,
        };
        self.unknown.is_empty()
            && self.peers.iter().flatten().all(|(_, _, peer)| is_known_peer(peer))
            && self.ports.iter().flatten().all(|(_, _, ports)| *ports != Ports::Unknown)
    }
}

/// The types as the API server fills them in: Ingress always, Egress where there are egress rules.
fn directions<'a>(spec: &'a Json<'a>, root: &FieldPath, unknown: &mut Vec<Unknown<'a>>) -> Vec<Direction> {
    let types = list(spec, "policyTypes", root, unknown);
    if types.is_empty() {
        let with_egress = spec.get("egress").is_some_and(|rules| *rules != Json::Array(Vec::new()));
        return if with_egress { Direction::BOTH.to_vec() } else { vec![Direction::Ingress] };
    }
    let is_known = |word: &Json<'_>| Direction::BOTH.iter().any(|known| word.text() == Some(known.word()));
    let path = root.key("policyTypes");
    let strange = types.iter().enumerate().filter(|(_, word)| !is_known(word));
    unknown.extend(strange.map(|(index, word)| Unknown { path: path.index(index), value: Some(word) }));
    let all = !types.iter().all(is_known);
    let named = |known: &Direction| all || types.iter().any(|word| word.text() == Some(known.word()));
    Direction::BOTH.into_iter().filter(named).collect()
}

/// The items of a list; what is no list is unknown.
fn list<'a>(parent: &'a Json<'a>, key: &str, path: &FieldPath, unknown: &mut Vec<Unknown<'a>>) -> &'a [Json<'a>] {
    match parent.get(key) {
        None => &[],
        Some(Json::Array(items)) => items,
        value => {
            unknown.push(Unknown { path: path.key(key), value });
            &[]
        }
    }
}

fn expect_only<'a>(json: &'a Json<'a>, path: &FieldPath, known: &[&str], unknown: &mut Vec<Unknown<'a>>) {
    let Json::Object(fields) = json else {
        unknown.push(Unknown { path: path.clone(), value: Some(json) });
        return;
    };
    let strange = fields.iter().filter(|(name, _)| !known.contains(&name.as_ref()));
    unknown.extend(strange.map(|(name, value)| Unknown { path: path.key(name), value: Some(value) }));
}

fn some_of<'a, T>(
    items: &'a [Json<'a>],
    path: &FieldPath,
    read: fn(&Json<'_>) -> T,
) -> Option<Vec<(FieldPath, &'a Json<'a>, T)>> {
    let items = items.iter().enumerate().map(|(index, json)| (path.index(index), json, read(json)));
    Some(items.collect::<Vec<_>>()).filter(|items| !items.is_empty())
}

impl Peer {
    fn read(json: &Json<'_>) -> Self {
        let known = has_only(json, &["podSelector", "namespaceSelector", "ipBlock"]);
        match (json.get("podSelector"), json.get("namespaceSelector"), json.get("ipBlock")) {
            _ if !known => Peer::Unknown,
            (None, None, Some(block)) => Peer::Block(single(block)),
            // The API server refuses a peer that names nothing, and a block together with a selector.
            (None, None, None) | (_, _, Some(_)) => Peer::Unknown,
            (pods, namespaces, None) => Peer::Pods {
                namespaces: namespaces.map(|selector| Selector::read(Some(selector))),
                pods: Selector::read(pods),
            },
        }
    }
}

/// The one address that a block names. Runtimes differ in how they read other ways to write one, so only the plain one
/// counts.
fn single(block: &Json<'_>) -> Option<IpAddr> {
    if !has_only(block, &["cidr"]) {
        return None;
    }
    let (address, length) = block.text_at(&["cidr"])?.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    (length == if address.is_ipv4() { "32" } else { "128" }).then_some(address)
}

impl Ports {
    fn read(json: &Json<'_>) -> Self {
        let protocol = match json.get("protocol").map(Json::text) {
            None | Some(Some("TCP")) => Protocol::Tcp,
            Some(Some("UDP")) => Protocol::Udp,
            Some(Some("SCTP")) => Protocol::Sctp,
            Some(_) => return Ports::Unknown,
        };
        if !has_only(json, &["protocol", "port", "endPort"]) {
            return Ports::Unknown;
        }
        match (json.get("port"), json.get("endPort")) {
            (None, None) => Ports::Range(protocol, 1, u16::MAX),
            (Some(Json::String(_)), None) => Ports::Named,
            (Some(port), end) => match (number(port), number(end.unwrap_or(port))) {
                (Some(first), Some(last)) if first <= last => Ports::Range(protocol, first, last),
                _ => Ports::Unknown,
            },
            (None, Some(_)) => Ports::Unknown,
        }
    }
}

fn number(json: &Json<'_>) -> Option<u16> {
    json.integer().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

fn has_only(json: &Json<'_>, known: &[&str]) -> bool {
    matches!(json, Json::Object(fields) if fields.iter().all(|(name, _)| known.contains(&name.as_ref())))
}

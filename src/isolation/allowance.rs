//! What the profile allows to the pods that a policy selects: which peers on which ports.

use std::net::IpAddr;

use super::make::gateway_app;
use super::read::{Direction, Peer, Ports, Protocol};
use super::selector::Selector;
use crate::model::labels;
use crate::policy::{DnsPlace, PolicySet};

/// What pods may do that one policy selects.
pub(super) struct Allowance<'a> {
    pub(super) policies: &'a PolicySet,
    /// The policy's namespace.
    pub(super) namespace: Option<&'a str>,
    /// The one `app` that all the pods have; none where they may have several.
    pub(super) app: Option<&'a str>,
}

/// The ports on which a peer may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// No such peer can exist.
    Everything,
    /// These and no others.
    Only(Vec<(Protocol, u16)>),
}

impl Allowance<'_> {
    /// On which ports the profile lets the pods and this peer meet.
    pub(super) fn of(&self, peer: &Peer, direction: Direction) -> Allowed {
        let (namespaces, pods) = match peer {
            Peer::Pods { namespaces, pods } => (namespaces, pods),
            Peer::Block(address) => {
                return Allowed::Only(self.dns_ports(direction, |place| is_address(place, *address)));
            }
            Peer::Unknown => return Allowed::Only(Vec::new()),
        };
        if pods.is_void() || namespaces.as_ref().is_some_and(no_namespace) {
            return Allowed::Everything;
        }
        let mut ports = Vec::new();
        if self.is_own_gateway(namespaces.as_ref(), pods) {
            ports.extend(self.gateway_ports(direction).iter().map(|port| (Protocol::Tcp, *port)));
        }
        ports.extend(self.dns_ports(direction, |place| self.are_pods(place, namespaces.as_ref(), pods)));
        Allowed::Only(ports)
    }

    /// The ports between an analysis and its gateway.
    pub(super) fn gateway_ports(&self, direction: Direction) -> &[u16] {
        let network = &self.policies.analysis.network;
        match direction {
            Direction::Ingress => std::slice::from_ref(&network.port),
            Direction::Egress => &network.gateway_ports,
        }
    }

    fn is_own_gateway(&self, namespaces: Option<&Selector>, pods: &Selector) -> bool {
        let Some(gateway) = self.app.map(gateway_app) else { return false };
        // Where the pattern of analyses also fits the gateway's own name, `app` alone does not tell them apart.
        let told_apart = !self.policies.analysis.guards.app.fits(&gateway)
            || pods.implies(labels::COMPONENT, &self.policies.gateway.guards.component);
        let here = namespaces
            .is_none_or(|selector| self.namespace.is_some_and(|own| selector.implies(labels::NAMESPACE_NAME, own)));
        here && told_apart && pods.implies(labels::APP, &gateway)
    }

    /// The ports of those DNS peers that `is_it` says.
    fn dns_ports(&self, direction: Direction, is_it: impl Fn(&DnsPlace) -> bool) -> Vec<(Protocol, u16)> {
        if direction != Direction::Egress {
            return Vec::new();
        }
        let peers = self.policies.analysis.network.dns.iter().filter(|peer| is_it(&peer.place));
        peers.flat_map(|peer| [(Protocol::Udp, peer.port), (Protocol::Tcp, peer.port)]).collect()
    }

    /// Whether the selectors match no pods but a DNS peer's.
    fn are_pods(&self, place: &DnsPlace, namespaces: Option<&Selector>, pods: &Selector) -> bool {
        let DnsPlace::Pods { namespace, labels } = place else { return false };
        let there = match namespaces {
            None => self.namespace == Some(namespace),
            Some(selector) => selector.implies(labels::NAMESPACE_NAME, namespace),
        };
        // Without labels it would be everybody there; policy files with such a peer are refused.
        there && !labels.is_empty() && labels.iter().all(|(key, value)| pods.implies(key, value))
    }
}

fn is_address(place: &DnsPlace, address: Option<IpAddr>) -> bool {
    matches!((place, address), (DnsPlace::Address(known), Some(address)) if *known == address)
}

impl Allowed {
    /// Whether these ports are all among the allowed ones; none given are all.
    pub(super) fn covers(&self, ports: Option<&Ports>) -> bool {
        let Allowed::Only(allowed) = self else { return true };
        let Some(Ports::Range(protocol, first, last)) = ports else { return false };
        (*first..=*last).all(|port| allowed.contains(&(*protocol, port)))
    }

    /// Whether there is no port at all on which they may meet.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Allowed::Only(ports) if ports.is_empty())
    }
}

/// Whether no namespace has such labels; every one has its name.
fn no_namespace(selector: &Selector) -> bool {
    let name = selector.terms().and_then(|terms| terms.get(labels::NAMESPACE_NAME));
    selector.is_void() || name.is_some_and(super::selector::Values::is_never_present)
}

//! What is known of Services: where they are, and which pods stand behind them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::host::Host;
use super::nginx::Target;
use crate::policy::Upstream;

/// Services by namespace and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services(BTreeMap<(String, String), Known>);

/// One Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its address in the cluster; none where it has none, as a headless one.
    pub address: Option<IpAddr>,
    /// The labels of its pods.
    pub selector: BTreeMap<String, String>,
    /// The pods' port by the Service's own.
    pub ports: BTreeMap<u16, PodPort>,
}

/// One of the node's services: where it is called, and which pods answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where it is called.
    pub target: Target,
    /// The namespace of its pods.
    pub namespace: String,
    /// Their labels.
    pub selector: BTreeMap<String, String>,
    /// Their port.
    pub pod_port: PodPort,
}

/// A port of pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodPort {
    /// By its number.
    Number(u16),
    /// By its name in the pods.
    Name(String),
}

/// Where a Service is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// At its address in the cluster.
    Cluster(IpAddr),
    /// By its name, while it has no address yet.
    Name,
}

impl Services {
    /// Takes a Service as the API server stores it, in place of one of the same name; says whether that is news.
    pub fn learn(&mut self, service: &Value) -> bool {
        let text = |pointer: &str| service.pointer(pointer).and_then(Value::as_str);
        let (Some(namespace), Some(name)) = (text("/metadata/namespace"), text("/metadata/name")) else { return false };
        let address = text("/spec/clusterIP").and_then(|address| address.parse().ok());
        let selector = service.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten();
        let selector = selector.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        let ports = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
        let ports = ports.filter_map(port).collect();
        let known = Known { address, selector, ports };
        let before = self.0.insert((namespace.to_owned(), name.to_owned()), known.clone());
        before != Some(known)
    }

    /// A Service is gone; says whether it was known.
    pub fn forget(&mut self, namespace: &str, name: &str) -> bool {
        self.0.remove(&(namespace.to_owned(), name.to_owned())).is_some()
    }

    /// The names of those in a namespace.
    pub fn names_in(&self, namespace: &str) -> impl Iterator<Item = &str> {
        self.0.keys().filter(move |(of, _)| of == namespace).map(|(_, name)| name.as_str())
    }

    /// How an upstream is reached, and by which pods it is answered; what is wrong with it otherwise.
    pub(super) fn route(&self, upstream: &Upstream, own: &str) -> Result<Route, &'static str> {
        let namespace = upstream.namespace.as_deref().unwrap_or(own);
        let known = self
            .0
            .get(&(namespace.to_owned(), upstream.service.clone()))
            .ok_or("is not there; make it, or name another in the settings")?;
        let address =
            known.address.ok_or("has no address in the cluster (clusterIP); gateways lead to such Services only")?;
        if known.selector.is_empty() {
            return Err("has no selector, so nobody can say which pods a gateway may reach; give it one");
        }
        let pods = known.ports.get(&upstream.port).ok_or("has no such TCP port; name the port that it has")?;
        Ok(Route {
            target: Target {
                host: Host::of(&upstream.service, namespace).ok_or("has a name that is none; name a Service")?,
                address: Address::Cluster(address),
                port: upstream.port,
            },
            namespace: namespace.to_owned(),
            selector: known.selector.clone(),
            pod_port: pods.clone(),
        })
    }

    /// Where one of the run's own Services is called, whether it exists already or not.
    pub(super) fn own(&self, namespace: &str, name: &str, port: u16) -> Option<Target> {
        Some(Target { host: Host::of(name, namespace)?, address: self.own_address(namespace, name), port })
    }

    /// Where the run's own Service is.
    pub(super) fn own_address(&self, namespace: &str, name: &str) -> Address {
        let known = self.0.get(&(namespace.to_owned(), name.to_owned())).and_then(|known| known.address);
        known.map_or(Address::Name, Address::Cluster)
    }
}

fn port(port: &Value) -> Option<(u16, PodPort)> {
    if port.get("protocol").and_then(Value::as_str).is_some_and(|protocol| protocol != "TCP") {
        return None;
    }
    let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
    let own = number(port.get("port")?)?;
    let pods = match port.get("targetPort") {
        None => PodPort::Number(own),
        Some(Value::String(name)) => PodPort::Name(name.clone()),
        Some(target) => PodPort::Number(number(target)?),
    };
    Some((own, pods))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn upstream(service: &str, port: u16) -> Upstream {
        Upstream { service: service.to_owned(), namespace: None, port }
    }

    #[test]
    fn an_upstream_is_a_service_with_an_address_pods_and_that_port() {
        let mut services = Services::default();
        for (name, spec) in [
            (
                "good",
                json!({"clusterIP": "10.0.0.7", "selector": {"app": "kong"}, "ports": [{"port": 80, "targetPort": "proxy"}, {"port": 90, "protocol": "UDP"}]}),
            ),
            ("plain", json!({"clusterIP": "fd00::7", "selector": {"app": "kong"}, "ports": [{"port": 80}]})),
            ("headless", json!({"clusterIP": "None", "selector": {"app": "kong"}, "ports": [{"port": 80}]})),
            ("external", json!({"type": "ExternalName", "externalName": "example.org"})),
            ("bare", json!({"clusterIP": "10.0.0.8", "ports": [{"port": 80}]})),
        ] {
            services.learn(&json!({"metadata": {"name": name, "namespace": "flame"}, "spec": spec}));
        }
        let route = |service: &str, address: &str, pod_port| Route {
            target: Target {
                host: Host::of(service, "flame").unwrap(),
                address: Address::Cluster(address.parse().unwrap()),
                port: 80,
            },
            namespace: "flame".to_owned(),
            selector: BTreeMap::from([("app".to_owned(), "kong".to_owned())]),
            pod_port,
        };
        for (service, port, want) in [
            ("good", 80, Ok(route("good", "10.0.0.7", PodPort::Name("proxy".to_owned())))),
            ("plain", 80, Ok(route("plain", "fd00::7", PodPort::Number(80)))),
            ("good", 90, Err("has no such TCP port; name the port that it has")),
            ("good", 8000, Err("has no such TCP port; name the port that it has")),
            ("headless", 80, Err("has no address in the cluster (clusterIP); gateways lead to such Services only")),
            ("external", 80, Err("has no address in the cluster (clusterIP); gateways lead to such Services only")),
            ("bare", 80, Err("has no selector, so nobody can say which pods a gateway may reach; give it one")),
            ("missing", 80, Err("is not there; make it, or name another in the settings")),
        ] {
            assert_eq!(services.route(&upstream(service, port), "flame"), want, "{service}:{port}");
        }
        assert_eq!(
            services.route(&upstream("good", 80), "other"),
            Err("is not there; make it, or name another in the settings")
        );
    }
}

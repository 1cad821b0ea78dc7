//! Where the webhook's replicas are, from the EndpointSlices of its Service.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

/// The addresses of all replicas that serve, those on their way out among them: they have last words. None where
/// the list cannot be read.
pub(super) fn addresses(list: &str) -> Option<BTreeSet<SocketAddr>> {
    let list: Value = serde_json::from_str(list).ok()?;
    let slices = list.get("items")?.as_array()?;
    Some(slices.iter().flat_map(of_slice).take(MOST).collect())
}

fn of_slice(slice: &Value) -> Vec<SocketAddr> {
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let ports = list(slice, "ports");
    let port = ports.iter().find(|port| port.get("name").is_some_and(|name| name == "https"));
    let port = port.and_then(|port| port.get("port")?.as_u64()).and_then(|port| u16::try_from(port).ok());
    let Some(port) = port else { return Vec::new() };
    let serving = |endpoint: &&Value| {
        let condition = |name: &str| endpoint.pointer(&format!("/conditions/{name}")).and_then(Value::as_bool);
        condition("serving").or(condition("ready")).unwrap_or(true)
    };
    let endpoints = list(slice, "endpoints");
    let addresses = endpoints.iter().filter(serving).filter_map(|endpoint| {
        let address: IpAddr = endpoint.pointer("/addresses/0")?.as_str()?.parse().ok()?;
        Some(SocketAddr::new(address, port))
    });
    addresses.collect()
}

/// More replicas than anybody runs.
const MOST: usize = 32;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn replicas_that_serve_are_found_at_the_service_s_port() {
        let slice = json!({
            "ports": [{"name": "metrics", "port": 1}, {"name": "https", "port": 9443}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": true, "serving": true}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}},
                {"addresses": ["10.0.0.3"], "conditions": {"ready": false, "serving": false}},
                {"addresses": ["10.0.0.4"], "conditions": {"ready": false}},
                {"addresses": ["fd00::5"]},
                {"addresses": ["web.example"]},
            ],
        });
        let other = json!({"ports": [{"name": "other", "port": 9443}], "endpoints": [{"addresses": ["10.0.0.9"]}]});
        let found = addresses(&json!({"items": [slice, other]}).to_string()).unwrap();
        let found: Vec<String> = found.iter().map(SocketAddr::to_string).collect();
        assert_eq!(found, ["10.0.0.1:9443", "10.0.0.2:9443", "[fd00::5]:9443"]);
        assert_eq!(addresses("{}"), None);
    }
}

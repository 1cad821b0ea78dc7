//! Peers and ports of NetworkPolicies in words. Pure.

use serde_json::Value;

use crate::model::one_line;

/// A peer, as a policy writes it, in words.
pub(super) fn peer(text: &str) -> String {
    let Ok(peer) = serde_json::from_str::<Value>(text) else { return one_line(text, LONGEST) };
    let block = peer.pointer("/ipBlock/cidr").and_then(Value::as_str);
    let except = peer.pointer("/ipBlock/except").and_then(Value::as_array).map(|except| list(except));
    let said = match (block, peer.get("podSelector"), peer.get("namespaceSelector")) {
        (Some(block), ..) => except.map_or_else(|| block.to_owned(), |except| format!("{block} except {except}")),
        (None, Some(pods), None) => format!("pods {}", selector(pods)),
        (None, Some(pods), Some(namespaces)) => {
            format!("pods {} in namespaces {}", selector(pods), selector(namespaces))
        }
        (None, None, Some(namespaces)) => format!("all pods in namespaces {}", selector(namespaces)),
        (None, None, None) => text.to_owned(),
    };
    one_line(&said, LONGEST)
}

/// A port, as a policy writes it, in words.
pub(super) fn port(text: &str) -> String {
    let Ok(port) = serde_json::from_str::<Value>(text) else { return one_line(text, LONGEST) };
    let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
    let number =
        |name: &str| port.get(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let said = match (number("port"), number("endPort")) {
        (Some(from), Some(to)) => format!("{protocol} {from}-{to}"),
        (Some(port), None) => format!("{protocol} {port}"),
        (None, _) => format!("{protocol}, every port"),
    };
    one_line(&said, LONGEST)
}

/// What a selector selects: labels, and whatever else it says as it stands there.
fn selector(selector: &Value) -> String {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let labels =
        labels.into_iter().flatten().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    let parts: Vec<String> = labels.chain(expressions.into_iter().flatten().map(Value::to_string)).collect();
    if parts.is_empty() { "(all)".to_owned() } else { parts.join(", ") }
}

fn list(values: &[Value]) -> String {
    values.iter().map(|value| value.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", ")
}

const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_and_ports_are_told_in_words() {
        for (text, want) in [
            (r#"{"podSelector":{"matchLabels":{"app":"nginx-a"}}}"#, "pods app=nginx-a"),
            (r#"{"podSelector":{}}"#, "pods (all)"),
            (
                r#"{"podSelector":{"matchLabels":{"k8s-app":"kube-dns"}},"namespaceSelector":{"matchLabels":{"n":"kube-system"}}}"#,
                "pods k8s-app=kube-dns in namespaces n=kube-system",
            ),
            (r#"{"namespaceSelector":{}}"#, "all pods in namespaces (all)"),
            (r#"{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}"#, "10.0.0.0/8 except 10.1.0.0/16"),
            (
                r#"{"podSelector":{"matchExpressions":[{"key":"a","operator":"Exists"}]}}"#,
                r#"pods {"key":"a","operator":"Exists"}"#,
            ),
            ("not JSON", "not JSON"),
            (r#"{"else":1}"#, r#"{"else":1}"#),
        ] {
            assert_eq!(peer(text), want);
        }
        for (text, want) in [
            (r#"{"port":53,"protocol":"UDP"}"#, "UDP 53"),
            (r#"{"port":"http"}"#, "TCP http"),
            (r#"{"port":1,"endPort":9}"#, "TCP 1-9"),
            (r#"{"protocol":"SCTP"}"#, "SCTP, every port"),
        ] {
            assert_eq!(port(text), want);
        }
    }
}

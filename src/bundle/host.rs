//! The name by which a Service is called in the cluster: nothing else can stand in a gateway's configuration.

use std::fmt::{Display, Formatter, Result};

use crate::policy::is_label;

/// `SERVICE.NAMESPACE.svc`, of DNS labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

impl Host {
    /// None where either is no DNS label. Settings were checked before; that they were is not what the file rests on.
    pub(super) fn of(service: &str, namespace: &str) -> Option<Host> {
        let both = [service, namespace];
        both.iter().all(|name| is_label(name)).then(|| Host(format!("{service}.{namespace}.svc")))
    }
}

impl Display for Host {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        to.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_names_of_services_becomes_a_host() {
        let long = "a".repeat(64);
        for (service, want) in [
            ("flame-node-kong-proxy", Some("flame-node-kong-proxy.flame.svc")),
            ("0", Some("0.flame.svc")),
            ("", None),
            ("-a", None),
            ("a-", None),
            ("A", None),
            ("a.b", None),
            ("a_b", None),
            ("a b", None),
            ("a;", None),
            ("a; } location / { proxy_pass http://elsewhere", None),
            ("a}", None),
            ("$host", None),
            ("a\n", None),
            ("a\0", None),
            ("a#", None),
            ("\"a\"", None),
            ("a/", None),
            ("a:80", None),
            ("ä", None),
            (&long, None),
        ] {
            assert_eq!(Host::of(service, "flame").map(|host| host.to_string()).as_deref(), want, "{service:?}");
            if want.is_none() {
                assert_eq!(Host::of("kong", service), None, "namespace {service:?}");
            }
        }
    }
}

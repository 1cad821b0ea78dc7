//! How systems outside the cluster are reached.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::api::address;

/// The section `ways` of an Orchestrator, for Keycloak and the Hub. What the environment says of proxies is not looked
/// at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WaySettings {
    /// The proxy for addresses that begin with `http:`: FLAME's `PO_HTTP_PROXY`.
    #[serde(default)]
    pub http_proxy: Option<ProxySetting>,
    /// The proxy for addresses that begin with `https:`: FLAME's `PO_HTTPS_PROXY`.
    #[serde(default)]
    pub https_proxy: Option<ProxySetting>,
    /// Hosts that are reached without a proxy; one that begins with a dot is all below it.
    #[serde(default, deserialize_with = "hosts")]
    pub direct: Vec<String>,
    /// Where certificates of authorities are that are trusted besides the machine's: FLAME's `EXTRA_CA_CERTS`.
    #[serde(default)]
    pub authorities: Option<Authorities>,
}

/// A proxy's address, or that it comes from a Secret: one with a user must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxySetting {
    /// In clear, without a user.
    Address(String),
    /// From the Secret of proxies.
    FromSecret,
}

/// Which object holds the certificates of authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Authorities {
    /// The ConfigMap of authorities.
    #[serde(rename = "fromConfigMap")]
    ConfigMap,
    /// The Secret of authorities.
    #[serde(rename = "fromSecret")]
    Secret,
}

impl WaySettings {
    /// Whether a proxy's address comes from a Secret.
    pub fn has_secret_proxy(&self) -> bool {
        [&self.http_proxy, &self.https_proxy].contains(&&Some(ProxySetting::FromSecret))
    }
}

impl<'de> Deserialize<'de> for ProxySetting {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text == FROM_SECRET {
            return Ok(ProxySetting::FromSecret);
        }
        // The text itself is not shown: it may hold a password.
        let parsed = address(serde::de::value::StringDeserializer::<D::Error>::new(text));
        let refused = || D::Error::custom("a proxy is an address without a user, or `fromSecret`");
        parsed.map(ProxySetting::Address).map_err(|_| refused())
    }
}

fn hosts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let hosts = Vec::<String>::deserialize(from)?;
    let plain = |host: &String| {
        let name = host.strip_prefix('.').unwrap_or(host);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
    };
    match hosts.iter().find(|host| !plain(host)) {
        Some(host) => Err(D::Error::custom(format!("`{host}` is no host; write its name, or `.` and a domain"))),
        None => Ok(hosts),
    }
}

const FROM_SECRET: &str = "fromSecret";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml_problem;

    #[test]
    fn what_cannot_be_meant_is_refused_and_a_password_is_not_repeated() {
        for (text, fits) in [
            ("{}", true),
            ("{httpProxy: 'http://proxy:3128', httpsProxy: fromSecret, authorities: fromConfigMap}", true),
            ("{httpsProxy: 'https://proxy:3128', direct: [keycloak, .svc, 10.0.0.1], authorities: fromSecret}", true),
            ("{httpProxy: 'http://user:hunter2@proxy:3128'}", false),
            ("{httpProxy: 'hunter2'}", false),
            ("{httpProxy: 'socks5://hunter2'}", false),
            ("{authorities: /etc/x}", false),
            ("{direct: ['*']}", false),
            ("{direct: ['a,b']}", false),
            ("{direct: ['.']}", false),
            ("{ftpProxy: 'http://proxy'}", false),
        ] {
            let read = serde_saphyr::from_str::<WaySettings>(text);
            assert_eq!(read.is_ok(), fits, "{text}");
            let told = read.map_or_else(|problem| yaml_problem(&problem), |_| String::new());
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}

//! Who signs the certificates of registries, where the machine's authorities do not.

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use x509_parser::pem::Pem;

use super::checked;
use crate::model::registry_problem;

/// The authorities of one registry, which are believed for it besides those that the machine knows, and for nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryAuthorities {
    /// The registry, as images name it: its host, with a port where there is one.
    #[serde(deserialize_with = "host")]
    pub host: String,
    /// Their certificates, in PEM.
    #[serde(deserialize_with = "certificates")]
    pub authorities: String,
}

fn host<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let host = String::deserialize(from)?;
    let path = host.contains('/').then_some("has a path; certificates are a host's, so write the host alone");
    match registry_problem(&host).or(path) {
        Some(problem) => Err(checked::wrong("registries", &host, problem)),
        None => Ok(host),
    }
}

fn certificates<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    problem(&text).map_or(Ok(text), |problem| Err(D::Error::custom(format!("authorities: {problem}"))))
}

/// What is wrong with a text that is to hold certificates. It is not repeated: it may be a key.
fn problem(text: &str) -> Option<&'static str> {
    const FORM: &str = "write certificates in PEM, whole blocks from -----BEGIN CERTIFICATE----- to \
                        -----END CERTIFICATE-----";
    if text.len() > LONGEST {
        return Some("more than 64 KiB; name only those that sign this registry's certificate");
    }
    let mut found = 0;
    for block in Pem::iter_from_buffer(text.as_bytes()) {
        let Ok(block) = block else { return Some(FORM) };
        if block.label.contains("PRIVATE KEY") {
            return Some("a private key stands there, which should never have come here; write certificates alone");
        }
        if block.label != "CERTIFICATE" || block.parse_x509().is_err() {
            return Some(FORM);
        }
        found += 1;
    }
    // A block that has a beginning and no end is none.
    (found == 0 || found != text.matches("-----BEGIN ").count()).then_some(FORM)
}

/// It goes with each order to scan an image of that registry.
const LONGEST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_registry_has_certificates_and_nothing_else() {
        let key = KeyPair::generate().unwrap();
        let one = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
        let two = format!("# ours\n{one}\n{one}");
        let read = |host: &str, authorities: &str| {
            let read = serde_json::from_value::<RegistryAuthorities>(json!({"host": host, "authorities": authorities}));
            read.map(|read| (read.host, read.authorities)).map_err(|problem| problem.to_string())
        };
        for (host, authorities) in [("harbor.example.org", &one), ("127.0.0.1:5000", &two)] {
            assert_eq!(read(host, authorities), Ok((host.to_owned(), authorities.clone())));
        }
        let damaged = one.replacen("MII", "MIJ", 1);
        let (cut, long) = (format!("{one}{}", &one[..one.len() / 2]), format!("{one}{}", " ".repeat(LONGEST)));
        for (host, authorities, want) in [
            ("harbor.example.org/node", one.as_str(), "registries `harbor.example.org/node` has a path"),
            ("https://harbor.example.org", &one, "has a scheme"),
            ("harbor", &one, "names no host"),
            ("harbor.example.org", "", "authorities: write certificates in PEM"),
            ("harbor.example.org", "/etc/ssl/certs/ca.crt", "authorities: write certificates in PEM"),
            ("harbor.example.org", &damaged, "authorities: write certificates in PEM"),
            ("harbor.example.org", &cut, "authorities: write certificates in PEM"),
            ("harbor.example.org", &format!("{one}{}", key.serialize_pem()), "authorities: a private key"),
            ("harbor.example.org", &long, "authorities: more than 64 KiB"),
        ] {
            let problem = read(host, authorities).unwrap_err();
            assert!(problem.contains(want), "{want}: {problem}");
        }
    }
}

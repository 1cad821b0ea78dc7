//! Which registries may be asked, and who hands out their tokens.

use std::collections::{BTreeMap, BTreeSet};

use super::grype::Transport;
use crate::model::ImageRef;
use crate::remote::Address;

/// Whom a registry client may speak to. Nobody else is connected to, whatever an image or an answer says.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Hosts, or hosts and paths, as the Installation's `analysisRegistries`.
    pub registries: Vec<String>,
    /// References, or folders that end in `/`, as its `gatewayImages`; of a reference the whole repository is meant.
    pub images: Vec<String>,
    /// Hosts that hand out tokens for a registry, besides itself, by the registry's host.
    pub token_hosts: BTreeMap<String, BTreeSet<String>>,
}

impl Reach {
    /// Whether an image's repository may be read.
    pub fn allows(&self, image: &ImageRef<'_>) -> bool {
        self.registries.iter().any(|registry| image.is_below(registry))
            || self.images.iter().any(|entry| image.is_of(entry))
    }

    /// Whether tokens of a registry may come from there.
    pub(super) fn takes_tokens_from(&self, host: &str, realm: &Address, transport: Transport) -> bool {
        let named = self.token_hosts.get(host).into_iter().flatten().map(String::as_str);
        let known = (host == HUB).then_some(HUB_TOKENS).into_iter();
        let mut hosts = named.chain(known).chain([served_at(host)]);
        hosts.any(|host| address(host, transport).is_some_and(|known| known.origin() == realm.origin()))
    }
}

/// Where the registry of a name is.
pub(super) fn registry_address(host: &str, transport: Transport) -> Option<Address> {
    address(served_at(host), transport)
}

fn address(host: &str, transport: Transport) -> Option<Address> {
    let scheme = match transport {
        Transport::Tls => "https",
        Transport::Plain => "http",
    };
    Address::parse(&format!("{scheme}://{host}")).ok()
}

/// Docker Hub's name is not where it is.
fn served_at(host: &str) -> &str {
    if host == HUB { HUB_ADDRESS } else { host }
}

const HUB: &str = "docker.io";
const HUB_ADDRESS: &str = "registry-1.docker.io";
const HUB_TOKENS: &str = "auth.docker.io";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_read_where_the_installation_names_them() {
        let reach = Reach {
            registries: vec!["harbor.example/node".to_owned()],
            images: vec!["nginx:1.29.8".to_owned(), "mirror.example:5000/flame/".to_owned()],
            token_hosts: BTreeMap::new(),
        };
        for (image, allowed) in [
            ("harbor.example/node/a:1", true),
            ("harbor.example/nodes/a:1", false),
            ("harbor.example/a", false),
            ("harbor.example:443/node/a:1", false),
            ("HARBOR.example/node/a:1", false),
            ("harbor.example.evil/node/a", false),
            ("nginx@sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", true),
            ("nginx:other", true),
            ("nginx/nginx", false),
            ("mirror.example:5000/flame/a/b", true),
            ("mirror.example:5001/flame/a/b", false),
            ("mirror.example:5000/flames/a", false),
            ("169.254.169.254/latest/meta-data", false),
            ("localhost/a", false),
        ] {
            assert_eq!(reach.allows(&ImageRef::parse(image).unwrap()), allowed, "{image}");
        }
    }

    #[test]
    fn tokens_come_from_the_registry_itself_or_a_host_that_is_named_for_it() {
        let named = BTreeSet::from(["login.example".to_owned(), "login.example:8443".to_owned()]);
        let reach = Reach { token_hosts: BTreeMap::from([("harbor.example".to_owned(), named)]), ..Reach::default() };
        for (host, realm, taken) in [
            ("harbor.example", "https://harbor.example/service/token", true),
            ("harbor.example", "https://harbor.example:443/service/token", true),
            ("harbor.example", "http://harbor.example/service/token", false),
            ("harbor.example", "https://harbor.example:444/service/token", false),
            ("harbor.example", "https://harbor.example.evil/service/token", false),
            ("harbor.example", "https://login.example/token", true),
            ("harbor.example", "https://login.example:8443/token", true),
            ("harbor.example", "https://login.example:8444/token", false),
            ("harbor.example", "http://login.example/token", false),
            ("other.example", "https://login.example/token", false),
            ("docker.io", "https://auth.docker.io/token", true),
            ("docker.io", "https://registry-1.docker.io/token", true),
            ("docker.io", "https://docker.io/token", false),
            ("harbor.example", "https://auth.docker.io/token", false),
        ] {
            let realm = Address::parse(realm).unwrap();
            assert_eq!(reach.takes_tokens_from(host, &realm, Transport::Tls), taken, "{host}: {}", realm.as_str());
        }
    }

    #[test]
    fn a_registry_is_where_its_name_says_by_tls_unless_it_is_a_tests() {
        for (host, transport, want) in [
            ("harbor.example", Transport::Tls, "https://harbor.example/"),
            ("harbor.example:5000", Transport::Tls, "https://harbor.example:5000/"),
            ("[2001:db8::1]:5000", Transport::Tls, "https://[2001:db8::1]:5000/"),
            ("docker.io", Transport::Tls, "https://registry-1.docker.io/"),
            ("127.0.0.1:5000", Transport::Plain, "http://127.0.0.1:5000/"),
        ] {
            let address = registry_address(host, transport).unwrap();
            assert_eq!(address.as_str(), want);
        }
    }
}

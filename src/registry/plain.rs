//! Which registries Grype would also ask in plain HTTP, whatever it is told.

use std::net::Ipv4Addr;

/// Whether Grype, which is told not to, would ask this host (with its port) in plain HTTP where HTTPS has no answer, and
/// show it a credential there. A few more are among them than those that it asks.
///
/// Source: go-containerregistry 0.21, through which Grype asks: `Registry.Scheme` in `pkg/name/registry.go`, and `Ping` in
/// `pkg/v1/remote/transport/ping.go`, which tries both where that says `http`. No setting switches it off.
pub fn is_asked_plainly(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let name = host.split(':').next().unwrap_or_default();
    let is_private = name.parse().is_ok_and(|address: Ipv4Addr| address.is_private());
    let is_local = name == "localhost" || name.ends_with(".local") || name.ends_with(".localhost");
    // Anywhere in the name, as there: an address of IPv6 may have `::1` in its midst.
    is_private || is_local || host.contains("127.0.0.1") || host.contains("::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_look_local_are_those_that_are_asked_plainly() {
        for (host, plainly) in [
            ("harbor.example", false),
            ("harbor.example:5000", false),
            ("docker.io", false),
            ("registry.local", true),
            ("registry.local:5000", true),
            ("Registry.LOCAL:5000", true),
            ("a.b.localhost", true),
            ("a.localhost:8443", true),
            ("localhost", true),
            ("localhost:5000", true),
            ("registrylocal", false),
            ("registry.local.example", false),
            ("localhost.example:5000", false),
            ("10.0.0.1", true),
            ("10.255.255.255:5000", true),
            ("11.0.0.1", false),
            ("172.15.255.255", false),
            ("172.16.0.1:443", true),
            ("172.31.255.255", true),
            ("172.32.0.1", false),
            ("192.168.1.1:8443", true),
            ("192.169.0.1", false),
            ("10.0.0.1.example", false),
            ("127.0.0.1", true),
            ("127.0.0.1:5000", true),
            ("127.0.0.1.nip.example:5000", true),
            ("127.0.0.2:5000", false),
            ("[::1]:5000", true),
            ("[2001:db8::1]:5000", true),
            ("[2001:db8::2]:5000", false),
        ] {
            assert_eq!(is_asked_plainly(host), plainly, "{host}");
        }
    }
}

//! Edge: the clients that ask registries: with TLS, believing whom each registry's settings say; one for those without.

use std::collections::BTreeMap;

use super::act::REGISTRY;
use super::wanted::reach;
use crate::model::ImageRef;
use crate::policy::{PolicySet, Scanner};
use crate::registry::{Registry, Transport};
use crate::remote::{RemoteProblem, Ways};

/// The clients that ask registries.
#[derive(Debug)]
pub(super) struct Registries {
    with_tls: Registry,
    /// For those with authorities of their own, by host.
    trusting: BTreeMap<String, Registry>,
    without: Registry,
}

impl Registries {
    /// Clients that reach whatever the policies let run, and nothing else.
    pub(super) fn new(ways: &Ways, policies: &PolicySet) -> Result<Self, RemoteProblem> {
        let reach = reach(policies);
        let client = |transport| Registry::new(ways, transport, reach.clone(), REGISTRY);
        let own = policies.scanner.iter().flat_map(|scanner| &scanner.registries);
        let trusting = own.map(|registry| {
            let client = Registry::trusting(ways, &registry.authorities, reach.clone(), REGISTRY)?;
            Ok((registry.host.clone(), client))
        });
        Ok(Registries {
            trusting: trusting.collect::<Result<_, RemoteProblem>>()?,
            with_tls: client(Transport::Tls)?,
            without: client(Transport::Plain)?,
        })
    }

    /// The client for an image's registry.
    pub(super) fn of(&self, image: &ImageRef<'_>, settings: &Scanner) -> &Registry {
        if settings.is_insecure(image.host) {
            return &self.without;
        }
        self.trusting.get(image.host).unwrap_or(&self.with_tls)
    }
}

//! Edge: the clients that ask registries: one with TLS, one for those that have none.

use super::act::REGISTRY;
use crate::model::ImageRef;
use crate::policy::{PolicySet, Scanner};
use crate::registry::{Reach, Registry, Transport};
use crate::remote::{RemoteProblem, Ways};

/// The clients that ask registries.
#[derive(Debug)]
pub(super) struct Registries {
    with_tls: Registry,
    without: Registry,
}

impl Registries {
    /// Clients that reach whatever the policies let run, and nothing else.
    pub(super) fn new(ways: &Ways, policies: &PolicySet) -> Result<Self, RemoteProblem> {
        let installation = &policies.installation;
        let images = installation.gateway_images.iter().chain(&installation.sidecar_images).cloned().collect();
        let reach = Reach { registries: installation.analysis_registries.clone(), images, ..Reach::default() };
        let client = |transport| Registry::new(ways, transport, reach.clone(), REGISTRY);
        Ok(Registries { with_tls: client(Transport::Tls)?, without: client(Transport::Plain)? })
    }

    /// The client for an image's registry.
    pub(super) fn of(&self, image: &ImageRef<'_>, settings: &Scanner) -> &Registry {
        if settings.is_insecure(image.host) { &self.without } else { &self.with_tls }
    }
}

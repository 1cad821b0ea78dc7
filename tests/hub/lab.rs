//! The edge as a node has it, towards a Hub of a test.

use std::time::Duration;

use flamewarden::hub::{Hub as Edge, HubAccount};
use flamewarden::model::Secret;
use flamewarden::policy::FieldNames;
use flamewarden::remote::{Remote, Ways};

use crate::stand_in::{CLIENT, Hub, SECRET};

/// Asks that Hub, without a proxy.
pub(crate) fn edge(hub: &Hub) -> Edge {
    by(hub, &Ways::plain(Duration::from_secs(60)))
}

/// The same by these ways.
pub(crate) fn by(hub: &Hub, ways: &Ways) -> Edge {
    named(hub, ways, hub.names())
}

/// The same, with names of fields that the Hub may not know.
pub(crate) fn named(hub: &Hub, ways: &Ways, names: FieldNames) -> Edge {
    Edge::new(
        Remote::new(ways).unwrap(),
        HubAccount {
            core: hub.address.clone(),
            auth: hub.address.clone(),
            client: CLIENT.to_owned(),
            secret: Secret::new(SECRET),
            names,
        },
    )
}

pub(crate) const ANALYSIS: &str = "44444444-0000-4000-8000-000000000001";

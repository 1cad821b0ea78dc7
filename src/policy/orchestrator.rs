//! How Flamewarden makes analyses itself: where to, with which gateway, next to which of the node's services.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::{ApiSettings, ArchiveSettings, HealthSettings, HubSettings, TokenSettings, WaySettings, archive, checked};
use crate::model::ImageRef;

/// What the orchestrator needs to know of the node. Written as `kind: Orchestrator`; without it nothing is made.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Orchestrator {
    /// The guarded namespace that analyses are made in.
    pub namespace: String,
    /// The image of gateways: an NGINX that runs as any user, by digest.
    #[serde(deserialize_with = "pinned")]
    pub gateway_image: String,
    /// The image of the network-statistics sidecar, by digest: a shell with `awk`, such as busybox. None, no sidecar.
    #[serde(default, deserialize_with = "maybe_pinned")]
    pub network_statistics_image: Option<String>,
    /// The node's services that gateways lead to.
    pub upstreams: Upstreams,
    /// How running analyses are looked after.
    #[serde(default)]
    pub health: HealthSettings,
    /// The REST API; none where nothing is said.
    #[serde(default)]
    pub api: Option<ApiSettings>,
    /// How analyses come to their tokens; their creators bring them where nothing is said.
    #[serde(default)]
    pub tokens: Option<TokenSettings>,
    /// Which Hub is told how analyses are doing; none where nothing is said.
    #[serde(default)]
    pub hub: Option<HubSettings>,
    /// How Keycloak and the Hub are reached.
    #[serde(default)]
    pub ways: WaySettings,
    /// Where what has ended is kept.
    #[serde(default, deserialize_with = "archive::meant")]
    pub archive: ArchiveSettings,
}

/// The node's services that gateways lead to, each by the name of its Service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upstreams {
    /// The proxy of Kong, which leads to the data.
    pub kong: Upstream,
    /// The storage (result) service.
    pub storage: Upstream,
    /// The Hub adapter.
    pub hub_adapter: Upstream,
    /// The message broker, which also calls the analysis.
    pub message_broker: Upstream,
    /// Flamewarden's own REST API, which takes log lines.
    #[serde(default = "own_api")]
    pub orchestrator: Upstream,
}

/// One Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Upstream {
    /// Its name.
    #[serde(deserialize_with = "name")]
    pub service: String,
    /// Its namespace; that of the analyses where none is named.
    #[serde(default, deserialize_with = "maybe_name")]
    pub namespace: Option<String>,
    /// Its port, as the Service has it.
    #[serde(default = "http")]
    pub port: u16,
}

impl Orchestrator {
    /// Whether gateways that Flamewarden makes may be in a namespace, or where none is named, in any.
    pub fn may_make_in(&self, namespace: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| namespace == self.namespace)
    }
}

impl Upstreams {
    /// All of them by what they are called in gateways' configurations.
    pub fn each(&self) -> BTreeMap<&'static str, &Upstream> {
        let Upstreams { kong, storage, hub_adapter, message_broker, orchestrator } = self;
        BTreeMap::from([
            ("kong", kong),
            ("storage", storage),
            ("hubAdapter", hub_adapter),
            ("messageBroker", message_broker),
            ("orchestrator", orchestrator),
        ])
    }
}

fn own_api() -> Upstream {
    Upstream {
        service: "flamewarden-orchestrator".to_owned(),
        namespace: Some("flamewarden-system".to_owned()),
        port: 8000,
    }
}

fn http() -> u16 {
    80
}

/// An image by digest: what runs next to an analysis must not change under its name.
fn pinned<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let image = String::deserialize(from)?;
    let problem = match ImageRef::parse(&image) {
        Ok(ImageRef { digest: Some(_), .. }) => return Ok(image),
        Ok(_) => "has no digest; write NAME@sha256:…".to_owned(),
        Err(problem) => problem.to_string(),
    };
    Err(checked::wrong("image", &image, &problem))
}

fn maybe_pinned<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    pinned(from).map(Some)
}

/// The name of a Service, which also is a part of a host name in gateways' configurations.
fn name<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let name = String::deserialize(from)?;
    if checked::is_label(&name) {
        return Ok(name);
    }
    Err(D::Error::custom(format!("`{name}` is no name of a Service or namespace; small letters, digits and `-`")))
}

fn maybe_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    name(from).map(Some)
}

//! Which Hub is told how analyses are doing.

use serde::Deserialize;

use super::api::{address, word};

/// The section `hub` of an Orchestrator; without it nobody is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HubSettings {
    /// Where the Hub's resources are: FLAME's `HUB_URL_CORE`.
    #[serde(deserialize_with = "address")]
    pub core: String,
    /// Where it hands out tokens: FLAME's `HUB_URL_AUTH`.
    #[serde(deserialize_with = "address")]
    pub auth: String,
    /// The node's client: FLAME's `HUB_CLIENT_ID`. Its secret comes from a file.
    #[serde(deserialize_with = "word")]
    pub client: String,
    /// Whether log lines are passed on to the Hub: FLAME's `HUB_LOGGING`. They leave the node then.
    #[serde(default)]
    pub logs: bool,
    /// How the Hub writes the names of fields.
    #[serde(default)]
    pub field_names: FieldNames,
}

/// How a Hub writes the names of fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum FieldNames {
    /// As FLAME's client has it since its version 0.3, for a Hub since 0.12.
    #[default]
    #[serde(rename = "camelCase")]
    Camel,
    /// As the client has it before.
    #[serde(rename = "snake_case")]
    Snake,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, fits) in [
            ("{core: 'https://core', auth: 'https://auth', client: a}", true),
            ("{core: 'https://core/x', auth: 'https://auth:8', client: a, logs: true, fieldNames: snake_case}", true),
            ("{core: 'https://core', auth: 'https://auth', client: a, fieldNames: camelCase}", true),
            ("{core: 'https://core', auth: 'https://auth'}", false),
            ("{core: 'https://core', client: a}", false),
            ("{core: 'https://core', auth: 'https://auth', client: ''}", false),
            ("{core: 'https://user:password@core', auth: 'https://auth', client: a}", false),
            ("{core: 'core', auth: 'https://auth', client: a}", false),
            ("{core: 'https://core', auth: 'https://auth', client: a, fieldNames: kebab}", false),
            ("{core: 'https://core', auth: 'https://auth', client: a, secret: b}", false),
        ] {
            assert_eq!(serde_saphyr::from_str::<HubSettings>(text).is_ok(), fits, "{text}");
        }
    }
}

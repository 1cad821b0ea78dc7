//! Exceptions from a rule: for whom, why, who answers for it, until when.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Pattern, checked};
use crate::model::Excepted;

/// Lets one rule's findings pass for some pods until a moment; after it, the rule holds again everywhere at once.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exception {
    /// Id of the rule.
    #[serde(deserialize_with = "checked::softened")]
    pub rule: String,
    /// Which `app` values it is for.
    pub app: Pattern,
    /// Who answers for it.
    #[serde(deserialize_with = "checked::said")]
    pub owner: String,
    /// Why it is needed.
    #[serde(deserialize_with = "checked::said")]
    pub reason: String,
    /// The first moment at which it no longer holds (RFC 3339).
    #[serde(deserialize_with = "checked::moment")]
    pub expires: Timestamp,
}

impl Exception {
    /// Whether a finding of `rule` on the pods of `app` passes at `now`.
    pub fn covers(&self, rule: &str, app: &str, now: Timestamp) -> bool {
        self.rule == rule && now < self.expires && self.app.fits(app)
    }

    /// What a finding says of the exception that lets it pass.
    pub fn as_told(&self) -> Arc<Excepted> {
        let Exception { app, owner, reason, expires, .. } = self;
        let (covers, owner, reason) = (app.source().to_owned(), owner.clone(), reason.clone());
        Arc::new(Excepted { covers, owner, reason, expires: *expires })
    }
}

//! The Service of the gateway, by which the analysis reaches it, and the message broker the analysis.

use serde_json::Value;

use super::{GATEWAY_PORT, Order, analysis_service};

/// `nginx-analysis-<id>-<n>`: port 80, which the FLAME SDK calls; the container listens on a port that needs no rights.
pub(super) fn service(order: &Order<'_>) -> Value {
    analysis_service::of(order, &order.gateway(), &order.gateway_labels(), GATEWAY_PORT)
}

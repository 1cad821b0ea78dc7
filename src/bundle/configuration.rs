//! The ConfigMap with the gateway's nginx.conf.

use serde_json::{Value, json};

use super::{Order, Routes, nginx};
use crate::model::labels;

/// `nginx-<app>-config`, named and labelled as FLAME's.
pub(super) fn config_map(order: &Order<'_>, routes: &Routes) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": name(order), "namespace": order.settings.namespace,
            "labels": {
                labels::COMPONENT: "flame-nginx-analysis-config-map",
                labels::ANALYSIS: order.run.analysis.to_string(),
            },
        },
        "data": {FILE: nginx::configuration(order.run.analysis, order.project, routes)},
    })
}

/// The name of the gateway's ConfigMap.
pub(super) fn name(order: &Order<'_>) -> String {
    format!("{}-config", order.gateway())
}

/// Its one key.
pub(super) const FILE: &str = "nginx.conf";

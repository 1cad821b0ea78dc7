//! FLAME's optional sidecar that counts what the analysis sends and receives.

use serde_json::{Value, json};

use super::Order;
use super::pod::{RootFilesystem, Runs, container};

/// The container `net-stats-<app>`, where the settings name an image for it. It shares the pod's network, so what it
/// reads when it is told to end is what the analysis has sent and received.
pub(super) fn container_of(order: &Order<'_>) -> Option<Value> {
    let image = order.settings.network_statistics_image.as_deref()?;
    let name = format!("net-stats-{}", order.app());
    let what = Runs { name: &name, image, root: RootFilesystem::ReadOnly };
    let command = json!(["sh", "-c", SCRIPT]);
    Some(container(&order.policies.analysis, &what, Vec::new(), [("command", command)]))
}

/// One line of JSON at the end, as FLAME's log readers look for it.
const SCRIPT: &str = r#"report() {
  awk '$1 == "eth0:" { printf "{\"level\":\"info\",\"message\":\"network_stats\",\"bytes_in\":%s,\"bytes_out\":%s,\"interface\":\"eth0\",\"event_name\":\"netstats.analysis.traffic\"}\n", $2, $10 }' /proc/net/dev
  exit 0
}
trap report TERM
while :; do sleep 3600 & wait $!; done
"#;

//! What is known of the cluster's network, as metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Whether the network enforces, as the last canary told. Whoever does not lead tells nothing.
#[derive(Debug, Default)]
pub struct NetworkMetrics {
    enforcement: Family<ResultLabels, Gauge>,
    at: Family<[(&'static str, &'static str); 0], Gauge>,
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    /// `enforced`, `not_enforced` or `unknown`.
    result: &'static str,
}

impl NetworkMetrics {
    /// Tells what is known, one of `RESULTS`, and when that was found, in seconds since 1970.
    pub fn tell(&self, result: &'static str, at: Option<i64>) {
        for known in RESULTS {
            self.enforcement.get_or_create(&ResultLabels { result: known }).set((known == result).into());
        }
        match at {
            Some(at) => drop(self.at.get_or_create(&[]).set(at)),
            None => self.at.clear(),
        }
    }

    /// Tells nothing any more: another process leads.
    pub fn clear(&self) {
        self.enforcement.clear();
        self.at.clear();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "network_enforcement",
            "What is known of whether the network enforces",
            self.enforcement.clone(),
        );
        registry.register("network_enforcement_timestamp_seconds", "When that was found", self.at.clone());
    }
}

/// What can be known.
const RESULTS: [&str; 3] = ["enforced", "not_enforced", "unknown"];

#[cfg(test)]
mod tests {
    use crate::telemetry::Metrics;

    #[test]
    fn one_result_is_told_at_a_time_and_a_time_only_where_there_is_one() {
        let metrics = Metrics::new();
        let samples = || {
            let text = metrics.text();
            let samples = text.lines().filter_map(|line| line.strip_prefix("flamewarden_network_enforcement"));
            let mut samples: Vec<String> = samples.map(str::to_owned).collect();
            samples.sort();
            samples
        };
        assert_eq!(samples(), Vec::<String>::new());
        metrics.network.tell("enforced", Some(7));
        let of = |enforced: u8, unknown: u8| {
            vec![
                "_timestamp_seconds{} 7".to_owned(),
                format!("{{result=\"enforced\"}} {enforced}"),
                "{result=\"not_enforced\"} 0".to_owned(),
                format!("{{result=\"unknown\"}} {unknown}"),
            ]
        };
        assert_eq!(samples(), of(1, 0));
        metrics.network.tell("unknown", None);
        assert_eq!(samples(), of(0, 1)[1..]);
        metrics.network.clear();
        assert_eq!(samples(), Vec::<String>::new());
    }
}

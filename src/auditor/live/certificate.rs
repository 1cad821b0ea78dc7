//! Edge: reads how long the webhook's certificate is still good. Its key is not read.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use x509_parser::pem::Pem;

use crate::auditor::rules::CERTIFICATE;
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::install::SERVING_SECRET;
use crate::model::{FieldPath, Finding, Keep, Severity, parse};
use crate::report::Object;

/// The Secret with the webhook's certificate, and what is wrong with it.
pub(super) async fn look(
    cluster: &Cluster,
    namespace: &str,
    now: Timestamp,
) -> Result<(Object, Vec<Finding>), ClusterProblem> {
    let place = Place { namespace: namespace.to_owned(), name: SERVING_SECRET.to_owned() };
    let text = cluster.read_part(Kind::Secret, &place, KEEP, MOST).await?;
    let object = Object {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        namespace: place.namespace.clone(),
        name: place.name.clone(),
        uid: String::new(),
    };
    let ends = text.as_deref().map(ends);
    Ok((object, judge(ends, now).into_iter().collect()))
}

/// When the certificate of a Secret ends; none where it has none that can be read.
fn ends(secret: &str) -> Option<Timestamp> {
    let secret = parse(secret.as_bytes()).ok()?;
    let text = STANDARD.decode(secret.text_at(&["data", "tls.crt"])?).ok()?;
    let pem = Pem::iter_from_buffer(&text).next()?.ok()?;
    let certificate = pem.parse_x509().ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

/// What is wrong with a certificate that ends then; with a Secret that holds none; or with none at all.
fn judge(ends: Option<Option<Timestamp>>, now: Timestamp) -> Option<Finding> {
    let path = FieldPath::of(&["data", "tls.crt"]);
    let (value, why, severity) = match ends {
        None => ("absent".to_owned(), "there is no such Secret; the controller makes it", Severity::Critical),
        Some(None) => ("unreadable".to_owned(), "it holds no certificate that can be read", Severity::Critical),
        Some(Some(end)) if end <= now => {
            (end.to_string(), "it has ended; nothing that is guarded is admitted", Severity::Critical)
        }
        Some(Some(end)) if end.duration_since(now) < SOON => {
            (end.to_string(), "it ends soon and was not renewed; look at the controller's log", Severity::High)
        }
        Some(Some(_)) => return None,
    };
    Some(Finding { value, severity, ..CERTIFICATE.finds(path, None, why) })
}

/// Certificates are renewed after two thirds of their ninety days: one with less than this was forgotten.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
const KEEP: Keep = &[&["data", "tls.crt"]];
const MOST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_of_before_it_ends() {
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let at = |days: i64| Some(Some(now + SignedDuration::from_hours(24 * days)));
        for (ends, want) in [
            (at(15), None),
            (at(13), Some(Severity::High)),
            (at(0), Some(Severity::Critical)),
            (Some(None), Some(Severity::Critical)),
            (None, Some(Severity::Critical)),
        ] {
            assert_eq!(judge(ends, now).map(|finding| finding.severity), want, "{ends:?}");
        }
    }
}

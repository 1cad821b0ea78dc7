//! Edge: reads how long the webhook's certificate is still good. Its key is not read.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use x509_parser::pem::Pem;

use crate::auditor::rules::CERTIFICATE;
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::install::{Certificates, SERVING_SECRET, Settings, WEBHOOK};
use crate::model::{FieldPath, Finding, Keep, Severity, parse};
use crate::report::Object;

/// What holds the webhook's certificate, and what is wrong with it. Where cert-manager makes it, it tells its end in its own
/// object, and nobody needs to read a Secret that also holds the key.
pub(super) async fn look(
    cluster: &Cluster,
    installed: &Settings,
    now: Timestamp,
) -> Result<(Object, Vec<Finding>), ClusterProblem> {
    let namespace = &installed.namespace;
    let object = |api_version: &str, kind: &str, name: &str| Object {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.clone(),
        name: name.to_owned(),
        uid: String::new(),
    };
    if installed.certificates == Certificates::CertManager {
        let path = format!("/apis/{CERT_MANAGER}/namespaces/{namespace}/certificates/{WEBHOOK}");
        let text = cluster.read_path(&path).await?;
        let (ends, path) = (text.as_deref().map(told), FieldPath::of(&["status", "notAfter"]));
        return Ok((object(CERT_MANAGER, "Certificate", WEBHOOK), judge(ends, path, now).into_iter().collect()));
    }
    let place = Place { namespace: namespace.clone(), name: SERVING_SECRET.to_owned() };
    let text = cluster.read_part(Kind::Secret, &place, KEEP, MOST).await?;
    let (ends, path) = (text.as_deref().map(ends), FieldPath::of(&["data", "tls.crt"]));
    Ok((object("v1", "Secret", SERVING_SECRET), judge(ends, path, now).into_iter().collect()))
}

/// When the certificate of a Certificate ends; none where none was made yet.
fn told(certificate: &str) -> Option<Timestamp> {
    parse(certificate.as_bytes()).ok()?.text_at(&["status", "notAfter"])?.parse().ok()
}

/// When the certificate of a Secret ends; none where it has none that can be read.
fn ends(secret: &str) -> Option<Timestamp> {
    let secret = parse(secret.as_bytes()).ok()?;
    let text = STANDARD.decode(secret.text_at(&["data", "tls.crt"])?).ok()?;
    let pem = Pem::iter_from_buffer(&text).next()?.ok()?;
    let certificate = pem.parse_x509().ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

/// What is wrong with a certificate that ends then; with an object that has none; or with none at all.
fn judge(ends: Option<Option<Timestamp>>, path: FieldPath, now: Timestamp) -> Option<Finding> {
    let (value, why, severity) = match ends {
        None => {
            ("absent".to_owned(), "there is no such object; whoever makes the certificate has not", Severity::Critical)
        }
        Some(None) => ("unreadable".to_owned(), "it has no certificate that can be read", Severity::Critical),
        Some(Some(end)) if end <= now => {
            // Another finding than that it would: whoever was told of that is told again.
            (format!("{end}, ended"), "it has ended; nothing that is guarded is admitted", Severity::Critical)
        }
        Some(Some(end)) if end.duration_since(now) < SOON => {
            (end.to_string(), "it ends soon and was not renewed; look at the log of who makes it", Severity::High)
        }
        Some(Some(_)) => return None,
    };
    Some(Finding { value, severity, ..CERTIFICATE.finds(path, None, why) })
}

/// Certificates are renewed after two thirds of their ninety days: one with less than this was forgotten.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
const KEEP: Keep = &[&["data", "tls.crt"]];
const MOST: usize = 1 << 20;
const CERT_MANAGER: &str = "cert-manager.io/v1";

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
            let path = FieldPath::of(&["data", "tls.crt"]);
            assert_eq!(judge(ends, path, now).map(|finding| finding.severity), want, "{ends:?}");
        }
        for (certificate, want) in [
            (r#"{"status": {"notAfter": "2026-11-23T00:00:00Z"}}"#, at(1)),
            (r#"{"status": {"notAfter": "tomorrow"}}"#, Some(None)),
            (r#"{"spec": {}}"#, Some(None)),
        ] {
            assert_eq!(Some(told(certificate)), want, "{certificate}");
        }
    }
}

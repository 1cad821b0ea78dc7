//! How it is watched whether containment holds, and what is kept of that.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::{ArchiveSettings, PageSettings, Pattern, archive, checked};
use crate::model::{Excepted, Severity};

/// What the auditor is to do. Written as `kind: Auditor`; without it, as its defaults say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Auditor {
    /// How the cluster is audited.
    pub audit: AuditSettings,
    /// What stands although an audit's own rule says otherwise; of what is judged at admission, profiles have exceptions.
    pub exceptions: Vec<AuditException>,
    /// Who is told what fails newly; nobody where nothing is said.
    pub notify: Option<NotifySettings>,
    /// How long history is kept.
    pub journal: JournalSettings,
    /// To whom the journal is sent as it grows; to nobody where nothing is said.
    pub syslog: Option<SyslogSettings>,
    /// Pages that show all of it; none where nothing is said.
    pub pages: Option<PageSettings>,
    /// Where history is kept, where no Orchestrator says so; it is not kept where nobody does.
    #[serde(deserialize_with = "meant")]
    pub archive: Option<ArchiveSettings>,
}

/// How the controller audits the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuditSettings {
    /// How often, in minutes: whatever is changed behind our back is found within so long.
    #[serde(deserialize_with = "minutes")]
    pub every_minutes: u16,
    /// In the first of these APIs that the cluster has, each object's findings are published; in none where none is named.
    pub publish: Vec<ReportApi>,
}

/// Lets something stand that an audit finds, on these objects, until it expires.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditException {
    /// The rule: one of [`EXCEPTABLE`].
    #[serde(deserialize_with = "exceptable")]
    pub rule: String,
    /// The kind of the objects, such as `ClusterRoleBinding`.
    #[serde(deserialize_with = "checked::said")]
    pub kind: String,
    /// Their namespace; empty of objects of the whole cluster.
    #[serde(default)]
    pub namespace: String,
    /// Their names.
    pub name: Pattern,
    /// What is found there, as reports have it in `value`; whatever it is, where nothing is said.
    #[serde(default)]
    pub value: Option<Pattern>,
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

impl AuditException {
    /// What a finding says of the exception that lets it stand.
    pub fn as_told(&self) -> Arc<Excepted> {
        let AuditException { kind, namespace, name, value, owner, reason, expires, .. } = self;
        let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let found = value.as_ref().map(|value| format!(": {}", value.source())).unwrap_or_default();
        let covers = format!("{kind} {place}{}{found}", name.source());
        Arc::new(Excepted { covers, owner: owner.clone(), reason: reason.clone(), expires: *expires })
    }
}

/// The audit's rules that may be excepted from. Isolation, bundles and Flamewarden's own work are none of them: what is
/// wrong there is put right, and not explained.
pub const EXCEPTABLE: &[&str] = &["installed", "outside-guard", "way-round", "went-round"];

/// An API of reports that others show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ReportApi {
    /// `openreports.io/v1alpha1`
    #[serde(rename = "openreports.io")]
    OpenReports,
    /// `wgpolicyk8s.io/v1alpha2`
    #[serde(rename = "wgpolicyk8s.io")]
    PolicyReports,
}

/// Where what fails newly is told, by HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NotifySettings {
    /// The file with the receiver's URL, which may hold a token. `manifests` mounts the Secret `flamewarden-notify` there.
    #[serde(deserialize_with = "absolute_url_file")]
    pub url_file: PathBuf,
    /// Findings that are less bad are not told.
    pub least_severity: Severity,
}

/// How much of the history is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct JournalSettings {
    /// How long entries, runs and findings that were fixed are kept, in days. A year, as with analyses.
    #[serde(deserialize_with = "days")]
    pub keep_days: u16,
    /// How many entries are kept at most, and how many findings that were fixed.
    #[serde(deserialize_with = "entries")]
    pub keep_entries: u32,
}

/// Where syslog is received, over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyslogSettings {
    /// The receiver, as `host:port`; its certificate must be of that host.
    #[serde(deserialize_with = "receiver")]
    pub address: String,
    /// The file with the certificates of the receiver's authority, in PEM. `manifests` mounts the key `ca.crt` of the
    /// ConfigMap `flamewarden-syslog` there.
    #[serde(default = "authority", deserialize_with = "absolute")]
    pub authority_file: PathBuf,
}

impl Default for AuditSettings {
    fn default() -> Self {
        AuditSettings { every_minutes: 10, publish: vec![ReportApi::OpenReports, ReportApi::PolicyReports] }
    }
}

impl Default for NotifySettings {
    fn default() -> Self {
        NotifySettings { url_file: PathBuf::from("/notify/url"), least_severity: Severity::High }
    }
}

impl Default for JournalSettings {
    fn default() -> Self {
        JournalSettings { keep_days: 365, keep_entries: 1_000_000 }
    }
}

impl SyslogSettings {
    /// Host and port of the receiver.
    pub fn host_and_port(&self) -> (&str, u16) {
        parts(&self.address).unwrap_or((&self.address, PORT))
    }
}

fn meant<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ArchiveSettings>, D::Error> {
    archive::meant(from).map(Some)
}

fn minutes<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    match u16::deserialize(from)? {
        minutes @ 1..=1440 => Ok(minutes),
        minutes => Err(D::Error::custom(format!("{minutes} minutes are out of reach; write 1 to 1440"))),
    }
}

fn exceptable<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let rule = String::deserialize(from)?;
    if EXCEPTABLE.contains(&rule.as_str()) {
        return Ok(rule);
    }
    let problem = format!("has no exceptions here; write one of {}", EXCEPTABLE.join(", "));
    Err(checked::wrong("rule", &rule, problem))
}

fn days<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    match u16::deserialize(from)? {
        days @ 1..=3650 => Ok(days),
        days => Err(D::Error::custom(format!("{days} days are out of reach; write 1 to 3650"))),
    }
}

fn entries<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        entries @ 1000..=100_000_000 => Ok(entries),
        entries => Err(D::Error::custom(format!("{entries} entries are out of reach; write 1000 to 100000000"))),
    }
}

fn receiver<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    match parts(&text) {
        Some(_) => Ok(text),
        None => Err(checked::wrong("address", &text, "is none; write HOST:PORT, such as siem.example.org:6514")),
    }
}

/// A host, an address in brackets where it has colons itself, and a port.
fn parts(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fits = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.len() <= 253 && host.to_ascii_lowercase().split('.').all(checked::is_label),
    };
    fits.then_some((bare.unwrap_or(host), port))
}

fn authority() -> PathBuf {
    PathBuf::from("/syslog/ca.crt")
}

fn absolute<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    absolute_path(from, "authorityFile")
}

fn absolute_url_file<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    absolute_path(from, "urlFile")
}

fn absolute_path<'de, D: Deserializer<'de>>(from: D, field: &str) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(from)?;
    if path.is_absolute() {
        return Ok(path);
    }
    Err(checked::wrong(field, &path.display().to_string(), "must begin with `/`"))
}

/// Of syslog over TLS (RFC 5425).
const PORT: u16 = 6514;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Auditor, String> {
        serde_saphyr::from_str(text).map_err(|problem| problem.to_string())
    }

    #[test]
    fn what_is_left_out_is_as_documented_and_what_cannot_be_meant_is_refused() {
        let usual = read("{}").unwrap();
        assert_eq!((usual.journal.keep_days, usual.journal.keep_entries, usual.syslog.clone()), (365, 1_000_000, None));
        let audit = &usual.audit;
        assert_eq!((audit.every_minutes, audit.publish.len(), usual.notify.clone()), (10, 2, None));
        let notify = read("notify: {}").unwrap().notify.unwrap();
        assert_eq!((notify.url_file, notify.least_severity), (PathBuf::from("/notify/url"), Severity::High));
        let syslog = |address: &str| read(&format!("syslog: {{address: '{address}'}}"));
        for (address, host, port) in [
            ("siem.example.org:6514", "siem.example.org", 6514),
            ("SIEM:1", "SIEM", 1),
            ("10.0.0.1:65535", "10.0.0.1", 65535),
            ("[fd00::1]:6514", "fd00::1", 6514),
        ] {
            let settings = syslog(address).unwrap().syslog.unwrap();
            assert_eq!(settings.host_and_port(), (host, port), "{address}");
            assert_eq!(settings.authority_file, PathBuf::from("/syslog/ca.crt"));
        }
        for address in [
            "",
            "siem",
            "siem:",
            "siem:0",
            "siem:65536",
            ":6514",
            "fd00::1:6514",
            "[siem]:6514",
            "a b:1",
            "tls://siem:6514",
            "user@siem:6514",
            "siem..org:1",
        ] {
            assert!(syslog(address).is_err_and(|problem| problem.contains("write HOST:PORT")), "{address}");
        }
        for (text, want) in [
            ("journal: {keepDays: 0}", "0 days are out of reach; write 1 to 3650"),
            ("journal: {keepEntries: 999}", "999 entries are out of reach; write 1000 to 100000000"),
            ("journal: {keep: 1}", "unknown field `keep`"),
            ("syslog: {}", "missing field `address`"),
            ("audit: {everyMinutes: 0}", "0 minutes are out of reach; write 1 to 1440"),
            ("audit: {publish: [kyverno]}", "unknown variant `kyverno`"),
            ("exceptions: [{rule: isolation}]", "has no exceptions here; write one of installed, outside-guard"),
            ("exceptions: [{rule: way-round, kind: ClusterRoleBinding, name: a}]", "missing field"),
            ("notify: {urlFile: url}", "must begin with `/`"),
            ("notify: {leastSeverity: worst}", "unknown variant `worst`"),
            ("syslog: {address: 'siem:1', authorityFile: ca.crt}", "must begin with `/`"),
            ("sislog: {}", "unknown field `sislog`"),
        ] {
            assert!(read(text).is_err_and(|problem| problem.contains(want)), "{text}: {:?}", read(text));
        }
    }
}

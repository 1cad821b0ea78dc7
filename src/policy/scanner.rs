//! How images are scanned: by whom, how many at a time, and how long what was found out is believed.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::{Quantity, RegistryAuthorities, Worker, checked};
use crate::model::registry_problem;

/// How images are scanned. Written as `kind: Scanner`; without it, as its defaults say where a profile asks for verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scanner {
    /// How many scans are made at the same time.
    #[serde(deserialize_with = "few")]
    pub concurrency: u8,
    /// How long a scan may take.
    #[serde(deserialize_with = "seconds")]
    pub timeout_seconds: u32,
    /// The memory that a scan may use.
    #[serde(deserialize_with = "some")]
    pub memory: Quantity,
    /// The disk that a scan may use: an image's layers are unpacked there.
    #[serde(deserialize_with = "some")]
    pub disk: Quantity,
    /// After how long an image that is still used is scanned again.
    #[serde(deserialize_with = "hours")]
    pub rescan_hours: u16,
    /// After how many days without any use an ImageScan is deleted that the controller has made itself.
    #[serde(deserialize_with = "days")]
    pub keep_days: u16,
    /// How long a tag is believed to stand for what it stood for when it was looked up.
    #[serde(deserialize_with = "seconds")]
    pub tag_seconds: u32,
    /// Registries without TLS, as hosts with ports.
    #[serde(deserialize_with = "hosts")]
    pub insecure_registries: Vec<String>,
    /// Registries whose certificates are signed by authorities that the machine does not know.
    pub registries: Vec<RegistryAuthorities>,
    /// Who may have images scanned by making ImageScans, besides the creators: user names.
    #[serde(deserialize_with = "checked::users")]
    pub administrators: BTreeSet<String>,
    /// How Jobs in the cluster make scans; without it, child processes of the controller do.
    pub worker: Option<Worker>,
}

impl Default for Scanner {
    fn default() -> Self {
        Scanner {
            concurrency: 2,
            // Much longer than a scan takes; what holds a worker for ever is to end.
            timeout_seconds: 15 * 60,
            memory: Quantity::gibibytes(2),
            disk: Quantity::gibibytes(16),
            rescan_hours: 24,
            keep_days: 30,
            tag_seconds: 5 * 60,
            insecure_registries: Vec::new(),
            registries: Vec::new(),
            administrators: BTreeSet::new(),
            worker: None,
        }
    }
}

impl Scanner {
    /// Whether a registry has no TLS.
    pub fn is_insecure(&self, host: &str) -> bool {
        self.insecure_registries.iter().any(|insecure| insecure == host)
    }

    /// The certificates of a registry's own authorities, in PEM, where it has some.
    pub fn authorities(&self, host: &str) -> Option<&str> {
        self.registries.iter().find(|registry| registry.host == host).map(|registry| registry.authorities.as_str())
    }

    /// What its fields say against each other.
    pub(super) fn problem(&self) -> Option<String> {
        let mut hosts = BTreeSet::new();
        let twice = self.registries.iter().find(|registry| !hosts.insert(&registry.host));
        if let Some(RegistryAuthorities { host, .. }) = twice {
            return Some(format!("scanner: registries names `{host}` twice; write all its authorities in one entry"));
        }
        let insecure = self.registries.iter().find(|registry| self.is_insecure(&registry.host));
        insecure.map(|RegistryAuthorities { host, .. }| {
            format!(
                "scanner: `{host}` is one of insecureRegistries, which have no certificates; leave it out there or in \
                 registries"
            )
        })
    }
}

fn few<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    match u8::deserialize(from)? {
        number @ 1..=64 => Ok(number),
        number => Err(D::Error::custom(format!("{number} scans at a time are out of reach; write 1 to 64"))),
    }
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        seconds @ 1..=86400 => Ok(seconds),
        seconds => Err(D::Error::custom(format!("{seconds} seconds are out of reach; write 1 to 86400"))),
    }
}

fn hours<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    match u16::deserialize(from)? {
        hours @ 1..=720 => Ok(hours),
        hours => Err(D::Error::custom(format!("{hours} hours are out of reach; write 1 to 720"))),
    }
}

fn days<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    match u16::deserialize(from)? {
        days @ 1..=3650 => Ok(days),
        days => Err(D::Error::custom(format!("{days} days are out of reach; write 1 to 3650"))),
    }
}

fn hosts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let hosts = Vec::<String>::deserialize(from)?;
    match hosts.iter().find_map(|host| Some((host, registry_problem(host)?))) {
        Some((host, problem)) => Err(checked::wrong("insecureRegistries", host, problem)),
        None => Ok(hosts),
    }
}

fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Quantity, D::Error> {
    let size = Quantity::deserialize(from)?;
    if size.is_zero() { Err(D::Error::custom("a scan needs some; write an amount such as 2Gi")) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Scanner, String> {
        serde_saphyr::from_str(text).map_err(|problem| problem.to_string())
    }

    #[test]
    fn what_is_left_out_is_as_documented_and_what_cannot_be_meant_is_refused() {
        let shipped = read("{}").unwrap();
        let times = (shipped.timeout_seconds, shipped.rescan_hours, shipped.tag_seconds);
        assert_eq!((shipped.concurrency, times, shipped.keep_days), (2, (900, 24, 300), 30));
        assert_eq!((shipped.memory.whole(), shipped.disk.whole()), (2 << 30, 16 << 30));
        for (text, want) in [
            ("concurrency: 0", "0 scans at a time are out of reach; write 1 to 64"),
            ("timeoutSeconds: 0", "0 seconds are out of reach; write 1 to 86400"),
            ("tagSeconds: 86401", "86401 seconds are out of reach"),
            ("rescanHours: 721", "721 hours are out of reach; write 1 to 720"),
            ("memory: 0", "a scan needs some"),
            ("disk: plenty", "plenty"),
            ("registries: [{host: harbor.example.org}]", "missing field `authorities`"),
            ("registries: [{host: h.example, authorities: x}]", "write certificates in PEM"),
            ("keepDays: 0", "0 days are out of reach; write 1 to 3650"),
            ("concurency: 1", "unknown field `concurency`"),
        ] {
            assert!(read(text).is_err_and(|problem| problem.contains(want)), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn what_a_registry_s_entries_say_against_each_other_is_told() {
        let named = |hosts: &[&str], insecure: &str| {
            let entry = |host: &&str| RegistryAuthorities { host: (*host).to_owned(), authorities: String::new() };
            let (registries, insecure_registries) = (hosts.iter().map(entry).collect(), vec![insecure.to_owned()]);
            Scanner { registries, insecure_registries, ..Scanner::default() }.problem().unwrap_or_default()
        };
        for (hosts, insecure, want) in [
            (&["a.example", "a.example:5000"][..], "b.example", ""),
            (&["a.example", "a.example"], "b.example", "names `a.example` twice"),
            (&["a.example"], "a.example", "`a.example` is one of insecureRegistries"),
        ] {
            let problem = named(hosts, insecure);
            assert!(problem.contains(want) && problem.is_empty() == want.is_empty(), "{hosts:?}: {problem}");
        }
    }
}

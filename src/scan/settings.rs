//! The settings that a report says it was made under: the only reliable witness of what Grype was told to leave out.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::emptiness::Emptiness;
use super::report::Told;
use super::summed::{Sum, Summed};
use super::written::Text;

/// What of Grype's `descriptor.configuration` changes what a report says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    only_fixed: bool,
    only_not_fixed: bool,
    /// Fix states whose matches are left out.
    ignored_states: Text,
    ignore: OwnRules,
    exclude: Many,
    vex_documents: Many,
    distribution: Text,
    search: Search,
    matchers: Matchers,
    fix_channels: FixChannels,
    alerts: Alerts,
    /// Keys that are not known here and say something.
    unknown: Vec<String>,
}

/// One of Grype's ignore rules, as settings have it and as an ignored match names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct IgnoreRule {
    vulnerability: Text,
    reason: Text,
    namespace: Text,
    fix_state: Text,
    package: IgnoredPackage,
    vex_status: Text,
    vex_justification: Text,
    match_type: Text,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct IgnoredPackage {
    name: Text,
    version: Text,
    language: Text,
    #[serde(rename = "type")]
    kind: Text,
    location: Text,
    upstream_name: Text,
}

/// Whether there is a rule that Grype has not by itself. Those of its own have no reason here, and a user may write any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OwnRules(bool);

impl Sum for OwnRules {
    type Item = IgnoreRule;

    fn add(&mut self, rule: IgnoreRule) -> Result<(), String> {
        self.0 |= !rule.reason.0.is_empty() || rule.by() != IgnoredBy::Grype;
        Ok(())
    }
}

/// Who had Grype ignore a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IgnoredBy {
    /// Grype itself.
    Grype,
    /// A rule that says too little of itself: Grype's own, unless settings bring rules of their own.
    Either,
    /// Somebody's settings or VEX document.
    Settings,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Search {
    scope: Text,
    indexed_archives: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Matchers {
    jvm: Cpes,
    stock: Cpes,
    golang: Golang,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Cpes {
    using_cpes: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Golang {
    always_use_cpe_for_stdlib: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct FixChannels {
    redhat_eus: FixChannel,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct FixChannel {
    apply: Text,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Alerts {
    enable_eol_distro_warnings: bool,
}

impl Settings {
    /// What they mean for what a run has found.
    pub(super) fn told(&self) -> Told {
        Told { suppressions: self.suppressions(), tells_end_of_life: self.alerts.enable_eol_distro_warnings }
    }

    fn suppressions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut say = |is_so: bool, text: &str| {
            if is_so {
                found.push(text.to_owned());
            }
        };
        say(self.only_fixed, "`only-fixed` leaves out what has no fix");
        say(self.only_not_fixed, "`only-notfixed` leaves out what has a fix");
        say(!self.ignored_states.0.is_empty(), "`ignore-states` leaves out fix states");
        say(self.ignore.0, "`ignore` has rules that are not Grype's own");
        say(self.vex_documents.0 > 0, "`vex-documents` leave out what they say does not apply");
        say(self.exclude.0 > 0, "`exclude` leaves out paths");
        say(!self.distribution.0.is_empty(), "`distro` has another distribution looked up than the image's own");
        say(!["", "squashed", "all-layers"].contains(&self.search.scope.0.as_str()), "`search.scope` is not known");
        say(!self.search.indexed_archives, "`search.indexed-archives` leaves out archives");
        say(!self.matchers.jvm.using_cpes, "`match.jvm.using-cpes` leaves out Java runtimes");
        say(!self.matchers.stock.using_cpes, "`match.stock.using-cpes` leaves out what has no matcher of its own");
        say(
            !self.matchers.golang.always_use_cpe_for_stdlib,
            "`match.golang.always-use-cpe-for-stdlib` leaves out Go's library",
        );
        say(self.fix_channels.redhat_eus.apply.0 != "auto", "`fix-channel.redhat-eus` takes fixes from elsewhere");
        found.extend(self.unknown.iter().map(|key| format!("`{key}` is not known to Flamewarden")));
        found
    }

    /// Whether rules stand there that Grype has not by itself.
    pub(super) fn has_own_rules(&self) -> bool {
        self.ignore.0
    }
}

impl IgnoreRule {
    /// Whose rule it is.
    pub(super) fn by(&self) -> IgnoredBy {
        let says_more = [&self.namespace, &self.fix_state, &self.vex_status, &self.vex_justification];
        if says_more.into_iter().any(|field| !field.0.is_empty()) {
            return IgnoredBy::Settings;
        }
        match self.reason.0.as_str() {
            "" if self.is_of_kernel_headers() => IgnoredBy::Grype,
            "" => IgnoredBy::Either,
            reason if OWN_REASONS.contains(&reason) => IgnoredBy::Grype,
            _ => IgnoredBy::Settings,
        }
    }

    /// Whether it is one of those that every run has: the headers of a kernel are not the kernel.
    fn is_of_kernel_headers(&self) -> bool {
        let package = &self.package;
        let IgnoredPackage { name, version, language, kind, location, upstream_name } = package;
        let rest = [&self.vulnerability, version, language, location];
        self.match_type.0 == "exact-indirect-match"
            && rest.into_iter().all(|field| field.0.is_empty())
            && KERNEL_HEADERS.contains(&(name.0.as_str(), kind.0.as_str(), upstream_name.0.as_str()))
    }
}

/// How many items a list has; what they say is not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Many(usize);

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(SettingsVisitor)
    }
}

struct SettingsVisitor;

impl<'de> Visitor<'de> for SettingsVisitor {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Grype's configuration")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
        let (mut settings, mut seen) = (Settings::default(), BTreeSet::new());
        while let Some(Text(key)) = map.next_key()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("`{key}` stands there twice")));
            }
            if seen.len() > MOST_KEYS {
                return Err(A::Error::custom(format!("a configuration with more than {MOST_KEYS} keys")));
            }
            match key.as_str() {
                "only-fixed" => settings.only_fixed = map.next_value()?,
                "only-notfixed" => settings.only_not_fixed = map.next_value()?,
                "ignore-wontfix" | "ignore-states" => settings.ignored_states = map.next_value()?,
                "ignore" => settings.ignore = map.next_value::<Summed<_>>()?.0,
                "exclude" => settings.exclude = map.next_value()?,
                "vex-documents" => settings.vex_documents = map.next_value()?,
                "distro" => settings.distribution = map.next_value()?,
                "search" => settings.search = map.next_value()?,
                "match" => settings.matchers = map.next_value()?,
                "fix-channel" => settings.fix_channels = map.next_value()?,
                "alerts" => settings.alerts = map.next_value()?,
                known if HARMLESS.contains(&known) => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ => {
                    let says_nothing = map.next_value::<Emptiness>()?.0;
                    if !says_nothing && settings.unknown.len() < MOST_UNKNOWN {
                        settings.unknown.push(key.chars().take(64).collect());
                    }
                }
            }
        }
        Ok(settings)
    }
}

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Many(Option::<Vec<IgnoredAny>>::deserialize(from)?.map_or(0, |items| items.len())))
    }
}

impl Default for Search {
    fn default() -> Self {
        Search { scope: Text::default(), indexed_archives: true }
    }
}

impl Default for Cpes {
    fn default() -> Self {
        Cpes { using_cpes: true }
    }
}

impl Default for Golang {
    fn default() -> Self {
        Golang { always_use_cpe_for_stdlib: true }
    }
}

impl Default for FixChannel {
    fn default() -> Self {
        FixChannel { apply: Text("auto".to_owned()) }
    }
}

impl Default for Alerts {
    /// Versions that do not name it tell nothing.
    fn default() -> Self {
        Alerts { enable_eol_distro_warnings: false }
    }
}

/// Keys that change nothing in what is found, or only bring more of it (`cmd/grype/cli/options/grype.go`, 0.74 to 0.116).
const HARMLESS: &[&str] = &[
    "SortBy",
    "add-cpes-if-none",
    "by-cve",
    "check-for-app-update",
    "configPath",
    "db",
    "default-image-pull-source",
    "dev",
    "exp",
    "externalSources",
    "fail-on-severity",
    "file",
    "from",
    "log",
    "match-upstream-kernel-headers",
    "name",
    "output",
    "output-template-file",
    "platform",
    "pretty",
    "quiet",
    "registry",
    "show-suppressed",
    "sort-by",
    "timestamp",
    "verbosity",
    "vex-add",
];

/// Name, type and upstream name of the packages that every run takes for headers
/// (`ignoreLinuxKernelHeaders` in `cmd/grype/cli/commands/root.go`).
const KERNEL_HEADERS: &[(&str, &str, &str)] = &[
    ("kernel-headers", "rpm", "kernel"),
    ("linux(-.*)?-headers-.*", "deb", "linux.*"),
    ("linux-libc-dev", "deb", "linux"),
];

/// The reasons that Grype's matchers give (`grype/matcher` of 0.110).
const OWN_REASONS: &[&str] = &["Explicit APK NAK", "UnaffectedPackageEntry", "DistroPackageFixed"];
const MOST_UNKNOWN: usize = 16;
/// Grype writes some forty.
const MOST_KEYS: usize = 512;

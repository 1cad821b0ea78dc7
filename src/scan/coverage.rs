//! Whether a report could have found what there is: an empty result is not a pass.

use super::census::Census;
use super::report::{Database, Distribution, Report};
use crate::policy::{ScanPolicy, WithoutPackages};

/// What keeps a report from telling what is in the image.
pub(super) fn gaps(report: &Report, census: Option<&Census>, policy: &ScanPolicy) -> Vec<String> {
    let mut gaps = Vec::new();
    let has = |kind: &str| {
        census.is_some_and(|census| census.count(kind) > 0) || report.matches.iter().any(|found| found.kind == kind)
    };
    match &report.distribution {
        Some(distribution) => gaps.extend(distribution_gap(distribution, report, census, has)),
        None => {
            let own = OF_DISTRIBUTIONS.iter().find(|kind| has(kind));
            gaps.extend(own.map(|kind| {
                format!(
                    "there are packages of type {kind} and no distribution is recognised, so none of them is looked up"
                )
            }));
        }
    }
    if let Some(database) = &report.database {
        gaps.extend(missing_provider(database, census, policy));
    }
    gaps.extend(emptiness(report, census, policy));
    if policy.fail_on.end_of_life && !report.settings.as_ref().is_some_and(|settings| settings.tells_end_of_life) {
        gaps.push(
            "`failOn.endOfLife` is asked for and the report does not tell of it; it takes Grype 0.110".to_owned(),
        );
    }
    gaps
}

fn distribution_gap(
    distribution: &Distribution,
    report: &Report,
    census: Option<&Census>,
    has: impl Fn(&str) -> bool,
) -> Option<String> {
    let Distribution { name, version } = distribution;
    let Some(known) = DISTRIBUTIONS.iter().find(|one| one.names.contains(&name.as_str())) else {
        return Some(format!("nothing is known of the vulnerabilities of the distribution {name} {version}"));
    };
    let providers = report.database.as_ref().map(|database| &database.providers).filter(|all| !all.is_empty());
    if providers.is_some_and(|all| !all.contains_key(known.provider)) {
        return Some(format!("the database has nothing of `{}`, which {name} {version} needs", known.provider));
    }
    if let Some(other) = OF_DISTRIBUTIONS.iter().find(|kind| **kind != known.packages && has(kind)) {
        return Some(format!(
            "{name} {version} is recognised, under which nothing of type {other} is looked up, and there is some"
        ));
    }
    match census {
        _ if has(known.packages) => None,
        Some(_) => Some(format!(
            "{name} {version} is recognised and none of its packages ({}) is found: their database is missing in the image",
            known.packages
        )),
        None => Some(format!(
            "the report names no package of {name} {version}: whether there are any is said by the SBOM of the same run"
        )),
    }
}

/// What is looked up somewhere must have been captured there.
fn missing_provider(database: &Database, census: Option<&Census>, policy: &ScanPolicy) -> Option<String> {
    let lacks = |provider: &str| !database.providers.contains_key(provider);
    if policy.fail_on.known_exploited && lacks("kev") {
        return Some("`failOn.knownExploited` is asked for and the database has nothing of `kev`".to_owned());
    }
    if policy.fail_on.epss.is_some() && lacks("epss") {
        return Some("`failOn.epss` is asked for and the database has nothing of `epss`".to_owned());
    }
    // Version 5 of the database does not name its providers.
    if database.providers.is_empty() {
        return None;
    }
    let needs = |provider: &'static str, kind: &str| {
        lacks(provider).then(|| format!("the database has nothing of `{provider}`, which packages of type {kind} need"))
    };
    census?.kinds().find_map(|kind| match kind {
        kind if OF_GITHUB.contains(&kind) => needs("github", kind),
        // What its distribution's own provider knows of.
        kind if DISTRIBUTIONS.iter().any(|known| known.packages == kind) => None,
        kind => needs("nvd", kind),
    })
}

fn emptiness(report: &Report, census: Option<&Census>, policy: &ScanPolicy) -> Option<String> {
    if report.distribution.is_some() || !report.matches.is_empty() {
        return None;
    }
    match census {
        Some(census) if census.kinds().next().is_some() => None,
        Some(_) if policy.without_packages == WithoutPackages::Accept => None,
        Some(_) => Some(
            "no package is found in the image, so nothing is known of it; where that is as it should be, \
             `withoutPackages: accept` says so"
                .to_owned(),
        ),
        None => {
            Some("the report names no package: whether there are any is said by the SBOM of the same run".to_owned())
        }
    }
}

/// Distributions whose vulnerabilities Grype's database knows.
struct Known {
    /// `ID` of their os-release.
    names: &'static [&'static str],
    /// Syft's type of their packages.
    packages: &'static str,
    /// The provider in the database (`vunnel`).
    provider: &'static str,
}

const DISTRIBUTIONS: &[Known] = &[
    Known { names: &["debian", "raspbian"], packages: "deb", provider: "debian" },
    Known { names: &["ubuntu"], packages: "deb", provider: "ubuntu" },
    Known { names: &["echo"], packages: "deb", provider: "echo" },
    Known { names: &["alpine"], packages: "apk", provider: "alpine" },
    Known { names: &["wolfi"], packages: "apk", provider: "wolfi" },
    Known { names: &["chainguard"], packages: "apk", provider: "chainguard" },
    Known { names: &["minimos"], packages: "apk", provider: "minimos" },
    Known { names: &["almalinux"], packages: "rpm", provider: "alma" },
    Known { names: &["rhel", "redhat", "centos", "rockylinux", "rocky"], packages: "rpm", provider: "rhel" },
    Known { names: &["amzn", "amazonlinux"], packages: "rpm", provider: "amazon" },
    Known { names: &["ol", "oraclelinux"], packages: "rpm", provider: "oracle" },
    Known { names: &["sles"], packages: "rpm", provider: "sles" },
    Known { names: &["mariner", "azurelinux"], packages: "rpm", provider: "mariner" },
];

/// Types of packages that are looked up under their distribution alone.
const OF_DISTRIBUTIONS: &[&str] = &["alpm", "apk", "deb", "portage", "rpm"];

/// Types of packages whose vulnerabilities are GitHub's advisories.
const OF_GITHUB: &[&str] = &[
    "dart-pub",
    "dotnet",
    "gem",
    "go-module",
    "hex",
    "java-archive",
    "npm",
    "php-composer",
    "python",
    "rust-crate",
    "swift",
];

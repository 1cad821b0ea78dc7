//! What the program is made of: licences, cryptography from one place, and no crate twice without a reason.
//!
//! Asks the cargo that runs the test, offline, by the committed Cargo.lock.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking; clippy sees helpers as ordinary functions")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// A licence expression of a dependency must be met by these.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// Cryptography comes from aws-lc-rs alone; `rsa` has an open timing weakness.
const FORBIDDEN: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls", "rsa"];
/// Two versions of these would mean two TLS stacks, two runtimes, or types that look alike and differ.
const ONCE: &[&str] = &["hyper", "k8s-openapi", "kube-client", "rustls", "tokio"];
/// Everything that is in the program in two versions, listed by hand in a file with the reasons.
const DUPLICATES: &str = include_str!("dependencies.txt");

#[test]
fn every_licence_is_on_the_list() {
    let refused: Vec<String> = tree("normal,build,dev")
        .into_iter()
        .filter(|package| !is_met(&package.licence))
        .map(|package| format!("{} {}: {}", package.name, package.version, package.licence))
        .collect();
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn cryptography_comes_from_one_place() {
    let names: BTreeSet<String> = tree("normal,build").into_iter().map(|package| package.name).collect();
    let found: Vec<_> = FORBIDDEN.iter().filter(|name| names.contains(**name)).collect();
    assert_eq!(found, Vec::<&&str>::new());
    assert!(names.contains("aws-lc-rs"), "{names:?}");
}

#[test]
fn what_is_there_twice_is_listed() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in tree("normal,no-proc-macro") {
        versions.entry(package.name).or_default().insert(package.version);
    }
    let once: Vec<_> = ONCE.iter().map(|name| (*name, versions.get(*name).map_or(0, BTreeSet::len))).collect();
    assert_eq!(once, ONCE.iter().map(|name| (*name, 1)).collect::<Vec<_>>());
    let twice: BTreeSet<&str> =
        versions.iter().filter(|(_, versions)| versions.len() > 1).map(|(name, _)| name.as_str()).collect();
    let rows = DUPLICATES.lines().filter(|line| !line.starts_with('#'));
    let listed: BTreeSet<&str> = rows.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(twice, listed);
}

#[test]
fn licence_expressions_are_read_as_they_are_meant() {
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("MIT/GPL-3.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("(MIT OR GPL-3.0) AND AGPL-3.0", false),
        ("MIT AND GPL-3.0 OR ISC", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT WITH GPL-3.0", false),
        ("", false),
        ("(MIT", false),
        ("MIT)", false),
        ("MIT ISC", false),
    ] {
        assert_eq!(is_met(expression), met, "{expression}");
    }
}

struct Package {
    name: String,
    version: String,
    licence: String,
}

/// The packages that are compiled for x86-64 Linux; our own is not among them.
fn tree(edges: &str) -> Vec<Package> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--target", "x86_64-unknown-linux-gnu", "--all-features"])
        .args(["--prefix", "none", "--format", "{p}|{l}|", "--edges", edges, "--manifest-path", manifest])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let packages: Vec<Package> = text.lines().skip(1).filter_map(package).collect();
    assert!(packages.len() > 100, "the tree was read: {text}");
    packages
}

/// A row such as `adler2 v2.0.1|0BSD OR MIT|`; `(*)` follows where it was printed before.
fn package(line: &str) -> Option<Package> {
    let mut fields = line.split('|');
    let mut words = fields.next()?.split_whitespace();
    let (name, version) = (words.next()?.to_owned(), words.next()?.to_owned());
    (name != "flamewarden").then(|| Package { name, version, licence: fields.next().unwrap_or_default().to_owned() })
}

/// Whether a licence expression (SPDX, or the old form with slashes) can be met by the listed licences.
fn is_met(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut left = words.as_slice();
    any(&mut left) == Some(true) && left.is_empty()
}

fn any(words: &mut &[&str]) -> Option<bool> {
    let mut met = all(words)?;
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        met |= all(words)?;
    }
    Some(met)
}

fn all(words: &mut &[&str]) -> Option<bool> {
    let mut met = one(words)?;
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        met &= one(words)?;
    }
    Some(met)
}

fn one(words: &mut &[&str]) -> Option<bool> {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let met = any(words)?;
            let [")", rest @ ..] = *words else { return None };
            *words = rest;
            Some(met)
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            Some(LICENCES.contains(&format!("{licence} WITH {exception}").as_str()))
        }
        [licence, rest @ ..] => {
            *words = rest;
            Some(LICENCES.contains(licence))
        }
        [] => None,
    }
}

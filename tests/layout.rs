//! The source keeps to its layout: which part may import which, who touches the outside, and how long files are; and
//! the tests that texts name exist.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking; clippy sees helpers as ordinary functions")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Every part of `src/` with the parts that it may import besides itself, in the order of the layout:
/// what a part imports stands above it. The edges and the services never import each other.
const PARTS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("telemetry", &["model"]),
    ("policy", &["model"]),
    ("report", &["model"]),
    ("scan", &["model", "telemetry", "policy"]),
    ("isolation", &["model", "telemetry", "policy"]),
    ("bundle", PURE),
    ("install", PURE),
    ("facts", &["model", "telemetry", "policy", "isolation", "install"]),
    ("rules", &["model", "telemetry", "policy", "isolation", "install", "facts"]),
    ("remote", &["model", "telemetry"]),
    ("cluster", EDGE),
    ("archive", ARCHIVE),
    ("serve", EDGE),
    ("keycloak", EDGE),
    ("hub", EDGE),
    ("registry", EDGE),
    ("webhook", SERVICE),
    ("guard", SERVICE),
    ("registration", SERVICE),
    ("decisions", SERVICE),
    ("history", SERVICE),
    ("canary", SERVICE),
    ("auditor", AUDITOR),
    ("orchestrator", SERVICE),
    ("scanner", SCANNER),
    ("pages", PAGES),
    ("app", APP),
    ("cli", CLI),
    ("main", CLI),
];
const PURE: &[&str] = &["model", "telemetry", "policy", "isolation"];
const EDGE: &[&str] = &["model", "telemetry", "policy", "isolation", "bundle", "install", "facts", "remote"];
const ARCHIVE: &[&str] = &["model", "telemetry", "policy", "report"];
const SERVICE: &[&str] = &[
    "model",
    "telemetry",
    "policy",
    "isolation",
    "bundle",
    "install",
    "facts",
    "rules",
    "remote",
    "cluster",
    "archive",
    "serve",
    "keycloak",
    "hub",
    "registry",
];
const AUDITOR: &[&str] = &[
    "model",
    "telemetry",
    "policy",
    "report",
    "isolation",
    "bundle",
    "install",
    "facts",
    "rules",
    "remote",
    "cluster",
    "archive",
    "serve",
];
const SCANNER: &[&str] = &[
    "model",
    "telemetry",
    "policy",
    "scan",
    "isolation",
    "bundle",
    "install",
    "facts",
    "rules",
    "remote",
    "cluster",
    "archive",
    "serve",
    "hub",
    "registry",
];
const PAGES: &[&str] =
    &["model", "telemetry", "policy", "report", "isolation", "facts", "remote", "cluster", "archive", "serve"];
const APP: &[&str] = &[
    "model",
    "telemetry",
    "policy",
    "isolation",
    "bundle",
    "install",
    "facts",
    "rules",
    "remote",
    "cluster",
    "archive",
    "serve",
    "keycloak",
    "hub",
    "registry",
    "webhook",
    "guard",
    "registration",
    "decisions",
    "history",
    "canary",
    "auditor",
    "orchestrator",
    "scanner",
    "pages",
];
const CLI: &[&str] = &[
    "model",
    "telemetry",
    "policy",
    "report",
    "scan",
    "isolation",
    "bundle",
    "install",
    "facts",
    "rules",
    "remote",
    "cluster",
    "archive",
    "serve",
    "keycloak",
    "hub",
    "registry",
    "webhook",
    "guard",
    "registration",
    "decisions",
    "history",
    "canary",
    "auditor",
    "orchestrator",
    "scanner",
    "pages",
    "app",
    "cli",
];

/// What only files that begin `//! Edge:` may name: they wait, read the clock, the disk or the environment.
const OUTSIDE: &str = r"\basync\b|\.await\b|\bSystemTime\b|\bTimestamp::now\b|\bInstant::now\b|\bstd::(fs|env)\b|\btokio::(fs|net|time|process)\b";
/// Files that may name some of it all the same, and why.
const NO_EDGE: &[(&str, &str, &str)] =
    &[("src/serve/issue.rs", "SystemTime", "certificates take their dates as this type; nobody is asked for the time")];
const FORBIDDEN_NAMES: &[&str] = &["mod.rs", "utils.rs", "helpers.rs", "common.rs", "manager.rs"];
const LONGEST: usize = 300;

#[test]
fn parts_import_only_what_stands_above_them() {
    let import = Regex::new(r"\bcrate::(\w+)|\bflamewarden::(\w+)").unwrap();
    let mut problems = Vec::new();
    for source in sources() {
        let Some((_, allowed)) = PARTS.iter().find(|(part, _)| *part == source.part) else {
            if source.part != "lib" {
                problems.push(format!("{}: `{}` is no part of the layout", source.name, source.part));
            }
            continue;
        };
        for found in import.captures_iter(&source.code) {
            let named = found.get(1).or(found.get(2)).unwrap().as_str();
            if named != source.part && !allowed.contains(&named) {
                problems.push(format!("{}: `{}` may not import `{named}`", source.name, source.part));
            }
        }
    }
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn the_api_server_is_named_in_one_part_only() {
    let client = Regex::new(r"\bkube(_\w+)?::").unwrap();
    let names: BTreeSet<String> = sources()
        .into_iter()
        .filter(|source| source.part != "cluster" && client.is_match(&source.code))
        .map(|source| source.name)
        .collect();
    assert_eq!(names, BTreeSet::new());
}

#[test]
fn only_edges_touch_the_outside() {
    let outside = Regex::new(OUTSIDE).unwrap();
    let mut problems = BTreeSet::new();
    let mut excused = BTreeSet::new();
    for source in sources() {
        if source.text.starts_with("//! Edge:") {
            continue;
        }
        for found in outside.find_iter(&source.code) {
            let named = found.as_str();
            match NO_EDGE.iter().find(|(file, word, _)| *file == source.name && *word == named) {
                Some(excuse) => drop(excused.insert(excuse)),
                None => drop(problems.insert(format!("{}: {named}", source.name))),
            }
        }
    }
    assert_eq!(problems, BTreeSet::new());
    assert_eq!(excused.len(), NO_EDGE.len(), "an excuse that nobody needs goes: {excused:?}");
}

#[test]
fn every_file_says_its_job_and_has_one() {
    let mut problems = Vec::new();
    for source in sources() {
        let file = Path::new(&source.name).file_name().unwrap().to_str().unwrap();
        if !source.text.starts_with("//! ") {
            problems.push(format!("{}: does not begin with `//! `", source.name));
        }
        if FORBIDDEN_NAMES.contains(&file) {
            problems.push(format!("{}: the name says nothing", source.name));
        }
        let long = source.code.lines().filter(|line| !line.trim().is_empty()).count();
        if long > LONGEST {
            problems.push(format!("{}: {long} lines of code", source.name));
        }
    }
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn the_invariants_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let word = Regex::new("`([^`]+)`").unwrap();
    let (mut file, mut numbers, mut named, mut missing) = (None, Vec::new(), 0, Vec::new());
    for line in map.lines().skip_while(|line| *line != "//! # Invariants").filter_map(|line| line.strip_prefix("//!")) {
        if let Some(invariant) = line.strip_prefix(" - ") {
            numbers.push(invariant.split(' ').next().unwrap().to_owned());
            file = None;
        }
        let is_list = line.starts_with("   - `");
        for (place, found) in word.captures_iter(line).enumerate() {
            let found = &found[1];
            if is_list && place == 0 {
                file = Some((found.to_owned(), fs::read_to_string(root.join(found)).unwrap_or_default()));
            } else if let Some((name, text)) = &file {
                named += 1;
                if !text.contains(&format!("fn {found}(")) {
                    missing.push(format!("{name}: {found}"));
                }
            }
        }
    }
    assert_eq!(numbers, (1..=11).map(|number| format!("I{number}")).collect::<Vec<_>>());
    assert_eq!(missing, Vec::<String>::new());
    assert!(named > 20, "{named} tests are named");
}

/// A table that says how a fault was mended is worth what its tests are.
#[test]
fn the_faults_that_were_mended_name_tests_that_exist() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md")).unwrap();
    let tests = tests();
    let quoted = Regex::new("`([^`]+)`").unwrap();
    // Nothing but a test has a name as long as that.
    let long = Regex::new(r"^[a-z0-9]+(_[a-z0-9]+){3,}$").unwrap();
    let short = Regex::new(r"\*(\w+)\* is `(\w+)`").unwrap();
    let short: BTreeSet<String> = short.captures_iter(&page).map(|named| format!("*{}*", &named[1])).collect();
    let (mut rows, mut problems) = (0, Vec::new());
    for line in page.lines() {
        let named = quoted.captures_iter(line).map(|found| found[1].to_owned());
        problems.extend(named.filter(|name| long.is_match(name) && !tests.contains(name)));
        let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")) else { continue };
        let cells: Vec<&str> = row.split(" | ").collect();
        let [fault, _, shown] = cells[..] else { panic!("three columns: {line}") };
        if fault == "fault" || shown == "none" {
            continue;
        }
        rows += 1;
        let is_test = |name: &&str| {
            name.strip_prefix('`').and_then(|name| name.strip_suffix('`')).is_some_and(|name| tests.contains(name))
        };
        problems.extend(shown.split(", ").filter(|name| !is_test(name) && !short.contains(*name)).map(str::to_owned));
    }
    assert_eq!(problems, Vec::<String>::new());
    assert!(rows > 40, "{rows} rows name tests");
}

/// The names of all tests.
fn tests() -> BTreeSet<String> {
    let test = Regex::new(r"#\[(?:tokio::)?test[^\]]*\]\s+(?:async )?fn (\w+)\(").unwrap();
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    }
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    texts.iter().flat_map(|text| test.captures_iter(text)).map(|found| found[1].to_owned()).collect()
}

struct Source {
    /// Such as `src/serve/tls.rs`.
    name: String,
    /// Such as `serve`.
    part: String,
    text: String,
    /// The text without comments and without the tests at its end.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    assert!(files.len() > 50, "the sources were found: {files:?}");
    files.into_iter().filter_map(|file| source(root, &file)).collect()
}

fn source(root: &Path, file: &Path) -> Option<Source> {
    let path = file.strip_prefix(root).unwrap();
    let inside = path.strip_prefix("src").unwrap();
    let part = Path::new(inside.iter().next().unwrap()).file_stem().unwrap().to_str().unwrap().to_owned();
    // What only tests use is declared under `#[cfg(test)]`.
    if ["tests.rs", "testing.rs"].contains(&file.file_name().unwrap().to_str().unwrap()) {
        return None;
    }
    let text = fs::read_to_string(file).unwrap();
    Some(Source { name: path.to_str().unwrap().to_owned(), part, code: code(&text), text })
}

/// What is compiled into the program: no comments, no tests, no texts in quotation marks.
fn code(text: &str) -> String {
    let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let quoted = Regex::new(r#""([^"\\\n]|\\.)*""#).unwrap();
    let lines = program.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| quoted.replace_all(line, "\"\"").into_owned() + "\n").collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

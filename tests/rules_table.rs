//! `policies/rules.md` lists every built-in rule as the code has it.
//!
//! `WRITE=1 cargo test --test rules_table` writes it anew.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking; clippy sees helpers as ordinary functions"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use flamewarden::auditor::AUDIT_RULES;
use flamewarden::model::{Control, Hold};
use flamewarden::policy::{EXCEPTABLE, Role};
use flamewarden::rules::{FIRM_RULES, OBJECT_RULES, POD_RULES, PodRule, REQUEST_RULES, RequestRule};

#[test]
fn the_table_is_what_the_code_says() {
    let file = path("policies/rules.md");
    let wanted = table();
    if std::env::var_os("WRITE").is_some() {
        fs::write(&file, &wanted).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), wanted, "WRITE=1 cargo test --test rules_table writes it anew");
}

#[test]
fn a_rule_that_says_it_has_no_remedy_has_none() {
    for rule in POD_RULES {
        let text = source(rule);
        let code = text.split("#[cfg(test)]").next().unwrap();
        assert_eq!(remedy(&text) == "no", !code.contains(".mended_by("), "{}", rule.id);
    }
}

fn table() -> String {
    let mut text = String::from(HEAD);
    text.push_str("\n## Pods and pod templates\n\n");
    text.push_str("| id | what holds | why | severity | judges | mended | softened | controls |\n");
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for rule in POD_RULES {
        let judges = match rule.roles {
            [Role::Analysis] => "analyses",
            [Role::Gateway] => "gateways",
            _ => "both",
        };
        let softened = if FIRM_RULES.contains(&rule.id) { "never" } else { "by profile" };
        let (severity, mended) = (rule.severity.word(), remedy(&source(rule)));
        let controls = controls(rule.controls);
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {severity} | {judges} | {mended} | {softened} | {controls} |",
            rule.id, rule.title, rule.why
        );
    }
    for (title, rules) in
        [("Requests", REQUEST_RULES), ("Other objects", OBJECT_RULES), ("What stands in a cluster", AUDIT_RULES)]
    {
        let _ = writeln!(text, "\n## {title}\n\n| id | what holds | why | severity | softened | controls |");
        text.push_str("|---|---|---|---|---|---|\n");
        for rule in rules {
            text.push_str(&row(rule));
        }
    }
    text
}

fn row(rule: &RequestRule) -> String {
    let softened = match rule.hold {
        Hold::Always if EXCEPTABLE.contains(&rule.id) => "by the Auditor",
        Hold::Always => "never",
        Hold::AsProfileSays => "by profile",
    };
    let (severity, controls) = (rule.severity.word(), controls(rule.controls));
    format!("| `{}` | {} | {} | {severity} | {softened} | {controls} |\n", rule.id, rule.title, rule.why)
}

/// How a rule's findings are mended, as the head of its file says.
fn remedy(text: &str) -> String {
    let head: String =
        text.lines().map_while(|line| line.strip_prefix("//!")).map(|line| format!("{} ", line.trim())).collect();
    match (head.split_once("No remedy"), head.split_once("Remedy: ")) {
        (Some(_), None) => "no".to_owned(),
        (None, Some((_, remedy))) => remedy.trim().trim_end_matches('.').to_owned(),
        _ => panic!("the head does not say clearly whether there is a remedy: {head}"),
    }
}

fn source(rule: &PodRule) -> String {
    fs::read_to_string(path(&format!("src/rules/pod/{}.rs", rule.id.replace('-', "_")))).unwrap()
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn controls(controls: &[Control]) -> String {
    controls.iter().map(Control::to_string).collect::<Vec<String>>().join("; ")
}

const HEAD: &str = "# The built-in rules

Made from the rules themselves by `tests/rules_table.rs`, which fails when the two differ.

A refusal names the rule by its id; a profile's `modes` and `exceptions` use the same id. *Mended*: what the mutating
side makes of it before it is judged. *Softened*: whether a profile may give the rule another mode or an exception.
*Controls*: Pod Security Standards (PSS), NSA/CISA Kubernetes Hardening Guide, CIS Kubernetes Benchmark.
The last table is of what `audit --cluster` looks at besides: no request asks for it. What says *by the Auditor* there has
exceptions in the document of kind Auditor.
Rules of your own: [own-rules.md](own-rules.md).
";

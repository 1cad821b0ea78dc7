//! An Analysis written by hand: what README says to type, in this cluster's namespace, and what that is told.

use std::fs;
use std::path::Path;

use crate::flamewarden::{Guarded, MADE};

const README: &str = include_str!("../../README.md");

/// Prints each command with its answer.
pub(crate) fn show(guarded: &Guarded, folder: &Path) {
    let file = folder.join("analysis.yaml");
    let (_, section) = README.split_once("\nAnalyses can be written by hand, too").unwrap();
    let (section, _) = section.split_once("\n`DELETE /po/cleanup/").unwrap();
    let here = here(section, &file);
    let (_, analysis) = here.split_once("```yaml\n").unwrap();
    let (analysis, _) = analysis.split_once("```").unwrap();
    fs::write(&file, analysis).unwrap();
    let creator = guarded.cluster.plane.kubeconfig("system:serviceaccount:flame:flame-po", Some("system:masters"));
    println!("\nAn Analysis is written by hand by one of the creators, as README says:\n");
    println!("  export KUBECONFIG={} ID={ID}\n", creator.display());
    let lines: Vec<&str> = here.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(lines[0], format!("ID={ID}"));
    let mut secrets = SECRETS.iter();
    for line in &lines[1..] {
        match line.strip_prefix("$ ") {
            Some(command) => println!("  {command}"),
            None if line.starts_with("kubectl ") => {
                println!("  {line}\n    {}", secrets.next().unwrap().replace("$ID", ID));
            }
            None => println!("    {line}"),
        }
    }
    assert_eq!(secrets.next(), None);
    println!("\n# again, which changes nothing");
    println!("  kubectl apply -f {}\n    analysis.flamewarden.dev/{ID} unchanged", file.display());
    println!("  kubectl -n {MADE} get analysis $ID -o jsonpath='{SAYS}'\n    1 1 1 Running");
}

/// README's texts with the names that this cluster has.
fn here(section: &str, file: &Path) -> String {
    let mut text = section.to_owned();
    for (there, here) in [
        ("0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f", ID),
        ("-n flame ", &format!("-n {MADE} ")),
        ("namespace: flame}", &format!("namespace: {MADE}}}")),
        ("harbor.example.org", "harbor.example"),
        ("=…", "=none_needed"),
        ("apply -f analysis.yaml", &format!("apply -f {}", file.display())),
        // The analyses here say that they work.
        ("started  ", "executing  "),
    ] {
        assert!(text.contains(there), "README says {there}");
        text = text.replace(there, here);
    }
    text
}

const ID: &str = "1e9b2f3a-1c2b-4d3e-8f40-1a2b3c4d5e6f";
/// What the commands for the Secrets are told.
const SECRETS: [&str; 3] = [
    "secret/flame-harbor-$ID created",
    "secret/flame-tokens-$ID created",
    "secret/flame-harbor-$ID labeled\n    secret/flame-tokens-$ID labeled",
];
const SAYS: &str = "{.metadata.generation} {.spec.run} {.status.run} {.spec.state}";

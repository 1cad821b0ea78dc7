//! What is sent for the users' own rules: every resource that one of them names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::policy::{PolicySet, ResourceRule};

/// The rows of the webhook that the users' rules need; none where they judge guarded pods only.
pub(super) fn rows(policies: &PolicySet) -> Vec<Value> {
    let mut rows: BTreeMap<Key<'_>, BTreeSet<&str>> = BTreeMap::new();
    for rule in named(policies) {
        let key = [words(&rule.operations), words(&rule.api_groups)];
        rows.entry(key).or_default().extend(rule.resources.iter().map(String::as_str));
    }
    let row = |([operations, groups], resources): (Key<'_>, BTreeSet<&str>)| {
        // Rules do not look at versions.
        json!({
            "operations": operations, "apiGroups": groups, "apiVersions": ["*"], "resources": resources,
            "scope": "Namespaced",
        })
    };
    rows.into_iter().map(row).collect()
}

/// Whether a user's rule judges such objects when they are created.
pub(super) fn is_named(policies: &PolicySet, group: &str, resource: &str) -> bool {
    let has = |list: &[String], word: &str| list.iter().any(|item| item == "*" || item == word);
    named(policies)
        .any(|rule| has(&rule.operations, "CREATE") && has(&rule.api_groups, group) && has(&rule.resources, resource))
}

/// Operations and groups.
type Key<'a> = [BTreeSet<&'a str>; 2];

fn named(policies: &PolicySet) -> impl Iterator<Item = &ResourceRule> {
    let constraints = policies.rules.iter().filter_map(|rule| rule.match_constraints.as_ref());
    constraints.flat_map(|constraints| &constraints.resource_rules)
}

/// The words, each once; the API server takes `*` only alone.
fn words(list: &[String]) -> BTreeSet<&str> {
    let all = list.iter().any(|word| word == "*");
    if all { BTreeSet::from(["*"]) } else { list.iter().map(String::as_str).collect() }
}

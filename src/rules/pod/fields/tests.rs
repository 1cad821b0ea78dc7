//! The census: every published field is classified, and every row is a published field. And what the walk says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::RULE;
use crate::model::{FieldPath, PodView, Segment, parse};
use crate::policy::Role;
use crate::rules::ScanKnowledge;
use crate::rules::pod::field_table::{Class, Field, POD, Shape};
use crate::rules::pod::testing::{all_findings, changed, expect, good_pod, is_clean, policies};
use crate::rules::pod::{POD_RULES, Stage, pod_findings};

/// Written by `tests/census/rebuild`: path, type, minors of Kubernetes that know it.
const LIST: &str = include_str!("../../../../tests/fixtures/pod-fields/fields.tsv");

fn published() -> BTreeMap<&'static str, (&'static str, &'static str)> {
    LIST.lines()
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            (columns[0], (columns[1], columns[2]))
        })
        .collect()
}

/// Every place that the table knows: its type as the list writes it, and whether the table ends there.
fn classified() -> BTreeMap<String, &'static str> {
    let mut places = BTreeMap::new();
    add_fields("", POD, &mut places);
    places
}

fn add_fields(above: &str, fields: &'static [Field], places: &mut BTreeMap<String, &'static str>) {
    for field in fields {
        let dot = if above.is_empty() { "" } else { "." };
        add(format!("{above}{dot}{}", field.key), &field.shape, places);
    }
}

fn add(path: String, shape: &'static Shape, places: &mut BTreeMap<String, &'static str>) {
    let (kind, below) = match shape {
        Shape::Text => ("string", None),
        Shape::Integer => ("integer", None),
        Shape::Boolean => ("boolean", None),
        Shape::Amount => ("quantity", None),
        Shape::Port => ("intorstring", None),
        Shape::Any => ("any", None),
        Shape::Object(fields) => {
            add_fields(&path, fields, places);
            ("object", None)
        }
        Shape::List(item) => ("list", Some((format!("{path}[]"), item))),
        Shape::Map(member) => ("map", Some((format!("{path}{{}}"), member))),
    };
    if let Some((path, shape)) = below {
        add(path, shape, places);
    }
    assert_eq!(places.insert(path.clone(), kind), None, "two rows for {path}");
}

/// The places above a place, nearest first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.char_indices().rev().filter(|(_, c)| matches!(c, '.' | '[' | '{')).map(|(end, _)| &path[..end])
}

#[test]
fn every_published_field_is_classified() {
    let places = classified();
    let is_classified = |path: &str, kind: &str| {
        let kind = if kind == "time" { "string" } else { kind };
        let own = places.get(path).is_some_and(|known| *known == kind || *known == "any");
        own || above(path).any(|above| places.get(above) == Some(&"any"))
    };
    let missing: Vec<&str> =
        published().into_iter().filter(|(path, (kind, _))| !is_classified(path, kind)).map(|(path, _)| path).collect();
    assert_eq!(missing, Vec::<&str>::new(), "classify these in field_table.rs");
}

#[test]
fn every_row_is_a_published_field() {
    let published = published();
    let stale: Vec<String> = classified().into_keys().filter(|path| !published.contains_key(path.as_str())).collect();
    assert_eq!(stale, Vec::<String>::new(), "no published schema has these; take their rows away");
}

#[test]
fn the_list_has_every_minor_from_30_to_37() {
    let published = published();
    assert_eq!(published["spec.containers[].image"], ("string", "1.30-1.37"));
    assert_eq!(published["spec.workloadRef"], ("object", "1.35-1.35"));
    let minors: BTreeSet<&str> = published.values().flat_map(|(_, minors)| minors.split(['-', ','])).collect();
    let first_and_last = (minors.first().copied(), minors.last().copied());
    assert_eq!(first_and_last, (Some("1.30"), Some("1.37")));
}

/// A field that is left to a rule is judged for both roles, or nobody would look at it for one of them.
#[test]
fn every_row_names_a_rule_that_judges_both_roles() {
    fn rules_of(fields: &'static [Field], named: &mut BTreeSet<&'static str>) {
        for field in fields {
            if let Class::Judged(rule) | Class::Refused(rule) = field.class {
                named.insert(rule);
            }
            rules_of_shape(&field.shape, named);
        }
    }
    fn rules_of_shape(shape: &'static Shape, named: &mut BTreeSet<&'static str>) {
        match shape {
            Shape::Object(fields) => rules_of(fields, named),
            Shape::List(below) | Shape::Map(below) => rules_of_shape(below, named),
            _ => {}
        }
    }
    let mut named = BTreeSet::new();
    rules_of(POD, &mut named);
    for name in named {
        let rule = POD_RULES.iter().find(|rule| rule.id == name).unwrap_or_else(|| panic!("no rule {name}"));
        // Gateways come from the profile's creators only, and may be pulled with what these name.
        let is_for_both = rule.roles.len() == 2 || name == "pull-secret";
        assert!(is_for_both, "{name}");
    }
}

/// A row that says `refused` is no promise of somebody else's: the named rule is tried on each.
#[test]
fn every_refused_row_is_refused_by_its_rule() {
    fn rows(above: &FieldPath, fields: &'static [Field], found: &mut Vec<(FieldPath, &'static str)>) {
        for field in fields {
            let path = above.key(field.key);
            match field.class {
                Class::Refused(rule) => found.push((path, rule)),
                _ => rows_below(&path, &field.shape, found),
            }
        }
    }
    fn rows_below(path: &FieldPath, shape: &'static Shape, found: &mut Vec<(FieldPath, &'static str)>) {
        match shape {
            Shape::Object(fields) => rows(path, fields, found),
            Shape::List(item) => rows_below(&path.index(0), item, found),
            Shape::Map(member) => rows_below(&path.key("x"), member, found),
            _ => {}
        }
    }
    let mut refused = Vec::new();
    rows(&FieldPath::default(), POD, &mut refused);
    assert!(refused.len() > 80, "{}", refused.len());
    let set = policies();
    for (path, rule) in &refused {
        for (role, profile) in [(Role::Analysis, &set.analysis), (Role::Gateway, &set.gateway)] {
            let mut pod = good_pod(role);
            put(&mut pod, path, json!({"x": "y"}));
            let text = pod.to_string();
            let object = parse(text.as_bytes()).unwrap();
            let findings = pod_findings(
                &PodView::new(&object, FieldPath::default()),
                profile,
                Stage::Create,
                ScanKnowledge::OutOfReach,
                Timestamp::UNIX_EPOCH,
            );
            let is_found = findings.iter().any(|finding| finding.rule == *rule && path.is_within(&finding.path));
            assert!(is_found, "{path} is not refused by {rule}: {findings:#?}");
        }
    }
}

/// Puts a value at a path, with all that is missing on the way.
fn put(mut place: &mut Value, path: &FieldPath, value: Value) {
    for segment in path.segments() {
        place = match segment {
            Segment::Key(key) => &mut place[key.as_str()],
            Segment::Index(_) if place.is_null() => {
                *place = json!([{}]);
                &mut place[0]
            }
            Segment::Index(index) => &mut place[*index],
        };
    }
    *place = value;
}

#[test]
fn unknown_and_misspelt_fields_are_refused_at_any_depth() {
    is_clean(&RULE, &[("/spec/newField", json!(null)), ("/metadata/managedFields", json!([{"manager": "x"}]))]);
    for (pointer, value, wanted) in [
        ("/spec/newField", json!(false), "spec.newField (false)"),
        ("/spec/HostNetwork", json!(true), "spec.HostNetwork (true)"),
        ("/Spec", json!({"hostNetwork": true}), r#"Spec ({"hostNetwork":true})"#),
        ("/metadata/clusterName", json!("x"), r#"metadata.clusterName ("x")"#),
        ("/spec/containers/0/securitycontext", json!({}), "spec.containers[0].securitycontext ({})"),
        (
            "/spec/containers/0/securityContext/Privileged",
            json!(true),
            "spec.containers[0].securityContext.Privileged (true)",
        ),
        ("/spec/volumes/0/emptyDir/stickyBits", json!("x"), r#"spec.volumes[0].emptyDir.stickyBits ("x")"#),
        ("/spec/volumes/0/newSource", json!({}), "spec.volumes[0].newSource ({})"),
        (
            "/spec/containers/0/livenessProbe",
            json!({"httpGet": {"proxy": "x"}}),
            r#"spec.containers[0].livenessProbe.httpGet.proxy ("x")"#,
        ),
        ("/spec/managedFields", json!([]), "spec.managedFields ([])"),
    ] {
        expect(&RULE, &[(pointer, value)], &[&format!("{wanted}: no remedy")]);
    }
}

#[test]
fn refused_fields_that_are_unset_count_as_absent() {
    let at = "/spec/securityContext/sysctls";
    is_clean(
        &RULE,
        &[(at, json!([])), ("/spec/readinessGates", json!(null)), ("/spec/containers/0/restartPolicyRules", json!([]))],
    );
    expect(&RULE, &[(at, json!([{"name": "a"}]))], &[r#"spec.securityContext.sysctls ([{"name":"a"}]): no remedy"#]);
    for (pointer, value, wanted) in [
        (
            "/spec/securityContext/seLinuxOptions",
            json!({"type": "spc_t"}),
            r#"spec.securityContext.seLinuxOptions ({"type":"spc_t"})"#,
        ),
        (
            "/spec/securityContext/windowsOptions",
            json!({"hostProcess": true}),
            r#"spec.securityContext.windowsOptions ({"hostProcess":true})"#,
        ),
        ("/spec/readinessGates", json!([{"conditionType": "x"}]), r#"spec.readinessGates ([{"conditionType":"x"}])"#),
    ] {
        expect(&RULE, &[(pointer, value)], &[&format!("{wanted}: no remedy")]);
    }
}

#[test]
fn values_of_another_shape_are_refused_and_nothing_is_mended() {
    let profile = policies().analysis;
    for (pointer, value, wanted) in [
        ("/spec/containers/0/securityContext", json!([]), "fields: spec.containers[0].securityContext ([]): no remedy"),
        (
            "/spec/containers/0/securityContext",
            json!("x"),
            r#"fields: spec.containers[0].securityContext ("x"): no remedy"#,
        ),
        ("/spec/containers", json!("x"), r#"fields: spec.containers ("x"): no remedy"#),
        ("/spec/containers", json!([null]), "fields: spec.containers[0] (null): no remedy"),
        ("/spec/volumes", json!({}), "fields: spec.volumes ({}): no remedy"),
        ("/spec/schedulingGates", json!("x"), r#"fields: spec.schedulingGates ("x"): no remedy"#),
        (
            "/spec/terminationGracePeriodSeconds",
            json!(1.5),
            "fields: spec.terminationGracePeriodSeconds (1.5): no remedy",
        ),
        ("/spec/enableServiceLinks", json!("false"), r#"fields: spec.enableServiceLinks ("false"): no remedy"#),
        (
            "/metadata/labels/flamewarden.dev~1analysis",
            json!(5),
            r#"fields: metadata.labels["flamewarden.dev/analysis"] (5): no remedy"#,
        ),
        ("/spec", json!(5), "fields: spec (5): no remedy"),
    ] {
        let findings = all_findings(&changed(Role::Analysis, &[(pointer, value)]), &profile, Stage::Create);
        assert!(findings.contains(&wanted.to_owned()), "{findings:#?}");
        assert!(findings.iter().all(|finding| finding.ends_with("no remedy")), "{findings:#?}");
    }
}

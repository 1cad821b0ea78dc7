//! JSON, SARIF and JUnit against their schemas, and each schema against what is wrong.

use std::collections::BTreeSet;
use std::path::Path;

use flamewarden::report::Form;
use serde_json::{Value, json};

use crate::checkers::{DEFINITIONS, SARIF, TOOLS, changed, check, problems};
use crate::sample::{CLUSTER, FILES, samples};

const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit-report.schema.json");
const NONE: [&str; 0] = [];

#[test]
fn the_json_report_is_as_its_schema_says() {
    for sample in samples() {
        let found = check("schema", &[Path::new(OURS), &sample.file(Form::Json)]);
        assert_eq!(problems(&found), NONE);
    }
    for (from, to) in [
        ("\"severity\": \"high\"", "\"severity\": \"worst\""),
        ("\"score\": ", "\"score\": null, \"scored\": "),
        ("\"made\": \"", "\"made\": \"on "),
        ("\"fingerprint\": \"", "\"fingerprint\": \"g"),
    ] {
        let found = check("schema", &[Path::new(OURS), &changed(&CLUSTER.file(Form::Json), from, to)]);
        assert_ne!(problems(&found), NONE, "{to}");
    }
}

#[test]
fn a_field_that_is_missing_or_misspelt_is_no_report() {
    for (sample, tried, optional) in [
        (&*CLUSTER, 80, &["baseline", "findings.[].object.namespace", "findings.[].object.uid"][..]),
        (&*FILES, 70, &["baseline"]),
    ] {
        let found = check("misspelt", &[Path::new(OURS), &sample.file(Form::Json)]);
        assert_eq!(found["taken"], json!([]));
        let listed: Vec<&str> = found["optional"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        for name in optional {
            assert!(listed.contains(name), "{name}: {listed:?}");
        }
        let known = ["namespace", "uid", "remedy", "excepted", "since", "document", "line", "baseline"];
        let unknown = listed.iter().filter(|name| !known.contains(&name.rsplit('.').next().unwrap()));
        assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&&str>::new());
        assert!(found["tried"].as_u64().unwrap() >= tried, "{}", found["tried"]);
    }
}

#[test]
fn sarif_is_as_oasis_publishes_it() {
    for sample in samples() {
        assert_eq!(problems(&check("schema", &[&SARIF, &sample.file(Form::Sarif)])), NONE);
    }
    for (from, to) in [
        ("\"ruleId\"", "\"rule\""),
        ("\"level\": \"error\"", "\"level\": \"bad\""),
        ("\"endTimeUtc\": \"", "\"endTimeUtc\": \"at "),
        ("\"baselineState\": \"new\"", "\"baselineState\": \"known\""),
        ("\"uri\": \"", "\"uri\": \"a b<"),
    ] {
        assert_ne!(problems(&check("schema", &[&SARIF, &changed(&FILES.file(Form::Sarif), from, to)])), NONE, "{to}");
    }
}

#[test]
fn junit_is_as_jenkins_reads_it_and_tells_of_every_failure() {
    let schema = TOOLS.join("junit-10.xsd");
    for sample in samples() {
        let found = check("xsd", &[&schema, &sample.file(Form::Junit)]);
        assert_eq!(problems(&found), NONE);
        let known = sample.findings().filter(|finding| finding["since"] == "known").count();
        let unread = sample.json["problems"].as_array().unwrap().len();
        // Where something could not be read, not everything was judged either.
        let errors = unread + usize::from(unread > 0);
        let cases =
            json!({"failure": sample.failing() - known, "error": errors, "skipped": sample.count("reported") + known});
        assert_eq!(found["cases"], cases);
    }
    for (from, to) in [("<testcase name", "<testcase title"), ("</testsuites>", ""), ("<failure", "<failed/><failure")]
    {
        assert_ne!(problems(&check("xsd", &[&schema, &changed(&CLUSTER.file(Form::Junit), from, to)])), NONE, "{to}");
    }
}

#[test]
fn open_reports_are_as_their_definitions_say() {
    let definitions = ["reports", "clusterreports"].map(|name| DEFINITIONS.join(format!("openreports.io_{name}.yaml")));
    let objects = |file: &Path| check("objects", &[file, &definitions[0], &definitions[1]]);
    for (form, kinds) in [
        (Form::OpenReports, ["Report", "ClusterReport"]),
        (Form::PolicyReports, ["PolicyReport", "ClusterPolicyReport"]),
    ] {
        for sample in samples() {
            let found = objects(&sample.file(form));
            assert_eq!(problems(&found), NONE);
            let told: BTreeSet<&str> = found["kinds"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert!(told.contains(kinds[0]) && told.is_subset(&BTreeSet::from(kinds)), "{told:?}");
        }
        for (from, to) in [
            ("\"severity\": \"high\"", "\"severity\": \"worst\""),
            ("\"policy\": ", "\"polcy\": "),
            ("\"seconds\": ", "\"second\": "),
            ("\"namespace\": \"flame\",", ""),
        ] {
            assert_ne!(problems(&objects(&changed(&CLUSTER.file(form), from, to))), NONE, "{to}");
        }
    }
}

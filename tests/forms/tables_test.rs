//! CSV and Markdown as others' readers understand them.

use std::collections::BTreeSet;

use flamewarden::report::Form;
use serde_json::Value;

use crate::checkers::{changed, check, problems};
use crate::sample::{CLUSTER, samples};

const NONE: [&str; 0] = [];

#[test]
fn a_spreadsheet_has_a_row_of_harmless_cells_for_each_finding_and_for_what_was_not_looked_at() {
    for sample in samples() {
        let found = check("csv", &[&sample.file(Form::Csv)]);
        assert_eq!(problems(&found), NONE);
        let rows = found["rows"].as_array().unwrap();
        let unread = sample.json["problems"].as_array().unwrap().len();
        assert_eq!(rows.len(), sample.findings().count() + unread);
        assert_eq!(rows.iter().filter(|row| row[0] == "error" && row[2] == "coverage").count(), unread);
        let formula = |cell: &&Value| cell.as_str().unwrap().starts_with(['=', '+', '-', '@', '\t', '\r']);
        let formulas = rows.iter().flat_map(|row| row.as_array().unwrap()).filter(formula);
        assert_eq!(formulas.collect::<Vec<_>>(), Vec::<&Value>::new());
        let last = found["head"].as_array().unwrap().len() - 1;
        assert_eq!(found["head"][last], "fingerprint");
        let told: BTreeSet<&str> =
            rows.iter().filter(|row| row[0] != "error").filter_map(|row| row[last].as_str()).collect();
        let wanted: BTreeSet<&str> = sample.findings().filter_map(|finding| finding["fingerprint"].as_str()).collect();
        assert_eq!(told, wanted);
    }
    for (from, to) in [("violated,", "violated,,"), ("\n", "\n\"x\"y,")] {
        assert_ne!(problems(&check("csv", &[&changed(&CLUSTER.file(Form::Csv), from, to)])), NONE, "{to}");
    }
}

#[test]
fn markdown_is_text_in_tables_with_a_row_for_each_failing_finding() {
    for sample in samples() {
        let found = check("markdown", &[&sample.file(Form::Markdown)]);
        assert_eq!(problems(&found), NONE);
        let rows = ["exceptions", "problems"].map(|part| sample.json[part].as_array().unwrap().len());
        let wanted: Vec<usize> = [1, sample.failing()].into_iter().chain(rows).filter(|rows| *rows > 0).collect();
        assert_eq!(found["rows"], serde_json::json!(wanted));
    }
    for bad in
        ["<b>x</b>", "[x](y)", "`x`", "![x](y)", "https://x.example", "www.x.example", "@x", "<https://x.example>"]
    {
        let broken = changed(&CLUSTER.file(Form::Markdown), "\n\n", &format!("\n\n{bad}\n\n"));
        assert_ne!(problems(&check("markdown", &[&broken])), NONE, "{bad}");
    }
}

//! The HTML report: valid, accessible in light and dark, without a request or a script, readable on a narrow screen, and
//! whole on paper.

use std::fs;
use std::path::Path;

use flamewarden::report::Form;
use serde_json::Value;

use crate::browser::{Browser, Look, Page};
use crate::checkers::{TOOLS, changed, check, html_problems};
use crate::sample::{CLUSTER, FILES, Sample, samples};

const NONE: [&str; 0] = [];
const LIGHT: Look = Look { scheme: "light", width: 1280 };
const DARK: Look = Look { scheme: "dark", width: 1280 };
const NARROW: Look = Look { scheme: "light", width: 320 };

#[test]
fn the_html_checker_has_nothing_to_say() {
    let pages = samples().map(|sample| sample.file(Form::Html));
    assert_eq!(html_problems(&pages.each_ref().map(|page| page.as_path())), NONE);
    for (from, to) in [("</h1>", ""), ("<main>", "<main id=\"summary\">"), ("margin: 0;", "margin: none;")] {
        assert_ne!(html_problems(&[&changed(&FILES.file(Form::Html), from, to)]), NONE, "{to}");
    }
}

#[test]
fn axe_finds_nothing_in_light_and_dark_wide_and_narrow() {
    let mut browser = Browser::start();
    for sample in [&*FILES, &*CLUSTER] {
        for look in [LIGHT, DARK, NARROW, Look { scheme: "dark", ..NARROW }] {
            assert_eq!(accessibility_problems(&mut browser.open(&sample.file(Form::Html), look)), NONE);
        }
    }
    for (from, to, look) in [
        ("<html lang=\"en\">", "<html>", LIGHT),
        ("--ink: #1a1a1a", "--ink: #dddddd", LIGHT),
        ("--ink: #ececec", "--ink: #333333", DARK),
        ("aria-label=\"Failing", "data-label=\"", LIGHT),
    ] {
        let page = changed(&FILES.file(Form::Html), from, to);
        assert_ne!(accessibility_problems(&mut browser.open(&page, look)), NONE, "{to}");
    }
}

#[test]
fn the_page_asks_for_nothing_and_says_nothing_to_the_console() {
    let mut browser = Browser::start();
    for sample in samples() {
        let page = browser.open(&sample.file(Form::Html), LIGHT);
        assert_eq!(page.side_effects(), NONE);
    }
    for (from, to) in [
        // With the policy a request is refused, which the console is told; without it, it is made.
        ("<main>", "<main><img src=\"x.png\" alt=\"\">"),
        ("default-src 'none'", "img-src 'self'"),
        ("<main>", "<main><script>1</script>"),
    ] {
        let page = changed(&FILES.file(Form::Html), from, to);
        let page = if from == "<main>" { page } else { changed(&page, "<main>", "<main><img src=\"x.png\" alt=\"\">") };
        assert_ne!(browser.open(&page, LIGHT).side_effects(), NONE, "{to}");
    }
}

#[test]
fn the_page_fits_a_narrow_screen() {
    let mut browser = Browser::start();
    for sample in samples() {
        assert_eq!(overhang(&mut browser.open(&sample.file(Form::Html), NARROW)), 0);
    }
    let wide = changed(&FILES.file(Form::Html), "<main>", "<main><p style=\"width: 330px\">x</p>");
    assert_ne!(overhang(&mut browser.open(&wide, NARROW)), 0);
}

#[test]
fn all_that_fails_is_on_paper() {
    let mut browser = Browser::start();
    for sample in [&*FILES, &*CLUSTER] {
        assert_eq!(missing_on_paper(&mut browser, sample, &sample.file(Form::Html)), NONE);
    }
    for hidden in ["@media print { article { display: none } }", "@media print { td { display: none } }"] {
        let page = changed(&FILES.file(Form::Html), "</style>", &format!("{hidden}</style>"));
        assert_ne!(missing_on_paper(&mut browser, &FILES, &page), NONE, "{hidden}");
    }
}

/// Nobody compares these; they lie beside the reports for whoever changes the page.
#[test]
fn pictures_are_taken_for_those_who_change_the_page() {
    let mut browser = Browser::start();
    for (look, name) in [(LIGHT, "light"), (DARK, "dark"), (NARROW, "narrow")] {
        for sample in [&*FILES, &*CLUSTER] {
            let file = sample.file(Form::Html);
            let picture = browser.open(&file, look).screenshot();
            assert!(picture.len() > 10_000 && picture.starts_with(b"\x89PNG"));
            fs::write(file.with_file_name(format!("{name}.png")), picture).unwrap();
        }
    }
}

/// What axe says is wrong, and that it has looked at all.
fn accessibility_problems(page: &mut Page<'_>) -> Vec<String> {
    let axe = fs::read_to_string(TOOLS.join("node_modules/axe-core/axe.min.js")).unwrap();
    page.evaluate(&format!("{axe};0"));
    let found = page.evaluate(
        "axe.run(document).then(found => ({passes: found.passes.map(rule => rule.id),
            violations: found.violations.flatMap(rule => rule.nodes.map(node => rule.id + ': ' + node.html)),
            incomplete: found.incomplete.flatMap(rule => rule.nodes.map(node => rule.id + ': ' + node.html))}))",
    );
    let passes = found["passes"].as_array().unwrap();
    assert!(passes.len() > 15, "{passes:?}");
    let problems = ["violations", "incomplete"].into_iter().flat_map(|part| found[part].as_array().unwrap());
    problems.map(|problem| problem.as_str().unwrap().to_owned()).collect()
}

/// By how many pixels the page is wider than the screen.
fn overhang(page: &mut Page<'_>) -> i64 {
    let wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    wide.as_i64().unwrap()
}

/// What fails and cannot be read on the page when it is printed: rule and path of each finding.
fn missing_on_paper(browser: &mut Browser, sample: &Sample, page: &Path) -> Vec<String> {
    let printed = page.with_extension("pdf");
    fs::write(&printed, browser.open(page, LIGHT).print()).unwrap();
    let found = check("pdf", &[&printed]);
    // Lines are broken wherever the paper ends.
    let text: String = found["text"].as_str().unwrap().split_whitespace().collect();
    let fails = |finding: &&Value| finding["outcome"] == "violated" || finding["outcome"] == "refused";
    // Rules have a list of their own at the end; fields stand with the findings alone. What a PDF has of hostile ones is
    // looked at elsewhere.
    let failing = sample.findings().filter(fails).flat_map(|finding| [&finding["rule"], &finding["path"]]);
    let is_plain = |said: &String| said.chars().all(|letter| letter.is_ascii_alphanumeric() || ".[]-".contains(letter));
    let mut failing: Vec<String> = failing.map(|said| said.as_str().unwrap().to_owned()).filter(is_plain).collect();
    failing.retain(|said| !text.contains(said.as_str()));
    failing
}

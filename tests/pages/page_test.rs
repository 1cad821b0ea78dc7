//! Pages are valid, accessible in light and dark, wide and narrow, the same without scripts, and do what they offer.

use std::fs;
use std::time::Duration;

use flamewarden::report::Form;
use serde_json::Value;

use crate::browser::{Browser, Look, Page};
use crate::checkers::{TOOLS, html_problems};
use crate::content::decide;
use crate::shown::Shown;

const NONE: [&str; 0] = [];
const LIGHT: Look = Look { scheme: "light", width: 1280 };
const NARROW: Look = Look { scheme: "light", width: 320 };

#[tokio::test(flavor = "multi_thread")]
async fn checkers_of_markup_and_of_access_have_nothing_to_say() {
    let shown = Shown::to_all().await;
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (number, address) in shown.pages().iter().enumerate() {
        let file = folder.path().join(format!("{number}.html"));
        fs::write(&file, got(address).await.2).unwrap();
        files.push(file);
    }
    let files: Vec<_> = files.iter().map(std::path::PathBuf::as_path).collect();
    assert_eq!(html_problems(&files), NONE);
    let mut browser = Browser::start();
    let axe = fs::read_to_string(TOOLS.join("node_modules/axe-core/axe.min.js")).unwrap();
    for address in shown.pages() {
        let looks = [LIGHT, Look { scheme: "dark", ..LIGHT }, NARROW];
        for look in looks {
            let mut page = browser.open_at(&address, look);
            assert_eq!(accessibility_problems(&mut page, &axe), NONE, "{address} {} {}", look.scheme, look.width);
            let wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert_eq!(page.evaluate(wide), 0, "{address} fits {}", look.width);
        }
    }
    // The checker sees what it is there for.
    let mut page = browser.open_at(&shown.address, LIGHT);
    page.evaluate("document.documentElement.removeAttribute('lang')");
    assert_ne!(accessibility_problems(&mut page, &axe), NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_the_same_without_scripts_and_by_keyboard_alone() {
    let shown = Shown::to_all().await;
    let mut browser = Browser::start();
    for address in shown.pages() {
        let mut page = browser.open_at(&address, LIGHT);
        let with = page.evaluate("document.body.textContent");
        page.scripts(false);
        page.go(&address);
        assert_eq!(page.evaluate("document.body.textContent"), with, "{address}");
        page.scripts(true);
    }
    let mut page = browser.open_at(&format!("{}/findings", shown.address), LIGHT);
    // The first thing that the keyboard comes to leads past what is the same on every page; everything else that does
    // something can be come to, and none of it is out of order.
    let order = page.evaluate(
        "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary')].map(e => e.tabIndex)",
    );
    assert!(order.as_array().unwrap().iter().all(|place| *place == 0), "{order}");
    let skip = "document.querySelector('a[href], button, input').getAttribute('href')";
    assert_eq!(page.evaluate(skip), "#main");
    page.evaluate("document.querySelector('.skip').click()");
    assert_eq!(page.evaluate("document.activeElement.id"), "main");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_live_in_the_address_and_pages_of_lists_hang_together() {
    let shown = Shown::to_all().await;
    let mut browser = Browser::start();
    let mut page = browser.open_at(&format!("{}/findings", shown.address), LIGHT);
    page.evaluate(
        "document.getElementById('namespace').value = 'flame'; document.getElementById('text').value = 'many-of'",
    );
    page.follow("document.querySelector('.filter button').click()");
    let address = page.evaluate("location.search");
    assert!(address.as_str().unwrap().contains("namespace=flame&kind=&text=many-of"), "{address}");
    let mut objects: Vec<String> = Vec::new();
    loop {
        let rows = page.evaluate(
            "[...document.querySelectorAll('.findings tbody tr td:nth-child(3)')].map(e => e.firstChild.textContent)",
        );
        objects.extend(rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap().to_owned()));
        if page.evaluate("document.querySelector('a[rel=next]') === null") == true {
            break;
        }
        page.follow("document.querySelector('a[rel=next]').click()");
    }
    objects.sort();
    let mut want: Vec<String> = (0..60).map(|number| format!("Pod flame/many-of-flame-{number}")).collect();
    want.sort();
    assert_eq!(objects, want, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_shown_as_they_happen() {
    let shown = Shown::to_all().await;
    let mut browser = Browser::start();
    let mut page = browser.open_at(&format!("{}/decisions", shown.address), LIGHT);
    let first = "document.querySelector('.decisions tbody tr td:nth-child(3)').firstChild.textContent";
    for name in ["one-more", "and-another", "<i class=injected>late</i>"] {
        decide(&shown.archive, name).await;
        let want = format!("CREATE pods flame/{name}");
        let mut seen = Value::Null;
        for _ in 0..100 {
            seen = page.evaluate(first);
            if seen == want.as_str() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(seen, want.as_str());
    }
    assert_eq!(page.evaluate("document.querySelectorAll('.injected').length"), 0);
    assert_eq!(page.evaluate("document.getElementById('live').textContent"), "1 new.");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_says_what_browsers_may_do_with_it() {
    let shown = Shown::to_all().await;
    let more = ["/style.css", "/decisions.js", "/report/csv", "/decisions/new?after=0", "/login", "/callback"];
    let more = more.map(|path| format!("{}{path}", shown.address));
    for address in shown.pages().iter().chain(&more) {
        let (_, headers, _) = got(address).await;
        let of = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        assert_eq!(
            of("content-security-policy"),
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
            "{address}"
        );
        let names = ["x-content-type-options", "referrer-policy", "cross-origin-opener-policy"];
        assert_eq!(names.map(of), ["nosniff", "no-referrer", "same-origin"], "{address}");
        let is_fixed = [".css", ".js"].iter().any(|end| address.ends_with(end));
        assert_eq!(of("cache-control"), if is_fixed { "public, max-age=300" } else { "no-store" }, "{address}");
    }
    let client = reqwest::Client::new();
    for (method, path, allow) in
        [("POST", "/", "GET, HEAD"), ("DELETE", "/findings", "GET, HEAD"), ("GET", "/logout", "POST")]
    {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = client.request(method, format!("{}{path}", shown.address)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, allow), "{path}");
    }
}

/// What is downloaded has what the filter wants, and says that it is not all.
#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_there_in_every_form() {
    let shown = Shown::to_all().await;
    for (form, name, media_type) in Form::ALL {
        let (status, headers, body) = got(&format!("{}/report/{name}", shown.address)).await;
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, *media_type), "{name}");
        let saved = headers["content-disposition"].to_str().unwrap();
        assert!(saved.starts_with("attachment; filename=\"flamewarden-audit."), "{saved}");
        assert!(body.contains("many-of-analyses-59") && body.contains("many-of-flame-0"), "{form}: {body}");
        assert!(!body.contains("gone-0"), "{form}");
    }
    let (_, _, body) = got(&format!("{}/report/json?namespace=flame&severity=critical", shown.address)).await;
    let report: Value = serde_json::from_str(&body).unwrap();
    let objects: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().map(|one| &one["object"]["namespace"]).collect();
    assert_eq!(objects, ["flame"]);
    assert!(
        body.contains("findings that the filter leaves out") && report["coverage"]["missed"] == 2,
        "{}",
        report["coverage"]
    );
}

/// Nobody compares these; they lie in the target's folder for whoever changes the pages.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_taken_for_those_who_change_the_pages() {
    let shown = Shown::to_all().await;
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    fs::create_dir_all(&folder).unwrap();
    let mut browser = Browser::start();
    for (name, path) in [
        ("overview", "/"),
        ("findings", "/findings"),
        ("analysis", "/analyses/flame/analysis-of-flame"),
        ("decisions", "/decisions"),
        ("exceptions", "/exceptions"),
    ] {
        for scheme in ["light", "dark"] {
            let picture = browser.open_at(&format!("{}{path}", shown.address), Look { scheme, ..LIGHT }).screenshot();
            assert!(picture.len() > 10_000 && picture.starts_with(b"\x89PNG"));
            fs::write(folder.join(format!("{name}-{scheme}.png")), picture).unwrap();
        }
    }
}

/// Status, headers and body.
pub(crate) async fn got(address: &str) -> (u16, reqwest::header::HeaderMap, String) {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = client.get(address).send().await.unwrap();
    (answer.status().as_u16(), answer.headers().clone(), answer.text().await.unwrap())
}

/// What axe says is wrong, and that it has looked at all.
fn accessibility_problems(page: &mut Page<'_>, axe: &str) -> Vec<String> {
    page.evaluate(&format!("{axe};0"));
    let found = page.evaluate(
        "axe.run(document).then(found => ({passes: found.passes.length,
            problems: [...found.violations, ...found.incomplete]
                .flatMap(rule => rule.nodes.map(node => rule.id + ': ' + node.html))
                .filter(problem => !problem.startsWith('color-contrast: <text '))}))",
    );
    // What stands in a drawing axe cannot tell from what it stands on.
    let drawn = page.evaluate(CONTRASTS);
    let faint = drawn.as_array().unwrap().iter().filter(|ratio| ratio.as_f64().unwrap() < 4.5).count();
    assert_eq!(faint, 0, "{drawn}");
    assert!(found["passes"].as_u64().unwrap() > 10, "{found}");
    found["problems"].as_array().unwrap().iter().map(|problem| problem.as_str().unwrap().to_owned()).collect()
}

/// The contrast of each text of a drawing to the box that it stands in, as WCAG 2.1 has it.
const CONTRASTS: &str = "(() => {
    const light = colour => {
        const parts = colour.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255);
        const [r, g, b] = parts.map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    return [...document.querySelectorAll('svg text')].map(text => {
        const box = text.parentElement.querySelector('rect');
        const [one, other] = [text, box].map(part => light(getComputedStyle(part).fill)).sort((a, b) => b - a);
        return (one + 0.05) / (other + 0.05);
    });
})()";

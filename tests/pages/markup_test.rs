//! What somebody else has written is text on every page, never markup, and asks for nothing.

use crate::browser::{Browser, Look};
use crate::content::MARK;
use crate::shown::Shown;

#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_markup_on_any_page() {
    let shown = Shown::to_all().await;
    let mut browser = Browser::start();
    for address in shown.pages() {
        let mut page = browser.open_at(&address, LIGHT);
        assert_eq!(page.evaluate(INJECTED), 0, "{address}");
        let title = page.evaluate("document.title");
        assert!(!title.as_str().unwrap().contains("injected") || title.as_str().unwrap().contains("class"), "{title}");
        let loaded = [format!("{}/style.css", shown.address), format!("{}/decisions.js", shown.address)];
        let others: Vec<String> = page
            .side_effects()
            .into_iter()
            .filter(|one| !loaded.iter().any(|own| one.contains(own.as_str())) && !one.contains("/decisions/new?"))
            .filter(|one| !(address.ends_with("/nowhere") && one.contains("404")))
            .collect();
        assert_eq!(others, [""; 0], "{address}");
    }
    // Each of these is shown on a page, as it is.
    for (path, texts) in [
        ("/", vec!["rule", "covers", "owner", "problem", "file"]),
        ("/findings", vec!["rule", "spec.path", "value of flame", "message", "remedy"]),
        ("/findings?text=%3Cb", vec!["value of analyses"]),
        ("/exceptions", vec!["profile", "from", "covers", "owner", "reason"]),
        ("/decisions", vec!["decided-of-flame", "user", "decided-by", "gap"]),
        ("/analyses", vec!["Running"]),
        (
            "/analyses/flame/analysis-of-flame",
            vec!["analysis-of-flame-0", "harbor.example/node/of-flame:1", "open", "x="],
        ),
    ] {
        let mut page = browser.open_at(&format!("{}{path}", shown.address), LIGHT);
        let text = page.evaluate("document.body.textContent");
        for one in texts {
            // A page may cut what is long.
            let want = format!("{one}{}", &MARK[..18]);
            assert!(text.as_str().unwrap().contains(&want), "{path} shows {want}: {text}");
        }
    }
    // What is asked for comes back in the form, and is text there, too.
    let asked = format!(
        "{}/findings?text=%22%3E%3Cb%20class%3Dinjected%3E&rule=%3Cscript%3E&namespace=%3Cb%20class%3Dinjected%3E",
        shown.address
    );
    let mut page = browser.open_at(&asked, LIGHT);
    assert_eq!(page.evaluate(INJECTED), 0);
    assert_eq!(page.evaluate("document.getElementById('text').value"), "\"><b class=injected>");
    // The same texts are elements where a page is told so: the test sees that.
    let put = format!("document.body.insertAdjacentHTML('beforeend', {}); {INJECTED}", serde_json::json!(MARK));
    assert_ne!(page.evaluate(&put), 0);
}

const LIGHT: Look = Look { scheme: "light", width: 1280 };
const INJECTED: &str = "document.querySelectorAll('.injected, img, body script, iframe, object').length";

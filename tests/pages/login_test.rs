//! People log in by a real Keycloak in a real browser; nobody sees anything without, and nobody what their role does not have.

use std::fs;
use std::sync::Arc;

use serde_json::Value;

use crate::browser::{Browser, Look, Page};
use crate::content::NAMESPACES;
use crate::page_test::got;
use crate::people::{ADA, BEN, CLO, FLAME_GROUP, GROUP, PAGES, PAGES_SECRET, PEOPLE, Person, people_realm};
use crate::server::{Server, flame_realm};
use crate::shown::{Port, Shown, policies};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_logged_in_sees_what_their_role_has_and_nobody_else_anything() {
    let port = Port::bound().await;
    let server = Server::start(&[people_realm(&port.address), flame_realm(&[])]).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("client-secret");
    fs::write(&secret, format!("{PAGES_SECRET}\n")).unwrap();
    let issuer = server.address().below(&["realms", PEOPLE]).as_str().to_owned();
    let settings = |flame: &str| {
        format!(
            "    oidc: {{issuer: '{issuer}', clientId: {PAGES}, clientSecretFile: '{}'}}\n    roles:\n      \
             - {{name: security, groups: [{GROUP}], namespaces: ['*']}}\n      \
             - {{name: flame, groups: [{FLAME_GROUP}], namespaces: [{flame}]}}\n",
            secret.display()
        )
    };
    let shown = Shown::start(port, &settings("flame")).await;
    nothing_without_login(&shown).await;

    // Everything.
    let mut browser = Browser::start();
    let mut page = browser.open_at(&format!("{}/findings?text=many-of-analyses", shown.address), LIGHT);
    log_in(&mut page, &ADA);
    assert_eq!(
        page.evaluate("location.pathname + location.search"),
        "/findings?text=many-of-analyses",
        "the page wanted"
    );
    assert_eq!(count(&mut page), 50);
    for namespace in NAMESPACES {
        assert!(seen(&mut page, &shown).contains(&format!("value of {namespace}")), "{namespace}");
    }
    let everything = seen(&mut page, &shown);
    for told in OF_THE_CLUSTER {
        assert!(everything.contains(told), "{told}");
    }
    log_out(&mut page, &shown).await;

    // One namespace, and nothing of another one or of the whole cluster, wherever one looks.
    let mut browser = Browser::start();
    let mut page = browser.open_at(&shown.address, LIGHT);
    log_in(&mut page, &CLO);
    let everything = seen(&mut page, &shown);
    assert!(everything.contains("value of flame") && everything.contains("decided-of-flame"), "{everything}");
    for foreign in OF_THE_CLUSTER.iter().chain(&["of-analyses", "of analyses"]) {
        assert!(
            !everything.contains(foreign),
            "{foreign} is nothing that the role has: {}",
            around(&everything, foreign)
        );
    }
    for path in ["/findings?namespace=analyses", "/findings?namespace=(cluster)", "/findings?text=of-analyses"] {
        page.go(&format!("{}{path}", shown.address));
        assert_eq!(count(&mut page), 0, "{path}");
    }

    // Roles are those of the policies in force: a change is felt at once.
    shown.policies.store(Arc::new(policies(&shown.address, &settings("analyses"))));
    let everything = seen(&mut page, &shown);
    assert!(everything.contains("value of analyses") && !everything.contains("value of flame"), "{everything}");
    // What another provider has told counts for nothing.
    let cookies: Vec<String> = page.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let elsewhere = settings("analyses").replace(&issuer, "https://idp.example.org");
    shown.policies.store(Arc::new(policies(&shown.address, &elsewhere)));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let asked = client.get(&shown.address).header("cookie", cookies.join("; ")).send().await.unwrap();
    assert_eq!((asked.status().as_u16(), &asked.headers()["location"]), (303, &"/login?to=%2F".parse().unwrap()));
    shown.policies.store(Arc::new(policies(&shown.address, &settings("flame"))));
    nothing_without_role(&shown);
}

/// Every page and file is behind the login, and says nothing before.
async fn nothing_without_login(shown: &Shown) {
    let files = flamewarden::report::Form::ALL.iter().map(|(_, name, _)| format!("{}/report/{name}", shown.address));
    let new = format!("{}/decisions/new?after=0", shown.address);
    let pages = shown.pages().into_iter().filter(|page| !page.ends_with("/nowhere"));
    for address in pages.chain(files).chain([new]) {
        let (status, headers, body) = got(&address).await;
        assert_eq!((status, body.as_str()), (303, ""), "{address}");
        assert!(headers["location"].to_str().unwrap().starts_with("/login?to=%2F"), "{address}");
    }
    let forged = reqwest::Client::new();
    for cookie in ["flamewarden=x", "flamewarden=", "flamewarden=../../x; flamewarden=y", "__Host-flamewarden=x"] {
        let asked = forged.get(format!("{}/report/csv", shown.address)).header("cookie", cookie);
        let answer = asked.send().await.unwrap();
        assert!(!answer.text().await.unwrap().contains("many-of"), "{cookie}");
    }
    // A login that did not begin here comes to nothing.
    for query in ["", "?code=x", "?code=x&state=y", "?error=access_denied&state=y"] {
        let (status, headers, body) = got(&format!("{}/callback{query}", shown.address)).await;
        assert_eq!(status, 400, "{query}: {body}");
        assert!(headers.get("set-cookie").is_none(), "{query}");
    }
    // Nobody is sent elsewhere after the login.
    let (status, headers, _) = got(&format!("{}/login?to=https://evil.example/", shown.address)).await;
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(status == 303 && !cookie.contains("evil"), "{cookie}");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
}

/// Whoever has logged in and has no role sees nothing, and has no session.
fn nothing_without_role(shown: &Shown) {
    let mut browser = Browser::start();
    let mut page = browser.open_at(&shown.address, LIGHT);
    log_in(&mut page, &BEN);
    assert_eq!(page.evaluate("document.querySelector('h1').textContent"), "No role");
    let kept = page.cookies().into_iter().filter(|(name, _)| name.starts_with("flamewarden")).count();
    assert_eq!(kept, 0, "and no session");
    let everything = seen(&mut page, shown);
    for namespace in NAMESPACES {
        assert!(!everything.contains(&format!("of {namespace}")) && !everything.contains(&format!("of-{namespace}")));
    }
}

fn log_in(page: &mut Page<'_>, person: &Person) {
    assert_eq!(page.evaluate("document.getElementById('kc-login') !== null"), true, "Keycloak asks who it is");
    let Person { name, password, .. } = person;
    page.follow(&format!(
        "document.getElementById('username').value = '{name}'; document.getElementById('password').value = '{password}'; \
         document.getElementById('kc-login').click()"
    ));
}

/// The session is over, here and on the server: what the browser had before is worth nothing.
async fn log_out(page: &mut Page<'_>, shown: &Shown) {
    let had = page.cookies();
    assert!(had.iter().any(|(name, _)| name == "flamewarden"), "{had:?}");
    // Another site ends nobody's session.
    let cookies: Vec<String> = had.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let elsewhere =
        reqwest::Client::new().post(format!("{}/logout", shown.address)).header("sec-fetch-site", "cross-site");
    assert_eq!(elsewhere.header("cookie", cookies.join("; ")).send().await.unwrap().status().as_u16(), 403);
    page.go(&shown.address);
    page.follow("document.querySelector('.who button').click()");
    assert_eq!(page.evaluate("document.querySelector('h1').textContent"), "Logged out");
    let asked =
        reqwest::Client::new().get(format!("{}/report/csv", shown.address)).header("cookie", cookies.join("; "));
    assert!(!asked.send().await.unwrap().text().await.unwrap().contains("many-of"));
    let link = page.evaluate("document.querySelector('main a').href");
    assert!(link.as_str().unwrap().contains("/protocol/openid-connect/logout"), "{link}");
    // There, too: Keycloak asks, sends the browser back, and wants a password again.
    page.follow("document.querySelector('main a').click()");
    page.follow("document.getElementById('kc-logout').click()");
    assert_eq!(page.evaluate("document.getElementById('kc-login') !== null"), true, "at the login again");
}

/// All that every page and file says to who is logged in there; what leads to the login says nothing.
fn seen(page: &mut Page<'_>, shown: &Shown) -> String {
    let files = flamewarden::report::Form::ALL.iter().map(|(_, name, _)| format!("/report/{name}"));
    let pages = shown.pages().into_iter().map(|address| address.replace(&shown.address, ""));
    let paths: Vec<String> = pages.chain(files).chain(["/decisions/new?after=0".to_owned()]).collect();
    page.go(&format!("{}/style.css", shown.address));
    let all = page.evaluate(&format!(
        "Promise.all({}.map(path => fetch(path).then(answer => answer.text()).catch(() => ''))).then(all => all.join('\\n'))",
        serde_json::json!(paths)
    ));
    // Pages say `<` as `&#60;`.
    all.as_str().unwrap().replace("&#60;", "<").replace("&lt;", "<")
}

/// Rows of findings on the page.
fn count(page: &mut Page<'_>) -> Value {
    page.evaluate("document.querySelectorAll('.findings tbody tr').length")
}

fn around(text: &str, part: &str) -> String {
    let at = text.find(part).unwrap_or_default();
    text.chars().skip(at.saturating_sub(300)).take(600).collect()
}

/// What is told of the whole cluster, or of no namespace.
const OF_THE_CLUSTER: [&str; 6] = ["-of--", "value of <", "owner<", "problem<", "profile<", "gap<"];
const LIGHT: Look = Look { scheme: "light", width: 1280 };

//! Plays a browser at Keycloak's own pages: keeps cookies, fills in the form, and stops where it would leave Keycloak.

use std::collections::BTreeMap;

use flamewarden::model::Secret;
use flamewarden::remote::{Address, Answer, Content, Question};
use http::{HeaderMap, HeaderValue, Method, header};
use regex::Regex;

use crate::people::Person;
use crate::server::remote;

/// One browser; another one knows nothing of it.
pub(crate) struct Browser {
    keycloak: Address,
    cookies: BTreeMap<String, String>,
}

/// Where a browser has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// A page of Keycloak's, such as the form.
    Page(String),
    /// Sent away from there, to this address.
    Away(String),
}

impl Browser {
    pub(crate) fn new(keycloak: Address) -> Self {
        Browser { keycloak, cookies: BTreeMap::new() }
    }

    /// Goes to an address of Keycloak's.
    pub(crate) async fn go(&mut self, address: &str) -> At {
        self.ask(Method::GET, address, Content::Nothing).await
    }

    /// Goes there and fills in the form, with this password.
    pub(crate) async fn log_in(&mut self, address: &str, person: &Person, password: &str) -> At {
        let At::Page(page) = self.go(address).await else { panic!("{address}: no form") };
        let form = Regex::new(r#"<form id="kc-form-login"[^>]* action="([^"]+)""#).unwrap();
        let action = form.captures(&page).unwrap_or_else(|| panic!("no form in {page}"))[1].replace("&amp;", "&");
        let (name, password) = (Secret::new(person.name), Secret::new(password));
        let form = [("username", &name), ("password", &password), ("credentialId", &Secret::new(""))];
        self.ask(Method::POST, &action, Content::Form(&form)).await
    }

    async fn ask(&mut self, method: Method, address: &str, content: Content<'_>) -> At {
        let shown: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(shown.join("; ")).unwrap())]);
        let address = self.keycloak.led_to(address).unwrap();
        assert_eq!(address.origin(), self.keycloak.origin(), "nothing but Keycloak is asked");
        let question = Question { method, address, bearer: None, content, longest: LONGEST };
        let answer = remote().ask_with(question, headers).await.unwrap();
        self.keep(&answer);
        match (answer.status, answer.header("location")) {
            (200 | 400, None) => At::Page(String::from_utf8_lossy(answer.bytes()).into_owned()),
            (302 | 303, Some(location)) => At::Away(location.to_owned()),
            (status, _) => panic!("{status}: {}", String::from_utf8_lossy(answer.bytes())),
        }
    }

    fn keep(&mut self, answer: &Answer) {
        for cookie in answer.headers("set-cookie") {
            let (pair, rest) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if rest.to_lowercase().contains("max-age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

const LONGEST: usize = 4 * 1024 * 1024;

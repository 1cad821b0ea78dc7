//! What stands around every page, and pages that say one thing. Pure.

use askama::Template;

use super::access::{Access, Visitor};
use super::answer::Answer;
use crate::model::one_line;

/// What stands around a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    /// Whether the other pages are named.
    pub(super) has_pages: bool,
    /// Who looks; empty where nobody logs in.
    pub(super) name: String,
    /// With which roles, and what they see.
    pub(super) roles: String,
    /// Whether one can log out.
    pub(super) may_log_out: bool,
}

/// The pages that have a place in the frame: where, and what they are called.
pub(super) const PAGES: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/findings", "Findings"),
    ("/analyses", "Analyses"),
    ("/decisions", "Decisions"),
    ("/exceptions", "Exceptions"),
];

impl Frame {
    /// For somebody with what they may see.
    pub(super) fn of(visitor: &Visitor, access: &Access, may_log_out: bool) -> Self {
        let within = access.within.as_ref();
        let seen = within.map(|names| names.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
        let seen = seen.map_or_else(|| "everything".to_owned(), |names| format!("namespaces {names}"));
        let roles = one_line(&format!("{}: {seen}", access.roles.join(", ")), LONGEST);
        Frame { has_pages: true, name: one_line(&visitor.name, LONGEST), roles, may_log_out }
    }

    /// For somebody who has logged in and may see nothing.
    pub(super) fn of_nobody(visitor: &Visitor) -> Self {
        Frame { has_pages: false, name: one_line(&visitor.name, LONGEST), roles: String::new(), may_log_out: true }
    }
}

/// What a page says that says one thing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    title: &'static str,
    text: &'static str,
    /// Where to go on, and what that is called.
    next: Option<(&'static str, &'static str)>,
}

impl Told {
    pub(super) const NO_PAGE: Told =
        Told { title: "No such page", text: "There is nothing here, or nothing that you may see.", next: START };
    pub(super) const OTHER_METHOD: Told =
        Told { title: "Method not allowed", text: "Open this page by its link.", next: START };
    pub(super) const NO_PAGES: Told =
        Told { title: "Pages are switched off", text: "The policies in force have no section pages.", next: None };
    pub(super) const NO_ROLE: Told = Told {
        title: "No role",
        text: "You have logged in, and none of your groups has a role here. Whoever writes the policies can give it one.",
        next: None,
    };
    pub(super) const OTHER_SITE: Told =
        Told { title: "Not from there", text: "Another site asked for this. Use the button on the page.", next: START };
    pub(super) const NO_LOGIN: Told = Told {
        title: "Not logged in",
        text: "What came back from the identity provider is no login that began here, or it took longer than ten minutes.",
        next: AGAIN,
    };
    pub(super) const NOT_LOGGED_IN: Told =
        Told { title: "Not logged in", text: "The identity provider has not logged you in.", next: AGAIN };
    pub(super) const NO_PROVIDER: Told = Told {
        title: "Nobody can log in now",
        text: "The identity provider cannot be asked, or is not set up as it should be. The controller's log says why.",
        next: AGAIN,
    };
    pub(super) const BROKEN: Told =
        Told { title: "Broken off", text: "The page broke off. The controller's log says why.", next: START };
    pub(super) const AWAY: Told = Told {
        title: "Cannot be shown now",
        text: "What the page would tell cannot be read. Nobody knows how it stands. The controller's log says why.",
        next: START,
    };
}

#[derive(Template)]
#[template(path = "pages/told.html")]
struct Page {
    frame: Frame,
    told: Told,
}

#[derive(Template)]
#[template(path = "pages/logged_out.html")]
struct LoggedOut<'a> {
    frame: Frame,
    /// Where one logs out of the provider, too.
    provider: Option<&'a str>,
}

/// For somebody whose session has ended here.
pub(super) fn logged_out(provider: Option<&str>) -> Answer {
    let page = LoggedOut { frame: Frame::default(), provider };
    Answer::page(200, page.render().unwrap_or_default())
}

/// A page for anybody.
pub(super) fn told(status: u16, told: Told) -> Answer {
    told_within(status, told, Frame::default())
}

/// A page for somebody who is logged in.
pub(super) fn told_within(status: u16, told: Told, frame: Frame) -> Answer {
    let page = Page { frame, told };
    // Its texts are ours; a page without them would say as much.
    Answer::page(status, page.render().unwrap_or_default())
}

/// None of the pages that have a place in the frame.
const HERE: &str = "";
const AGAIN: Option<(&str, &str)> = Some(("/login", "Log in"));
const START: Option<(&str, &str)> = Some(("/", "To the overview"));
const LONGEST: usize = 200;

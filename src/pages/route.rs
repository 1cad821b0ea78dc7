//! Which page a path means. Pure.

use percent_encoding::percent_decode_str;

use crate::report::Form;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// How everything stands.
    Overview,
    /// What was found.
    Findings,
    /// Analyses that have pods.
    Analyses,
    /// One of them.
    Analysis {
        /// Its namespace.
        namespace: String,
        /// Its `app`.
        app: String,
    },
    /// What the webhook decided.
    Decisions,
    /// What it has decided since, for the script.
    NewDecisions,
    /// What stands although a rule says otherwise.
    Exceptions,
    /// The report of what was found.
    Report(Form),
    /// How it all looks.
    Style,
    /// Shows decisions as they happen.
    Script,
    /// To the provider of logins.
    Login,
    /// Back from there.
    Callback,
    /// The end of the session.
    Logout,
}

impl Route {
    /// The route of a path.
    pub(super) fn of(path: &str) -> Option<Route> {
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        match parts.as_slice() {
            [""] => Some(Route::Overview),
            ["findings"] => Some(Route::Findings),
            ["analyses"] => Some(Route::Analyses),
            ["analyses", namespace, app] => {
                Some(Route::Analysis { namespace: decoded(namespace)?, app: decoded(app)? })
            }
            ["decisions"] => Some(Route::Decisions),
            ["decisions", "new"] => Some(Route::NewDecisions),
            ["exceptions"] => Some(Route::Exceptions),
            ["report", form] => Form::named(form).map(Route::Report),
            ["style.css"] => Some(Route::Style),
            ["decisions.js"] => Some(Route::Script),
            ["login"] => Some(Route::Login),
            ["callback"] => Some(Route::Callback),
            ["logout"] => Some(Route::Logout),
            _ => None,
        }
    }

    /// Whether it reads whole namespaces, or all that was found.
    pub(super) fn is_heavy(&self) -> bool {
        matches!(self, Route::Analyses | Route::Analysis { .. } | Route::Report(_))
    }

    /// The methods that it has, as the header `Allow` tells them.
    pub(super) fn methods(&self) -> &'static [&'static str] {
        match self {
            Route::Logout => &["POST"],
            _ => &["GET", "HEAD"],
        }
    }
}

fn decoded(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8().ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_page_or_none() {
        let analysis =
            |namespace: &str, app: &str| Some(Route::Analysis { namespace: namespace.to_owned(), app: app.to_owned() });
        for (path, want) in [
            ("/", Some(Route::Overview)),
            ("/findings", Some(Route::Findings)),
            ("/findings/", None),
            ("/analyses/flame/analysis-1-0", analysis("flame", "analysis-1-0")),
            ("/analyses/fl%41me/a%2Fb", analysis("flAme", "a/b")),
            ("/analyses/flame/%ff", None),
            ("/analyses/flame/", None),
            ("/analyses/flame/a/b", None),
            ("/report/csv", Some(Route::Report(Form::Csv))),
            ("/report/pdf", None),
            ("/decisions/new", Some(Route::NewDecisions)),
            ("//findings", None),
            ("", None),
            ("*", None),
            ("/../etc/passwd", None),
        ] {
            assert_eq!(Route::of(path), want, "{path}");
        }
    }
}

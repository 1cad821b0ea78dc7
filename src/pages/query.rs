//! What stands behind the question mark: filters of lists, which live in the address. Pure.

use std::collections::BTreeMap;

use form_urlencoded::{Serializer, parse};

use crate::archive::{FindingFilter, Which};
use crate::model::Severity;
use crate::pages::access::Access;

/// Names with their values; of a name that stands there twice the last, and none that is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// Reads what stands behind the question mark.
    pub(super) fn of(text: Option<&str>) -> Self {
        let pairs = parse(text.unwrap_or_default().as_bytes()).take(PAIRS);
        let pairs = pairs.map(|(name, value)| (name.into_owned(), value.trim().to_owned()));
        Query(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of a name; empty where it does not stand there.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The number that stands there, within these bounds.
    pub(super) fn number(&self, name: &str, usual: u32, most: u32) -> u32 {
        self.get(name).parse().map_or(usual, |number: u32| number.min(most))
    }

    /// The same with another value, as it stands in an address: with the question mark, where there is anything.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let mut query = self.clone();
        query.0.insert(name.to_owned(), value.to_owned());
        query.text()
    }

    /// The same without these names.
    pub(super) fn without(&self, names: &[&str]) -> String {
        let mut query = self.clone();
        query.0.retain(|name, _| !names.contains(&name.as_str()));
        query.text()
    }

    fn text(&self) -> String {
        let pairs = self.0.iter().filter(|(_, value)| !value.is_empty());
        let text = Serializer::new(String::new()).extend_pairs(pairs).finish();
        if text.is_empty() { text } else { format!("?{text}") }
    }
}

/// Which findings are wanted, of those that somebody may see.
pub(super) fn finding_filter(query: &Query, access: &Access) -> FindingFilter {
    let said = |name: &str| Some(query.get(name).to_owned()).filter(|value| !value.is_empty());
    let run = |name: &str| query.get(name).parse().ok().filter(|run: &i64| *run > 0);
    let which = match (run("new"), run("fixed"), query.get("show")) {
        (Some(run), ..) => Which::NewIn(run),
        (_, Some(run), _) => Which::FixedIn(run),
        (_, _, "all") => Which::Standing,
        _ => Which::Failing,
    };
    let least = Severity::ALL.iter().copied().find(|severity| severity.word() == query.get("severity"));
    // The whole cluster has no name.
    let namespace = said("namespace").map(|name| if name == CLUSTER { String::new() } else { name });
    FindingFilter {
        which,
        least,
        rule: said("rule"),
        namespace,
        kind: said("kind"),
        text: said("text"),
        within: access.within.clone(),
    }
}

/// As the address calls what is of no namespace; no namespace is called so.
pub(super) const CLUSTER: &str = "(cluster)";
const PAIRS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_lives_in_the_address() {
        let query = Query::of(Some("text=a+b%26c&rule=&severity=high&page=3&rule=labels"));
        assert_eq!((query.get("text"), query.get("rule"), query.get("none")), ("a b&c", "labels", ""));
        assert_eq!((query.number("page", 1, 2), query.number("text", 1, 9)), (2, 1));
        assert_eq!(query.with("page", "4"), "?page=4&rule=labels&severity=high&text=a+b%26c");
        assert_eq!(query.without(&["page", "text", "rule", "severity"]), "");
        let filter = finding_filter(&query, &Access::everything());
        assert_eq!((filter.which, filter.least), (Which::Failing, Some(Severity::High)));
        assert_eq!((filter.rule.as_deref(), filter.text.as_deref()), (Some("labels"), Some("a b&c")));
    }

    #[test]
    fn nobody_asks_for_more_than_they_may_see() {
        let within: Option<std::collections::BTreeSet<_>> = Some(["a".to_owned()].into());
        let access = Access { roles: Vec::new(), within: within.clone() };
        for (text, which, namespace) in [
            ("namespace=b", Which::Failing, Some("b")),
            ("namespace=(cluster)&show=all", Which::Standing, Some("")),
            ("new=7&show=all", Which::NewIn(7), None),
            ("fixed=7", Which::FixedIn(7), None),
            ("fixed=-7&within=", Which::Failing, None),
        ] {
            let filter = finding_filter(&Query::of(Some(text)), &access);
            assert_eq!((filter.which, filter.namespace.as_deref()), (which, namespace), "{text}");
            assert_eq!(filter.within, within, "{text}");
        }
    }
}

//! What fails newly, as far as one process can know it. Pure.

use std::collections::{BTreeMap, HashSet};

use crate::report::{Entry, Fingerprint, Object, Report};

/// What failed when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct News {
    known: Option<BTreeMap<Fingerprint, Object>>,
}

impl News {
    /// What fails in this report and did not before. At first nothing: what failed before this process looked, others
    /// may have told. What an audit has missed is remembered, and is not new when it is seen again.
    pub(super) fn take<'r>(&mut self, report: &'r Report, judged: &HashSet<Object>) -> Vec<&'r Entry> {
        let failing: BTreeMap<Fingerprint, &Entry> = report.failing().map(|one| (one.fingerprint(), one)).collect();
        let before = self.known.take();
        let is_new = |print: &Fingerprint| before.as_ref().is_some_and(|before| !before.contains_key(print));
        let new = failing.iter().filter(|(print, _)| is_new(print)).map(|(_, entry)| *entry).collect();
        let judged: HashSet<Named<'_>> = judged.iter().map(named).collect();
        let missed = |object: &Object| !report.coverage.is_whole() && !judged.contains(&named(object));
        let mut known: BTreeMap<Fingerprint, Object> =
            before.unwrap_or_default().into_iter().filter(|(_, object)| missed(object)).collect();
        known.extend(failing.into_iter().map(|(print, entry)| (print, (*entry.object).clone())));
        self.known = Some(known);
        new
    }
}

/// By which an object is the same, made anew or in another version.
type Named<'o> = (&'o str, &'o str, &'o str, &'o str);

fn named(object: &Object) -> Named<'_> {
    (object.group(), &object.kind, &object.namespace, &object.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auditor::continuous::tests::{object, report};

    #[test]
    fn what_failed_before_or_was_not_looked_at_is_not_new() {
        let mut news = News::default();
        for (what, failing, missed, judged, new) in [
            ("the first audit takes stock", vec!["a"], 0, vec!["a", "b"], vec![]),
            ("another fails", vec!["a", "b"], 0, vec!["a", "b"], vec!["b"]),
            ("nobody could look", vec![], 1, vec![], vec![]),
            ("one was looked at and is fixed", vec![], 1, vec!["a"], vec![]),
            ("both fail again", vec!["a", "b"], 0, vec!["a", "b"], vec!["a"]),
            ("both are fixed", vec![], 0, vec!["a", "b"], vec![]),
            ("one fails again", vec!["b"], 0, vec!["a", "b"], vec!["b"]),
        ] {
            let judged = judged.into_iter().map(object).collect();
            let report = report(&failing, missed);
            let names: Vec<&str> =
                news.take(&report, &judged).into_iter().map(|one| one.object.name.as_str()).collect();
            assert_eq!(names, new, "{what}");
        }
    }
}

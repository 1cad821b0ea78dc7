//! When authority and certificate are made anew, so that whoever trusts the one can always reach the other.
//!
//! A new authority is published next to the old one first; only when everybody can know it does it
//! sign, and only when everybody can serve what it signed is the old one forgotten.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

/// From when to when a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// First moment.
    pub not_before: Timestamp,
    /// Last moment.
    pub not_after: Timestamp,
}

/// Our own authority, its certificate, and those that came before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The authority that signs; none before the first time.
    pub authority: Option<Authority>,
    /// Certificates of authorities whose signatures may still be served, PEM.
    pub former: Vec<String>,
    /// What is served.
    pub leaf: Option<Leaf>,
}

/// An authority with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
    /// Its subject, which no other authority of ours has.
    pub subject: String,
    /// When it is good.
    pub term: Term,
}

/// A serving certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
    /// The subject of the authority that signed it.
    pub issuer: String,
    /// Names and addresses that it stands for.
    pub names: BTreeSet<String>,
    /// When it is good.
    pub term: Term,
}

/// What is to be done about a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// All is good.
    Nothing,
    /// The authority signs a new certificate.
    Leaf,
    /// A new authority is published next to the old one; what is served stays.
    Authority,
    /// Nothing that is there can be served: a new authority, and a certificate of it at once.
    Everything,
    /// Former authorities need not be trusted any more.
    Forget,
}

/// Says what is to be done, for a certificate that stands for these names.
pub fn plan_renewal(now: Timestamp, bundle: &Bundle, names: &BTreeSet<String>) -> Renewal {
    let leaf = bundle.leaf.as_ref().filter(|leaf| leaf.term.holds(now) && leaf.names == *names);
    let Some(authority) = bundle.authority.as_ref().filter(|authority| authority.term.holds(now)) else {
        return Renewal::Everything;
    };
    let Some(leaf) = leaf else { return Renewal::Leaf };
    if authority.term.is_due(now) {
        return Renewal::Authority;
    }
    let settled = |term: Term| now >= term.not_before + BACKDATED + SETTLING;
    let from_it = leaf.issuer == authority.subject;
    if (leaf.term.is_due(now) || !from_it) && (from_it || settled(authority.term)) {
        return Renewal::Leaf;
    }
    if from_it && !bundle.former.is_empty() && settled(leaf.term) {
        return Renewal::Forget;
    }
    Renewal::Nothing
}

impl Bundle {
    /// What callers must trust: `ca.crt`, and the `caBundle` of webhook configurations.
    pub fn trusted(&self) -> String {
        let own = self.authority.iter().map(|authority| authority.certificate.as_str());
        own.chain(self.former.iter().map(String::as_str)).collect()
    }
}

impl Term {
    /// A term that begins now, a little back-dated for clocks that are behind.
    pub fn starting(now: Timestamp, length: SignedDuration) -> Self {
        Term { not_before: now - BACKDATED, not_after: now + length }
    }

    fn holds(self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// Whether a third or less is left.
    fn is_due(self, now: Timestamp) -> bool {
        let (whole, left) = (self.not_after.duration_since(self.not_before), self.not_after.duration_since(now));
        left <= whole / 3
    }
}

/// How long an authority lasts.
pub(super) const AUTHORITY: SignedDuration = SignedDuration::from_hours(5 * 365 * 24);
/// How long a serving certificate lasts.
pub(super) const LEAF: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How long a client certificate lasts.
pub(super) const CLIENT: SignedDuration = SignedDuration::from_hours(2);
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);
/// Until everybody knows a new authority, or serves a new certificate: API servers take seconds, kubelets two minutes.
const SETTLING: SignedDuration = SignedDuration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(days * 24)
    }

    fn authority(subject: &str, begun: i64) -> Authority {
        let term = Term::starting(days(begun), AUTHORITY);
        Authority { certificate: subject.to_owned(), key: String::new(), subject: subject.to_owned(), term }
    }

    fn leaf(issuer: &str, begun: i64) -> Leaf {
        let term = Term::starting(days(begun), LEAF);
        let names = ["web".to_owned()].into();
        Leaf { certificate: String::new(), key: String::new(), issuer: issuer.to_owned(), names, term }
    }

    fn bundle(own: &Authority, former: &[&str], leaf: &Leaf) -> Bundle {
        let former = former.iter().map(|former| (*former).to_owned()).collect();
        Bundle { authority: Some(own.clone()), former, leaf: Some(leaf.clone()) }
    }

    #[test]
    fn every_state_has_its_renewal() {
        let (old, new) = (authority("old", 0), authority("new", 1220));
        let names: BTreeSet<String> = ["web".to_owned()].into();
        let nothing_yet = Bundle { authority: Some(old.clone()), ..Bundle::default() };
        for (what, day, bundle, want) in [
            ("there is nothing", 0, Bundle::default(), Renewal::Everything),
            ("there is no leaf", 0, nothing_yet, Renewal::Leaf),
            ("fresh", 1, bundle(&old, &[], &leaf("old", 0)), Renewal::Nothing),
            ("a third is left just not", 59, bundle(&old, &[], &leaf("old", 0)), Renewal::Nothing),
            ("a third is left", 61, bundle(&old, &[], &leaf("old", 0)), Renewal::Leaf),
            ("the leaf has ended", 91, bundle(&old, &[], &leaf("old", 0)), Renewal::Leaf),
            ("the authority is due", 1220, bundle(&old, &[], &leaf("old", 1200)), Renewal::Authority),
            ("the authority is new", 1220, bundle(&new, &["old"], &leaf("old", 1200)), Renewal::Nothing),
            (
                "the authority is new and the leaf due",
                1220,
                bundle(&new, &["old"], &leaf("old", 1150)),
                Renewal::Nothing,
            ),
            ("the authority is known", 1221, bundle(&new, &["old"], &leaf("old", 1200)), Renewal::Leaf),
            ("the new leaf is new", 1221, bundle(&new, &["old"], &leaf("new", 1221)), Renewal::Nothing),
            ("the new leaf is served", 1222, bundle(&new, &["old"], &leaf("new", 1221)), Renewal::Forget),
            ("all has ended", 4000, bundle(&new, &[], &leaf("new", 1221)), Renewal::Everything),
        ] {
            assert_eq!(plan_renewal(days(day), &bundle, &names), want, "{what}");
        }
        let renamed: BTreeSet<String> = ["other".to_owned()].into();
        assert_eq!(plan_renewal(days(1), &bundle(&old, &[], &leaf("old", 0)), &renamed), Renewal::Leaf);
    }
}

//! Which rights open a way round admission, where, and how bad that is. Pure.

use serde_json::Value;

use super::access::Trusted;
use crate::model::Severity;

/// One way.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) id: &'static str,
    /// What one may do: `may …`.
    pub(crate) what: &'static str,
    /// What comes of it.
    pub(crate) why: &'static str,
    pub(crate) severity: Severity,
    /// Any of these opens it.
    pub(super) needs: &'static [Need],
    pub(super) place: Where,
    /// Whether those who make analyses by the policies, or the break-glass group, may go it: admission judges them.
    pub(crate) by_creators: bool,
    /// Whether it is every right at once.
    pub(crate) is_everything: bool,
}

/// A right.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) group: &'static str,
    /// Any of these, with subresource.
    pub(super) resources: &'static [&'static str],
    /// Any of these; those that end with `*` stand for all that begin so.
    pub(super) verbs: &'static [&'static str],
}

/// Where a right has to hold for the way to be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    /// In the whole cluster.
    Cluster,
    /// In Flamewarden's own namespace.
    System,
    /// In a guarded namespace.
    Guarded,
    /// In either, or where service accounts live whom the policies or the cluster trust.
    Trusted,
    /// In such a place, by a role that is bound there: for the whole cluster another way stands for it.
    BoundInTrusted,
    /// Where such accounts live, by a role that is bound there.
    BoundWithAccounts,
}

/// What somebody has done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'c> {
    pub(crate) group: &'c str,
    /// With subresource.
    pub(crate) resource: &'c str,
    pub(crate) verb: &'c str,
    /// Empty where it was of the whole cluster.
    pub(crate) namespace: &'c str,
}

/// One rule of a role.
pub(crate) struct Grant<'r> {
    groups: Vec<&'r str>,
    resources: Vec<&'r str>,
    verbs: Vec<&'r str>,
}

/// The rules of a role on resources. Those for objects of certain names count like the others: what they are names of
/// is nothing that can be told here.
pub(crate) fn rules_of(role: &Value) -> Vec<Grant<'_>> {
    let rules = role.get("rules").and_then(Value::as_array).into_iter().flatten();
    rules
        .map(|rule| Grant {
            groups: list(rule, "apiGroups"),
            resources: list(rule, "resources"),
            verbs: list(rule, "verbs"),
        })
        .collect()
}

fn list<'r>(rule: &'r Value, key: &str) -> Vec<&'r str> {
    rule.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

impl Grant<'_> {
    fn gives(&self, need: &Need) -> bool {
        let group = self.groups.iter().any(|group| *group == "*" || *group == need.group);
        group
            && need.resources.iter().any(|wanted| self.resources.iter().any(|given| covers(given, wanted)))
            && need.verbs.iter().any(|wanted| self.verbs.iter().any(|given| is_verb(given, wanted)))
    }
}

/// `*` is everything, `*/scale` that subresource of everything; `pods/*` is taken for every subresource of pods, though
/// Kubernetes does not know it, so that nobody writes it for nothing.
fn covers(given: &str, wanted: &str) -> bool {
    let (resource, sub) = wanted.split_once('/').unwrap_or((wanted, ""));
    given == "*"
        || given == wanted
        || (!sub.is_empty() && (given == format!("*/{sub}") || given == format!("{resource}/*")))
}

fn is_verb(given: &str, wanted: &str) -> bool {
    given == "*" || given == wanted || wanted.strip_suffix('*').is_some_and(|begins| given.starts_with(begins))
}

impl Way {
    /// Whether rules open it somewhere.
    pub(crate) fn is_in(&self, grants: &[Grant<'_>]) -> bool {
        self.needs.iter().any(|need| grants.iter().any(|grant| grant.gives(need)))
    }

    /// Whether a call is one that it stands for; without a namespace, in the whole cluster.
    pub(crate) fn is_gone_by(&self, call: &Call<'_>, trusted: &Trusted<'_>) -> bool {
        let fits = |need: &Need| {
            need.group == call.group && need.resources.contains(&call.resource) && need.verbs.contains(&call.verb)
        };
        let here = match self.place {
            Where::Cluster => true,
            Where::System | Where::Guarded | Where::Trusted => self.opens(call.namespace, trusted),
            // A pod that was made there was judged; who has acted as another the log says by itself.
            Where::BoundInTrusted | Where::BoundWithAccounts => false,
        };
        here && self.needs.iter().any(fits)
    }

    /// Whether a binding in that namespace, or in none, opens it.
    pub(crate) fn opens(&self, namespace: &str, trusted: &Trusted<'_>) -> bool {
        let everywhere = namespace.is_empty();
        let (guarded, accounts) =
            (trusted.policies.tenancy(namespace).is_some(), trusted.has_trusted_accounts(namespace));
        match self.place {
            Where::Cluster => everywhere,
            Where::System => everywhere || namespace == trusted.system,
            Where::Guarded => everywhere || guarded,
            Where::Trusted => everywhere || namespace == trusted.system || guarded || accounts,
            Where::BoundInTrusted => namespace == trusted.system || guarded || accounts,
            Where::BoundWithAccounts => accounts,
        }
    }
}

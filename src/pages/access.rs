//! Who looks, and what they may see. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::policy::PageRole;

/// Somebody who is logged in, as the provider told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Visitor {
    /// The provider that told it.
    pub(super) issuer: String,
    /// The provider's own id of them.
    pub(super) subject: String,
    /// Their name, as it is shown.
    pub(super) name: String,
    /// Their groups.
    pub(super) groups: BTreeSet<String>,
}

/// What somebody may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Access {
    /// The names of their roles.
    pub(super) roles: Vec<String>,
    /// What is told of these namespaces; none where it is everything.
    pub(super) within: Option<BTreeSet<String>>,
}

impl Access {
    /// To everything, where nobody logs in.
    pub(super) fn everything() -> Self {
        Access { roles: Vec::new(), within: None }
    }

    /// What the policies in force say of these groups; none where they have no role.
    pub(super) fn of(groups: &BTreeSet<String>, roles: &[PageRole]) -> Option<Self> {
        let mine: Vec<&PageRole> = roles.iter().filter(|role| !role.groups.is_disjoint(groups)).collect();
        if mine.is_empty() {
            return None;
        }
        let everything = mine.iter().any(|role| role.is_for_all());
        let within = mine.iter().flat_map(|role| role.namespaces.iter().cloned()).collect();
        let roles = mine.iter().map(|role| role.name.clone()).collect();
        Some(Access { roles, within: (!everything).then_some(within) })
    }

    /// Whether what is told of a namespace may be seen; of the empty one, which is the whole cluster, by some only.
    pub(super) fn sees(&self, namespace: &str) -> bool {
        self.within.as_ref().is_none_or(|within| within.contains(namespace))
    }

    /// Whether everything may be seen.
    pub(super) fn sees_all(&self) -> bool {
        self.within.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn roles_add_up_and_without_one_nothing_is_seen() {
        let role = |name: &str, groups: &[&str], namespaces: &[&str]| PageRole {
            name: name.to_owned(),
            groups: set(groups),
            namespaces: set(namespaces),
        };
        let roles =
            [role("all", &["sec", "ops"], &["*"]), role("a", &["a-team"], &["a"]), role("b", &["b-team"], &["b", "c"])];
        for (groups, want) in [
            (vec!["sec"], Some(None)),
            (vec!["sec", "a-team"], Some(None)),
            (vec!["a-team"], Some(Some(vec!["a"]))),
            (vec!["a-team", "b-team", "x"], Some(Some(vec!["a", "b", "c"]))),
            (vec!["x", "*", "all", ""], None),
            (vec![], None),
        ] {
            let access = Access::of(&set(&groups), &roles);
            let within = access.as_ref().map(|access| access.within.clone());
            assert_eq!(within, want.map(|want| want.map(|names| set(&names))), "{groups:?}");
            for namespace in ["a", "d", ""] {
                let sees = access.as_ref().is_some_and(|access| access.sees(namespace));
                let may = match &within {
                    Some(Some(within)) => within.contains(namespace),
                    Some(None) => true,
                    None => false,
                };
                assert_eq!(sees, may, "{groups:?} {namespace:?}");
            }
        }
        assert!(Access::everything().sees("") && Access::everything().sees_all());
        assert!(!Access::of(&set(&["a-team"]), &roles).unwrap().sees(""), "the cluster is no namespace of theirs");
    }
}

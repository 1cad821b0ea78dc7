//! Policies of Cilium, Calico, Antrea, GKE, AWS and the Admin tier: could one concern a guarded pod?
//!
//! We do not model what they allow, so all that counts is whom they are for. Only what plainly
//! excludes every guarded pod counts as none: these systems know labels that no pod carries
//! (namespace, service account), and can be told to ignore some that it does.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::guarded::matched_apps;
use super::judge::critical;
use super::selector::{Selector, Values};
use crate::model::{FieldPath, Finding, Json, labels};
use crate::policy::{PolicySet, Profile, TrustedPolicy};

/// A kind of policy besides NetworkPolicy of networking.k8s.io.
#[derive(Debug, Clone, Copy)]
pub struct Foreign {
    /// API group.
    pub group: &'static str,
    /// Plural name, as rules and paths have it.
    pub resource: &'static str,
    /// Whether its objects live in namespaces.
    pub scope: Scope,
    subjects: fn(&Json<'_>, &PolicySet) -> Subject,
}

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace, for the pods of that namespace: one that could concern a guarded pod is refused.
    Namespaced,
    /// In the cluster: one that could concern a guarded pod is a fact that keeps gates.
    Cluster,
}

/// Every kind that can open what NetworkPolicies close, or lead elsewhere what they let through.
pub const FOREIGN: &[Foreign] = &[
    Foreign { group: "cilium.io", resource: "ciliumnetworkpolicies", scope: Scope::Namespaced, subjects: cilium },
    Foreign {
        group: "cilium.io",
        resource: "ciliumclusterwidenetworkpolicies",
        scope: Scope::Cluster,
        subjects: cilium,
    },
    Foreign {
        group: "cilium.io",
        resource: "ciliumlocalredirectpolicies",
        scope: Scope::Namespaced,
        subjects: redirect,
    },
    Foreign { group: "crd.projectcalico.org", resource: "networkpolicies", scope: Scope::Namespaced, subjects: calico },
    Foreign { group: "projectcalico.org", resource: "networkpolicies", scope: Scope::Namespaced, subjects: calico },
    Foreign {
        group: "crd.projectcalico.org",
        resource: "globalnetworkpolicies",
        scope: Scope::Cluster,
        subjects: calico,
    },
    Foreign { group: "projectcalico.org", resource: "globalnetworkpolicies", scope: Scope::Cluster, subjects: calico },
    Foreign { group: "crd.antrea.io", resource: "networkpolicies", scope: Scope::Namespaced, subjects: antrea },
    Foreign { group: "crd.antrea.io", resource: "clusternetworkpolicies", scope: Scope::Cluster, subjects: antrea },
    Foreign { group: ADMIN, resource: "adminnetworkpolicies", scope: Scope::Cluster, subjects: admin },
    Foreign { group: ADMIN, resource: "baselineadminnetworkpolicies", scope: Scope::Cluster, subjects: admin },
    Foreign { group: ADMIN, resource: "clusternetworkpolicies", scope: Scope::Cluster, subjects: admin },
    Foreign {
        group: "networking.gke.io",
        resource: "fqdnnetworkpolicies",
        scope: Scope::Namespaced,
        subjects: by_pod_selector,
    },
    Foreign { group: AWS, resource: "applicationnetworkpolicies", scope: Scope::Namespaced, subjects: by_pod_selector },
    Foreign { group: AWS, resource: "clusternetworkpolicies", scope: Scope::Cluster, subjects: admin },
];

impl Foreign {
    /// The entry of a kind.
    pub fn of(group: &str, resource: &str) -> Option<&'static Foreign> {
        FOREIGN.iter().find(|kind| kind.group == group && kind.resource == resource)
    }
}

/// Why an object of a namespaced kind is refused in a guarded namespace.
pub fn judge_foreign(kind: &Foreign, object: &Json<'_>, policies: &PolicySet) -> Vec<Finding> {
    let (at, why) = match (kind.subjects)(object, policies) {
        Subject::Excluded => return Vec::new(),
        Subject::Possible { at } => (
            at,
            "could select an analysis or its gateway, and what it lets through is not known to Flamewarden; let its selector ask for \
             an `app` or `component` that no analysis has",
        ),
        Subject::Redirected => (
            vec!["spec", "redirectFrontend"],
            "could lead to others what is meant for an analysis; let its `serviceMatcher` name a Service that is no \
             analysis's",
        ),
    };
    let why = format!("this {} of {} {why}", kind.resource, kind.group);
    let value = object.at(&at);
    vec![critical(&FieldPath::of(&at), value, why)]
}

/// What keeps the gates of analyses while an object of such a kind is there: one that could select an analysis pod,
/// and that the profile does not name with its content.
pub fn foreign_refusal(kind: &Foreign, object: &Json<'_>, policies: &PolicySet) -> Option<Finding> {
    if !could_select(kind, object, policies) {
        return None;
    }
    let name = object.text_at(&["metadata", "name"]).unwrap_or_default();
    let hash = content_hash(object);
    let trusted = policies.analysis.network.trusted.iter();
    let named = |trusted: &&TrustedPolicy| {
        trusted.group == kind.group && trusted.resource == kind.resource && trusted.name == name
    };
    if trusted.filter(named).any(|trusted| trusted.sha256 == hash) {
        return None;
    }
    let why = format!(
        "this {} of {} could select an analysis or its gateway, and what it lets through is not known to Flamewarden; delete it, let \
         it select others, or name it in the profile's network.trusted with sha256 {hash}",
        kind.resource, kind.group
    );
    let finding = critical(&FieldPath::of(&[kind.resource, name]), None, why);
    // Another content is another finding.
    Some(Finding { value: format!("sha256 {hash}"), ..finding })
}

/// The SHA-256, in hex, of everything but an object's metadata and status, with its keys in order.
pub fn content_hash(object: &Json<'_>) -> String {
    let content: BTreeMap<&str, serde_json::Value> = object
        .entries()
        .iter()
        .filter(|(key, _)| !["metadata", "status", "kind", "apiVersion"].contains(&key.as_ref()))
        .map(|(key, value)| (key.as_ref(), value.to_value()))
        .collect();
    // A map of texts to JSON values can always be written.
    let text = serde_json::to_string(&content).unwrap_or_default();
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether an object of such a kind could select a guarded analysis pod, or a gateway that Flamewarden makes.
pub fn could_select(kind: &Foreign, object: &Json<'_>, policies: &PolicySet) -> bool {
    (kind.subjects)(object, policies) != Subject::Excluded
}

/// Whether a policy could be for a guarded pod.
#[derive(Debug, PartialEq, Eq)]
enum Subject {
    /// It plainly isn't.
    Excluded,
    /// It could, because of what stands there.
    Possible { at: Vec<&'static str> },
    /// It selects none, but could take from it what others send there.
    Redirected,
}

const ADMIN: &str = "policy.networking.k8s.io";
const AWS: &str = "networking.k8s.aws";

fn cilium(object: &Json<'_>, policies: &PolicySet) -> Subject {
    let excludes = |rule: &Json<'_>| {
        let selector = rule.get("endpointSelector").map(|selector| Selector::read(Some(selector)));
        selector.is_some_and(|selector| excludes_closed(object, &selector, policies, cilium_key))
    };
    // A policy has one rule in `spec`, several in `specs`, or both.
    let spec = object.get("spec").is_none_or(excludes);
    let specs = match object.get("specs") {
        None => true,
        Some(Json::Array(rules)) => rules.iter().all(excludes),
        Some(_) => false,
    };
    match (spec, specs) {
        (true, true) if object.get("spec").or(object.get("specs")).is_some() => Subject::Excluded,
        (_, true) => Subject::Possible { at: vec!["spec", "endpointSelector"] },
        _ => Subject::Possible { at: vec!["specs"] },
    }
}

/// Where traffic goes that is meant for a Service or an address: whose the address is cannot be known.
fn redirect(object: &Json<'_>, policies: &PolicySet) -> Subject {
    let backend = ["spec", "redirectBackend", "localEndpointSelector"];
    let selector = object.at(&backend).map(|selector| Selector::read(Some(selector)));
    if !selector.is_some_and(|selector| excludes_closed(object, &selector, policies, cilium_key)) {
        return Subject::Possible { at: backend.to_vec() };
    }
    let frontend = object.at(&["spec", "redirectFrontend"]).map_or(&[][..], Json::entries);
    let service = match frontend {
        [(name, service)] if name == "serviceMatcher" => service.text_at(&["serviceName"]),
        _ => None,
    };
    match service.is_some_and(|service| !policies.names_identity(service)) {
        true => Subject::Excluded,
        false => Subject::Redirected,
    }
}

/// As NetworkPolicy has it: absent is empty, which selects all.
fn by_pod_selector(object: &Json<'_>, policies: &PolicySet) -> Subject {
    let at = ["spec", "podSelector"];
    match excludes_closed(object, &Selector::read(object.at(&at)), policies, plain_key) {
        true => Subject::Excluded,
        false => Subject::Possible { at: at.to_vec() },
    }
}

fn calico(object: &Json<'_>, policies: &PolicySet) -> Subject {
    let selector = object.text_at(&["spec", "selector"]).and_then(calico_terms);
    match selector.is_some_and(|selector| excludes_closed(object, &selector, policies, calico_key)) {
        true => Subject::Excluded,
        false => Subject::Possible { at: vec!["spec", "selector"] },
    }
}

/// Antrea selects by the policy's `appliedTo`, or else by that of each rule.
fn antrea(object: &Json<'_>, policies: &PolicySet) -> Subject {
    let lists = |direction: &str| {
        let rules = object.at(&["spec", direction]).map_or(&[][..], Json::items);
        rules.iter().filter_map(|rule| rule.get("appliedTo"))
    };
    let all: Vec<_> =
        object.at(&["spec", "appliedTo"]).into_iter().chain(lists("ingress")).chain(lists("egress")).collect();
    let excludes = |entry: &Json<'_>| {
        let pods = entry.get("podSelector").map(|selector| Selector::read(Some(selector)));
        let plain =
            entry.entries().iter().all(|(name, _)| ["podSelector", "namespaceSelector"].contains(&name.as_ref()));
        plain && pods.is_some_and(|pods| excludes_closed(object, &pods, policies, plain_key))
    };
    let all_excluded = all.iter().all(|list| !list.items().is_empty() && list.items().iter().all(excludes));
    match !all.is_empty() && all_excluded {
        true => Subject::Excluded,
        false => Subject::Possible { at: vec!["spec", "appliedTo"] },
    }
}

/// A subject is `namespaces`, or `pods` with a selector for each.
fn admin(object: &Json<'_>, policies: &PolicySet) -> Subject {
    let possible = Subject::Possible { at: vec!["spec", "subject"] };
    let Some(Json::Object(subject)) = object.at(&["spec", "subject"]) else { return possible };
    let elsewhere = |selector: Option<&Json<'_>>| {
        let selector = Selector::read(selector);
        let name = selector.terms().and_then(|terms| terms.get(labels::NAMESPACE_NAME)).cloned();
        let guarded = &policies.installation.namespaces;
        name.is_some_and(|name| !guarded.iter().any(|namespace| name.accept(Some(&namespace.name))))
    };
    let excluded = match subject.as_slice() {
        [(name, selector)] if name == "namespaces" => elsewhere(Some(selector)),
        [(name, pods @ Json::Object(fields))] if name == "pods" => {
            let known = fields.iter().all(|(name, _)| ["podSelector", "namespaceSelector"].contains(&name.as_ref()));
            let chosen = Selector::read(pods.get("podSelector"));
            known && (elsewhere(pods.get("namespaceSelector")) || excludes_closed(object, &chosen, policies, plain_key))
        }
        _ => false,
    };
    if excluded { Subject::Excluded } else { possible }
}

/// Whether a selector plainly excludes every analysis that could exist, by what it wants to be there.
/// What it wants to be absent or different says nothing: the other side may not see all labels.
/// Gateways count as analyses do where Flamewarden makes them: in the object's namespace, or anywhere where it has none.
fn excludes_closed(
    object: &Json<'_>,
    selector: &Selector,
    policies: &PolicySet,
    key: fn(&str) -> Option<&str>,
) -> bool {
    let namespace = object.text_at(&["metadata", "namespace"]);
    let makes = policies.orchestrator.as_ref().is_some_and(|settings| settings.may_make_in(namespace));
    excludes(selector, &policies.analysis, key) && (!makes || excludes(selector, &policies.gateway, key))
}

fn excludes(selector: &Selector, profile: &Profile, key: fn(&str) -> Option<&str>) -> bool {
    let Some(terms) = selector.terms() else { return false };
    let wanted = terms.iter().filter(|(_, values)| values.is_required());
    let wanted = wanted.filter_map(|(name, values)| Some((key(name)?.to_owned(), values.clone())));
    wanted.into_iter().any(|(name, values)| {
        let alone = Selector::Known([(name, values)].into());
        matched_apps(&alone, profile).is_none()
    })
}

/// A pod's own label in Cilium's words: `k8s:app`, `any:app` or `app`; derived labels are none.
fn cilium_key(key: &str) -> Option<&str> {
    let name = key.strip_prefix("k8s:").or(key.strip_prefix("any:")).unwrap_or(key);
    let derived = ["io.kubernetes", "io.cilium", "cilium", "k8s.", "any.", "reserved"];
    (!name.contains(':') && !derived.iter().any(|start| name.starts_with(start))).then_some(name)
}

/// A pod's own label in Calico's words; it adds some for namespaces and service accounts.
fn calico_key(key: &str) -> Option<&str> {
    (!["projectcalico.org/", "pcns.", "pcsa."].iter().any(|start| key.starts_with(start))).then_some(key)
}

fn plain_key(key: &str) -> Option<&str> {
    Some(key)
}

/// Reads a conjunction of `key == 'value'` and `has(key)`; anything else of Calico's language is none.
fn calico_terms(text: &str) -> Option<Selector> {
    let mut terms = BTreeMap::<String, Values>::new();
    for term in text.split("&&") {
        let (key, value) = calico_term(term.trim())?;
        let values = value.map_or_else(Values::some, Values::exactly);
        // Twice the same key would have to be cut; too clever to be plain.
        if terms.insert(key.to_owned(), values).is_some() {
            return None;
        }
    }
    Some(Selector::Known(terms))
}

fn calico_term(term: &str) -> Option<(&str, Option<&str>)> {
    let is_key =
        |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
    let (key, value) = match term.strip_prefix("has(").and_then(|rest| rest.strip_suffix(')')) {
        Some(key) => (key.trim(), None),
        None => {
            let (key, value) = term.split_once("==")?;
            let value = value.trim();
            let quoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
            let value = quoted('\'').or_else(|| quoted('"'))?;
            (key.trim(), Some(value).filter(|value| !value.contains(['\'', '"', '\\'])))
        }
    };
    (is_key(key) && (value.is_some() || term.starts_with("has("))).then_some((key, value))
}

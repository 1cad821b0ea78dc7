//! The ways round admission: which rights open them, where, and how bad that is. One table. Pure.

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
    needs: &'static [Need],
    place: Where,
    /// Whether those who make analyses by the policies, or the break-glass group, may go it: admission judges them.
    pub(crate) by_creators: bool,
    /// Whether it is every right at once.
    pub(crate) is_everything: bool,
}

/// A right.
#[derive(Debug)]
struct Need {
    group: &'static str,
    /// Any of these, with subresource.
    resources: &'static [&'static str],
    /// Any of these; those that end with `*` stand for all that begin so.
    verbs: &'static [&'static str],
}

/// Where a right has to hold for the way to be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// In the whole cluster.
    Cluster,
    /// In Flamewarden's own namespace.
    System,
    /// In a guarded namespace.
    Guarded,
    /// In either.
    SystemOrGuarded,
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
            Where::System | Where::Guarded | Where::SystemOrGuarded => self.opens(call.namespace, trusted),
        };
        here && self.needs.iter().any(fits)
    }

    /// Whether a binding in that namespace, or in none, opens it.
    pub(crate) fn opens(&self, namespace: &str, trusted: &Trusted<'_>) -> bool {
        let guarded = || trusted.policies.tenancy(namespace).is_some();
        namespace.is_empty()
            || match self.place {
                Where::Cluster => false,
                Where::System => namespace == trusted.system,
                Where::Guarded => guarded(),
                Where::SystemOrGuarded => namespace == trusted.system || guarded(),
            }
    }
}

const WRITE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];
const CHANGE: &[&str] = &["update", "patch", "delete", "deletecollection"];
const READ: &[&str] = &["get", "list", "watch"];
const ENTER: &[&str] = &["get", "create"];
const WORKLOADS: &[&str] = &["deployments", "replicasets", "statefulsets", "daemonsets"];

const fn need(group: &'static str, resources: &'static [&'static str], verbs: &'static [&'static str]) -> Need {
    Need { group, resources, verbs }
}

const fn way(id: &'static str, what: &'static str, why: &'static str, needs: &'static [Need]) -> Way {
    Way {
        id,
        what,
        why,
        severity: Severity::High,
        needs,
        place: Where::Cluster,
        by_creators: false,
        is_everything: false,
    }
}

const fn critical(way: Way) -> Way {
    Way { severity: Severity::Critical, ..way }
}

const fn medium(way: Way) -> Way {
    Way { severity: Severity::Medium, ..way }
}

const fn held_in(place: Where, way: Way) -> Way {
    Way { place, ..way }
}

/// Such as makers of analyses and the break-glass group have by design.
const fn creators(way: Way) -> Way {
    Way { by_creators: true, ..way }
}

/// Every way that is looked for.
pub(crate) const WAYS: &[Way] = &[
    Way {
        is_everything: true,
        ..critical(held_in(
            Where::SystemOrGuarded,
            way("everything", "do everything", "nothing holds such a subject", &[need("*", &["*"], &["*"])]),
        ))
    },
    critical(way(
        "nodes/proxy",
        "reach kubelets through the API server",
        "they run commands in every container and give every log, and admission does not see it",
        &[need("", &["nodes/proxy"], &["get", "create", "update", "patch", "delete"])],
    )),
    critical(way(
        "impersonate",
        "act as another user",
        "creators, the controller and the break-glass group are users too",
        &[
            need("", &["users", "groups", "serviceaccounts"], &["impersonate*"]),
            need("authentication.k8s.io", &["uids", "userextras"], &["impersonate*"]),
        ],
    )),
    critical(way(
        "webhook-configurations",
        "change webhook configurations",
        "without them nothing is judged",
        &[need(
            "admissionregistration.k8s.io",
            &["validatingwebhookconfigurations", "mutatingwebhookconfigurations"],
            WRITE,
        )],
    )),
    way(
        "admission-policies",
        "change the policies that hold while Flamewarden is down",
        "what must carry a gate may then come without one",
        &[need(
            "admissionregistration.k8s.io",
            &["validatingadmissionpolicies", "validatingadmissionpolicybindings"],
            CHANGE,
        )],
    ),
    way(
        "escalate",
        "give rights that they do not have themselves",
        "every other way can be opened by it",
        &[need("rbac.authorization.k8s.io", &["roles", "clusterroles"], &["escalate", "bind"])],
    ),
    critical(way(
        "certificates",
        "have client certificates signed",
        "one in the group system:masters may do everything",
        &[
            need("certificates.k8s.io", &["certificatesigningrequests/approval"], &["update", "patch"]),
            need("certificates.k8s.io", &["signers"], &["approve", "sign"]),
        ],
    )),
    way(
        "definitions",
        "change what kinds of objects there are, or who serves them",
        "analyses and verdicts are such objects",
        &[
            need("apiextensions.k8s.io", &["customresourcedefinitions"], CHANGE),
            need("apiregistration.k8s.io", &["apiservices"], WRITE),
        ],
    ),
    way(
        "cluster-network-policies",
        "write network policies of the whole cluster",
        "one of them may let through what an analysis's own policy does not",
        &[
            need(
                "policy.networking.k8s.io",
                &["adminnetworkpolicies", "baselineadminnetworkpolicies", "clusternetworkpolicies"],
                WRITE,
            ),
            need("cilium.io", &["ciliumclusterwidenetworkpolicies"], WRITE),
            need("crd.projectcalico.org", &["globalnetworkpolicies"], WRITE),
            need("projectcalico.org", &["globalnetworkpolicies"], WRITE),
            need("crd.antrea.io", &["clusternetworkpolicies"], WRITE),
        ],
    ),
    critical(held_in(
        Where::System,
        way(
            "as-the-controller",
            "run as Flamewarden's own service accounts",
            "the controller lifts gates and writes verdicts",
            &[
                need("", &["serviceaccounts/token", "pods", "replicationcontrollers"], &["create"]),
                need("", &["pods", "replicationcontrollers"], &["update", "patch"]),
                need(
                    "",
                    &["pods/exec", "pods/attach", "pods/ephemeralcontainers"],
                    &["get", "create", "update", "patch"],
                ),
                need("apps", WORKLOADS, &["create", "update", "patch"]),
                need("batch", &["jobs", "cronjobs"], &["create", "update", "patch"]),
            ],
        ),
    )),
    critical(held_in(
        Where::System,
        way(
            "own-secrets",
            "read or write Flamewarden's own Secrets",
            "whoever has the authority's key can answer in the webhook's place",
            &[need(
                "",
                &["secrets"],
                &["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"],
            )],
        ),
    )),
    critical(held_in(
        Where::System,
        way(
            "own-policies",
            "write the policies of Flamewarden, or what its canary has told, or take its lead",
            "they say what is refused, and whether the network holds",
            &[need("", &["configmaps"], WRITE), need("coordination.k8s.io", &["leases"], WRITE)],
        ),
    )),
    creators(held_in(
        Where::Guarded,
        way(
            "analysis-secrets",
            "read the Secrets of analyses",
            "they hold tokens and pull credentials, and admission does not see reads",
            &[need("", &["secrets"], READ)],
        ),
    )),
    creators(medium(held_in(
        Where::Guarded,
        way(
            "enter",
            "enter pods, or have ports of them forwarded",
            "admission alone refuses it, to all but the break-glass group",
            &[
                need("", &["pods/exec", "pods/attach", "pods/portforward", "pods/proxy"], ENTER),
                need("", &["services/proxy"], ENTER),
            ],
        ),
    ))),
    creators(medium(held_in(
        Where::Guarded,
        way(
            "network-policies",
            "write network policies",
            "admission alone keeps them from widening what analyses reach",
            &[need("networking.k8s.io", &["networkpolicies"], WRITE)],
        ),
    ))),
    creators(medium(held_in(
        Where::Guarded,
        way(
            "logs",
            "read the logs of analyses",
            "they may hold what an analysis has read, and admission does not see reads",
            &[need("", &["pods/log"], READ)],
        ),
    ))),
];

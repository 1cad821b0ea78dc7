//! The ways round admission: one table.

use super::grant::{Need, Way, Where};
use crate::model::Severity;

/// Every way that is looked for.
pub(crate) const WAYS: &[Way] = &[
    Way {
        is_everything: true,
        ..critical(held_in(
            Where::Trusted,
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
    // The API server asks for this one in the namespace of the account.
    critical(held_in(
        Where::BoundInTrusted,
        way(
            "impersonate-account",
            "act as service accounts there",
            "those of creators, of the controller or of the cluster's own parts are among them",
            &[need("", &["serviceaccounts"], &["impersonate*"])],
        ),
    )),
    creators(held_in(
        Where::BoundWithAccounts,
        way(
            "as-an-account",
            "run as service accounts there",
            "those of creators or of the cluster's own parts are among them",
            &[
                need("", &["serviceaccounts/token", "pods", "replicationcontrollers"], &["create"]),
                need("apps", WORKLOADS, &["create", "update", "patch"]),
                need("batch", &["jobs", "cronjobs"], &["create", "update", "patch"]),
            ],
        ),
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
    held_in(
        Where::Trusted,
        way(
            "escalate",
            "give rights that they do not have themselves",
            "every other way can be opened by it",
            &[need("rbac.authorization.k8s.io", &["roles", "clusterroles"], &["escalate", "bind"])],
        ),
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
            need("networking.k8s.aws", &["clusternetworkpolicies"], WRITE),
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

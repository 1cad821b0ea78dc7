//! Ways to reach into guarded pods: deletion, binding, connections, tokens.

use serde_json::{Value, json};

use crate::ask::{
    BREAK_GLASS, CONTROLLER, EDITOR, FALSE_NODE, NODE, OTHER_NODE, PO, SCHEDULER, Stored, analysis, broken_glass,
    connect, create, delete, expect, gateway, kube_system, other, with,
};

#[test]
fn no_running_pod_is_deleted_at_once() {
    let none = json!({});
    let zero = json!({"gracePeriodSeconds": 0});
    let graceless = with(&analysis(), "/spec/terminationGracePeriodSeconds", json!(0));
    let unsaid = with(&analysis(), "/spec/terminationGracePeriodSeconds", Value::Null);
    let ending = with(&analysis(), "/metadata/deletionTimestamp", json!("t"));
    let pending = with(&ending, "/metadata/deletionGracePeriodSeconds", json!(30));
    let rows = [
        ("with its own grace", analysis(), none.clone(), false),
        ("with a second", analysis(), json!({"gracePeriodSeconds": 1}), false),
        ("with a negative grace, which counts as a second", analysis(), json!({"gracePeriodSeconds": -1}), false),
        ("at once", analysis(), zero.clone(), true),
        ("at once, a gateway", gateway(), zero.clone(), true),
        ("with its own grace of none", graceless.clone(), none.clone(), true),
        ("with no grace anywhere, which counts as none", unsaid.clone(), none.clone(), true),
        ("with a grace that is no number", analysis(), json!({"gracePeriodSeconds": "30"}), true),
        ("again, as it is", pending.clone(), none.clone(), false),
        ("again, at once", pending, zero.clone(), true),
        ("unbound", with(&analysis(), "/spec/nodeName", Value::Null), zero.clone(), false),
        ("succeeded", with(&analysis(), "/status/phase", json!("Succeeded")), zero.clone(), false),
        ("failed", with(&analysis(), "/status/phase", json!("Failed")), zero.clone(), false),
        ("pending on its node", with(&analysis(), "/status/phase", json!("Pending")), zero.clone(), true),
        ("another's pod", other(), zero.clone(), false),
    ];
    for (what, pod, options, forced) in rows {
        let want: &[&str] = if forced { &["forced-deletion"] } else { &[] };
        let deletion = delete("pods", EDITOR, pod.clone()).options(options.clone()).named("");
        assert_eq!(deletion.refused_by(), want, "deleted {what}");
        // An eviction that says nothing of grace takes the pod's, which admission holds to 1 at least; the conditions
        // of the webhook leave it out, so that a drain does not need the webhook.
        let evicted = if options == none { &[][..] } else { want };
        let eviction = create("pods:eviction", EDITOR, json!({"deleteOptions": options}));
        assert_eq!(eviction.on(Stored::Found(pod)).refused_by(), evicted, "evicted {what}");
    }
    let collector = kube_system("pod-garbage-collector");
    let namespaces = kube_system("namespace-controller");
    for (user, want) in [
        (NODE, &[][..]),
        (&collector, &[]),
        (&namespaces, &[]),
        (BREAK_GLASS, &[]),
        (OTHER_NODE, &["forced-deletion"]),
        (FALSE_NODE, &["forced-deletion"]),
        (PO, &["forced-deletion"]),
        (CONTROLLER, &["forced-deletion"]),
        (&kube_system("generic-garbage-collector"), &["forced-deletion"]),
    ] {
        assert_eq!(delete("pods", user, analysis()).options(zero.clone()).refused_by(), want, "{user}");
    }
    assert_eq!(broken_glass(&delete("pods", BREAK_GLASS, analysis()).options(zero)), ["forced-deletion"]);
}

#[test]
fn an_eviction_needs_the_pod_only_where_its_grace_matters() {
    let zero = json!({"deleteOptions": {"gracePeriodSeconds": 0}});
    let given = json!({"deleteOptions": {"gracePeriodSeconds": 5}});
    let evict = |body: &Value, target: Stored| create("pods:eviction", EDITOR, body.clone()).on(target);
    expect([
        ("unread, own grace", evict(&json!({}), Stored::Unread), &[]),
        ("unread, at once", evict(&zero, Stored::Unread), &["target-known"]),
        ("unread, with a grace", evict(&given, Stored::Unread), &[]),
        ("gone, own grace", evict(&json!({}), Stored::Missing), &[]),
        ("gone, at once", evict(&zero, Stored::Missing), &["target-known"]),
    ]);
}

#[test]
fn guarded_pods_are_bound_by_schedulers_with_topology_only() {
    let zone = json!({"metadata": {"name": "x", "labels": {"topology.kubernetes.io/zone": "z"}}});
    let relabels = json!({"metadata": {"name": "x", "labels": {"component": "hacked"}}});
    let joins = json!({"metadata": {"name": "x", "labels": {"app": "nginx-analysis-1"}}});
    let annotates = json!({"metadata": {"name": "x", "annotations": {"a": "b"}}});
    for resource in ["pods:binding", "bindings"] {
        let bind = |user: &str, body: &Value, target: Stored| create(resource, user, body.clone()).on(target);
        let guarded = || Stored::Found(analysis());
        expect([
            ("a scheduler", bind(SCHEDULER, &zone, guarded()), &[]),
            ("a scheduler, unread", bind(SCHEDULER, &zone, Stored::Unread), &[]),
            ("an editor", bind(EDITOR, &zone, guarded()), &["binding"]),
            ("the PO", bind(PO, &zone, guarded()), &["binding"]),
            ("an editor, unread", bind(EDITOR, &zone, Stored::Unread), &["target-known"]),
            ("an editor, gone", bind(EDITOR, &zone, Stored::Missing), &["target-known"]),
            ("a scheduler relabels", bind(SCHEDULER, &relabels, guarded()), &["binding"]),
            ("a scheduler annotates", bind(SCHEDULER, &annotates, guarded()), &["binding"]),
            ("another pod", bind(EDITOR, &relabels, Stored::Found(other())), &[]),
            ("another pod becomes a gateway", bind(EDITOR, &joins, Stored::Found(other())), &["binding"]),
        ]);
    }
}

#[test]
fn nobody_enters_a_guarded_pod() {
    let guarded = [Stored::Found(analysis()), Stored::Found(gateway())];
    for way in ["pods:exec", "pods:attach", "pods:portforward", "pods:proxy"] {
        for target in &guarded {
            for user in [EDITOR, PO, CONTROLLER, NODE] {
                assert_eq!(connect(way, user, target.clone()).refused_by(), ["connection"], "{way} by {user}");
            }
            let in_need = connect(way, BREAK_GLASS, target.clone());
            if way == "pods:proxy" {
                assert_eq!(in_need.refused_by(), ["connection"], "{way} by break-glass");
            } else {
                assert_eq!(in_need.refused_by(), [""; 0], "{way} by break-glass");
                assert_eq!(broken_glass(&in_need), ["connection"], "{way} by break-glass");
            }
        }
        for user in [EDITOR, BREAK_GLASS] {
            assert_eq!(connect(way, user, Stored::Missing).refused_by(), ["target-known"], "{way}, gone");
            assert_eq!(connect(way, user, Stored::Unread).refused_by(), ["target-known"], "{way}, unread");
            assert_eq!(connect(way, user, Stored::Unneeded).refused_by(), ["target-known"], "{way}, forgotten");
            assert_eq!(connect(way, user, Stored::Found(other())).refused_by(), [""; 0], "{way} to another pod");
        }
    }
}

/// Wherever it leads by its own account: its endpoints say, and they may be anybody's.
#[test]
fn nobody_goes_through_a_service_but_in_need() {
    let service = |selector: Value| Stored::Found(json!({"metadata": {"name": "x"}, "spec": {"selector": selector}}));
    for target in [service(json!({"app": "analysis-1"})), service(json!({"app": "broker"})), service(Value::Null)] {
        for user in [EDITOR, PO, CONTROLLER, NODE] {
            let asked = connect("services:proxy", user, target.clone());
            assert_eq!(asked.refused_by(), ["connection"], "{user}");
            assert_eq!(asked.dedicated().refused_by(), ["connection"], "{user}");
        }
    }
    for target in [service(json!({"app": "broker"})), Stored::Unneeded, Stored::Unread, Stored::Missing] {
        assert_eq!(connect("services:proxy", EDITOR, target.clone()).refused_by(), ["connection"]);
        let in_need = connect("services:proxy", BREAK_GLASS, target);
        assert_eq!((in_need.refused_by(), broken_glass(&in_need)), (vec![], vec!["connection".to_owned()]));
    }
    assert_eq!(connect("services:proxy", EDITOR, Stored::Unneeded).elsewhere().refused_by(), [""; 0]);
}

#[test]
fn no_token_is_made_for_a_guarded_pod() {
    let bound = json!({"spec": {"boundObjectRef": {"kind": "Pod", "name": "p", "uid": "1"}}});
    let secret = json!({"spec": {"boundObjectRef": {"kind": "Secret", "name": "p"}}});
    let nameless = json!({"spec": {"boundObjectRef": {"kind": "Pod"}}});
    let token =
        |user: &str, body: &Value, target: Stored| create("serviceaccounts:token", user, body.clone()).on(target);
    expect([
        ("an editor", token(EDITOR, &bound, Stored::Found(analysis())), &["service-account-token-request"]),
        ("break-glass", token(BREAK_GLASS, &bound, Stored::Found(gateway())), &["service-account-token-request"]),
        ("a kubelet", token(NODE, &bound, Stored::Unread), &[]),
        ("a false kubelet", token(FALSE_NODE, &bound, Stored::Unread), &["target-known"]),
        ("gone", token(EDITOR, &bound, Stored::Missing), &["target-known"]),
        ("another pod", token(EDITOR, &bound, Stored::Found(other())), &[]),
        ("a Secret", token(EDITOR, &secret, Stored::Unneeded), &[]),
        ("a pod without a name", token(EDITOR, &nameless, Stored::Unneeded), &["request-form"]),
        ("bound to nothing", token(EDITOR, &json!({"spec": {}}), Stored::Unneeded), &[]),
    ]);
}

#[test]
fn no_token_is_made_for_the_account_of_guarded_pods() {
    let token = |user: &str, account: &str| {
        create("serviceaccounts:token", user, json!({"spec": {}})).named(account).of_own_accounts()
    };
    expect([
        ("an editor", token(EDITOR, "analyses"), &["service-account-token-request"]),
        ("break-glass", token(BREAK_GLASS, "analyses"), &["service-account-token-request"]),
        ("a kubelet", token(NODE, "analyses"), &[]),
        ("everybody's account", token(EDITOR, "default"), &[]),
        ("another account", token(EDITOR, "web"), &[]),
    ]);
}

#[test]
fn what_needs_no_target_never_misses_one() {
    let bound = json!({"spec": {"boundObjectRef": {"kind": "Pod", "name": "p"}}});
    for (asked, needs) in [
        (connect("pods:exec", EDITOR, Stored::Unneeded), true),
        (connect("services:proxy", EDITOR, Stored::Unneeded), false),
        (create("pods:eviction", EDITOR, json!({})), false),
        (create("pods:eviction", EDITOR, json!({"deleteOptions": {"gracePeriodSeconds": 0}})), true),
        (create("pods:eviction", EDITOR, json!({"deleteOptions": {"gracePeriodSeconds": 3}})), false),
        (create("pods:binding", SCHEDULER, json!({"metadata": {}})), false),
        (create("pods:binding", EDITOR, json!({"metadata": {}})), true),
        (create("bindings", EDITOR, json!({"metadata": {"name": "p"}})), true),
        (create("serviceaccounts:token", EDITOR, bound.clone()), true),
        (create("serviceaccounts:token", NODE, bound), false),
        (create("serviceaccounts:token", EDITOR, json!({"spec": {}})), false),
        (create("pods", EDITOR, other()), false),
        (connect("pods:exec", EDITOR, Stored::Unneeded).elsewhere(), false),
    ] {
        let what = format!("{} {}/{}", asked.operation.word(), asked.resource, asked.sub);
        let misses = asked.refused_by().contains(&"target-known".to_owned());
        assert_eq!((asked.judged(|_, needs| needs), misses), (needs, needs), "{what}");
    }
}

#[test]
fn what_no_object_can_be_called_is_not_read() {
    for name in ["p/log", "../secrets/s", "..", "p?watch=true", "p#x", "p%2flog", "p q", "P", "-p", "p.", "пod"] {
        let bound = json!({"spec": {"boundObjectRef": {"kind": "Pod", "name": name}}});
        for asked in [
            connect("pods:exec", EDITOR, Stored::Unneeded).named(name),
            create("bindings", EDITOR, json!({"metadata": {"name": name}})),
            create("serviceaccounts:token", EDITOR, bound.clone()),
        ] {
            let what = format!("{} {}/{} {name}", asked.operation.word(), asked.resource, asked.sub);
            assert!(!asked.judged(|_, needs| needs), "{what}");
            assert_eq!(asked.refused_by(), ["target-known"], "{what}");
        }
    }
}

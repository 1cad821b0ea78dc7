//! A request in the making, the judge's answer to it, and the objects that the tables are about.

use std::sync::LazyLock;

use flamewarden::model::{Operation, Request, Resource, User, parse};
use flamewarden::policy::PolicySet;
use flamewarden::rules::{Case, Judgement, POD_RULES, ScanKnowledge, Target, judge, target_of};
use serde_json::{Value, json};

static POLICIES: LazyLock<PolicySet> = LazyLock::new(|| policies(ANALYSIS));
/// The same, but analyses have a service account and sources of their own.
static OWN_ACCOUNTS: LazyLock<PolicySet> = LazyLock::new(|| {
    let accounts = ANALYSIS.replace("serviceAccounts: [default]", "serviceAccounts: [default, analyses]");
    policies(&accounts.replace("[\"flame-tokens-{id}\"]", "[\"flame-tokens-{id}\", \"{app}-tokens\", shared]"))
});

fn policies(analysis: &str) -> PolicySet {
    let gateway = include_str!("../../policies/flame-gateway.yaml");
    PolicySet::parse([("a", analysis), ("g", gateway), ("i", INSTALLATION)]).unwrap()
}

const ANALYSIS: &str = include_str!("../../policies/flame-analysis.yaml");
const INSTALLATION: &str = r#"
apiVersion: flamewarden.dev/v1alpha1
kind: Installation
spec:
  namespaces: [{name: flame, tenancy: shared}, {name: analyses, tenancy: dedicated}]
  analysisRegistries: [harbor.example/node]
  gatewayImages: ["nginx:1.29.8"]
  creators: ["system:serviceaccount:flame:flame-po"]
  knownComponents: [flame-broker]
  statusAnnotators: {"system:serviceaccount:kube-system:calico-cni-plugin": [cni.projectcalico.org/podIP]}
---
apiVersion: flamewarden.dev/v1alpha1
kind: Scanner
spec: {administrators: [security]}
"#;
pub(crate) const PO: &str = "system:serviceaccount:flame:flame-po";
pub(crate) const CONTROLLER: &str = "system:serviceaccount:flamewarden-system:flamewarden-controller";
pub(crate) const ADMINISTRATOR: &str = "security";
pub(crate) const EDITOR: &str = "editor";
pub(crate) const BREAK_GLASS: &str = "on-call in flamewarden:break-glass";
pub(crate) const SCHEDULER: &str = "system:kube-scheduler";
pub(crate) const NODE: &str = "system:node:n1 in system:nodes";
pub(crate) const OTHER_NODE: &str = "system:node:n2 in system:nodes";
pub(crate) const FALSE_NODE: &str = "system:node:n1";

pub(crate) fn kube_system(name: &str) -> String {
    format!("system:serviceaccount:kube-system:{name}")
}

/// A request in the making; namespace `flame` unless said otherwise.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    group: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) sub: &'static str,
    namespace: &'static str,
    name: String,
    user: String,
    old: Option<Value>,
    new: Option<Value>,
    options: Option<Value>,
    target: Stored,
    policies: &'static LazyLock<PolicySet>,
}

#[derive(Clone)]
pub(crate) enum Stored {
    Unneeded,
    Found(Value),
    Missing,
    Unread,
}

pub(crate) fn ask(operation: Operation, resource: &'static str, user: &str) -> Asked {
    let (path, sub) = resource.split_once(':').unwrap_or((resource, ""));
    let (group, name) = path.rsplit_once('/').unwrap_or(("", path));
    Asked {
        operation,
        group,
        resource: name,
        sub,
        namespace: "flame",
        name: "x".to_owned(),
        user: user.to_owned(),
        old: None,
        new: None,
        options: None,
        target: Stored::Unneeded,
        policies: &POLICIES,
    }
}

pub(crate) fn create(resource: &'static str, user: &str, new: Value) -> Asked {
    Asked { new: Some(new), ..ask(Operation::Create, resource, user) }
}

pub(crate) fn update(resource: &'static str, user: &str, old: Value, new: Value) -> Asked {
    Asked { old: Some(old), new: Some(new), ..ask(Operation::Update, resource, user) }
}

pub(crate) fn delete(resource: &'static str, user: &str, old: Value) -> Asked {
    Asked { old: Some(old), ..ask(Operation::Delete, resource, user) }
}

pub(crate) fn connect(resource: &'static str, user: &str, target: Stored) -> Asked {
    Asked { target, new: Some(json!({})), ..ask(Operation::Connect, resource, user) }
}

impl Asked {
    pub(crate) fn named(self, name: &str) -> Self {
        Asked { name: name.to_owned(), ..self }
    }

    pub(crate) fn dedicated(self) -> Self {
        Asked { namespace: "analyses", ..self }
    }

    pub(crate) fn of_own_accounts(self) -> Self {
        Asked { policies: &OWN_ACCOUNTS, ..self }
    }

    pub(crate) fn elsewhere(self) -> Self {
        Asked { namespace: "elsewhere", ..self }
    }

    /// Of what is in no namespace.
    pub(crate) fn nowhere(self) -> Self {
        Asked { namespace: "", ..self }
    }

    pub(crate) fn on(self, target: Stored) -> Self {
        Asked { target, ..self }
    }

    pub(crate) fn options(self, options: Value) -> Self {
        Asked { options: Some(options), ..self }
    }

    pub(crate) fn judged<T>(&self, then: impl FnOnce(Judgement, bool) -> T) -> T {
        let policies = &**self.policies;
        let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
        let target = match &self.target {
            Stored::Found(object) => Some(object.to_string()),
            _ => None,
        };
        let texts = [text(&self.old), text(&self.new), text(&self.options), target];
        let [old, new, options, target] =
            texts.each_ref().map(|text| text.as_ref().map(|text| parse(text.as_bytes()).unwrap()));
        let (user, groups) = self.user.split_once(" in ").unwrap_or((&self.user, "system:authenticated"));
        let request = Request {
            uid: "u",
            operation: self.operation,
            resource: Resource { group: self.group, name: self.resource, sub: self.sub },
            name: &self.name,
            namespace: self.namespace,
            user: User { name: user, groups: vec![groups] },
            object: new.as_ref(),
            old: old.as_ref(),
            options: options.as_ref(),
            dry_run: false,
        };
        let needs = target_of(&request, policies).is_some();
        let target = match (&self.target, &target) {
            (_, Some(object)) => Target::Found(object),
            (Stored::Missing, _) => Target::Missing,
            (Stored::Unread, _) => Target::Unread,
            _ => Target::Unneeded,
        };
        let case =
            Case { policies, target, scans: ScanKnowledge::OutOfReach, now: "2026-11-21T00:00:00Z".parse().unwrap() };
        then(judge(&request, &case), needs)
    }

    /// The rules that refuse, besides those on the pod itself, each once.
    pub(crate) fn refused_by(&self) -> Vec<String> {
        self.judged(|judgement, _| {
            let own = judgement.refusals.iter().map(|finding| finding.rule.to_string());
            let mut rules: Vec<String> = own.filter(|id| POD_RULES.iter().all(|rule| rule.id != id.as_str())).collect();
            rules.dedup();
            rules
        })
    }
}

pub(crate) fn expect<const N: usize>(table: [(&str, Asked, &[&str]); N]) {
    for (what, asked, rules) in table {
        assert_eq!(asked.refused_by(), rules, "{what}");
    }
}

/// The rules that break-glass overrides.
pub(crate) fn broken_glass(asked: &Asked) -> Vec<String> {
    asked.judged(|judgement, _| judgement.broken_glass.iter().map(|finding| finding.rule.to_string()).collect())
}

/// A copy with one value at a JSON pointer's place set; `null` takes it away.
pub(crate) fn with(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let members = parent.split('/').skip(1).fold(&mut object, |at, key| match at {
        Value::Array(items) => items.get_mut(key.parse::<usize>().unwrap()).unwrap(),
        at => &mut at[key],
    });
    if value.is_null() {
        members.as_object_mut().unwrap().remove(key);
    } else {
        members[key] = value;
    }
    object
}

pub(crate) fn pod(labels: Value, image: &str) -> Value {
    json!({
        "metadata": {"name": "p", "labels": labels, "uid": "1"},
        "spec": {"nodeName": "n1", "terminationGracePeriodSeconds": 30, "containers": [{"name": "c", "image": image}]},
        "status": {"phase": "Running"},
    })
}

pub(crate) fn analysis() -> Value {
    pod(json!({"app": "analysis-1", "component": "flame-analysis"}), "harbor.example/node/a:1")
}

pub(crate) fn gateway() -> Value {
    pod(json!({"app": "nginx-analysis-1", "component": "flame-analysis-nginx"}), "nginx:1.29.8")
}

pub(crate) fn other() -> Value {
    pod(json!({"app": "broker"}), "ghcr.io/broker:1")
}

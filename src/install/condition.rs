//! The `matchConditions` of the webhook configurations: CEL made from the policies' own constants.
//!
//! A condition may send too much, never too little: what it leaves out is not judged at all.

use serde_json::{Value, json};

use super::scope::Condition;
use crate::model::labels::{GATEWAY_PREFIX, POLICY_PREFIX, TOPOLOGY};
use crate::policy::{PolicySet, Profile, Role};

/// The conditions of one configuration, all of which have to hold for a request to be sent.
pub(super) fn conditions(condition: Condition, policies: &PolicySet) -> Vec<Value> {
    let terms = Terms::new(policies);
    let named = |name: &str, expression: String| json!({"name": name, "expression": expression});
    let concerns = |expression: String| named("concerns-guarded-identity", expression);
    match condition {
        Condition::Always => Vec::new(),
        Condition::Pod => vec![
            concerns(either("object", "oldObject", |object| {
                terms.pod(&format!("{object}.metadata"), &format!("{object}.spec"))
            })),
            named("not-plain-status-of-a-kubelet", not_plain_kubelet_status()),
        ],
        Condition::Template => vec![concerns(either("object", "oldObject", |object| terms.template(object)))],
        Condition::Policy => vec![concerns(either("object", "oldObject", |object| terms.policy(object)))],
        Condition::Service => vec![
            concerns(either("object", "oldObject", |object| terms.service(object))),
            named("not-an-endpoint-controller", NOT_ENDPOINT_CONTROLLER.to_owned()),
        ],
        Condition::Configuration => vec![concerns(either("object", "oldObject", |object| terms.configuration(object)))],
        Condition::PodRequest => vec![
            named("not-a-plain-binding-of-the-scheduler", terms.not_a_plain_binding()),
            named("not-a-graceful-eviction", NOT_GRACEFUL_EVICTION.to_owned()),
            named("not-a-token-of-others", terms.not_a_token_of_others()),
        ],
    }
}

/// A kubelet writes its own pods' status all the time. That it writes no other node's pods, and leaves
/// metadata alone, is asked here, since what this leaves out is not judged.
fn not_plain_kubelet_status() -> String {
    let same = |field: &str| {
        format!(
            "(has(object.metadata.{field}) == has(oldObject.metadata.{field}) && \
             (!has(object.metadata.{field}) || object.metadata.{field} == oldObject.metadata.{field}))"
        )
    };
    format!(
        "!(has(request.subResource) && request.subResource == 'status' && oldObject != null && \
         has(oldObject.spec.nodeName) && request.userInfo.username == 'system:node:' + oldObject.spec.nodeName && {})",
        ["labels", "annotations", "finalizers", "ownerReferences"].map(same).join(" && ")
    )
}

const NOT_ENDPOINT_CONTROLLER: &str = "!(request.resource.resource in ['endpoints', 'endpointslices'] && request.userInfo.username in [\
    'system:serviceaccount:kube-system:endpoint-controller', \
    'system:serviceaccount:kube-system:endpointslice-controller', \
    'system:serviceaccount:kube-system:endpointslicemirroring-controller'])";

/// A guarded pod's own grace period is at least 1, so only an eviction that says so itself ends it without one.
const NOT_GRACEFUL_EVICTION: &str = "object.kind != 'Eviction' || \
    (has(object.deleteOptions) && has(object.deleteOptions.gracePeriodSeconds) && object.deleteOptions.gracePeriodSeconds < 1)";

/// Texts that nobody bounds cost by their length, and a condition that costs too much refuses the write for ever.
/// No name of an object has more than 253 characters, and no image that a registry knows has so many.
const LONGEST_IMAGE: usize = 1024;

/// A condition on the new object or the old one; either may be absent.
fn either(new: &str, old: &str, about: impl Fn(&str) -> String) -> String {
    format!("({new} != null && ({})) || ({old} != null && ({}))", about(new), about(old))
}

/// The constants as CEL literals.
struct Terms {
    components: String,
    /// Whose pods no policy opens: analyses, and gateways where Flamewarden makes them.
    closed_components: String,
    closed_names: String,
    any_name: String,
    any_pod: String,
    secrets: String,
    config_maps: String,
    known_keys: String,
    hosts: Option<String>,
    service_accounts: String,
    schedulers: String,
    topology: String,
}

impl Terms {
    fn new(policies: &PolicySet) -> Self {
        let pattern = policies.analysis.guards.app.source();
        let (closed, gateways) = match policies.orchestrator {
            Some(_) => (vec![&policies.analysis, &policies.gateway], format!("(?:{GATEWAY_PREFIX})?")),
            None => (vec![&policies.analysis], String::new()),
        };
        let keys = ["app", "component"].into_iter().map(str::to_owned);
        let listed = policies.profiles().into_iter().flat_map(|profile| profile.metadata.labels.iter().cloned());
        let accounts = policies.profiles().into_iter().flat_map(|profile| &profile.service_accounts);
        let accounts = accounts.filter(|name| *name != "default").cloned();
        Terms {
            components: list(policies.profiles().into_iter().map(|profile| profile.guards.component.clone())),
            closed_components: list(closed.iter().map(|profile| profile.guards.component.clone())),
            closed_names: text(&format!("^{gateways}(?:{pattern})$")),
            any_name: text(&format!("^(?:{GATEWAY_PREFIX})?(?:{pattern})$")),
            any_pod: text(&format!("^(?:{GATEWAY_PREFIX})?(?:{pattern})(?:-|$)")),
            secrets: text(&names_of(policies, |profile| &profile.sources.secrets, pull_secrets)),
            config_maps: text(&names_of(policies, |profile| &profile.sources.config_maps, |_| Vec::new())),
            known_keys: list(keys.chain(listed)),
            hosts: hosts(policies.analysis.images.registries.iter().chain(&policies.installation.analysis_registries)),
            service_accounts: list(accounts),
            schedulers: list(policies.installation.schedulers.iter().cloned()),
            topology: list(TOPOLOGY.iter().map(|key| (*key).to_owned())),
        }
    }

    /// A pod by its labels or its images.
    fn pod(&self, metadata: &str, spec: &str) -> String {
        let labels = format!("{metadata}.labels");
        let labelled = format!(
            "has({labels}) && (('component' in {labels} && {labels}['component'] in {}) || \
             ('app' in {labels} && {labels}['app'].matches({})))",
            self.components, self.any_name
        );
        format!("({labelled}) || {}", self.images(spec))
    }

    fn images(&self, spec: &str) -> String {
        let Some(hosts) = &self.hosts else { return "true".to_owned() };
        let from = |image: &str| {
            format!("(size({image}) > {LONGEST_IMAGE} || {hosts}.exists(h, {image}.lowerAscii().contains(h)))")
        };
        let lists = ["containers", "initContainers", "ephemeralContainers"].map(|field| {
            format!("(has({spec}.{field}) && {spec}.{field}.exists(c, has(c.image) && {}))", from("c.image"))
        });
        let volumes = format!(
            "(has({spec}.volumes) && {spec}.volumes.exists(v, has(v.image) && has(v.image.reference) && {}))",
            from("v.image.reference")
        );
        format!("{} || {volumes}", lists.join(" || "))
    }

    /// A workload by its pod template, wherever its kind keeps it.
    fn template(&self, object: &str) -> String {
        let of = |template: &str| self.pod(&format!("{template}.metadata"), &format!("{template}.spec"));
        let places = [
            (format!("{object}.kind == 'CronJob'"), format!("{object}.spec.jobTemplate.spec.template")),
            (format!("{object}.kind == 'PodTemplate'"), format!("{object}.template")),
        ];
        let revision = format!("{object}.data.spec.template");
        let revised = format!(
            "{object}.kind == 'ControllerRevision' && has({object}.data) && {object}.data != null && \
             has({object}.data.spec) && has({revision}) && ({})",
            of(&revision)
        );
        let rest = format!(
            "has({object}.spec) && has({object}.spec.template) && ({})",
            of(&format!("{object}.spec.template"))
        );
        let rest = format!("({rest}) || ({revised})");
        places
            .into_iter()
            .rev()
            .fold(rest, |other, (kind, template)| format!("{kind} ? ({}) : ({other})", of(&template)))
    }

    /// A policy that could select a pod that none opens, or that has one of our names.
    fn policy(&self, object: &str) -> String {
        let labels = format!("{object}.spec.podSelector.matchLabels");
        let elsewhere = format!(
            "has({object}.spec.podSelector) && has({labels}) && ({labels}.exists(k, !(k in {})) || \
             ('component' in {labels} && !({labels}['component'] in {})) || ('app' in {labels} && !{labels}['app'].matches({})))",
            self.known_keys, self.closed_components, self.closed_names
        );
        format!("{object}.metadata.name.startsWith({}) || !({elsewhere})", text(POLICY_PREFIX))
    }

    /// A Service that could select a guarded pod, or anything with the name of a guarded identity.
    fn service(&self, object: &str) -> String {
        let (metadata, selector) = (format!("{object}.metadata"), format!("{object}.spec.selector"));
        let named = format!("{metadata}.name.matches({})", self.any_name);
        let for_named = format!(
            "(has({metadata}.labels) && 'kubernetes.io/service-name' in {metadata}.labels && \
             {metadata}.labels['kubernetes.io/service-name'].matches({}))",
            self.any_name
        );
        let selects = format!(
            "({object}.kind == 'Service' && has({object}.spec) && has({selector}) && size({selector}) > 0 && !({selector}.exists(k, !(k in {})) || \
             ('component' in {selector} && !({selector}['component'] in {})) || ('app' in {selector} && !{selector}['app'].matches({}))))",
            self.known_keys, self.components, self.any_name
        );
        let labelled = format!(
            "(has({metadata}.labels) && (('component' in {metadata}.labels && {metadata}.labels['component'] in {}) || \
             ('app' in {metadata}.labels && {metadata}.labels['app'].matches({}))))",
            self.components, self.any_name
        );
        format!("{named} || {for_named} || {selects} || {labelled} || {}", self.leads_to_identity(object))
    }

    /// Endpoints that point to a guarded identity's pod, or belong to its Service.
    fn leads_to_identity(&self, object: &str) -> String {
        let target = |list: &str| {
            format!(
                "(has({list}) && {list} != null && {list}.exists(e, has(e.targetRef) && has(e.targetRef.name) && \
                 size(e.targetRef.name) < 254 && e.targetRef.name.matches({})))",
                self.any_pod
            )
        };
        let owners = format!("{object}.metadata.ownerReferences");
        format!(
            "{} || (has({object}.subsets) && {object}.subsets != null && {object}.subsets.exists(s, {} || {})) || \
             (has({owners}) && {owners}.exists(o, o.kind == 'Service' && size(o.name) < 254 && o.name.matches({})))",
            target(&format!("{object}.endpoints")),
            target("s.addresses"),
            target("s.notReadyAddresses"),
            self.any_name
        )
    }

    /// A gateway's configuration or a pull secret, by name.
    fn configuration(&self, object: &str) -> String {
        let name = format!("{object}.metadata.name");
        format!(
            "({object}.kind == 'ConfigMap' && {name}.matches({})) || ({object}.kind == 'Secret' && {name}.matches({}))",
            self.config_maps, self.secrets
        )
    }

    fn not_a_plain_binding(&self) -> String {
        format!(
            "object.kind != 'Binding' || !(request.userInfo.username in {}) || \
             (has(object.metadata.annotations) && size(object.metadata.annotations) > 0) || \
             (has(object.metadata.labels) && object.metadata.labels.exists(k, !(k in {})))",
            self.schedulers, self.topology
        )
    }

    fn not_a_token_of_others(&self) -> String {
        format!(
            "object.kind != 'TokenRequest' || (!(has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups) && (request.name in {} || \
             (has(object.spec.boundObjectRef) && has(object.spec.boundObjectRef.kind) && object.spec.boundObjectRef.kind == 'Pod')))",
            self.service_accounts
        )
    }
}

/// A pattern of the names that belong to analyses: sources with the analysis in them, and more.
fn names_of(
    policies: &PolicySet,
    sources: impl Fn(&Profile) -> &Vec<String>,
    more: impl Fn(&Profile) -> Vec<String>,
) -> String {
    let pattern = policies.analysis.guards.app.source();
    let mut patterns = Vec::new();
    for profile in policies.profiles() {
        let prefix = if profile.role == Role::Gateway { GATEWAY_PREFIX } else { "" };
        let marks = ["{analysis}", "{app}", "{id}"];
        let marked = sources(profile).iter().filter(|source| marks.iter().any(|mark| source.contains(mark)));
        patterns.extend(marked.map(|source| {
            // A name may be put together of more than `fits_source` takes apart; too much is no fault here.
            let parts = source.replace("{analysis}", "\u{0}").replace("{app}", "\u{1}").replace("{id}", "\u{2}");
            let quoted = regex::escape(&parts).replace('\u{2}', ID);
            quoted.replace('\u{0}', &format!("(?:{pattern})")).replace('\u{1}', &format!("{prefix}(?:{pattern})"))
        }));
        patterns.extend(more(profile));
    }
    // Without any, a pattern that no name fits.
    if patterns.is_empty() { "^$".to_owned() } else { format!("^(?:{})$", patterns.join("|")) }
}

/// An analysis's id.
const ID: &str = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";

fn pull_secrets(profile: &Profile) -> Vec<String> {
    let secret = profile.pull_secret.iter();
    secret.flat_map(|secret| [format!("(?:{})", secret.pattern.source()), regex::escape(&secret.name)]).collect()
}

/// The hosts of the registries in lower case and without their ports, which can be written in several ways;
/// none where images without a host may be meant.
fn hosts<'r>(registries: impl Iterator<Item = &'r String>) -> Option<String> {
    let host = |registry: &String| {
        let host = registry.split('/').next().unwrap_or_default();
        host.split(':').next().unwrap_or_default().to_ascii_lowercase()
    };
    let hosts: Vec<String> = registries.map(host).collect();
    let nameless = |host: &String| host.is_empty() || host == "docker.io" || host == "index.docker.io";
    (!hosts.iter().any(nameless)).then(|| list(hosts))
}

/// A CEL string literal. Patterns come from the operator's files; a quote or backslash must not end the literal.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn list(values: impl IntoIterator<Item = String>) -> String {
    let mut values: Vec<String> = values.into_iter().map(|value| text(&value)).collect();
    values.sort();
    values.dedup();
    format!("[{}]", values.join(", "))
}

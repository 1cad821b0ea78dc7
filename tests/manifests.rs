//! What `manifests` prints: the objects, their order, their scope.

use flamewarden::install::{Certificates, Endpoint, Settings, manifests, to_yaml};
use flamewarden::policy::PolicySet;
use serde_json::{Value, json};

const FILES: [(&str, &str); 3] = [
    ("flame-analysis.yaml", include_str!("../policies/flame-analysis.yaml")),
    ("flame-gateway.yaml", include_str!("../policies/flame-gateway.yaml")),
    ("installation.yaml", include_str!("fixtures/installation.yaml")),
];
const SCANNER: &str = include_str!("../policies/scanner.yaml.example");

fn printed() -> Vec<Value> {
    printed_for(Certificates::Own)
}

fn printed_for(certificates: Certificates) -> Vec<Value> {
    printed_of(&FILES, "registry.example/flamewarden@sha256:0", certificates)
}

#[expect(clippy::unwrap_used, reason = "a test whose policies are broken has failed")]
fn printed_of(files: &[(&str, &str)], image: &str, certificates: Certificates) -> Vec<Value> {
    let settings = Settings {
        namespace: "flamewarden-system".to_owned(),
        image: image.to_owned(),
        certificates,
        endpoint: Endpoint::Service,
        files: files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
    };
    manifests(&settings, &PolicySet::parse(files.iter().copied()).unwrap())
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn what_answers_comes_before_what_asks() {
    let kinds: Vec<String> = printed().iter().map(|object| text(object, "/kind").to_owned()).collect();
    let first = |kind: &str| kinds.iter().position(|known| known == kind).unwrap();
    assert_eq!(first("Namespace"), 0);
    assert!(first("ServiceAccount") < first("Deployment"));
    assert!(first("Deployment") < first("ValidatingWebhookConfiguration"));
    assert!(first("Service") < first("MutatingWebhookConfiguration"));
}

#[test]
fn every_configuration_is_scoped_by_namespace_name_and_fails_as_designed() {
    let printed = printed();
    let configurations: Vec<&Value> =
        printed.iter().filter(|object| text(object, "/kind").ends_with("WebhookConfiguration")).collect();
    assert_eq!(
        configurations.len(),
        23,
        "2 mutating and 9 validating, for shared and for dedicated namespaces, and one"
    );
    for configuration in configurations {
        let webhooks = configuration["webhooks"].as_array().unwrap();
        assert_eq!(webhooks.len(), 1, "one entry to an object");
        let webhook = &webhooks[0];
        let mutating = text(configuration, "/kind").starts_with("Mutating");
        assert_eq!(text(webhook, "/failurePolicy"), if mutating { "Ignore" } else { "Fail" });
        assert_eq!((text(webhook, "/matchPolicy"), text(webhook, "/sideEffects")), ("Equivalent", "None"));
        assert_eq!(webhook["timeoutSeconds"], 5);
        // Who comes after it may undo what it mended, so it is asked again.
        assert_eq!(webhook["reinvocationPolicy"], if mutating { json!("IfNeeded") } else { Value::Null });
        assert_eq!(webhook["objectSelector"], Value::Null);
        assert_eq!(webhook["clientConfig"]["caBundle"], Value::Null, "the controller's to write");
        let name = text(configuration, "/metadata/name");
        if name == "flamewarden-imagescans" {
            assert_eq!(webhook["namespaceSelector"], json!({}), "they are in none");
            assert!(webhook["rules"].as_array().unwrap().iter().all(|rule| rule["scope"] == "Cluster"));
            continue;
        }
        let dedicated = name.ends_with("-dedicated");
        let names = if dedicated { vec!["analyses"] } else { vec!["flame", "default"] };
        let expression = serde_json::json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": names});
        assert_eq!(webhook["namespaceSelector"], serde_json::json!({"matchExpressions": [expression]}));
        assert!(webhook["rules"].as_array().unwrap().iter().all(|rule| rule["scope"] == "Namespaced"));
    }
}

#[test]
fn the_webhook_has_two_replicas_of_which_drains_leave_one() {
    let printed = printed();
    let spec = |kind: &str| {
        let found = printed
            .iter()
            .find(|object| text_is(object, "/kind", kind) && text_is(object, "/metadata/name", "flamewarden-webhook"));
        &found.unwrap()["spec"]
    };
    let deployment = spec("Deployment");
    assert_eq!(deployment["replicas"], 2);
    assert_eq!(deployment["strategy"]["rollingUpdate"], json!({"maxUnavailable": 0, "maxSurge": 1}));
    let selector = json!({"matchLabels": {"app.kubernetes.io/instance": "flamewarden-webhook"}});
    assert_eq!(spec("PodDisruptionBudget"), &json!({"minAvailable": 1, "selector": selector}));
}

/// Rules on more than guarded pods need one more configuration in each tenancy, and its `caBundle` a right.
#[test]
fn users_rules_are_asked_for_what_they_name() {
    let rule = |name: &str, constraints: &str| {
        format!(
            "apiVersion: flamewarden.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n{constraints}  \
             validations: [{{expression: 'true'}}]\n---\n"
        )
    };
    let own = rule("pods-only", "")
        + &rule(
            "some",
            "  matchConstraints:\n    resourceRules:\n      - {apiGroups: [''], resources: [secrets, configmaps], \
             operations: [UPDATE, CREATE]}\n      - {apiGroups: [networking.k8s.io, '*'], apiVersions: [v1], \
             resources: [ingresses], operations: ['*', CREATE]}\n",
        )
        + &rule(
            "same",
            "  matchConstraints:\n    resourceRules: [{apiGroups: [''], resources: [configmaps], operations: [CREATE, UPDATE]}]\n",
        );
    let files = [FILES[0], FILES[1], FILES[2], ("own.yaml", own.as_str())];
    let printed = printed_of(&files, "flamewarden", Certificates::Own);
    let another = printed.iter().find(|object| text(object, "/metadata/name") == "flamewarden-pods").unwrap();
    let found: Vec<&Value> =
        printed.iter().filter(|object| text(object, "/metadata/name").starts_with("flamewarden-rules")).collect();
    for (object, name, namespaces) in [
        (found[0], "flamewarden-rules", json!(["flame", "default"])),
        (found[1], "flamewarden-rules-dedicated", json!(["analyses"])),
    ] {
        let wanted = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name, "labels": another["metadata"]["labels"]},
            "webhooks": [{
                "name": "rules.validate.flamewarden.dev", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "clientConfig": {"service": {"name": "flamewarden-webhook", "namespace": "flamewarden-system",
                    "path": "/validate", "port": 443}},
                "rules": [
                    {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["ingresses"],
                     "scope": "Namespaced"},
                    {"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["*"],
                     "resources": ["configmaps", "secrets"], "scope": "Namespaced"},
                ],
                "namespaceSelector": {"matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces}]},
                "matchPolicy": "Equivalent", "timeoutSeconds": 5, "failurePolicy": "Fail",
            }],
        });
        assert_eq!(object, &wanted);
    }
    let mut roles = printed.iter().filter(|object| text(object, "/kind") == "ClusterRole");
    let role = roles.find(|object| text(object, "/metadata/name") == "flamewarden-controller").unwrap();
    let rules = role["rules"].as_array().unwrap().iter();
    let mut validating = rules.filter(|rule| rule["resources"] == json!(["validatingwebhookconfigurations"]));
    let names = validating.next().unwrap()["resourceNames"].as_array().unwrap();
    assert_eq!(names[19..], [json!("flamewarden-rules"), json!("flamewarden-rules-dedicated")]);
}

#[test]
fn the_webhook_may_only_read_pods_where_it_guards_and_what_scans_say() {
    let printed = printed();
    let bound: Vec<&Value> = printed
        .iter()
        .filter(|object| {
            text(object, "/kind").ends_with("Binding") && text(object, "/subjects/0/name") == "flamewarden-webhook"
        })
        .collect();
    assert_eq!(bound.len(), 4, "one Role for each guarded namespace, one ClusterRole");
    for binding in bound {
        let namespace = text(binding, "/metadata/namespace");
        let kind = text(binding, "/kind").trim_end_matches("Binding");
        let role = printed.iter().find(|object| {
            text(object, "/kind") == kind
                && text(object, "/metadata/namespace") == namespace
                && text(object, "/metadata/name") == "flamewarden-webhook"
        });
        let rules = match kind {
            "Role" => json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
            _ => json!([{"apiGroups": ["flamewarden.dev"], "resources": ["imagescans"], "verbs": ["list", "watch"]}]),
        };
        assert_eq!(role.unwrap()["rules"], rules);
    }
}

/// What is printed where an Orchestrator document has that section.
fn printed_with(section: &str) -> Vec<Value> {
    let upstreams = "kong: {service: k}, storage: {service: s}, hubAdapter: {service: h}, messageBroker: {service: m}";
    printed_with_upstreams(upstreams, section)
}

fn printed_with_upstreams(upstreams: &str, section: &str) -> Vec<Value> {
    let image = format!("registry.example/nginx@sha256:{}", "1".repeat(64));
    let installation = FILES[2].1.replace("[\"nginx:latest\",", &format!("[\"{image}\","));
    let orchestrator = format!(
        "apiVersion: flamewarden.dev/v1alpha1\nkind: Orchestrator\nspec:\n  namespace: analyses\n  gatewayImage: {image}\n  \
         upstreams: {{{upstreams}}}\n\
         {section}"
    );
    let files = [FILES[0], FILES[1], ("installation.yaml", installation.as_str()), ("o.yaml", orchestrator.as_str())];
    printed_of(&files, "flamewarden", Certificates::Own)
}

/// The REST API's cleanup deletes pods: where analyses are made, and where the message broker and the storage service are.
#[test]
fn who_may_delete_pods_is_told_where_there_is_a_rest_api_and_nowhere_besides() {
    let api = "  api: {keycloak: 'http://keycloak', administrators: {clients: [hub]}}\n";
    for (section, wanted) in
        [("", vec![]), (api, vec![("analyses", vec!["delete"]), ("storage", vec!["list", "delete"])])]
    {
        let printed = printed_with_upstreams(
            "kong: {service: k, namespace: kong}, storage: {service: s, namespace: storage}, hubAdapter: {service: h}, messageBroker: {service: m}",
            section,
        );
        let mut found = Vec::new();
        for role in printed.iter().filter(|object| ["Role", "ClusterRole"].contains(&text(object, "/kind"))) {
            for rule in role["rules"].as_array().unwrap() {
                let has = |key: &str, value: &str| rule[key].as_array().unwrap().contains(&json!(value));
                if has("resources", "pods") && (has("verbs", "delete") || has("verbs", "deletecollection")) {
                    let verbs = rule["verbs"].as_array().unwrap().iter().map(|verb| verb.as_str().unwrap());
                    found.push((text(role, "/metadata/namespace"), verbs.collect::<Vec<_>>()));
                }
            }
        }
        assert_eq!(found, wanted);
    }
}

/// With an API the controller listens on one more port; without one nothing of it is printed.
#[test]
fn the_rest_api_is_reached_by_a_service_of_its_own_where_there_is_one() {
    let api = "  api: {keycloak: 'http://keycloak', administrators: {clients: [hub]}}\n";
    for (section, has_api) in [("", false), (api, true)] {
        let printed = printed_with(section);
        let named = |kind: &str, name: &str| {
            printed.iter().find(|object| text_is(object, "/kind", kind) && text_is(object, "/metadata/name", name))
        };
        let api = named("Service", "flamewarden-orchestrator").map(|service| service["spec"].clone());
        let wanted = json!({
            "selector": {"app.kubernetes.io/instance": "flamewarden-controller"},
            "ports": [{"name": "rest", "port": 8000, "targetPort": "rest", "protocol": "TCP"}],
        });
        assert_eq!(api, has_api.then_some(wanted));
        for (deployment, listens) in [("flamewarden-controller", has_api), ("flamewarden-webhook", false)] {
            let container = &named("Deployment", deployment).unwrap()["spec"]["template"]["spec"]["containers"][0];
            let port = container["ports"].as_array().unwrap().contains(&json!({"name": "rest", "containerPort": 8000}));
            let told = container["args"].as_array().unwrap().contains(&json!("--api=0.0.0.0:8000"));
            assert_eq!((port, told), (listens, listens), "{deployment}");
        }
        let open = &named("NetworkPolicy", "flamewarden").unwrap()["spec"]["ingress"][0]["ports"];
        assert_eq!(open.as_array().unwrap().contains(&json!({"protocol": "TCP", "port": 8000})), has_api);
    }
}

/// What reaching Keycloak and the Hub takes is mounted into the controller alone, and only where the settings count on it.
#[test]
fn secrets_proxies_and_authorities_are_the_controllers_where_the_settings_count_on_them() {
    let secret =
        |volume: &str, name: &str| json!({"name": volume, "secret": {"secretName": name, "defaultMode": 0o440}});
    let keycloak =
        ("--keycloak-secret=/keycloak/client-secret", "/keycloak", secret("keycloak", "flamewarden-keycloak"));
    let hub = ("--hub-secret=/hub/client-secret", "/hub", secret("hub", "flamewarden-hub"));
    let proxies = ("--proxies=/proxies", "/proxies", secret("proxies", "flamewarden-proxies"));
    let file = "--authorities=/authorities/ca.crt";
    let in_secret = (file, "/authorities", secret("authorities", "flamewarden-authorities"));
    let map = json!({"name": "authorities", "configMap": {"name": "flamewarden-authorities"}});
    let in_map = (file, "/authorities", map);
    for (section, wanted) in [
        ("", vec![]),
        ("  ways: {httpProxy: 'http://proxy', direct: [keycloak]}\n", vec![]),
        ("  tokens: {keycloak: 'http://keycloak'}\n", vec![keycloak]),
        ("  hub: {core: 'http://core', auth: 'http://auth', client: c}\n", vec![hub]),
        ("  ways: {httpsProxy: fromSecret, authorities: fromConfigMap}\n", vec![proxies.clone(), in_map]),
        ("  ways: {httpProxy: fromSecret, authorities: fromSecret}\n", vec![proxies, in_secret]),
    ] {
        let printed = printed_with(section);
        for (name, wanted) in [("flamewarden-controller", wanted), ("flamewarden-webhook", vec![])] {
            let found = printed
                .iter()
                .find(|object| text_is(object, "/kind", "Deployment") && text_is(object, "/metadata/name", name));
            let pod = &found.unwrap()["spec"]["template"]["spec"];
            let container = &pod["containers"][0];
            let of = |list: &Value, is_ours: fn(&Value) -> bool| -> Vec<Value> {
                list.as_array().unwrap().iter().filter(|one| is_ours(one)).cloned().collect()
            };
            const OTHERS: [&str; 4] = ["policies", "certificates", "archive", "temporary"];
            // The archive has a test of its own.
            let ours = |one: &Value| !OTHERS.contains(&one["name"].as_str().unwrap());
            let named = |one: &Value| {
                let words = ["--keycloak-secret", "--hub-secret", "--proxies", "--authorities"];
                words.iter().any(|word| one.as_str().unwrap().starts_with(word))
            };
            let given =
                (of(&container["args"], named), of(&container["volumeMounts"], ours), of(&pod["volumes"], ours));
            let mount = |(_, path, volume): &(&str, &str, Value)| json!({"name": volume["name"], "mountPath": path, "readOnly": true});
            let arguments = wanted.iter().map(|(argument, ..)| json!(argument)).collect();
            let volumes = wanted.iter().map(|(.., volume)| volume.clone()).collect();
            assert_eq!(given, (arguments, wanted.iter().map(mount).collect(), volumes), "{name} {section}");
        }
    }
}

/// A file on a volume is written by one controller; a server by as many as there are, and its URL is a Secret's.
#[test]
fn the_archive_is_mounted_into_the_controller_alone_which_is_one_where_it_is_a_file() {
    let claim = |spec: Value| {
        let labels = json!({"app.kubernetes.io/name": "flamewarden", "app.kubernetes.io/component": "archive",
            "app.kubernetes.io/part-of": "flamewarden"});
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": spec,
            "metadata": {"name": "flamewarden-archive", "namespace": "flamewarden-system", "labels": labels}})
    };
    let of_size = |size: &str| json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}});
    let mut fast = of_size("1Gi");
    fast["storageClassName"] = json!("fast");
    let file = json!({"name": "archive", "persistentVolumeClaim": {"claimName": "flamewarden-archive"}});
    let url = json!({"name": "archive", "secret": {"secretName": "flamewarden-archive", "defaultMode": 0o440}});
    let (one, rolling) = (
        json!({"type": "Recreate"}),
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}),
    );
    for (section, claims, volume, argument, replicas, strategy) in [
        ("", vec![claim(of_size("10Gi"))], &file, "--archive=/archive", 1, &one),
        ("  archive: {size: 1Gi, storageClass: fast}\n", vec![claim(fast)], &file, "--archive=/archive", 1, &one),
        ("  archive: {database: postgresql}\n", vec![], &url, "--archive-url-file=/archive/url", 2, &rolling),
    ] {
        let printed = printed_with(section);
        let found: Vec<&Value> = printed.iter().filter(|one| text_is(one, "/kind", "PersistentVolumeClaim")).collect();
        assert_eq!(found, claims.iter().collect::<Vec<_>>());
        let deployment = |name: &str| {
            let named = |one: &&Value| text_is(one, "/kind", "Deployment") && text_is(one, "/metadata/name", name);
            printed.iter().find(named).unwrap()["spec"].clone()
        };
        let controller = deployment("flamewarden-controller");
        assert_eq!((&controller["replicas"], &controller["strategy"]), (&json!(replicas), strategy), "{section}");
        let pod = &controller["template"]["spec"];
        assert!(pod["volumes"].as_array().unwrap().contains(volume), "{pod}");
        let writable: Vec<&Value> = pod["containers"][0]["volumeMounts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|mount| mount["readOnly"] != json!(true))
            .collect();
        let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path, "readOnly": false});
        // SQLite needs room beside its file: the root is read-only, and the image has no /tmp.
        let mounts = [mount("archive", "/archive"), mount("temporary", "/tmp")];
        let wanted = if claims.is_empty() { vec![] } else { mounts.iter().collect() };
        assert_eq!(writable, wanted, "nothing else is written to");
        let told = pod["containers"][0]["args"].as_array().unwrap().iter().filter_map(Value::as_str);
        assert_eq!(told.filter(|told| told.contains("archive")).collect::<Vec<_>>(), [argument]);
        assert!(!deployment("flamewarden-webhook").to_string().contains("archive"));
    }
    let without = printed();
    assert!(!without.iter().any(|object| object.to_string().contains("flamewarden-archive")));
}

fn text_is(object: &Value, pointer: &str, wanted: &str) -> bool {
    text(object, pointer) == wanted
}

/// What differs where somebody else makes the certificate: the right to write any Secret or `caBundle` is gone.
#[test]
fn without_certificates_of_its_own_the_controller_asks_for_no_right_to_make_them() {
    for (certificates, kinds, injected, source) in [
        (
            Certificates::CertManager,
            vec!["Issuer", "Certificate", "Issuer", "Certificate"],
            "flamewarden-system/flamewarden-webhook",
            "cert-manager",
        ),
        (Certificates::Other, vec![], "", "other"),
    ] {
        let printed = printed_for(certificates);
        let more = printed.iter().filter(|object| text(object, "/apiVersion").starts_with("cert-manager.io/"));
        let more: Vec<&Value> = more.collect();
        assert_eq!(more.iter().map(|object| text(object, "/kind")).collect::<Vec<_>>(), kinds);
        let rules = printed.iter().filter(|object| object["metadata"]["name"] == "flamewarden-controller");
        let rules: Vec<&Value> = rules.filter_map(|object| object["rules"].as_array()).flatten().collect();
        let touches = |word: &str| rules.iter().any(|rule| rule["resources"].to_string().contains(word));
        assert!(!rules.is_empty() && touches("leases") && !touches("secrets") && !touches("configurations"));
        let controller = printed.iter().find(|object| {
            text(object, "/kind") == "Deployment" && text(object, "/metadata/name") == "flamewarden-controller"
        });
        let arguments = &controller.unwrap()["spec"]["template"]["spec"]["containers"][0]["args"];
        let source = format!("--certificate-source={source}");
        assert!(arguments.as_array().unwrap().contains(&source.into()), "{arguments}");
        let configurations = printed.iter().filter(|object| text(object, "/kind").ends_with("WebhookConfiguration"));
        for configuration in configurations {
            assert_eq!(text(configuration, "/metadata/annotations/cert-manager.io~1inject-ca-from"), injected);
        }
    }
}

#[test]
fn cert_manager_is_asked_for_an_authority_that_outlasts_the_certificate() {
    let printed = printed_for(Certificates::CertManager);
    let specs: Vec<(&str, &Value)> = printed
        .iter()
        .filter(|object| text(object, "/apiVersion") == "cert-manager.io/v1")
        .map(|object| (text(object, "/metadata/name"), &object["spec"]))
        .collect();
    let issuer = |name: &str| json!({"group": "cert-manager.io", "kind": "Issuer", "name": name});
    let key = |rotation: &str| json!({"algorithm": "ECDSA", "size": 256, "rotationPolicy": rotation});
    let name = "flamewarden-webhook.flamewarden-system.svc";
    assert_eq!(
        specs,
        [
            ("flamewarden-self-signed", &json!({"selfSigned": {}})),
            (
                "flamewarden-certificates",
                &json!({
                    "isCA": true, "commonName": "Flamewarden webhook authority", "secretName": "flamewarden-certificates",
                    "duration": "43800h", "privateKey": key("Never"), "issuerRef": issuer("flamewarden-self-signed"),
                    "usages": ["cert sign", "crl sign"],
                })
            ),
            ("flamewarden-certificates", &json!({"ca": {"secretName": "flamewarden-certificates"}})),
            (
                "flamewarden-webhook",
                &json!({
                    "secretName": "flamewarden-webhook-tls", "dnsNames": [name, format!("{name}.cluster.local")],
                    "duration": "2160h", "renewBefore": "720h", "privateKey": key("Always"),
                    "issuerRef": issuer("flamewarden-certificates"), "usages": ["digital signature", "server auth"],
                })
            ),
        ]
    );
}

/// A folder with these policies.
#[expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Whether `flamewarden manifests` prints anything, and what it says besides.
#[expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
fn run_manifests(folder: &std::path::Path, image: &str, more: Option<&str>) -> (bool, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    command.arg("manifests").arg("--policies").arg(folder).args(["--image", image]).args(more);
    let done = command.output().unwrap();
    assert_eq!(done.status.success(), !done.stdout.is_empty(), "{image}");
    (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
}

/// The shipped profiles ask for verdicts, and the controller's image has no Grype.
#[test]
fn an_installation_in_which_nothing_would_be_scanned_is_not_printed() {
    let image = format!("registry.example/flamewarden@sha256:{}", "0".repeat(64));
    let asks_nothing = |text: &str| text.replace("verdict: required", "verdict: any");
    let (analysis, gateway) = (asks_nothing(FILES[0].1), asks_nothing(FILES[1].1));
    let says = "nothing in the cluster would scan any: copy scanner.yaml.example to scanner.yaml";
    for (files, says) in [
        (vec![FILES[0], FILES[1]], says),
        (vec![FILES[0], ("g.yaml", gateway.as_str())], says),
        (vec![FILES[0], FILES[1], ("scanner.yaml", scanner("{}").as_str())], says),
        (vec![FILES[0], FILES[1], ("scanner.yaml", by_jobs("").as_str())], ""),
        (vec![("a.yaml", analysis.as_str()), ("g.yaml", gateway.as_str())], ""),
    ] {
        let folder = folder_of(&[files.as_slice(), &[FILES[2]]].concat());
        let (done, said) = run_manifests(folder.path(), &image, None);
        assert!(said.contains(says) && done == says.is_empty(), "{said}");
    }
}

/// The controller would show none.
#[test]
fn pages_without_an_archive_are_not_printed() {
    let image = format!("registry.example/flamewarden@sha256:{}", "0".repeat(64));
    let auditor = |more: &str| {
        format!(
            "apiVersion: flamewarden.dev/v1alpha1\nkind: Auditor\nspec:\n  pages: {{url: 'https://f.example', login: none}}\n{more}"
        )
    };
    let says = "there is no archive that they could show";
    for (auditor, says) in [(auditor(""), says), (auditor("  archive: {}\n"), "")] {
        let scanner = by_jobs("");
        let more = [("auditor.yaml", auditor.as_str()), ("scanner.yaml", scanner.as_str())];
        let folder = folder_of(&[FILES.as_slice(), &more].concat());
        let (done, said) = run_manifests(folder.path(), &image, None);
        assert!(said.contains(says) && done == says.is_empty(), "{said}");
    }
}

/// A tag can be moved afterwards.
#[test]
fn an_image_is_named_by_its_digest_unless_it_is_to_be_tried_and_the_controller_as_the_policies_do() {
    let folder = folder_of(&[FILES.as_slice(), &[("scanner.yaml", SCANNER)]].concat());
    let digest = format!("registry.example/flamewarden@sha256:{}", "0".repeat(64));
    for (image, more, says) in [
        (
            digest.as_str(),
            Some("--namespace=flame"),
            "--namespace flame makes the controller `system:serviceaccount:flame:",
        ),
        (
            digest.as_str(),
            Some("--namespace=elsewhere"),
            "set `controller` there, or print for the namespace that it names",
        ),
        (digest.as_str(), None, ""),
        ("registry.example/flamewarden:1", Some("--image-by-tag"), ""),
        ("registry.example/flamewarden:1", None, "has no digest, so what runs could be replaced"),
        ("registry.example/flamewarden@sha256:0", Some("--image-by-tag"), "no digest after `@`"),
        ("", Some("--image-by-tag"), "an image must be named"),
    ] {
        let (done, said) = run_manifests(folder.path(), image, more);
        assert!(said.contains(says) && done == says.is_empty(), "{image}: {said}");
    }
}

/// The controller runs without them too: a SIEM must keep no gate closed.
#[test]
fn the_certificates_of_a_syslog_receiver_are_mounted_where_the_policies_say_and_may_be_missing() {
    let mounted = |spec: &str| {
        let auditor = format!("apiVersion: flamewarden.dev/v1alpha1\nkind: Auditor\nspec: {spec}\n");
        let printed =
            printed_of(&[FILES[0], FILES[1], FILES[2], ("w.yaml", &auditor)], "flamewarden", Certificates::Other);
        ["flamewarden-controller", "flamewarden-webhook"].map(|part| {
            let pod = &named(&printed, "Deployment", part)["spec"]["template"]["spec"];
            let of = |list: &Value| list.as_array().unwrap().iter().find(|one| one["name"] == "syslog").cloned();
            (of(&pod["volumes"]), of(&pod["containers"][0]["volumeMounts"]))
        })
    };
    let volume = json!({"name": "syslog", "configMap": {"name": "flamewarden-syslog", "optional": true}});
    let mount = json!({"name": "syslog", "mountPath": "/syslog", "readOnly": true});
    let there = (Some(volume), Some(mount));
    for (spec, want) in [
        ("{}", (None, None)),
        ("{syslog: {address: 'siem:6514'}}", there.clone()),
        ("{syslog: {address: 'siem:6514', authorityFile: /syslog/siem.crt}}", there),
        ("{syslog: {address: 'siem:6514', authorityFile: /elsewhere/ca.crt}}", (None, None)),
    ] {
        assert_eq!(mounted(spec), [want, (None, None)], "{spec}");
    }
}

/// History and pages need no Orchestrator: FLAME's own may make the analyses.
#[test]
fn an_auditor_may_have_an_archive_and_pages_of_its_own() {
    let printed = |spec: &str| {
        let auditor = format!("apiVersion: flamewarden.dev/v1alpha1\nkind: Auditor\nspec: {spec}\n");
        printed_of(&[FILES[0], FILES[1], FILES[2], ("w.yaml", &auditor)], "flamewarden-system", Certificates::Own)
    };
    let oidc = "oidc: {issuer: 'https://idp', clientId: fw}, roles: [{name: a, groups: [a], namespaces: ['*']}]";
    let pages = format!("{{archive: {{}}, pages: {{url: 'https://fw', {oidc}}}}}");
    for (spec, has_archive, has_pages, replicas) in [
        ("{}", false, false, 2),
        ("{archive: {}}", true, false, 1),
        ("{archive: {database: postgresql}}", true, false, 2),
        (pages.as_str(), true, true, 1),
    ] {
        let printed = printed(spec);
        let controller = named(&printed, "Deployment", "flamewarden-controller");
        let pod = controller["spec"]["template"]["spec"].to_string();
        assert_eq!(controller["spec"]["replicas"], replicas, "{spec}");
        assert_eq!(pod.contains("--archive"), has_archive, "{spec}");
        assert_eq!(
            !named(&printed, "PersistentVolumeClaim", "flamewarden-archive").is_null(),
            has_archive && replicas == 1
        );
        let has_room = pod.contains(r#"{"mountPath":"/tmp","name":"temporary","readOnly":false}"#);
        assert_eq!(has_room, has_archive && replicas == 1, "{spec}: {pod}");
        let open = named(&printed, "NetworkPolicy", "flamewarden")["spec"]["ingress"][0]["ports"].to_string();
        let service = named(&printed, "Service", "flamewarden-pages");
        let there = [pod.contains("--pages=0.0.0.0:8001"), pod.contains("flamewarden-pages"), open.contains("8001")];
        assert_eq!(there, [has_pages; 3], "{spec}");
        assert_eq!(!service.is_null(), has_pages, "{spec}");
        let webhook = named(&printed, "Deployment", "flamewarden-webhook").to_string();
        assert!(!webhook.contains("8001") && !webhook.contains("flamewarden-pages") && !webhook.contains("--archive"));
    }
}

/// A Scanner whose scans are made by Jobs, with more settings of those.
fn by_jobs(more: &str) -> String {
    let digits = "0".repeat(64);
    scanner(&format!(
        "{{worker: {{image: 'registry.example/scan@sha256:{digits}', databases: {{claim: grype}}{more}}}}}"
    ))
}

fn scanner(spec: &str) -> String {
    format!("apiVersion: flamewarden.dev/v1alpha1\nkind: Scanner\nspec: {spec}\n")
}

fn printed_scanning(scanner: &str) -> Vec<Value> {
    let files = [FILES[0], FILES[1], FILES[2], ("scanner.yaml", scanner)];
    printed_of(&files, "flamewarden", Certificates::Other)
}

/// One of the printed objects; null where it is not printed.
fn named(printed: &[Value], kind: &str, name: &str) -> Value {
    let is_it = |one: &&Value| text_is(one, "/kind", kind) && text_is(one, "/metadata/name", name);
    printed.iter().find(is_it).cloned().unwrap_or_default()
}

/// Nothing of it is printed where child processes make scans.
#[test]
fn scans_by_jobs_take_an_account_without_rights_and_a_port_that_workers_alone_reach() {
    let without = printed_scanning(&scanner("{}"));
    let with = printed_scanning(&by_jobs(""));
    for (printed, has) in [(&without, false), (&with, true)] {
        let account = named(printed, "ServiceAccount", "flamewarden-scan");
        assert_eq!(account["automountServiceAccountToken"], if has { json!(false) } else { Value::Null });
        let bound = printed.iter().filter(|one| text(one, "/kind").ends_with("RoleBinding"));
        assert!(bound.clone().count() > 2 && bound.clone().all(|one| !one["subjects"].to_string().contains("-scan\"")));
        let own = printed
            .iter()
            .filter(|one| text_is(one, "/kind", "Role") && text_is(one, "/metadata/namespace", "flamewarden-system"))
            .find(|one| text_is(one, "/metadata/name", "flamewarden-controller"));
        let rules = own.unwrap()["rules"].as_array().unwrap();
        let jobs: Vec<&Value> = rules.iter().filter(|rule| rule["resources"] != json!(["leases"])).collect();
        let wanted = [
            json!({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "create", "delete"]}),
            json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}),
            json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}),
        ];
        assert_eq!(jobs, wanted.iter().filter(|_| has).collect::<Vec<_>>());
        let open = named(printed, "NetworkPolicy", "flamewarden")["spec"]["ingress"].clone();
        let workers = json!({"podSelector": {"matchLabels": {"app.kubernetes.io/name": "flamewarden-scan"}}});
        let port = json!([{"protocol": "TCP", "port": 9444}]);
        assert_eq!(open.get(1), has.then_some(&json!({"from": [workers], "ports": port})));
        assert!(!open[0].to_string().contains("9444"), "it is open to workers alone");
        let pod = named(printed, "Deployment", "flamewarden-controller")["spec"]["template"]["spec"].clone();
        let container = &pod["containers"][0];
        let own = json!([{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
        assert_eq!(container["env"], if has { own } else { Value::Null });
        let told = container["args"].as_array().unwrap().contains(&json!("--scans=0.0.0.0:9444"));
        let room = json!({"name": "received", "emptyDir": {"sizeLimit": "1Gi"}});
        assert_eq!((told, pod["volumes"].as_array().unwrap().contains(&room)), (has, has));
        let webhook = named(printed, "Deployment", "flamewarden-webhook").to_string();
        assert!(!webhook.contains("9444") && !webhook.contains("POD_IP"));
    }
}

/// Where Jobs make scans, their pods reach what the settings say, and of Flamewarden the controller alone.
#[test]
fn workers_reach_the_controllers_port_and_what_is_named() {
    let tcp = |port: u16| json!([{"protocol": "TCP", "port": port}]);
    let controller = json!({"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "flamewarden-controller"}}});
    let controller = json!({"to": [controller], "ports": tcp(9444)});
    let dns = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}});
    let dns = json!({"to": [dns], "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]});
    let private =
        json!(["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]);
    let outside = json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": private}},
        {"ipBlock": {"cidr": "::/0", "except": ["::1/128", "fc00::/7", "fe80::/10"]}}], "ports": tcp(443)});
    let harbor = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "harbor"}},
        "podSelector": {"matchLabels": {"app": "harbor"}}});
    let some = ", dns: none, egress: [{network: 10.1.2.3/32, ports: [5000]}, {namespace: harbor, pods: {app: harbor}, ports: [8443]}]";
    for (more, egress) in [
        ("", json!([controller, dns, outside])),
        (", dns: none", json!([controller, outside])),
        (
            some,
            json!([controller, {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": tcp(5000)}, {"to": [harbor], "ports": tcp(8443)}]),
        ),
    ] {
        let policy = named(&printed_scanning(&by_jobs(more)), "NetworkPolicy", "flamewarden-scan")["spec"].clone();
        let pods = json!({"matchLabels": {"app.kubernetes.io/name": "flamewarden-scan"}});
        let wanted =
            json!({"podSelector": pods, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": egress});
        assert_eq!(policy, wanted, "{more}");
    }
}

/// Nothing of it is printed where the policies ask for no canary, but that the audit may read what one has told.
#[test]
fn a_canary_takes_an_account_without_rights_and_rights_of_the_controller_in_its_own_namespace_alone() {
    let with = format!("{}  network: {{}}\n", FILES[2].1);
    let with = printed_of(&[FILES[0], FILES[1], ("installation.yaml", &with)], "flamewarden", Certificates::Own);
    let without = printed();
    let is_account = |object: &&Value| text_is(object, "/kind", "ServiceAccount");
    let accounts = |printed: &[Value]| {
        let found =
            printed.iter().filter(is_account).filter(|one| text_is(one, "/metadata/name", "flamewarden-canary"));
        found.map(|account| account["automountServiceAccountToken"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((accounts(&with), accounts(&without)), (vec![json!(false)], vec![]));
    assert!(with.iter().all(|one| one.get("subjects").is_none_or(|all| !all.to_string().contains("-canary"))));
    let make = json!(["get", "list", "create", "delete"]);
    let more = [
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": make}),
        json!({"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": make}),
        json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}),
        json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["flamewarden-canary"], "verbs": ["get", "update"]}),
    ];
    // Every rule of every role, with where it holds.
    let rules = |printed: &[Value]| {
        let roles = printed.iter().filter(|one| text(one, "/kind").ends_with("Role"));
        let rules = roles.flat_map(|role| {
            let place = [text(role, "/metadata/namespace"), text(role, "/metadata/name")].map(str::to_owned);
            role["rules"].as_array().unwrap().iter().map(move |rule| (place.clone(), rule.clone()))
        });
        // The audit reads each object that is printed.
        rules.filter(|([_, name], _)| name != "flamewarden-auditor").collect::<Vec<_>>()
    };
    let before = rules(&without);
    let added: Vec<_> = rules(&with).into_iter().filter(|rule| !before.contains(rule)).collect();
    let place = ["flamewarden-system", "flamewarden-controller"].map(str::to_owned);
    assert_eq!(added, more.map(|rule| (place.clone(), rule)));
    for printed in [&with, &without] {
        let read = json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["flamewarden-canary"], "verbs": ["get"]});
        let mut roles = printed.iter().filter(|one| text_is(one, "/metadata/name", "flamewarden-auditor"));
        assert!(roles.any(|role| text_is(role, "/metadata/namespace", "flamewarden-system")
            && role["rules"].as_array().is_some_and(|rules| rules.contains(&read))));
    }
}

#[test]
fn the_yaml_says_what_the_objects_say() {
    let printed = printed();
    let read: Vec<Value> = serde_saphyr::from_multiple(&to_yaml(&printed).unwrap()).unwrap();
    assert_eq!(read, printed);
}

#[test]
fn webhook_config_holds_what_is_printed_for_the_example() {
    let example = include_str!("../policies/installation.yaml.example");
    let files = [FILES[0], FILES[1], ("installation.yaml", example), ("scanner.yaml", SCANNER)];
    let printed = to_yaml(&printed_of(&files, "flamewarden", Certificates::Own)).unwrap();
    let kept = include_str!("../webhook-config/flamewarden.yaml");
    assert!(printed == kept, "webhook-config/flamewarden.yaml is out of date; run webhook-config/print");
}

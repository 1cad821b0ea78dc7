//! The profiles in `policies/` are read, and together with an installation they make a whole.

use flamewarden::policy::{ALWAYS, PolicySet, Tenancy};

const ANALYSIS: &str = include_str!("../policies/flame-analysis.yaml");
const GATEWAY: &str = include_str!("../policies/flame-gateway.yaml");
const INSTALLATION: &str = include_str!("fixtures/installation.yaml");

#[test]
fn shipped_profiles_and_an_installation_make_a_whole() {
    let files =
        [("flame-analysis.yaml", ANALYSIS), ("flame-gateway.yaml", GATEWAY), ("installation.yaml", INSTALLATION)];
    let set = PolicySet::parse(files).unwrap();
    assert_eq!(set.tenancy("flame"), Some(Tenancy::Shared));
    assert_eq!(set.tenancy("elsewhere"), None);
    assert_eq!(set.analysis.images.registries, ["harbor.example/node"]);
}

#[test]
fn a_problem_names_file_line_and_reason() {
    let broken = ANALYSIS.replace("graceMaximum: 30", "graceMaximun: 30");
    let problem = PolicySet::parse([("a.yaml", broken.as_str())]).unwrap_err().to_string();
    assert!(problem.contains("a.yaml") && problem.contains("graceMaximun") && problem.contains("line"), "{problem}");
    let alone = PolicySet::parse([("a.yaml", ANALYSIS)]).unwrap_err().to_string();
    assert_eq!(
        alone,
        "policies: no document of kind Installation (copy installation.yaml.example to installation.yaml and change it); \
         there must be exactly one"
    );
}

/// Of documents of which one may be there, two are told with their files.
#[test]
fn documents_that_are_there_twice_are_told_with_both_files() {
    let orchestrator = include_str!("../policies/orchestrator.yaml.example");
    let twice = format!("{INSTALLATION}\n---\n{INSTALLATION}");
    let whole = [("a.yaml", ANALYSIS), ("g.yaml", GATEWAY), ("i.yaml", INSTALLATION), ("o.yaml", orchestrator)];
    for (doubled, says) in [
        (
            ("i2.yaml", INSTALLATION),
            "more than one document of kind Installation: in i.yaml and in i2.yaml; remove one",
        ),
        (
            ("o2.yaml", orchestrator),
            "more than one document of kind Orchestrator: in o.yaml and in o2.yaml; remove one",
        ),
        (("a2.yaml", ANALYSIS), "more than one profile with role: analysis: in a.yaml and in a2.yaml; remove one"),
        (("g2.yaml", GATEWAY), "more than one profile with role: gateway: in g.yaml and in g2.yaml; remove one"),
        (("i.yaml", &*twice), "more than one document of kind Installation: two in i.yaml; remove one"),
    ] {
        let files = whole.into_iter().filter(|(file, _)| *file != doubled.0).chain([doubled]);
        assert_eq!(PolicySet::parse(files).unwrap_err().to_string(), format!("policies: {says}"));
    }
}

/// The example of an Orchestrator makes a whole with that of an Installation whose `gatewayImages` have its image.
#[test]
fn the_examples_of_an_installation_and_an_orchestrator_go_together() {
    let installation = include_str!("../policies/installation.yaml.example");
    let listed = installation.replace("\"nginx:1.29.8\"", "registry.example.org/nginxinc/");
    let orchestrator = include_str!("../policies/orchestrator.yaml.example");
    let read = |installation: &str| {
        let files = [("a.yaml", ANALYSIS), ("g.yaml", GATEWAY), ("i.yaml", installation), ("o.yaml", orchestrator)];
        PolicySet::parse(files)
    };
    let told = read(installation).unwrap_err().to_string();
    assert!(told.ends_with(" is none of the Installation's gatewayImages; add it there"), "{told}");
    assert!(read(&listed).unwrap().orchestrator.is_some_and(|settings| settings.api.is_some()));
}

/// What the example of an Auditor says is what holds without it; uncommented, its rest is read too.
#[test]
fn the_example_of_an_auditor_says_what_holds_without_it() {
    let example = include_str!("../policies/auditor.yaml.example");
    let read = |auditor: &str| {
        let files = [("a.yaml", ANALYSIS), ("g.yaml", GATEWAY), ("i.yaml", INSTALLATION), ("w.yaml", auditor)];
        PolicySet::parse(files).unwrap().auditor
    };
    assert_eq!(read(example), flamewarden::policy::Auditor::default());
    let syslog = example.replace("  # syslog:", "  syslog:").replace("  #   a", "    a").replace("  #   #", "    #");
    let syslog = read(&syslog).syslog.unwrap();
    assert_eq!(syslog.host_and_port(), ("siem.example.org", 6514));
    let files = [("w.yaml", example), ("x.yaml", example), ("a.yaml", ANALYSIS), ("g.yaml", GATEWAY)];
    let told = PolicySet::parse(files.into_iter().chain([("i.yaml", INSTALLATION)])).unwrap_err().to_string();
    assert_eq!(told, "policies: more than one document of kind Auditor: in w.yaml and in x.yaml; remove one");
}

/// Unknown is never yes: a hash that nobody is asked for would let nothing run.
#[test]
fn a_content_hash_needs_a_hub_that_is_asked_for_it() {
    let asking = ANALYSIS.replace("    verdict: required\n", "    verdict: required\n    contentHash: hub\n");
    let installation = include_str!("../policies/installation.yaml.example");
    let listed = installation.replace("\"nginx:1.29.8\"", "registry.example.org/nginxinc/");
    let orchestrator = include_str!("../policies/orchestrator.yaml.example");
    let with_hub = format!("{orchestrator}\n  hub: {{core: 'https://core', auth: 'https://auth', client: node}}\n");
    let needs = "policies: profile flame-analysis: scan.contentHash: hub needs the Hub that is asked; name it in the section \
                 `hub` of a document of kind Orchestrator";
    let profiles = [("a.yaml", asking.as_str()), ("g.yaml", GATEWAY), ("i.yaml", &listed)];
    for (orchestrator, want) in
        [(None, Some(needs)), (Some(orchestrator), Some(needs)), (Some(with_hub.as_str()), None)]
    {
        let files = profiles.into_iter().chain(orchestrator.map(|text| ("o.yaml", text)));
        let problem = PolicySet::parse(files).err().map(|problem| problem.to_string());
        assert_eq!(problem.as_deref(), want);
    }
}

#[test]
fn a_profile_that_nobody_could_keep_to_is_refused() {
    for (from, to, says) in [
        (
            "requests: {cpu: 100m,",
            "requests: {cpu: 3,",
            "a.yaml: profile flame-analysis: resources: cpu: request 3, limit 2, maximum 8: must be",
        ),
        ("limits: {cpu: \"2\",", "limits: {cpu: \"9\",", "resources: cpu: request 100m, limit 9, maximum 8: must be"),
        ("requests: {cpu: 100m,", "requests: {cpu: \"0\",", "request 0, limit 2, maximum 8: must be above 0"),
        ("limits: {cpu: \"2\", memory: 4Gi,", "limits: {cpu: \"2\",", "resources must name memory"),
        ("emptyDirDefault: 1Gi", "emptyDirDefault: 65Gi", "resources.emptyDirDefault"),
        (
            "component: flame-analysis",
            "component: flame analysis",
            "component `flame analysis` is no value that labels have",
        ),
        ("user: 65532", "user: 0", "security.user (0) and security.graceMaximum (30) must be above 0"),
        ("graceMaximum: 30", "graceMaximum: 0", "security.user (65532) and security.graceMaximum (0) must be above 0"),
    ] {
        assert!(ANALYSIS.contains(from), "{from}");
        let changed = ANALYSIS.replace(from, to);
        let files = [("a.yaml", changed.as_str()), ("g.yaml", GATEWAY), ("i.yaml", INSTALLATION)];
        let problem = PolicySet::parse(files).unwrap_err().to_string();
        assert!(problem.contains(says), "{problem} should say {says}");
    }
}

/// Each says the line, what stands there, and what to do.
#[test]
fn a_value_that_could_not_mean_what_it_says_is_refused_with_its_line() {
    const SPEC: [(&str, &str); 4] = [
        ("namespaces", "[{name: flame, tenancy: shared}]"),
        ("analysisRegistries", "[harbor.example/node]"),
        ("gatewayImages", "[\"nginx:1\"]"),
        ("creators", "[jane]"),
    ];
    for (field, value, says) in [
        ("namespaces", "[]", "namespaces: the list is empty; name the namespace where analyses run"),
        ("namespaces", "[{name: Flame, tenancy: shared}]", "`Flame` is no name of a namespace"),
        (
            "namespaces",
            "[{name: flame, tenancy: shared}, {name: flame, tenancy: dedicated}]",
            "`flame` stands there twice",
        ),
        ("analysisRegistries", "[]", "analysisRegistries: the list is empty"),
        ("analysisRegistries", "[https://harbor.example]", "has a scheme; write the host alone"),
        ("analysisRegistries", "[\"harbor.example/node:1\"]", "has no path that images have, or a tag"),
        ("analysisRegistries", "[harbor.example/Node]", "`harbor.example/Node` has no path that images have"),
        ("analysisRegistries", "[harbor.example//node]", "has no path that images have"),
        ("analysisRegistries", "[\"harbor.example:port\"]", "names no host"),
        ("analysisRegistries", "[Harbor.example]", "`Harbor.example` has capitals"),
        ("analysisRegistries", "[harbor]", "`harbor` names no host; write it as in an image, with a dot or a port"),
        ("analysisRegistries", "[index.docker.io/node]", "is known as docker.io; write that"),
        ("analysisRegistries", "[\"\"]", "names no host"),
        ("analysisRegistries", "[\"*.example\"]", "names no host"),
        ("gatewayImages", "[]", "images: the list is empty"),
        ("gatewayImages", "[\"nginx:1 \"]", "image `nginx:1 ` no tag after `:`"),
        ("gatewayImages", "[\"nginx@sha256:0\"]", "no digest after `@`; write sha256: and 64 hexadecimal digits"),
        ("gatewayImages", "[\"nginx/\"]", "names no host"),
        ("gatewayImages", "[\"https://docker.io/nginx/\"]", "has a scheme"),
        ("creators", "[]", "users: the list is empty; name at least one user"),
        ("creators", "[\"\"]", "must be the name of a user"),
        ("creators", "[\"system:serviceaccount:*:po\"]", "a `*` matches nothing; name each user"),
        ("creators", "[\"system:serviceaccount:flame-po\"]", "write system:serviceaccount:NAMESPACE:NAME"),
    ] {
        let lines = SPEC.map(|(known, good)| format!("  {known}: {}\n", if known == field { value } else { good }));
        let installation =
            format!("apiVersion: flamewarden.dev/v1alpha1\nkind: Installation\nspec:\n{}", lines.concat());
        let files = [("a.yaml", ANALYSIS), ("g.yaml", GATEWAY), ("i.yaml", installation.as_str())];
        let problem = PolicySet::parse(files).unwrap_err().to_string();
        let line = 4 + SPEC.iter().position(|(known, _)| *known == field).unwrap();
        let told = problem.starts_with("policy file i.yaml: ") && problem.contains(&format!("line {line}"));
        assert!(told && problem.contains(says), "{field}: {value}: {problem}");
    }
    for (namespace, registry, image) in [
        ("flame", "harbor.example:5000/a/b", "registry.example/x/"),
        ("a", "localhost", "nginx"),
        ("a", "[::1]:5000", "docker.io/library/nginx:1"),
    ] {
        let installation = format!(
            "apiVersion: flamewarden.dev/v1alpha1\nkind: Installation\nspec:\n  namespaces: [{{name: {namespace}, tenancy: \
             shared}}]\n  analysisRegistries: [\"{registry}\"]\n  gatewayImages: [\"{image}\"]\n  creators: [jane]\n"
        );
        PolicySet::parse([("a.yaml", ANALYSIS), ("g.yaml", GATEWAY), ("i.yaml", installation.as_str())]).unwrap();
    }
}

#[test]
fn flamewardens_own_namespace_cannot_be_guarded() {
    let installation = INSTALLATION.replace("name: default", "name: flamewarden-system");
    assert_ne!(installation, INSTALLATION);
    let files = [("a.yaml", ANALYSIS), ("g.yaml", GATEWAY), ("i.yaml", installation.as_str())];
    let problem = PolicySet::parse(files).unwrap_err().to_string();
    assert!(problem.contains("`flamewarden-system` is Flamewarden's own"), "{problem}");
}

#[test]
fn a_rule_that_always_enforces_has_neither_mode_nor_exception() {
    let lines = ANALYSIS.lines().count();
    let exception = |rule: &str| {
        format!("exceptions:\n    - {{rule: {rule}, app: a, owner: o, reason: r, expires: 2027-01-01T00:00:00Z}}")
    };
    for rule in ["identity", "network-gate", "network-policy", "connection", "seccomp"] {
        let firm = ALWAYS.contains(&rule);
        for more in [format!("modes:\n    {rule}: warn"), exception(rule)] {
            let text = format!("{ANALYSIS}  {more}\n");
            let files = [("a.yaml", text.as_str()), ("g.yaml", GATEWAY), ("i.yaml", INSTALLATION)];
            let said = PolicySet::parse(files).err().map(|problem| problem.to_string());
            let told = |said: &String| {
                said.starts_with("policy file a.yaml: ")
                    && said.contains(&format!("line {}", lines + 2))
                    && said.contains(&format!("rule `{rule}` always enforces"))
            };
            assert_eq!(said.as_ref().map(told), firm.then_some(true), "{more}: {said:?}");
        }
    }
}

#[test]
fn an_exception_says_who_answers_for_it_and_until_when() {
    for (owner, reason, expires, says) in [
        ("o", "r", "2027-01-31T00:00:00Z", ""),
        ("' '", "r", "2027-01-31T00:00:00Z", "`owner` and `reason` must not be empty"),
        ("o", "''", "2027-01-31T00:00:00Z", "`owner` and `reason` must not be empty"),
        ("o", "r", "2027-01-31", "expires `2027-01-31` is no moment; write it like 2027-01-31T00:00:00Z"),
    ] {
        let rule = format!("{{rule: seccomp, app: a, owner: {owner}, reason: {reason}, expires: {expires}}}");
        let text = format!("{ANALYSIS}  exceptions: [{rule}]\n");
        let said = PolicySet::parse([("a.yaml", text.as_str()), ("g.yaml", GATEWAY), ("i.yaml", INSTALLATION)]);
        let said = said.err().map(|problem| problem.to_string()).unwrap_or_default();
        assert_eq!((said.contains(says), said.is_empty()), (true, says.is_empty()), "{rule}: {said}");
    }
}

/// A misspelt rule would go on as if nothing had been said of it.
#[test]
fn modes_and_exceptions_name_rules_that_there_are() {
    let own = "apiVersion: flamewarden.dev/v1alpha1\nkind: Rule\nmetadata: {name: one-team}\nspec:\n  \
        validations: [{expression: 'true'}]\n";
    let exception = |rule: &str| {
        format!("exceptions:\n    - {{rule: {rule}, app: a, owner: o, reason: r, expires: 2027-01-01T00:00:00Z}}")
    };
    let mode = |rule: &str| format!("modes:\n    {rule}: warn");
    let nowhere = "exceptions: rule `secomp` is neither a rule of your own nor a built-in one";
    for (more, problem) in [
        (mode("seccomp"), ""),
        (exception("seccomp"), ""),
        (exception("one-team"), ""),
        (mode("secomp"), "modes: rule `secomp` is no built-in rule"),
        (mode("one-team"), "modes: rule `one-team` is no built-in rule"),
        (exception("secomp"), nowhere),
    ] {
        let text = format!("{ANALYSIS}  {more}\n");
        let files = [("a.yaml", text.as_str()), ("g.yaml", GATEWAY), ("i.yaml", INSTALLATION), ("o.yaml", own)];
        let also = [("a.yaml", ANALYSIS), files[1], files[2], files[3]];
        let also =
            also.into_iter().chain([("also--a", text.as_str()), ("also--g", GATEWAY), ("also--i", INSTALLATION)]);
        for said in [PolicySet::parse(files), PolicySet::parse(also)] {
            let said = said.err().map(|problem| problem.to_string()).unwrap_or_default();
            assert!(said.is_empty() == problem.is_empty() && said.contains(problem), "{more}: {said}");
        }
    }
}

#[test]
fn dns_does_not_live_where_analyses_do() {
    let text = ANALYSIS.replace("dns: cluster", "dns: [{namespace: flame, pods: {k8s-app: kube-dns}}]");
    let files = [("a.yaml", text.as_str()), ("g.yaml", GATEWAY), ("i.yaml", INSTALLATION)];
    let problem = PolicySet::parse(files).unwrap_err().to_string();
    assert!(problem.contains("namespace `flame` is guarded itself"), "{problem}");
}

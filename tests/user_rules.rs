//! Users' own rules: what is refused at load, what expressions mean, what a deadline does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

use std::time::Duration;

use flamewarden::model::{Json, Operation, Request, Resource, User, parse};
use flamewarden::policy::{Mode, PolicySet, RuleSpec};
use flamewarden::rules::{Limits, UserRules, Workers};

/// The rules of a policy text, with the profiles around them that make it a whole.
fn specs(text: &str) -> Vec<RuleSpec> {
    let files = [
        ("a", include_str!("../policies/flame-analysis.yaml")),
        ("g", include_str!("../policies/flame-gateway.yaml")),
        ("i", include_str!("fixtures/installation.yaml")),
        ("r", text),
    ];
    PolicySet::parse(files).unwrap().rules
}

fn spec(body: &str) -> RuleSpec {
    let body: String = body.lines().map(|line| format!("  {line}\n")).collect();
    let text = format!("apiVersion: flamewarden.dev/v1alpha1\nkind: Rule\nmetadata: {{name: test}}\nspec:\n{body}");
    specs(&text).pop().unwrap()
}

fn validating(expression: &str) -> RuleSpec {
    spec(&format!("validations:\n- expression: {}\n  message: no", serde_json::json!(expression)))
}

fn request<'a>(object: &'a Json<'a>, old: Option<&'a Json<'a>>) -> Request<'a> {
    Request {
        uid: "1",
        operation: if old.is_some() { Operation::Update } else { Operation::Create },
        resource: Resource { group: "", name: "pods", sub: "" },
        name: "p",
        namespace: "flame",
        user: User { name: "jane", groups: vec!["dev", "all"] },
        object: Some(object),
        old,
        options: None,
        dry_run: false,
    }
}

/// The messages that rules give for an object.
fn messages(rules: &[RuleSpec], object: &str, old: Option<&str>) -> Vec<String> {
    let rules = UserRules::compile(rules).unwrap();
    let object = parse(object.as_bytes()).unwrap();
    let old = old.map(|old| parse(old.as_bytes()).unwrap());
    let found = rules.evaluate(&request(&object, old.as_ref()), true);
    found.into_iter().map(|found| found.finding.message).collect()
}

const OBJECT: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"app":"a","é":"ü"},
    "managedFields":[1]},"spec":{"n":3,"d":1.5,"big":9223372036854775807,"t":true,"z":null,"s":"aé,b,c","e":"",
    "l":[1,2,3],"m":["x","y"],"o":[{"k":"a","v":1},{"k":"b"}],"mixed":[1,"a"],"q":"100m"}}"#;

const MEANINGS: &[(&str, &str)] = &[
    ("object.spec.n == 3.0 && object.spec.d > 1 && object.spec.n != '3'", "yes"),
    ("object.spec.big + 1 > 0", "integer overflow"),
    ("object.spec.n / 0 == 1", "division by zero"),
    ("object.spec.n % 0 == 1", "modulus by zero"),
    ("object.spec.n + object.spec.d > 1.0", "no such overload: _+_(int, double)"),
    ("object.spec.s < object.spec.n", "no such overload: _<_(string, int)"),
    ("object.spec.missing == 1", "no such key: missing"),
    ("object.spec.missing == 1 || object.spec.n == 3", "yes"),
    ("object.spec.n == 3 || object.spec.missing == 1", "yes"),
    ("object.spec.missing == 1 && object.spec.n == 4", "no"),
    ("object.spec.missing == 1 || object.spec.n == 4", "no such key: missing"),
    ("object.spec.s || object.spec.t", "yes"),
    ("object.spec.s || false", "no such overload: bool(string)"),
    ("has(object.spec.z) && object.spec.z == null && !has(object.spec.y)", "yes"),
    ("has(object.spec.s.x)", "no"),
    ("has(object.spec.y.x)", "no such key: y"),
    ("has(object.spec.l.x)", "unsupported index type 'string' in list"),
    ("object.spec.l.all(i, i > 0) && object.spec.l.exists(i, i == 3) && object.spec.l.exists_one(i, i == 2)", "yes"),
    ("object.spec.o.all(i, i.v == 2)", "no"),
    ("object.spec.o.all(i, i.v == 1)", "no such key: v"),
    ("object.spec.o.exists(i, i.v == 1)", "yes"),
    ("object.spec.o.exists_one(i, i.v == 1)", "no such key: v"),
    ("object.spec.o.filter(i, has(i.v)).map(i, i.k) == ['a']", "yes"),
    ("object.spec.o.map(i, has(i.v), i.v) == [1.0]", "yes"),
    ("object.metadata.labels.all(k, size(k) == 1 || k == 'app')", "yes"),
    ("object.spec.n.all(k, true)", "no such overload: comprehension(int)"),
    ("'app' in object.metadata.labels && !(1 in object.metadata.labels)", "yes"),
    ("2 in object.spec.l && 2.0 in object.spec.l && !('2' in object.spec.l)", "yes"),
    ("'a' in object.spec.s", "no such overload: @in(string, string)"),
    ("object.spec.l[2] == 3 && object.spec.l[dyn(2.0)] == 3", "yes"),
    ("object.spec.l[3] == 3", "index out of bounds"),
    ("object.spec.l[-1] == 3", "index out of bounds"),
    ("object.metadata.labels['é'] == 'ü'", "yes"),
    ("object.metadata.labels['x'] == 'ü'", "no such key: x"),
    ("size(object.spec.s) == 6 && object.spec.l.size() == 3 && size(object.metadata.labels) == 2", "yes"),
    ("object.spec.s.split(',') == ['aé', 'b', 'c'] && object.spec.s.split(',', 2)[1] == 'b,c'", "yes"),
    ("object.spec.m.join('-') == 'x-y' && object.spec.m.join() == 'xy'", "yes"),
    ("object.spec.mixed.join() == ''", "join: a int is no text"),
    (
        "object.spec.s.substring(1, 2) == 'é' && object.spec.s.indexOf('b') == 3 && object.spec.s.charAt(1) == 'é'",
        "yes",
    ),
    ("object.spec.s.substring(9) == ''", "index out of range: 9"),
    ("object.spec.s.replace(',', '') == 'aébc' && object.spec.s.replace(',', '', 1) == 'aéb,c'", "yes"),
    ("object.spec.s.upperAscii() == 'Aé,B,C' && object.spec.s.lastIndexOf(',') == 4", "yes"),
    ("object.spec.s.matches('^a.,b') && !object.spec.s.matches(r'^\\w+,')", "yes"),
    ("object.spec.n.matches('3')", "no such overload: matches(int)"),
    ("object.spec.n.startsWith('3')", "no such overload: startsWith(int, string)"),
    ("int('7') == 7 && int(object.spec.d) == 1 && string(3) == '3' && double('1.5') == object.spec.d", "yes"),
    ("int('0x7') == 7", "type conversion error from string to int"),
    ("bool('yes')", "type conversion error from string to bool"),
    ("quantity(object.spec.q).compareTo(quantity('0.1')) == 0 && !isQuantity('1x')", "yes"),
    ("quantity('1Gi').isGreaterThan(quantity('1G')) && quantity('1') == quantity('1000m')", "yes"),
    ("quantity('x') == quantity('1')", "\"x\" is no quantity"),
    ("object.spec.t ? object.spec.n == 3 : object.spec.missing == 1", "yes"),
    ("object.spec.n == 3 ? true : false", "yes"),
    ("object.metadata.managedFields == []", "metadata.managedFields is not visible to rules"),
    ("oldObject == null && request.operation == 'CREATE' && request.userInfo.groups.exists(g, g == 'dev')", "yes"),
    ("request.kind.group == '' && request.kind.kind == 'Pod' && request.kind.version == 'v1'", "yes"),
    ("{'a': 1} == {'a': 1.0} && [1] != ['1'] && 'x' + 'y' == 'xy' && [1] + [2] == [1, 2]", "yes"),
];

/// Rules whose conditions are false, or which ask for nothing, where an object is empty.
const PASS_ON_NOTHING: &[&str] = &[
    "try-condition-false-and-error",
    "try-condition-kind",
    "try-request-user",
    "try-update-a-grows",
    "try-update-a-kept",
    "try-whole-object",
];

/// What an expression comes to: yes, no, or an error that says so.
fn outcome(expression: &str) -> String {
    match messages(&[validating(expression)], OBJECT, None).as_slice() {
        [] => "yes".to_owned(),
        [message] if message == "no" => "no".to_owned(),
        [message] => message.trim_start_matches("an expression resulted in error: ").to_owned(),
        several => panic!("{several:?}"),
    }
}

#[test]
fn expressions_mean_what_they_mean_to_the_api_server() {
    for (expression, want) in MEANINGS {
        assert_eq!(outcome(expression), *want, "{expression}");
    }
}

#[test]
fn what_is_outside_the_subset_is_refused_by_name() {
    for (expression, says) in [
        ("object.spec.l.foo() == 1", "function `foo` is outside the subset"),
        ("duration('1s') == duration('1s')", "function `duration` is outside the subset"),
        ("object.spec.l.sum() == 1", "function `sum` is outside the subset"),
        ("params.x == 1", "`params` is outside the subset"),
        ("authorizer.group('').resource('pods').check('get').allowed()", "`authorizer` is outside the subset"),
        ("namespaceObject.metadata.name == 'x'", "`namespaceObject` is outside the subset"),
        ("objct.spec.n == 1", "unknown name `objct`"),
        ("variables.x == 1", "`variables.x` is not defined before it is used"),
        ("request.uid == ''", "field `uid` of the request is outside the subset"),
        ("object.spec.n == 1u", "unsigned numbers are outside the subset"),
        ("object.spec.?n.orValue(1) == 1", "unsupported syntax '.?'"),
        ("object.spec.s.matches(object.spec.e)", "must be a literal string"),
        ("object.spec.s.matches('(?<n>x)')", "outside the subset of patterns"),
        ("{1: 2} == {}", "keys of maps must be literal strings"),
        ("[1, 'a'] == []", "elements of a list are int and string"),
        ("1 + 'a' == 2", "no overload of `+` for int, string"),
        ("1 == 'a'", "the two sides of a comparison are int and string"),
        ("object.spec.n", "must evaluate to bool, not dyn"),
        ("object.spec.n +", "Syntax error"),
        ("object.spec.l.all(object, true)", "`object` cannot name"),
        ("[1].all(a, [1].all(b, [1].all(c, [1].all(d, true))))", "nested deeper than 3"),
        ("Foo{a: 1} == 1", "message `Foo` is outside the subset"),
    ] {
        let problem = UserRules::compile(&[validating(expression)]).unwrap_err().to_string();
        assert!(problem.starts_with("rule test, validations[0].expression: "), "{problem}");
        assert!(problem.contains(says), "{problem} should say {says}");
    }
    let long = format!("object.x == '{}'", "x".repeat(5000));
    let problem = UserRules::compile(&[validating(&long)]).unwrap_err();
    assert_eq!(problem.reason, "the expression has 5014 bytes; 4096 are the most");
}

#[test]
fn deep_expressions_are_refused_without_an_end_of_the_stack() {
    let deep = [
        format!("object{} == 1", ".a".repeat(1900)),
        format!("1{} == 1", "+1".repeat(1900)),
        format!("true{}", "&&true".repeat(600)),
        format!("true{}", "?true:true".repeat(380)),
        format!("{}1{} == 1", "(".repeat(1900), ")".repeat(1900)),
        format!("{}1{} == []", "[".repeat(1900), "]".repeat(1900)),
        format!("object{} == 1", "[0]".repeat(1200)),
        format!("object{} == 1", ".a()".repeat(900)),
        format!("{}true", "!".repeat(3900)),
        "(".repeat(4000),
        "{".repeat(4000),
        "'".repeat(4001),
        "\u{0}\u{1F600}`".repeat(500),
    ];
    for expression in deep {
        // Nothing but a way back is asked for; a few of them are fine.
        let _ = UserRules::compile(&[validating(&expression)]);
    }
    let problem = UserRules::compile(&[validating(&format!("object{} == 1", ".a".repeat(100)))]).unwrap_err();
    assert_eq!(problem.reason, "nested too deep, or too many operators in one chain");
}

#[test]
fn a_rule_document_is_read_strictly() {
    let rule =
        |spec: &str| format!("apiVersion: flamewarden.dev/v1alpha1\nkind: Rule\nmetadata: {{name: x}}\nspec: {spec}");
    for (spec, says) in [
        ("{validations: [{expression: 'true'}], failurePolicy: Ignore}", "Ignore"),
        ("{validations: [{expression: 'true'}], paramKind: {}}", "paramKind"),
        ("{validations: [{expression: 'true', mesage: x}]}", "mesage"),
        ("{severity: high}", "validations"),
    ] {
        let problem = PolicySet::parse([("rules.yaml", rule(spec).as_str())]).unwrap_err().to_string();
        assert!(problem.contains("rules.yaml") && problem.contains(says), "{problem} should say {says}");
    }
    let none = UserRules::compile(&[spec("validations: []")]).unwrap_err();
    assert_eq!(none.reason, "a rule has 1 to 64 validations, and at most 64 variables and matchConditions");
}

#[test]
fn conditions_variables_and_messages_work_as_in_a_policy_of_the_api_server() {
    let rule = |condition: &str| {
        spec(&format!(
            "mode: warn\nmatchConditions:\n- {{name: bad, expression: \"object.spec.missing == 1\"}}\n- {{name: c, expression: \"{condition}\"}}\n\
             variables:\n- {{name: n, expression: object.spec.n}}\n- {{name: m, expression: variables.n + 1}}\n\
             - {{name: broken, expression: object.spec.missing}}\n\
             validations:\n- {{expression: variables.m == 5, messageExpression: \"'m is ' + string(variables.m)\"}}\n\
             - {{expression: variables.m == 5, message: fixed, messageExpression: \"string(variables.broken)\"}}\n\
             - {{expression: variables.m == 5}}\n- {{expression: variables.broken == 1}}"
        ))
    };
    assert_eq!(
        messages(&[rule("object.spec.n == 4")], OBJECT, None),
        Vec::<String>::new(),
        "a false condition decides"
    );
    assert_eq!(
        messages(&[rule("object.spec.n == 3")], OBJECT, None),
        ["a matchCondition resulted in error: no such key: missing"]
    );
    let mut plain = rule("true");
    plain.match_conditions.clear();
    assert_eq!(
        messages(&[plain], OBJECT, None),
        [
            "m is 4",
            "fixed",
            "failed expression: variables.m == 5",
            "an expression resulted in error: no such key: missing"
        ]
    );
}

#[test]
fn a_finding_names_rule_field_and_value_and_what_was_there_before() {
    let rule =
        "fieldPath: spec.n\nmode: audit\nseverity: low\nvalidations:\n- {expression: object.spec.n > 4, message: more}";
    let rules = UserRules::compile(&[spec(rule)]).unwrap();
    let mut found = Vec::new();
    for old in [r#"{"spec":{"n":1}}"#, r#"{"spec":{"n":2}}"#, r#"{"spec":{"n":7}}"#] {
        let (new, old) = (parse(br#"{"spec":{"n":2}}"#).unwrap(), parse(old.as_bytes()).unwrap());
        let findings = rules.evaluate(&request(&new, Some(&old)), true);
        found.extend(findings.into_iter().map(|found| (found.mode, found.already, found.finding.to_string())));
    }
    let text = "test: spec.n (2): more".to_owned();
    assert_eq!(
        found,
        [(Mode::Audit, false, text.clone()), (Mode::Audit, true, text.clone()), (Mode::Audit, false, text)]
    );
}

#[test]
fn a_rule_judges_guarded_pods_or_the_resources_that_it_names() {
    let object = parse(br#"{"kind":"ConfigMap"}"#).unwrap();
    let named =
        "matchConstraints:\n  resourceRules:\n  - {apiGroups: [\"\"], resources: [configmaps], operations: [CREATE]}\n";
    let always = "validations:\n- expression: 'false'";
    let rules = |head: &str| UserRules::compile(&[spec(&format!("{head}{always}"))]).unwrap();
    let pods = Resource { group: "", name: "pods", sub: "" };
    let maps = Resource { name: "configmaps", ..pods };
    for (head, resource, guarded, want) in [
        ("", pods, true, 1),
        ("", pods, false, 0),
        ("", Resource { sub: "status", ..pods }, true, 0),
        ("", maps, true, 0),
        (named, maps, false, 1),
        (named, pods, true, 0),
        (named, Resource { group: "x", ..maps }, false, 0),
    ] {
        let request = Request { resource, ..request(&object, None) };
        assert_eq!(rules(head).applicable(&request, guarded).len(), want, "{head} {resource:?} {guarded}");
    }
}

#[test]
fn the_rules_that_are_compared_on_a_cluster_are_within_the_subset() {
    let compared = specs(include_str!("fixtures/cel/policies.yaml"));
    assert!(compared.len() >= 50, "{}", compared.len());
    assert!(UserRules::compile(&compared).is_ok());
    // An error is never a yes: each of them refuses an object that has nothing it asks for, or says yes for a reason.
    let passing = compared.iter().filter(|rule| messages(std::slice::from_ref(rule), "{}", None).is_empty());
    let mut passing: Vec<&str> = passing.map(|rule| rule.name.as_str()).collect();
    passing.sort_unstable();
    assert_eq!(passing, PASS_ON_NOTHING);
}

/// What would never be asked, or must not be: told with file, place and reason.
#[test]
fn resources_that_are_never_sent_are_refused_with_the_file() {
    let vital = "is written all the time by what keeps the cluster alive and must not wait for an answer";
    let nowhere = "belongs to no namespace, and rules judge what is in guarded ones";
    for (groups, resources, operations, problem) in [
        ("['']", "[configmaps, pods/exec]", "['*']", ""),
        ("['', apps]", "[pods]", "[CREATE]", ""),
        ("['*']", "[ingresses]", "[CREATE, UPDATE, DELETE]", ""),
        ("[longhorn.io]", "[nodes]", "[CREATE]", ""),
        ("['']", "[events]", "[CREATE]", &format!("resources: `events` {vital}")),
        ("['*']", "[leases]", "[CREATE]", &format!("resources: `leases` {vital}")),
        ("[coordination.k8s.io]", "[leases]", "[UPDATE]", &format!("apiGroups: `coordination.k8s.io` {vital}")),
        ("[events.k8s.io]", "[events]", "[CREATE]", &format!("apiGroups: `events.k8s.io` {vital}")),
        ("['']", "[nodes]", "[CREATE]", &format!("resources: `nodes` {nowhere}")),
        ("['*']", "[clusterroles]", "[CREATE]", &format!("resources: `clusterroles` {nowhere}")),
        ("[apps/v1]", "[deployments]", "[CREATE]", "apiGroups: `apps/v1` is no API group"),
        (
            "[admissionregistration.k8s.io]",
            "[x]",
            "[CREATE]",
            "apiGroups: `admissionregistration.k8s.io` says who is asked",
        ),
        ("['']", "[deployments]", "[CREATE]", "resources: `deployments` is no resource of the core group"),
        ("['']", "[configmap]", "[CREATE]", "resources: `configmap` is no resource of the core group"),
        ("['']", "[ConfigMaps]", "[CREATE]", "resources: `ConfigMaps` is no resource; write its plural"),
        ("['']", "['*']", "[CREATE]", "resources: `*` would take leases and Events too"),
        ("['']", "[pods/*]", "[CREATE]", "resources: `pods/*` would take leases and Events too"),
        ("['']", "[pods/exec]", "[CREATE]", "resources: `pods/exec` is sent as CONNECT only"),
        ("['']", "[pods/log]", "['*']", "resources: `pods/log` is only read"),
        ("['']", "[pods]", "[create]", "operations: `create` must be one of CREATE, UPDATE, DELETE, CONNECT, *"),
        ("[]", "[pods]", "[CREATE]", "apiGroups: the list is empty"),
        ("['']", "[]", "[CREATE]", "resources: the list is empty"),
        ("['']", "[pods]", "[]", "operations: the list is empty"),
    ] {
        let text = format!(
            "apiVersion: flamewarden.dev/v1alpha1\nkind: Rule\nmetadata: {{name: test}}\nspec:\n  matchConstraints:\n    \
             resourceRules: [{{apiGroups: {groups}, resources: {resources}, operations: {operations}}}]\n  \
             validations: [{{expression: 'true'}}]\n"
        );
        let files = [
            ("a", include_str!("../policies/flame-analysis.yaml")),
            ("g", include_str!("../policies/flame-gateway.yaml")),
            ("i", include_str!("fixtures/installation.yaml")),
            ("own.yaml", text.as_str()),
        ];
        let said = PolicySet::parse(files).err().map(|problem| problem.to_string()).unwrap_or_default();
        let told = said.starts_with("policy file own.yaml: ") && said.contains(&format!("resourceRules.{problem}"));
        assert_eq!((said.is_empty(), told), (problem.is_empty(), !problem.is_empty()), "{text}{said}");
    }
}

#[test]
fn a_rule_cannot_take_the_name_of_another() {
    let problem = UserRules::compile(&[validating("true"), validating("true")]).unwrap_err().to_string();
    assert_eq!(problem, "rule test, metadata.name: another rule bears this name");
    for built_in in ["pull-secret", "identity", "connection", "request-form", "configuration-creator", "network-policy"]
    {
        let taken = RuleSpec { name: built_in.to_owned(), ..validating("true") };
        let problem = UserRules::compile(&[taken]).unwrap_err().to_string();
        assert_eq!(problem, format!("rule {built_in}, metadata.name: another rule bears this name"));
    }
}

#[tokio::test]
async fn an_expensive_rule_is_refused_at_its_deadline_and_others_are_answered() {
    let list: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let object = format!(r#"{{"spec":{{"l":[{}],"n":1}}}}"#, list.join(","));
    let object = parse(object.as_bytes()).unwrap();
    let expensive = validating("object.spec.l.all(a, object.spec.l.all(b, object.spec.l.all(c, a + b + c >= 0)))");
    let cheap = RuleSpec { name: "cheap".to_owned(), ..validating("object.spec.n == 2") };
    let rules = UserRules::compile(&[expensive, cheap]).unwrap();
    let request = request(&object, None);
    let answered = |found: Vec<flamewarden::rules::UserFinding>| -> Vec<String> {
        found.into_iter().map(|found| format!("{}: {}", found.finding.rule, found.finding.message)).collect()
    };

    let workers = Workers::start(Limits { deadline: Duration::from_millis(3), workers: 1, ..Limits::default() });
    let late = answered(workers.evaluate(rules.applicable(&request, true), &request).await);
    assert!(late.contains(&"test: rule test exceeded its deadline".to_owned()), "{late:?}");

    // With time enough the budget of steps ends it, and the other rule is answered meanwhile.
    let workers = Workers::start(Limits { deadline: Duration::from_secs(60), workers: 2, ..Limits::default() });
    let bounded = answered(workers.evaluate(rules.applicable(&request, true), &request).await);
    assert_eq!(bounded, ["test: rule test exceeded its budget of 2000000 steps", "cheap: no"]);
    assert_eq!(workers.stuck(), 0);
}

#[tokio::test]
async fn an_object_too_large_for_rules_is_refused() {
    let object = format!(r#"{{"spec":{{"s":"{}"}}}}"#, "x".repeat(5 << 20));
    let object = parse(object.as_bytes()).unwrap();
    let rules = UserRules::compile(&[validating("true")]).unwrap();
    let request = request(&object, None);
    let here = rules.evaluate(&request, true);
    let there = Workers::start(Limits::default()).evaluate(rules.applicable(&request, true), &request).await;
    assert_eq!(here, there);
    assert_eq!(here[0].finding.message, "rule test cannot be evaluated: the object is too large");
}

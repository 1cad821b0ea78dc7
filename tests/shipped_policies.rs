//! The profiles in `policies/` are read, and together with an installation they make a whole.

use flamewarden::policy::{PolicySet, Tenancy};

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
    assert!(alone.contains("no document of kind Installation"), "{alone}");
}

#[test]
fn a_profile_that_nobody_could_keep_to_is_refused() {
    for (from, to, says) in [
        ("requests: {cpu: 100m,", "requests: {cpu: 3,", "resources of cpu must be above 0"),
        ("limits: {cpu: \"2\",", "limits: {cpu: \"9\",", "resources of cpu must be above 0"),
        ("requests: {cpu: 100m,", "requests: {cpu: \"0\",", "resources of cpu must be above 0"),
        ("limits: {cpu: \"2\", memory: 4Gi,", "limits: {cpu: \"2\",", "resources must name memory"),
        ("emptyDirDefault: 1Gi", "emptyDirDefault: 65Gi", "resources.emptyDirDefault"),
        ("user: 65532", "user: 0", "security.user and security.graceMaximum must be above 0"),
        ("graceMaximum: 30", "graceMaximum: 0", "security.user and security.graceMaximum must be above 0"),
    ] {
        assert!(ANALYSIS.contains(from), "{from}");
        let changed = ANALYSIS.replace(from, to);
        let files = [("a.yaml", changed.as_str()), ("g.yaml", GATEWAY), ("i.yaml", INSTALLATION)];
        let problem = PolicySet::parse(files).unwrap_err().to_string();
        assert!(problem.contains(says), "{problem} should say {says}");
    }
}

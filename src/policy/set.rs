//! The whole of the policies in force: the profiles and where they hold.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    ArchiveSettings, Auditor, DnsPlace, Exception, Installation, Orchestrator, Profile, Role, RuleSpec, SOFTER,
    Scanner, Tenancy, Want,
};
use crate::model::{ImageRef, PodView, yaml_documents, yaml_problem};

/// Profiles and the installation's own settings, read from policy files and checked together.
#[derive(Debug, Clone)]
pub struct PolicySet {
    /// Where the profiles hold and who takes part.
    pub installation: Installation,
    /// The profile of analyses.
    pub analysis: Profile,
    /// The profile of gateways.
    pub gateway: Profile,
    /// How Flamewarden makes analyses itself; it makes none where this is not said.
    pub orchestrator: Option<Orchestrator>,
    /// How images are scanned; none are where this is not said.
    pub scanner: Option<Scanner>,
    /// How it is watched whether all this holds, and what is kept of it.
    pub auditor: Auditor,
    /// The users' own rules as they are written; `rules::UserRules` compiles them.
    pub rules: Vec<RuleSpec>,
    /// Other policies under which a guarded object is accepted too, while replicas with one and the other stand side
    /// by side. What the guard writes is never theirs.
    pub also: Option<Box<PolicySet>>,
}

/// Files whose names begin with this hold the policies that are accepted too.
pub const ALSO: &str = "also--";

/// Why policies cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyProblem {
    /// A document is no policy; says where.
    #[error("policy file {file}: {reason}")]
    Document {
        /// The file, as it was given.
        file: String,
        /// Line, column and reason.
        reason: String,
    },
    /// The documents do not make a whole.
    #[error("policies: {0}")]
    Set(String),
}

impl PolicySet {
    /// Reads policy documents (YAML, several to a file) and checks that they make a whole.
    ///
    /// # Errors
    /// The first problem: file, line and reason, or what is missing.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyProblem> {
        let (also, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|(file, _)| file.starts_with(ALSO));
        let set = Self::parse_alone(files)?;
        set.check_exceptions(&set.rules)?;
        if also.is_empty() {
            return Ok(set);
        }
        let also = Self::parse_alone(also)?;
        // Rules of one's own are judged by those in force, whose files need not be there twice.
        also.check_exceptions(&[&set.rules[..], &also.rules].concat())?;
        set.accepting(also)
    }

    /// Holds exceptions to rules that there are: a misspelt one would never apply.
    fn check_exceptions(&self, own: &[RuleSpec]) -> Result<(), PolicyProblem> {
        for profile in self.profiles() {
            let known = |id: &str| SOFTER.contains(&id) || own.iter().any(|rule| rule.name == id);
            if let Some(Exception { rule, .. }) = profile.exceptions.iter().find(|one| !known(&one.rule)) {
                return Err(PolicyProblem::Set(format!(
                    "profile {}: exceptions: rule `{rule}` is neither a rule of your own nor a built-in one; see \
                     policies/rules.md",
                    profile.name
                )));
            }
        }
        Ok(())
    }

    /// The same policies, with others under which objects are accepted too.
    fn accepting(self, also: PolicySet) -> Result<Self, PolicyProblem> {
        let guards = |set: &PolicySet| {
            let namespaces = set.installation.namespaces.iter();
            let namespaces: BTreeMap<_, _> = namespaces.map(|one| (one.name.clone(), one.tenancy)).collect();
            let profiles = set.profiles().map(|one| (one.guards.component.clone(), one.guards.app.source().to_owned()));
            (namespaces, profiles)
        };
        if guards(&self) != guards(&also) {
            return Err(PolicyProblem::Set(format!(
                "the files {ALSO}* must guard the same namespaces and the same pods as the others"
            )));
        }
        Ok(PolicySet { also: Some(Box::new(also)), ..self })
    }

    fn parse_alone<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, PolicyProblem> {
        let mut profiles = Vec::new();
        let mut installations = Vec::new();
        let mut orchestrators = Vec::new();
        let mut scanners = Vec::new();
        let mut auditors = Vec::new();
        let mut rules = Vec::new();
        for (file, text) in files {
            for document in yaml_documents(text) {
                let at = |problem: serde_saphyr::Error| PolicyProblem::Document {
                    file: file.to_owned(),
                    reason: yaml_problem(&problem),
                };
                match serde_saphyr::from_str::<Head>(&document).map_err(at)?.kind {
                    Kind::Profile => {
                        let document: NamedDocument<Profile> = serde_saphyr::from_str(&document).map_err(at)?;
                        let (name, place) = (document.metadata.name, file.to_owned());
                        profiles.push((file, Profile { name, file: place, ..document.spec }));
                    }
                    Kind::Installation => {
                        let document: Document<Installation> = serde_saphyr::from_str(&document).map_err(at)?;
                        installations.push((file, document.spec));
                    }
                    Kind::Orchestrator => {
                        let document: Document<Orchestrator> = serde_saphyr::from_str(&document).map_err(at)?;
                        orchestrators.push((file, document.spec));
                    }
                    Kind::Scanner => {
                        let document: Document<Scanner> = serde_saphyr::from_str(&document).map_err(at)?;
                        scanners.push((file, document.spec));
                    }
                    Kind::Auditor => {
                        let document: Document<Auditor> = serde_saphyr::from_str(&document).map_err(at)?;
                        auditors.push((file, document.spec));
                    }
                    Kind::Rule => {
                        let document: NamedDocument<RuleSpec> = serde_saphyr::from_str(&document).map_err(at)?;
                        rules.push(RuleSpec { name: document.metadata.name, ..document.spec });
                    }
                }
            }
        }
        let hint = " (copy installation.yaml.example to installation.yaml and change it)";
        let installation = only(installations, "document of kind Installation", hint)?;
        let (analysis, gateway): (Vec<_>, Vec<_>) =
            profiles.into_iter().partition(|(_, profile)| profile.role == Role::Analysis);
        let set = PolicySet {
            analysis: only(analysis, "profile with role: analysis", "")?.completed(&installation),
            gateway: only(gateway, "profile with role: gateway", "")?.completed(&installation),
            installation,
            orchestrator: at_most_one(orchestrators, "document of kind Orchestrator")?,
            scanner: at_most_one(scanners, "document of kind Scanner")?,
            auditor: at_most_one(auditors, "document of kind Auditor")?.unwrap_or_default(),
            rules,
            also: None,
        };
        set.scanned().check()
    }

    /// Both profiles.
    pub fn profiles(&self) -> [&Profile; 2] {
        [&self.analysis, &self.gateway]
    }

    /// The profile that guards a pod, if one does: that of its component, else that of its `app`.
    pub fn profile_of(&self, pod: &PodView<'_>) -> Option<&Profile> {
        self.profile_for(pod.label("component"), pod.label("app"))
    }

    /// The same by the two labels that decide.
    pub fn profile_for(&self, component: Option<&str>, app: Option<&str>) -> Option<&Profile> {
        let named = self.profiles().into_iter().find(|profile| profile.names(component));
        named.or_else(|| self.profiles().into_iter().find(|profile| profile.selects(component, app)))
    }

    /// How a namespace is guarded; none where it isn't.
    pub fn tenancy(&self, namespace: &str) -> Option<Tenancy> {
        self.installation.namespaces.iter().find(|guarded| guarded.name == namespace).map(|guarded| guarded.tenancy)
    }

    /// Whether a user may create gateways and what belongs to them: a listed creator, or Flamewarden's controller.
    pub fn is_creator(&self, user: &str) -> bool {
        self.installation.creators.contains(user) || self.installation.controller == user
    }

    /// Whether a name is that of an analysis or of a gateway.
    pub fn names_identity(&self, name: &str) -> bool {
        self.profiles().into_iter().any(|profile| profile.analysis_of(name).is_some())
    }

    /// Where what has ended and history are kept; nowhere where neither an Orchestrator nor the Auditor says so.
    pub fn archive(&self) -> Option<&ArchiveSettings> {
        self.orchestrator.as_ref().map(|orchestrator| &orchestrator.archive).or(self.auditor.archive.as_ref())
    }

    fn check(self) -> Result<Self, PolicyProblem> {
        if self.orchestrator.is_some() && self.auditor.archive.is_some() {
            return Err(PolicyProblem::Set(
                "the Orchestrator's section archive says where history is kept, too; take it out of the Auditor"
                    .to_owned(),
            ));
        }
        if self.analysis.guards.app != self.gateway.guards.app {
            return Err(PolicyProblem::Set(
                "both profiles must have the same guards.app: a gateway is found by its analysis's name".to_owned(),
            ));
        }
        // Pods there are guarded, or next to what is guarded; analyses would reach each other by such a peer.
        let asked = self.profiles().into_iter().flat_map(|profile| &profile.network.dns);
        let guarded = asked.filter_map(|peer| match &peer.place {
            DnsPlace::Pods { namespace, .. } if self.tenancy(namespace).is_some() => Some(namespace),
            _ => None,
        });
        if let Some(namespace) = guarded.into_iter().next() {
            return Err(PolicyProblem::Set(format!(
                "network.dns: namespace `{namespace}` is guarded itself; DNS must live elsewhere"
            )));
        }
        let problem = |profile: &&Profile| Some((profile.file.clone(), profile.problem()?));
        if let Some((file, reason)) = self.profiles().iter().find_map(problem) {
            return Err(PolicyProblem::Document { file, reason });
        }
        let scanner = || self.scanner.as_ref().and_then(Scanner::problem);
        let problem = self.installation.problem().or_else(scanner).or_else(|| self.orchestrator_problem());
        let problem = problem.or_else(|| self.hub_problem());
        problem.map_or(Ok(self), |problem| Err(PolicyProblem::Set(problem)))
    }

    /// Whoever asks for verdicts has images scanned, as a Scanner without settings does where none is written.
    fn scanned(mut self) -> Self {
        if self.profiles().iter().any(|profile| profile.scan.verdict == Want::Required) {
            self.scanner.get_or_insert_default();
        }
        self
    }

    /// What would be asked of nobody.
    fn hub_problem(&self) -> Option<String> {
        let asking = self.profiles().into_iter().find(|profile| profile.scan.content_hash.is_some())?;
        let hub = self.orchestrator.as_ref().and_then(|orchestrator| orchestrator.hub.as_ref());
        hub.is_none().then(|| {
            format!(
                "profile {}: scan.contentHash: hub needs the Hub that is asked; name it in the section `hub` of a document of \
                 kind Orchestrator",
                asking.name
            )
        })
    }

    /// What would let the orchestrator make what the webhook then refuses.
    fn orchestrator_problem(&self) -> Option<String> {
        let settings = self.orchestrator.as_ref()?;
        if self.tenancy(&settings.namespace).is_none() {
            return Some(format!(
                "orchestrator: namespace `{}` is not guarded; name it in the Installation",
                settings.namespace
            ));
        }
        let listed = |image: &str, list: &[String]| {
            ImageRef::parse(image).is_ok_and(|image| list.iter().any(|entry| image.is_listed(entry)))
        };
        if !listed(&settings.gateway_image, &self.gateway.images.registries) {
            return Some(format!(
                "orchestrator: gatewayImage `{}` is none of the Installation's gatewayImages; add it there",
                settings.gateway_image
            ));
        }
        let image = settings.network_statistics_image.as_ref()?;
        (!listed(image, &self.installation.sidecar_images)).then(|| {
            format!("orchestrator: networkStatisticsImage `{image}` is none of the Installation's sidecarImages; add it there")
        })
    }
}

impl Profile {
    /// The profile with the installation's lists where it has none of its own.
    fn completed(mut self, installation: &Installation) -> Self {
        self.scan_hash = self.scan.hash();
        let images = match self.role {
            Role::Analysis => &installation.analysis_registries,
            Role::Gateway => &installation.gateway_images,
        };
        if self.images.registries.is_empty() {
            self.images.registries.clone_from(images);
        }
        for sidecar in self.containers.sidecars.iter_mut().filter(|sidecar| sidecar.images.is_empty()) {
            sidecar.images.clone_from(&installation.sidecar_images);
        }
        self
    }
}

/// What tells the documents of a file apart; they are read twice so that a problem keeps its line.
#[derive(Deserialize)]
struct Head {
    kind: Kind,
}

#[derive(Deserialize)]
enum Kind {
    Profile,
    Installation,
    Orchestrator,
    Scanner,
    Auditor,
    Rule,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<T> {
    #[serde(rename = "apiVersion")]
    _version: Version,
    #[serde(rename = "kind")]
    _kind: Kind,
    spec: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedDocument<T> {
    #[serde(rename = "apiVersion")]
    _version: Version,
    #[serde(rename = "kind")]
    _kind: Kind,
    metadata: Named,
    spec: T,
}

#[derive(Deserialize)]
enum Version {
    #[serde(rename = "flamewarden.dev/v1alpha1")]
    V1Alpha1,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

/// The one document of a sort, each given with its file.
fn only<T>(items: Vec<(&str, T)>, what: &str, hint: &str) -> Result<T, PolicyProblem> {
    let none = || PolicyProblem::Set(format!("no {what}{hint}; there must be exactly one"));
    at_most_one(items, what)?.ok_or_else(none)
}

fn at_most_one<T>(mut items: Vec<(&str, T)>, what: &str) -> Result<Option<T>, PolicyProblem> {
    if let [(first, _), (second, _), ..] = items.as_slice() {
        let places = if first == second { format!("two in {first}") } else { format!("in {first} and in {second}") };
        return Err(PolicyProblem::Set(format!("more than one {what}: {places}; remove one")));
    }
    Ok(items.pop().map(|(_, item)| item))
}

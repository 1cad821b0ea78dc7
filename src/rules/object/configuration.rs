//! ConfigMaps and Secrets that guarded pods use: only the creators make, change and delete them.

use super::writing::Writing;
use crate::model::{AnalysisId, Hold, Request, Severity, labels};
use crate::policy::{PolicySet, Profile, Role};
use crate::rules::caller::{CLEANERS, is_controller};
use crate::rules::case::Case;
use crate::rules::judgement::{Enforced, Judgement, Scales};
use crate::rules::rule::RequestRule;
use crate::rules::unfit::unfit;

pub(super) const CREATOR: RequestRule = RequestRule {
    id: "configuration-creator",
    title: "pull secrets, gateway configuration and what else a profile names come, change and go only by the creators",
    why: "who writes a gateway's configuration opens it, who writes a pull secret chooses whose images are pulled",
    severity: Severity::High,
    controls: &[],
    hold: Hold::AsProfileSays,
};

/// Judges a ConfigMap or Secret made, changed or deleted. What is in it is never read nor shown.
pub(super) fn judge_configuration(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(writing) = Writing::of(request) else { return unfit(request) };
    let policies = case.policies;
    let mut names = writing.sides().filter_map(|object| object.text_at(&["metadata", "name"]));
    let Some(profile) = names.find_map(|name| owner_of(request.resource.name, name, policies)) else {
        return Judgement::default();
    };
    let may = policies.is_creator(request.user.name) || is_controller(&request.user, CLEANERS);
    if may || !writing.matters() {
        return Judgement::default();
    }
    let message = "its name belongs to an analysis; use another one, or let FLAME's Pod Orchestrator write it";
    let mut judgement = Judgement::default();
    let scales = Scales { profile, app: "", now: case.now };
    judgement.weigh(CREATOR.finds_user(request, message), &scales, Enforced::Refused);
    judgement
}

/// The profile whose pods use a ConfigMap or Secret of that name.
fn owner_of<'p>(resource: &str, name: &str, policies: &'p PolicySet) -> Option<&'p Profile> {
    policies.profiles().into_iter().find(|profile| {
        let sources = if resource == "secrets" { &profile.sources.secrets } else { &profile.sources.config_maps };
        let pulls = profile.pull_secret.as_ref().is_some_and(|secret| secret.pattern.fits(name) || secret.name == name);
        (resource == "secrets" && pulls) || sources.iter().any(|source| fits_source(profile, source, name))
    })
}

/// Whether a name is one that a source with `{app}`, `{analysis}` or `{id}` in it stands for.
/// A source without is shared with others, and not an analysis's to keep.
fn fits_source(profile: &Profile, source: &str, name: &str) -> bool {
    let around = |mark: &str| {
        let (before, after) = source.split_once(mark)?;
        name.strip_prefix(before)?.strip_suffix(after)
    };
    let analysis = |text: &str| match profile.role {
        Role::Analysis => profile.analysis_of(text).is_some(),
        Role::Gateway => profile.analysis_of(&format!("{}{text}", labels::GATEWAY_PREFIX)).is_some(),
    };
    let id = |text: &str| text.parse::<AnalysisId>().is_ok_and(|id| id.to_string() == text);
    around("{id}").is_some_and(id)
        || around("{analysis}").is_some_and(analysis)
        || around("{app}").is_some_and(|app| profile.analysis_of(app).is_some())
}

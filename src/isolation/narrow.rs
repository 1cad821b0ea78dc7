//! Narrows a policy that was meant for one analysis, FLAME's own above all, to the profile.

use super::guarded::matched_apps;
use super::judge::judge_policy;
use super::make::spec;
use super::read::Policy;
use crate::model::{Edit, FieldPath, Json};
use crate::policy::PolicySet;

/// How a policy for exactly one analysis, such as FLAME's own, becomes as narrow as the profile:
/// it goes on selecting the same pods. None where it is narrow enough, or where it isn't so plain.
pub fn narrowed(policy: &Json<'_>, policies: &PolicySet) -> Option<Edit> {
    let known = Policy::read(policy);
    let apps = matched_apps(&known.pods, &policies.analysis);
    let app = apps.single().filter(|_| known.is_known())?;
    if judge_policy(policy, policies).is_empty() {
        return None;
    }
    let pods = policy.at(&["spec", "podSelector"])?.to_value();
    Some(Edit::Set(FieldPath::of(&["spec"]), spec(pods, app, &policies.analysis, &policies.gateway)))
}

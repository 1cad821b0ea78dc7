//! The words that every part speaks: JSON views, ids, findings, requests.

mod analysis;
mod analysis_object;
mod backoff;
mod control;
mod decision;
mod digest;
mod finding;
mod image;
mod image_scan;
mod items;
mod json;
mod line;
mod moment;
mod owner;
mod path;
mod platform;
mod plural;
mod pod;
mod request;
mod secret;
mod sieve;
mod verdict;
mod vulnerability;
mod yaml;

pub mod labels;

pub use analysis::{AnalysisId, IdProblem, ProjectId, Run};
pub use analysis_object::{
    AnalysisObject, AnalysisProblem, AnalysisSpec, AnalysisStatus, Condition, Phase, Report, WantedState,
};
pub use backoff::Backoff;
pub use control::Control;
pub use decision::{CONTROLLER_NAME, DECISIONS_PATH, Decision, Decisions, Outcome, Reference};
pub use digest::Digest;
pub use finding::{Edit, Excepted, Finding, Hold, Outlook, Severity};
pub use image::{ImageProblem, ImageRef, registry_problem};
pub use image_scan::{
    ImageScanObject, ImageScanProblem, ImageScanSpec, ImageScanStatus, PlatformManifest, PolicyVerdict, Tag,
};
pub use items::ItemCutter;
pub use json::{Json, ParseProblem, parse, parse_at_most, parse_within, part};
pub use line::one_line;
pub use moment::moment;
pub use owner::controlling_owner;
pub use path::{FieldPath, Segment};
pub use platform::platform_name;
pub use plural::plural;
pub use pod::{ContainerKind, ContainerView, PodView};
pub use request::{Operation, Request, Resource, User};
pub use secret::Secret;
pub use sieve::{Keep, Sieve};
pub use verdict::{PolicyHash, ScanOutcome, Verdict};
pub use vulnerability::{FixState, VulnerabilitySeverity};
pub use yaml::{YamlDocument, cut_yaml, is_read_in_two_ways, yaml_documents, yaml_problem, yaml_problem_in};

//! What the operator decided: profiles, the modes of their rules, exceptions.

mod api;
mod archive;
mod auditor;
mod checked;
mod dns;
mod enforcement;
mod exception;
mod health;
mod hub;
mod installation;
mod orchestrator;
mod pages;
mod pattern;
mod profile;
mod public_key;
mod quantity;
mod reach;
mod registry_authorities;
mod scan;
mod scanner;
mod set;
mod tokens;
mod trust;
mod user_rule;
mod ways;
mod worker;

pub use api::{Administrators, ApiSettings, RealmRole};
pub use archive::{ArchiveDatabase, ArchiveSettings};
pub use auditor::{
    AuditException, AuditSettings, Auditor, EXCEPTABLE, JournalSettings, NotifySettings, ReportApi, SyslogSettings,
};
pub(crate) use checked::is_label;
pub use checked::{ALWAYS, SOFTER};
pub use dns::{DnsPeer, DnsPlace};
pub use enforcement::{Enforcement, NetworkSettings};
pub use exception::Exception;
pub use health::HealthSettings;
pub use hub::{FieldNames, HubSettings};
pub use installation::{Installation, Namespace, Tenancy};
pub use orchestrator::{Orchestrator, Upstream, Upstreams};
pub use pages::{OidcSection, PageRole, PageSettings};
pub use pattern::Pattern;
pub use profile::{
    Containers, EnvSources, Guards, Images, Metadata, Mode, Network, Profile, PullSecret, Resources, Role, Scheduling,
    Security, Sidecar, TrustedPolicy, Want,
};
pub use public_key::{KeyProblem, Message, PublicKey};
pub use quantity::Quantity;
pub use registry_authorities::RegistryAuthorities;
pub use scan::{FailOn, MaximumAge, OnUnknown, ScanException, ScanPolicy, Unknowns, WithoutPackages};
pub use scanner::Scanner;
pub use set::{ALSO, PolicyProblem, PolicySet};
pub use tokens::TokenSettings;
pub use trust::{Attestations, ContentHash, ImageSignature, SignedFor, SignerKey};
pub use user_rule::{FailurePolicy, MatchConstraints, Named, Reason, ResourceRule, RuleSpec, Validation};
pub use ways::{Authorities, ProxySetting, WaySettings};
pub use worker::{Databases, Egress, EgressPlace, Worker};

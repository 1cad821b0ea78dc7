//! The edge towards callers: TLS, certificates, connections, drain, probes, who shows a token or logs in, and what is read
//! from disk.

mod bearer;
mod certificate;
mod certificate_files;
mod certificate_folder;
mod drain;
mod issue;
mod limits;
mod listen;
mod oidc;
mod patience;
mod peers;
mod places;
mod policies;
mod probes;
mod published;
mod realm;
mod renewal;
mod tls;

pub use bearer::{Bearer, Expected, KeysProblem, RealmKeys, Refusal, Role, check as check_bearer};
pub use certificate::{Certificate, CertificateProblem};
pub use certificate_files::{FolderProblem, each_certificate, own_names, renew_folder};
pub use certificate_folder::{CertificateFolder, CertificateStore};
pub use drain::Drain;
pub use issue::{ClientCertificate, IssueProblem, client_certificate, renewed, service_names};
pub use limits::ConnectionLimits;
pub use listen::{Handler, Listen, serve};
pub use oidc::{Begun, Fault, LoggedIn, Oidc, OidcProblem, OidcSettings};
pub use peers::{Address, ClientCheck, Peer, Peers, PeersProblem};
pub use policies::{PoliciesProblem, PolicyFolder, read_policies};
pub use probes::{Check, Probes};
pub use realm::{KEYS_PATIENCE, Realm};
pub use renewal::{Authority, Bundle, Leaf, Renewal, Term, plan_renewal};
pub use tls::tls_config;

//! Edge: `flamewarden serve`: what is served, and with what.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{duration, from_environment};
use crate::app;
use crate::cluster::LeaseTiming;
use crate::orchestrator::OutsideFiles;
use crate::serve::ConnectionLimits;
use crate::telemetry::{LogFormat, start_log};
use crate::webhook::ReviewLimits;

#[derive(Args)]
pub(super) struct Serve {
    /// What to run.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "webhook")]
    parts: Vec<app::Part>,
    /// Folder of the policy files (*.yaml).
    #[arg(long, value_name = "DIR")]
    policies: PathBuf,
    /// Folder of the serving certificate (tls.crt, tls.key); the webhook needs it.
    #[arg(long, value_name = "DIR")]
    certificates: Option<PathBuf>,
    /// How to reach the API server; without it, by the file in the variable KUBECONFIG, or as a pod does.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Flamewarden's own namespace.
    #[arg(long, value_name = "NAME", default_value = "flamewarden-system")]
    namespace: String,
    /// The controller's name in the election of the leader.
    #[arg(long, value_name = "NAME", env = "HOSTNAME", default_value = "flamewarden-controller")]
    identity: String,
    /// Where the webhook's replicas are asked for their decisions, instead of where its Service says.
    #[arg(long, value_name = "ADDR", hide = true)]
    webhook_address: Vec<SocketAddr>,
    /// Who makes the webhook's certificate.
    #[arg(long, value_enum, default_value = "own")]
    certificate_source: app::CertificateSource,
    /// The image of Flamewarden that is to run, by digest, as `manifests` was told: the audit says where another does.
    #[arg(long, value_name = "IMAGE")]
    installed_image: Option<String>,
    /// Where the API server reaches the webhook, if not by its Service, as `manifests` was told, for the audit.
    #[arg(long, value_name = "URL")]
    installed_url: Option<String>,
    /// The secret of the Keycloak client that makes the analyses' clients, for an Orchestrator with a section `tokens`.
    #[arg(long, value_name = "FILE")]
    keycloak_secret: Option<PathBuf>,
    /// The secret of the node's Hub client, for an Orchestrator with a section `hub`.
    #[arg(long, value_name = "FILE")]
    hub_secret: Option<PathBuf>,
    /// Folder with the addresses of proxies (http-proxy, https-proxy), where the Orchestrator's `ways` say `fromSecret`.
    #[arg(long, value_name = "DIR")]
    proxies: Option<PathBuf>,
    /// Certificates of authorities (PEM) to trust besides the machine's, where the Orchestrator's `ways` name them.
    #[arg(long, value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// Folder of the controller's archive in SQLite (archive.db); without any archive no history is kept.
    #[arg(long, value_name = "DIR", conflicts_with = "archive_url_file")]
    archive: Option<PathBuf>,
    /// File with the URL of the controller's archive in PostgreSQL, postgres://USER:PASSWORD@HOST/DATABASE.
    #[arg(long, value_name = "FILE")]
    archive_url_file: Option<PathBuf>,
    /// The scanner that the controller runs on images, for policies with a document of kind Scanner.
    #[arg(long, value_name = "PROGRAM", default_value = "grype")]
    grype: PathBuf,
    /// Folder of Grype's databases, for the same; without it the controller itself scans nothing.
    #[arg(long, value_name = "DIR")]
    grype_database: Option<PathBuf>,
    /// Where images are unpacked while they are scanned; emptied at the start.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/flamewarden/scans")]
    scan_folder: PathBuf,
    /// Where Jobs bring what they found, over TLS, where the Scanner has a section `worker`.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:9444")]
    scans: SocketAddr,
    /// By which address they reach it; a pod's own.
    #[arg(long, value_name = "IP", env = "POD_IP", hide = true)]
    scans_address: Option<IpAddr>,
    /// Where the API server calls.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:9443")]
    listen: SocketAddr,
    /// Where probes and metrics are answered, without TLS.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    probes: SocketAddr,
    /// Where the controller answers the REST API, without TLS, where the policies have one.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8000")]
    api: SocketAddr,
    /// Where the controller shows pages to security teams, without TLS, where the policies have some.
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8001")]
    pages: SocketAddr,
    /// Authorities of client certificates (PEM); callers without a certificate of theirs are turned away.
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// The common name that client certificates must have.
    #[arg(long, value_name = "CN", requires = "client_ca")]
    client_name: Option<String>,
    /// Bytes of review bodies held at one time; calls beyond that are told to come again.
    #[arg(long, value_name = "BYTES", default_value_t = ReviewLimits::default().bytes_in_flight)]
    bytes_in_flight: usize,
    /// How long calls are still answered after SIGTERM, at most.
    #[arg(long, value_name = "TIME", default_value = "100s", value_parser = duration)]
    drain: Duration,
    /// How long calls are still answered after SIGTERM, at least: until everybody knows.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    linger: Duration,
    /// How logs are written.
    #[arg(long, value_enum, default_value = "text")]
    log_format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Serve {
    /// Serves until it is told to stop.
    pub(super) fn run(self) -> anyhow::Result<()> {
        start_log(match self.log_format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        });
        app::run(&app::Settings {
            parts: self.parts,
            policies: self.policies.clone(),
            certificates: self.certificates,
            listen: self.listen,
            probes: self.probes,
            api: self.api,
            pages: self.pages,
            client_authorities: self.client_ca,
            client_name: self.client_name,
            look: Duration::from_secs(1),
            connections: ConnectionLimits { drain: self.drain, linger: self.linger, ..ConnectionLimits::default() },
            reviews: ReviewLimits { bytes_in_flight: self.bytes_in_flight, ..ReviewLimits::default() },
            controller: app::ControllerSettings {
                kubeconfig: self.kubeconfig.or_else(from_environment),
                namespace: self.namespace,
                identity: self.identity,
                policies: self.policies,
                installed: app::Installed { image: self.installed_image, url: self.installed_url },
                timing: LeaseTiming::default(),
                webhook_addresses: self.webhook_address,
                certificates: self.certificate_source,
                files: OutsideFiles {
                    keycloak_secret: self.keycloak_secret,
                    hub_secret: self.hub_secret,
                    proxies: self.proxies,
                    authorities: self.authorities,
                },
                archive: match (self.archive, self.archive_url_file) {
                    (_, Some(file)) => app::ArchivePlace::UrlIn(file),
                    (Some(folder), None) => app::ArchivePlace::Folder(folder),
                    (None, None) => app::ArchivePlace::Nowhere,
                },
                scans: app::ScanTools {
                    grype: self.grype,
                    databases: self.grype_database,
                    folder: self.scan_folder,
                    port: self.scans,
                    address: self.scans_address,
                },
            },
        })
    }
}

//! Edge: a worker: has Grype scan one image within bounds, ends whatever that started, and hands over what it brought.

mod bounds;
mod confine;
mod post;
mod processes;

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::process::{getpid, set_child_subreaper};

pub use confine::Confinement;
pub(super) use post::hand_over;

use super::problem::unmade;
use super::{Bound, Deliver, Order, ScanProblem};
use crate::registry::{Grype, GrypeProblem, Scanned, Transport};

/// Carries out an order, unless it is stopped before.
///
/// # Errors
/// There is nothing to hand over, or it could not be handed over.
pub async fn work(order: &Order, stop: impl Future<Output = ()>) -> Result<(), ScanProblem> {
    // Whoever loses its parent below this process becomes its child, and so nothing gets away.
    set_child_subreaper(Some(getpid())).map_err(unmade)?;
    match &order.deliver {
        Deliver::Folder(folder) => scan(order, folder, stop).await.map(drop),
        Deliver::Port(port) => {
            let folder = tempfile::Builder::new().prefix("scan.").tempdir().map_err(unmade)?;
            let scanned = scan(order, folder.path(), stop).await?;
            hand_over(port, &scanned).await
        }
    }
}

async fn scan(order: &Order, folder: &Path, stop: impl Future<Output = ()>) -> Result<Scanned, ScanProblem> {
    let grype = grype(order, folder).map_err(unmade)?;
    let scanned = tokio::select! {
        scanned = grype.scan_in(folder, &order.image, order.platform.as_deref()) => scanned.map_err(problem),
        exceeded = bounds::watch(&order.bounds, folder) => Err(exceeded),
        () = stop => Err(unmade("its worker was stopped")),
    };
    processes::end_all().await.map_err(|problem| unmade(format!("what grype started goes on: {problem}")))?;
    // Between two looks much may be written; and a file that was cut off at the bound is why Grype came to no end.
    if !matches!(scanned, Err(ScanProblem::Exceeded(_))) && bounds::disk_is_full(&order.bounds, folder).await? {
        return Err(ScanProblem::Exceeded(Bound::Disk));
    }
    scanned
}

/// Grype, confined, with a home and a credential of its own.
fn grype(order: &Order, folder: &Path) -> io::Result<Grype> {
    let docker = folder.join("docker");
    DirBuilder::new().mode(0o700).create(&docker)?;
    if let Some(credential) = &order.credential {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(docker.join("config.json"))?;
        file.write_all(credential.as_bytes())?;
    }
    let mut environment = order.environment.clone();
    if let Some(certificates) = &order.authorities {
        let file = folder.join("authorities.pem");
        fs::write(&file, certificates)?;
        // Besides those of the machine. A file that Grype cannot read ends it.
        environment.push(("GRYPE_REGISTRY_CA_CERT".to_owned(), file.display().to_string()));
    }
    // The collector works harder below the bound, instead of growing into it.
    environment.push(("GOMEMLIMIT".to_owned(), (order.bounds.memory / 10 * 9).to_string()));
    let authorities = order.environment.iter().filter(|(name, _)| AUTHORITIES.contains(&name.as_str()));
    let authorities = authorities.flat_map(|(_, paths)| env::split_paths(paths));
    let confinement = Confinement {
        folder: folder.to_owned(),
        readable: authorities.chain([order.databases.clone()]).collect(),
        disk: order.bounds.disk,
        memory: order.bounds.memory,
        parent: getpid().as_raw_pid(),
    };
    let mut through: Vec<OsString> = [THIS, "scan-worker", "confine"].map(OsString::from).into();
    through.extend(confinement.arguments());
    Ok(Grype {
        program: order.grype.clone(),
        through,
        databases: order.databases.clone(),
        transport: if order.insecure { Transport::Plain } else { Transport::Tls },
        credentials: order.credential.is_some().then_some(docker),
        environment,
        patience: order.bounds.patience(),
    })
}

fn problem(problem: GrypeProblem) -> ScanProblem {
    match problem {
        GrypeProblem::Slow(_) => ScanProblem::Exceeded(Bound::Time),
        GrypeProblem::Local { ref source, .. } => unmade(format!("{problem}: {source}")),
        problem => ScanProblem::Grype(problem.to_string()),
    }
}

/// Where Go is told of authorities: a file, and folders.
const AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// This program, also where its file was replaced meanwhile.
const THIS: &str = "/proc/self/exe";

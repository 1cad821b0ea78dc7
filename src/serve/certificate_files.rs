//! Edge: the folder of our own authority and certificate, read, renewed and written.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::issue::{IssueProblem, renewed};
use super::renewal::{Authority, Bundle, Leaf, Renewal, plan_renewal};

/// Why a folder of certificates could not be renewed.
#[derive(Debug, thiserror::Error)]
pub enum FolderProblem {
    /// A file cannot be read or written.
    #[error("cannot read or write {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is a certificate that is not ours; making another would throw it away.
    #[error("{0} holds a certificate without its authority's key (ca.key); it is renewed by whoever made it")]
    Foreign(PathBuf),
    /// A certificate cannot be made.
    #[error(transparent)]
    Issue(#[from] IssueProblem),
}

/// Makes or renews what the folder needs, for a certificate that stands for these names; says what was done.
///
/// # Errors
/// A file cannot be read or written, or the certificate there is somebody else's.
pub fn renew_folder(folder: &Path, names: &BTreeSet<String>, now: Timestamp) -> Result<Renewal, FolderProblem> {
    let bundle = read_bundle(folder)?;
    if bundle.authority.is_none() && folder.join("tls.crt").exists() {
        return Err(FolderProblem::Foreign(folder.to_owned()));
    }
    let renewal = plan_renewal(now, &bundle, names);
    if renewal == Renewal::Nothing {
        return Ok(renewal);
    }
    write_bundle(folder, &renewed(&bundle, renewal, names, now)?)?;
    Ok(renewal)
}

/// The names of the certificate in a folder that is ours to renew.
pub fn own_names(folder: &Path) -> Option<BTreeSet<String>> {
    let bundle = read_bundle(folder).ok()?;
    bundle.authority.and(bundle.leaf).map(|leaf| leaf.names)
}

fn read_bundle(folder: &Path) -> Result<Bundle, FolderProblem> {
    let (trusted, authority_key) = (read(folder, "ca.crt")?, read(folder, "ca.key")?);
    let (leaf, leaf_key) = (read(folder, "tls.crt")?, read(folder, "tls.key")?);
    let mut authorities = each_certificate(&trusted);
    if authorities.is_empty() {
        return Ok(Bundle::default());
    }
    let own = authorities.remove(0);
    let authority = Authority::parse(&own, &authority_key);
    Ok(Bundle { authority, former: authorities, leaf: Leaf::parse(&leaf, &leaf_key) })
}

fn write_bundle(folder: &Path, bundle: &Bundle) -> Result<(), FolderProblem> {
    fs::create_dir_all(folder).map_err(|source| FolderProblem::File { path: folder.to_owned(), source })?;
    if let Some(authority) = &bundle.authority {
        // The key goes first: an authority that is trusted but cannot sign would be taken for somebody else's.
        replace(folder, "ca.key", &authority.key)?;
        replace(folder, "ca.crt", &bundle.trusted())?;
    }
    if let Some(leaf) = &bundle.leaf {
        replace(folder, "tls.key", &leaf.key)?;
        replace(folder, "tls.crt", &leaf.certificate)?;
    }
    Ok(())
}

/// A file's text; empty where there is none.
fn read(folder: &Path, name: &str) -> Result<String, FolderProblem> {
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(FolderProblem::File { path, source }),
    }
}

/// Replaces a file at once, readable by its owner only; an unchanged one is left alone.
fn replace(folder: &Path, name: &str, text: &str) -> Result<(), FolderProblem> {
    if read(folder, name)? == text {
        return Ok(());
    }
    let (path, fresh) = (folder.join(name), folder.join(format!(".{name}.{}", std::process::id())));
    let problem = |source| FolderProblem::File { path: path.clone(), source };
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&fresh))).map_err(problem)
}

/// The certificates of a PEM text, each as a PEM text of its own.
pub fn each_certificate(text: &str) -> Vec<String> {
    let ends = text.match_indices(END).map(|(start, _)| start + END.len());
    let mut begin = 0;
    let parts = ends.filter_map(|end| {
        let part = text.get(begin..end)?.trim_start();
        begin = end;
        CertificateDer::from_pem_slice(part.as_bytes()).is_ok().then(|| format!("{part}\n"))
    });
    parts.collect()
}

const END: &str = "-----END CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn former_authorities_come_back_one_by_one() {
        let one = format!("-----BEGIN CERTIFICATE-----\nMQ==\n{END}\n");
        let two = format!("-----BEGIN CERTIFICATE-----\nMg==\n{END}\n");
        assert_eq!(each_certificate(&format!("{one}\n{two}rest")), [one.clone(), two]);
        assert_eq!(each_certificate(""), Vec::<String>::new());
        assert_eq!(each_certificate("garbage"), Vec::<String>::new());
    }
}

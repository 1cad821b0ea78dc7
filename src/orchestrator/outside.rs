//! Edge: how Keycloak and the Hub are reached, as settings and files say.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::Secret;
use crate::policy::{ProxySetting, WaySettings};
use crate::remote::{Remote, RemoteProblem, Ways};

/// The files that the settings count on. They are read when something is begun, so that what is put in their place is
/// taken from then on.
#[derive(Debug, Clone, Default)]
pub struct OutsideFiles {
    /// The secret of the Keycloak client that makes the analyses' clients.
    pub keycloak_secret: Option<PathBuf>,
    /// The secret of the node's Hub client.
    pub hub_secret: Option<PathBuf>,
    /// The folder with the addresses of proxies: `http-proxy` and `https-proxy`.
    pub proxies: Option<PathBuf>,
    /// Certificates of authorities, PEM.
    pub authorities: Option<PathBuf>,
}

/// Why nobody outside can be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutsideProblem {
    /// Nobody has said where it is.
    #[error("the Orchestrator counts on {what}, and no file holds it: set {option}")]
    NoFile {
        /// What is missing.
        what: &'static str,
        /// What names it.
        option: &'static str,
    },
    /// It cannot be read. What stands in it is not told.
    #[error("cannot read {what} from {file}")]
    File {
        /// What it holds.
        what: &'static str,
        /// Which file.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// The settings lead nowhere.
    #[error("cannot be asked")]
    Remote(#[from] RemoteProblem),
}

impl OutsideFiles {
    /// Connections by the ways that the settings say.
    pub(super) fn remote(&self, settings: &WaySettings, patience: Duration) -> Result<Remote, OutsideProblem> {
        let authorities = match (settings.authorities, &self.authorities) {
            (None, _) => None,
            (Some(_), Some(file)) => Some(file.clone()),
            (Some(_), None) => {
                return Err(OutsideProblem::NoFile { what: "certificates of authorities", option: "--authorities" });
            }
        };
        let ways = Ways {
            authorities,
            http_proxy: self.proxy(settings.http_proxy.as_ref(), "http-proxy")?,
            https_proxy: self.proxy(settings.https_proxy.as_ref(), "https-proxy")?,
            direct: settings.direct.clone(),
            patience,
        };
        Ok(Remote::new(&ways)?)
    }

    /// The secret of the Keycloak client.
    pub(super) fn keycloak_secret(&self) -> Result<Secret, OutsideProblem> {
        read("the Keycloak client's secret", "--keycloak-secret", self.keycloak_secret.as_deref())
    }

    /// The secret of the Hub client.
    pub(super) fn hub_secret(&self) -> Result<Secret, OutsideProblem> {
        read("the Hub client's secret", "--hub-secret", self.hub_secret.as_deref())
    }

    fn proxy(&self, setting: Option<&ProxySetting>, name: &str) -> Result<Option<Secret>, OutsideProblem> {
        match setting {
            None => Ok(None),
            Some(ProxySetting::Address(address)) => Ok(Some(Secret::new(address))),
            Some(ProxySetting::FromSecret) => {
                let file = self.proxies.as_ref().map(|folder| folder.join(name));
                read("a proxy's address", "--proxies", file.as_deref()).map(Some)
            }
        }
    }
}

fn read(what: &'static str, option: &'static str, file: Option<&Path>) -> Result<Secret, OutsideProblem> {
    let file = file.ok_or(OutsideProblem::NoFile { what, option })?;
    let text = fs::read_to_string(file);
    let text = text.map_err(|source| OutsideProblem::File { what, file: file.display().to_string(), source })?;
    Ok(Secret::new(text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Authorities;
    use crate::telemetry::whole;

    #[test]
    fn what_the_settings_count_on_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let files = OutsideFiles { proxies: Some(folder.path().to_owned()), ..OutsideFiles::default() };
        let patience = Duration::from_secs(1);
        let proxy = WaySettings { https_proxy: Some(ProxySetting::FromSecret), ..WaySettings::default() };
        let authorities = WaySettings { authorities: Some(Authorities::Secret), ..WaySettings::default() };
        let none = OutsideFiles::default();
        for (problem, want) in [
            (none.remote(&proxy, patience).err(), "and no file holds it: set --proxies"),
            (none.remote(&authorities, patience).err(), "and no file holds it: set --authorities"),
            (none.keycloak_secret().err(), "and no file holds it: set --keycloak-secret"),
            (none.hub_secret().err(), "and no file holds it: set --hub-secret"),
            (files.remote(&proxy, patience).err(), "https-proxy: No such file"),
        ] {
            let told = whole(&problem.unwrap());
            assert!(told.contains(want), "{told}");
        }
        fs::write(folder.path().join("https-proxy"), "http://user:hunter2@[bad\n").unwrap();
        let told = whole(&files.remote(&proxy, patience).unwrap_err());
        assert_eq!(told, "cannot be asked: the proxy's address cannot be used");
        fs::write(folder.path().join("https-proxy"), "http://user:hunter2@proxy:3128\n").unwrap();
        assert!(files.remote(&proxy, patience).is_ok());
        assert!(none.remote(&WaySettings::default(), patience).is_ok());
    }
}

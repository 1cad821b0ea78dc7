//! Makes authorities and serving certificates, and reads them back.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::renewal::{AUTHORITY, Authority, Bundle, CLIENT, LEAF, Leaf, Renewal, Term};

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueProblem {
    /// rcgen or the cryptography below it refused.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// What has just been made cannot be read.
    #[error("cannot read the certificate that was made")]
    ReadBack,
    /// There is nothing to sign with.
    #[error("there is no authority to sign with")]
    NoAuthority,
}

/// The names under which a Service is called.
pub fn service_names(name: &str, namespace: &str) -> BTreeSet<String> {
    [
        name.to_owned(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.cluster.local"),
    ]
    .into()
}

/// The bundle after a renewal.
///
/// # Errors
/// A certificate cannot be made, such as for a name that is no DNS name.
pub fn renewed(
    bundle: &Bundle,
    renewal: Renewal,
    names: &BTreeSet<String>,
    now: Timestamp,
) -> Result<Bundle, IssueProblem> {
    let mut next = bundle.clone();
    if matches!(renewal, Renewal::Authority | Renewal::Everything) {
        let former = next.authority.replace(new_authority(now)?);
        next.former.extend(former.map(|former| former.certificate));
        next.former.retain(|former| term_of(former).is_some_and(|term| now < term.not_after));
    }
    if matches!(renewal, Renewal::Leaf | Renewal::Everything) {
        let authority = next.authority.as_ref().ok_or(IssueProblem::NoAuthority)?;
        next.leaf = Some(new_leaf(authority, names, now)?);
    }
    if renewal == Renewal::Forget {
        next.former.clear();
    }
    Ok(next)
}

impl Authority {
    /// Reads an authority, PEM.
    pub fn parse(certificate: &str, key: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        let pair = KeyPair::from_pem(key).ok()?;
        // A key that is not the certificate's would sign what nobody trusts.
        if parsed.public_key().subject_public_key.data.as_ref() != pair.public_key_raw() {
            return None;
        }
        Some(Authority {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            subject: parsed.subject().to_string(),
            term: term(&parsed)?,
        })
    }
}

impl Leaf {
    /// Reads a serving certificate, PEM; only the first of a chain counts.
    pub fn parse(certificate: &str, key: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
        let (_, parsed) = X509Certificate::from_der(&der).ok()?;
        let alternatives = parsed.subject_alternative_name().ok()??;
        let names = alternatives.value.general_names.iter().filter_map(shown).collect();
        Some(Leaf {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            issuer: parsed.issuer().to_string(),
            names,
            term: term(&parsed)?,
        })
    }
}

/// A certificate with which somebody of ours calls somebody else of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
    /// When it is good.
    pub term: Term,
}

/// Makes a client certificate for a common name; it lasts for hours, so that a copy of it is soon worth nothing.
///
/// # Errors
/// The authority's key or certificate cannot be used.
pub fn client_certificate(
    authority: &Authority,
    name: &str,
    now: Timestamp,
) -> Result<ClientCertificate, IssueProblem> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let mut term = Term::starting(now, CLIENT);
    term.not_after = term.not_after.min(authority.term.not_after);
    lasting(&mut params, term);
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(ClientCertificate { certificate, key: key.serialize_pem(), term })
}

/// What the common name of every authority of ours begins with.
pub(super) const AUTHORITY_NAME: &str = "flamewarden authority ";

fn new_authority(now: Timestamp) -> Result<Authority, IssueProblem> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // The moment makes the subject unique, so that old and new authority can be told apart by name.
    params.distinguished_name = common_name(&format!("{AUTHORITY_NAME}{}", now.as_second()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasting(&mut params, Term::starting(now, AUTHORITY));
    let certificate = params.self_signed(&key)?.pem();
    Authority::parse(&certificate, &key.serialize_pem()).ok_or(IssueProblem::ReadBack)
}

fn new_leaf(authority: &Authority, names: &BTreeSet<String>, now: Timestamp) -> Result<Leaf, IssueProblem> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name = common_name("flamewarden");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let mut term = Term::starting(now, LEAF);
    // A certificate that outlives its authority would be trusted by nobody at the end.
    term.not_after = term.not_after.min(authority.term.not_after);
    lasting(&mut params, term);
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Leaf::parse(&certificate, &key.serialize_pem()).ok_or(IssueProblem::ReadBack)
}

fn common_name(name: &str) -> rcgen::DistinguishedName {
    let mut subject = rcgen::DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn lasting(params: &mut CertificateParams, term: Term) {
    params.not_before = SystemTime::from(term.not_before).into();
    params.not_after = SystemTime::from(term.not_after).into();
}

fn term_of(certificate: &str) -> Option<Term> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
    let (_, parsed) = X509Certificate::from_der(&der).ok()?;
    term(&parsed)
}

fn term(certificate: &X509Certificate<'_>) -> Option<Term> {
    let moment = |seconds| Timestamp::from_second(seconds).ok();
    let validity = certificate.validity();
    Some(Term {
        not_before: moment(validity.not_before.timestamp())?,
        not_after: moment(validity.not_after.timestamp())?,
    })
}

fn shown(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let six = <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            four.or(six).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::Certificate;
    use crate::serve::renewal::plan_renewal;

    #[test]
    fn what_is_made_can_be_served_and_is_left_alone() {
        let now = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * 365 * 50);
        let mut names = service_names("web", "ns");
        names.insert("127.0.0.1".to_owned());
        let made = renewed(&Bundle::default(), Renewal::Everything, &names, now).unwrap();
        assert_eq!(plan_renewal(now, &made, &names), Renewal::Nothing);
        let leaf = made.leaf.unwrap();
        assert_eq!(leaf.names, names);
        let served = Certificate::parse(leaf.certificate.as_bytes(), leaf.key.as_bytes(), now).unwrap();
        assert_eq!(served.not_after, leaf.term.not_after);
    }

    #[test]
    fn a_new_authority_stands_next_to_the_old_one_until_it_is_forgotten() {
        let now = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24 * 365 * 50);
        let names = service_names("web", "ns");
        let first = renewed(&Bundle::default(), Renewal::Everything, &names, now).unwrap();
        let later = now + jiff::SignedDuration::from_hours(1);
        let second = renewed(&first, Renewal::Authority, &names, later).unwrap();
        let old = first.authority.clone().unwrap();
        assert_eq!(second.former, std::slice::from_ref(&old.certificate));
        assert_eq!(second.leaf, first.leaf);
        assert_eq!(second.trusted().matches("BEGIN CERTIFICATE").count(), 2);
        let third = renewed(&second, Renewal::Leaf, &names, later).unwrap();
        assert_eq!(third.leaf.as_ref().unwrap().issuer, second.authority.as_ref().unwrap().subject);
        let last = renewed(&third, Renewal::Forget, &names, later).unwrap();
        assert_eq!(last.trusted(), second.authority.unwrap().certificate);
        assert_eq!(Authority::parse(&old.certificate, &last.leaf.unwrap().key), None, "a key of another certificate");
    }
}

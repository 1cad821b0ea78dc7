//! Whom a profile believes what they signed: results of scans, images, and what the Hub approved.

use std::collections::BTreeSet;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::public_key::PublicKey;
use super::{ScanPolicy, Want, checked};
use crate::model::ImageRef;

/// Whose attested scans count like the cluster's own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attestations {
    /// One of them must have signed.
    #[serde(deserialize_with = "keys")]
    pub keys: Vec<SignerKey>,
}

/// The signature that an image needs besides its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageSignature {
    /// One of them must have signed.
    #[serde(deserialize_with = "keys")]
    pub keys: Vec<SignerKey>,
    /// For which repository.
    #[serde(default)]
    pub repositories: SignedFor,
}

/// A key with a name for texts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", try_from = "WrittenKey")]
pub struct SignerKey {
    /// What the key is called, such as `ci`.
    pub name: String,
    /// What signatures are checked with.
    pub public_key: PublicKey,
}

/// Which repository a signature must name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SignedFor {
    /// The one that the image is pulled from.
    #[default]
    Own,
    /// Whichever, or none: the signed bytes are what counts.
    Any,
    /// One of these, each a repository, or all below a path that ends in `/`.
    Listed(Vec<String>),
}

/// Who says which content is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ContentHash {
    /// FLAME's Hub: the image's id, which it records when it has built the image from the approved code.
    Hub,
}

impl ScanPolicy {
    /// What is asked for and would not be looked at.
    pub(super) fn problem(&self) -> Option<String> {
        let asked = [
            ("attestations", self.attestations.is_some()),
            ("imageSignature", self.image_signature.is_some()),
            ("contentHash", self.content_hash.is_some()),
        ];
        let (field, _) = asked.into_iter().find(|(_, is_asked)| *is_asked && self.verdict != Want::Required)?;
        Some(format!("`{field}` is looked at only where a verdict is asked for; write `verdict: required` beside it"))
    }
}

impl SignedFor {
    /// Whether a repository that a signature names is one that it may name for this image.
    pub fn admits(&self, named: &ImageRef<'_>, image: &ImageRef<'_>) -> bool {
        match self {
            SignedFor::Own => is_same(named, image),
            SignedFor::Any => true,
            SignedFor::Listed(entries) => entries.iter().any(|entry| match entry.strip_suffix('/') {
                Some(folder) => named.is_below(folder),
                None => ImageRef::parse(entry).is_ok_and(|entry| is_same(named, &entry)),
            }),
        }
    }
}

/// Whether two references are of one repository.
fn is_same(one: &ImageRef<'_>, other: &ImageRef<'_>) -> bool {
    one.host == other.host && one.path() == other.path()
}

impl<'de> Deserialize<'de> for SignedFor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let entries = match Written::deserialize(from)? {
            Written::Word(word) => {
                return match word.as_str() {
                    "own" => Ok(SignedFor::Own),
                    "any" => Ok(SignedFor::Any),
                    _ => Err(checked::wrong("repositories", &word, "is none of `own`, `any` and a list")),
                };
            }
            Written::List(entries) => entries,
        };
        if entries.is_empty() {
            return Err(D::Error::custom("repositories: the list is empty; leave it out for the image's own"));
        }
        for entry in &entries {
            let is_narrower = ImageRef::parse(entry).is_ok_and(|entry| entry.tag.is_some() || entry.digest.is_some());
            let problem = checked::image_problem(entry)
                .or_else(|| is_narrower.then(|| "names a tag or digest; write the repository alone".to_owned()));
            if let Some(problem) = problem {
                return Err(checked::wrong("repository", entry, problem));
            }
        }
        Ok(SignedFor::Listed(entries))
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`own`, `any` or a list of repositories")]
enum Written {
    Word(String),
    List(Vec<String>),
}

/// A key as it stands in a file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenKey {
    name: String,
    public_key: String,
}

impl TryFrom<WrittenKey> for SignerKey {
    type Error = String;

    fn try_from(WrittenKey { name, public_key }: WrittenKey) -> Result<Self, String> {
        if !checked::is_label(&name) {
            return Err(format!("name `{name}`: keys are called by small letters, digits and `-`, at most 63"));
        }
        let public_key = PublicKey::parse(&public_key).map_err(|problem| format!("publicKey of `{name}` {problem}"))?;
        Ok(SignerKey { name, public_key })
    }
}

fn keys<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SignerKey>, D::Error> {
    let keys = Vec::<SignerKey>::deserialize(from)?;
    if keys.is_empty() {
        return Err(D::Error::custom("keys: the list is empty; name at least one, or leave the section out"));
    }
    if keys.len() > MOST_KEYS {
        return Err(D::Error::custom(format!("keys: there are {}, and {MOST_KEYS} are the most", keys.len())));
    }
    let mut seen = BTreeSet::new();
    match keys.iter().find(|key| !seen.insert(&key.name)) {
        Some(key) => Err(checked::wrong("key", &key.name, "stands there twice; give each its own name")),
        None => Ok(keys),
    }
}

/// Each signature is tried with each of them.
const MOST_KEYS: usize = 16;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<ScanPolicy, String> {
        serde_saphyr::from_str(text).map_err(|problem| problem.to_string())
    }

    /// As somebody writes it.
    fn section(field: &str, name: &str, more: &str) -> String {
        format!(
            "verdict: required\n{field}:\n  keys:\n    - name: {name}\n      publicKey: |\n        {KEY}\n  {more}\n"
        )
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_write() {
        let good = section("imageSignature", "release", "");
        for (text, want) in [
            ("attestations: {}".to_owned(), "missing field `keys`"),
            ("attestations: {keys: []}".to_owned(), "name at least one, or leave the section out"),
            ("imageSignature: {keys: []}".to_owned(), "name at least one, or leave the section out"),
            (section("attestations", "ci", "repositories: any"), "unknown field `repositories`"),
            (good.replace("publicKey", "publickey"), "unknown field `publickey`"),
            (good.replace("release", "Release 1"), "small letters, digits and `-`"),
            (good.replace("BEGIN PUBLIC", "BEGIN PRIVATE"), "publicKey of `release` is a private key; whoever signs"),
            (good.replace("MFkw", "MFkx"), "publicKey of `release` is no public key in PEM"),
            (section("imageSignature", "a", "repositories: other"), "is none of `own`, `any` and a list"),
            (section("imageSignature", "a", "repositories: []"), "the list is empty"),
            (section("imageSignature", "a", "repositories: [a.example/b:1]"), "names a tag or digest"),
            (section("imageSignature", "a", "repositories: [nohost/]"), "names no host"),
            (section("imageSignature", "a", "repositories: {own: true}"), "`own`, `any` or a list of repositories"),
            ("contentHash: crane".to_owned(), "unknown variant `crane`"),
        ] {
            assert!(read(&text).is_err_and(|problem| problem.contains(want)), "{text}: {:?}", read(&text));
        }
        let twice = good.replace("  \n", "") + &good.split_once("keys:\n").unwrap().1.replace("  \n", "");
        assert!(read(&twice).is_err_and(|problem| problem.contains("stands there twice")), "{:?}", read(&twice));
        let keys: Vec<_> = (0..17).map(|number| json!({"name": format!("k{number}"), "publicKey": KEY})).collect();
        let many: Result<Attestations, _> = serde_json::from_value(json!({"keys": keys}));
        assert!(many.is_err_and(|problem| problem.to_string().contains("there are 17, and 16 are the most")));
        // A private key that got here by mistake is not spread any further.
        let problem = read(&good.replace("BEGIN PUBLIC", "BEGIN PRIVATE")).unwrap_err();
        assert!(!problem.contains("MFkw"), "{problem}");
    }

    #[test]
    fn what_is_asked_for_is_asked_for_along_with_a_verdict() {
        let content = "verdict: required\ncontentHash: hub\n".to_owned();
        for text in [section("attestations", "ci", ""), section("imageSignature", "ci", ""), content] {
            assert_eq!(read(&text).unwrap().problem(), None, "{text}");
            let problem = read(&text.replace("required", "any")).unwrap().problem();
            assert!(problem.is_some_and(|problem| problem.contains("write `verdict: required`")), "{text}");
        }
        assert_eq!(read("{}").unwrap().problem(), None);
    }

    #[test]
    fn whom_a_profile_believes_is_part_of_its_limits() {
        let texts = [
            "verdict: required".to_owned(),
            "verdict: required\ncontentHash: hub".to_owned(),
            section("attestations", "ci", ""),
            section("imageSignature", "ci", ""),
            section("imageSignature", "other", ""),
            section("imageSignature", "ci", "repositories: any"),
            section("imageSignature", "ci", "repositories: [a.example/b]"),
            section("imageSignature", "ci", "repositories: [a.example/b/]"),
            section("imageSignature", "ci", "").replace(KEY, OTHER),
        ];
        let hashes: BTreeSet<[u8; 8]> = texts.iter().map(|text| read(text).unwrap().hash().0).collect();
        assert_eq!(hashes.len(), texts.len());
        // Whoever believes nobody has the verdicts that there were.
        assert_eq!(read("verdict: required").unwrap().hash(), ScanPolicy::default().hash());
        assert_eq!(
            read(&section("imageSignature", "ci", "repositories: own")).unwrap().hash(),
            read(&section("imageSignature", "ci", "")).unwrap().hash()
        );
    }

    #[test]
    fn a_signature_is_for_a_repository() {
        let image = ImageRef::parse("harbor.example/node-1/analysis:1").unwrap();
        let listed = |entry: &str| SignedFor::Listed(vec![entry.to_owned()]);
        for (wanted, named, want) in [
            (SignedFor::Own, "harbor.example/node-1/analysis", true),
            (SignedFor::Own, "harbor.example/node-1/analysis:2", true),
            (SignedFor::Own, "harbor.example/node-2/analysis", false),
            (SignedFor::Own, "harbor.example/node-1/analysis/more", false),
            (SignedFor::Own, "other.example/node-1/analysis", false),
            (SignedFor::Own, "harbor.example:5000/node-1/analysis", false),
            (SignedFor::Any, "other.example/x", true),
            (listed("harbor.example/hub/"), "harbor.example/hub/analysis", true),
            (listed("harbor.example/hub/"), "harbor.example/hub", false),
            (listed("harbor.example/hub/"), "harbor.example/hubs/analysis", false),
            (listed("harbor.example/hub"), "harbor.example/hub", true),
            (listed("harbor.example/hub"), "harbor.example/hub/analysis", false),
            (listed("docker.io/library/nginx"), "index.docker.io/library/nginx", true),
            // What is listed counts, and the image's own repository only if it is.
            (listed("harbor.example/hub/"), "harbor.example/node-1/analysis", false),
        ] {
            assert_eq!(wanted.admits(&ImageRef::parse(named).unwrap(), &image), want, "{wanted:?} {named}");
        }
    }

    const KEY: &str = "-----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELKhD7F5OKy77Z582Y6h0u1J3GNA+
        kvUsh4eKpd1lwkDAzfFDs7yXEExsEkPPuiQJBelDT68n7PDIWB/QEY7mrA==
        -----END PUBLIC KEY-----";
    const OTHER: &str = "-----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7pBlkILi/WN1X8FiQTlZBK2/GlQD
        Ol9bn1iDaSE8B5Eu+uccNndQid2Nmgp8mrTWhT2XhZbshUGMDSDx/6jwvw==
        -----END PUBLIC KEY-----";
}

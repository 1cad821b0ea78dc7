//! One registry's user and password, and no other's.

use std::fmt;

use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::host_pattern;
use crate::model::{ImageRef, Json, Secret, parse};

/// Who reads images of one registry, or below one of its paths.
#[derive(Clone)]
pub struct Credential {
    host: String,
    user: String,
    password: Secret,
}

impl Credential {
    /// The entry of a pull secret's `.dockerconfigjson` that a kubelet would show for this image first: the one for its
    /// host before those for patterns such as `*.example`, then the one for the longest path; written as `host`,
    /// `host:port`, `host/path` or with `https://` before and `/v1/` or `/v2/` after the host. Tokens of identity providers
    /// are not used.
    pub fn from_dockerconfigjson(bytes: &[u8], image: &ImageRef<'_>) -> Option<Self> {
        let config = parse(bytes).ok()?;
        let entries = config.get("auths")?.entries();
        let fitting = entries.iter().filter_map(|(key, entry)| Some((fit(key, image)?, entry)));
        let (_, entry) = fitting.max_by_key(|(fit, _)| *fit)?;
        let (user, password) = pair(entry)?;
        // What stands before the first colon is the user, for whoever reads it.
        let usable = !user.is_empty() && !password.is_empty() && !user.contains(':');
        usable.then(|| Credential { host: image.host.to_owned(), user, password: Secret::new(password) })
    }

    /// A `.dockerconfigjson` of this entry alone.
    pub fn to_dockerconfigjson(&self) -> Secret {
        // Docker Hub is looked up by the name that it had first.
        let host = if self.host == "docker.io" { "https://index.docker.io/v1/" } else { self.host.as_str() };
        let (user, password) = (&self.user, self.password.reveal());
        let entry = json!({"username": user, "password": password, "auth": STANDARD.encode(self.pair())});
        Secret::new(json!({"auths": {host: entry}}).to_string())
    }

    /// Whether it is for images of that host.
    pub(super) fn is_for(&self, image: &ImageRef<'_>) -> bool {
        self.host == image.host
    }

    /// User and password with a colon between them.
    pub(super) fn pair(&self) -> String {
        format!("{}:{}", self.user, self.password.reveal())
    }
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        (&self.host, self.pair()) == (&other.host, other.pair())
    }
}

/// The user may be half of the secret, as in some clouds.
impl fmt::Debug for Credential {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Credential").field("host", &self.host).finish_non_exhaustive()
    }
}

/// How well a key fits an image, if it does: best is its host, of patterns the last by its letters, as kubelets sort them;
/// then the longer its path the better, and better without a scheme.
fn fit<'k>(key: &'k str, image: &ImageRef<'_>) -> Option<(bool, &'k str, usize, bool)> {
    let bare = ["https://", "http://"].iter().find_map(|scheme| key.strip_prefix(scheme));
    let (host, path) = bare.unwrap_or(key).split_once('/').unwrap_or((bare.unwrap_or(key), ""));
    let path = ["v1", "v2"].iter().find_map(|version| after(path, version)).unwrap_or(path).trim_matches('/');
    let is_host = host == image.host || (image.host == "docker.io" && host == "index.docker.io");
    let is_like = host.contains('*') && host_pattern::fits(host, image.host);
    let is_above = path.is_empty() || after(&image.path(), path).is_some();
    let pattern = if is_host { "" } else { host };
    ((is_host || is_like) && is_above).then_some((is_host, pattern, path.len(), bare.is_none()))
}

/// What of a path is left after its first components.
fn after<'a>(path: &'a str, first: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(first)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// `auth` counts before `username` and `password`, as for kubelets.
fn pair(entry: &Json<'_>) -> Option<(String, String)> {
    let text = |key| entry.get(key).and_then(Json::text).filter(|text| !text.is_empty());
    if let Some(auth) = text("auth") {
        let pair = String::from_utf8(EITHER_PADDING.decode(auth.trim()).ok()?).ok()?;
        let (user, password) = pair.split_once(':')?;
        return Some((user.to_owned(), password.to_owned()));
    }
    Some((text("username")?.to_owned(), text("password")?.to_owned()))
}

const EITHER_PADDING: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(auths: &str, image: &str) -> Option<String> {
        let config = format!("{{\"auths\": {auths}}}");
        let image = ImageRef::parse(image).unwrap();
        Credential::from_dockerconfigjson(config.as_bytes(), &image).map(|credential| credential.pair())
    }

    #[test]
    fn the_one_entry_for_an_image_is_taken() {
        let auths = r#"{
            "harbor.example": {"username": "robot$node", "password": "host"},
            "https://harbor.example/v1/": {"username": "robot$node", "password": "old"},
            "harbor.example/node": {"username": "robot$node", "password": "path"},
            "harbor.example:8443": {"username": "robot$node", "password": "port"},
            "https://schemed.example": {"username": "a", "password": "scheme"},
            "https://versioned.example/v1/": {"username": "a", "password": "version 1"},
            "https://versioned.example/v2/node": {"username": "a", "password": "version 2"},
            "https://index.docker.io/v1/": {"auth": "aHViOm9wZW46c2VzYW1l"},
            "*.pattern.example": {"username": "a", "password": "pattern"}
        }"#;
        for (image, want) in [
            ("harbor.example/other/a", Some("robot$node:host")),
            ("harbor.example/nodes/a", Some("robot$node:host")),
            ("harbor.example/node/a", Some("robot$node:path")),
            ("harbor.example:8443/node/a", Some("robot$node:port")),
            ("harbor.example:443/node/a", None),
            ("HARBOR.example/node/a", None),
            ("harbor.example.evil/node/a", None),
            ("evil.harbor.example/node/a", None),
            ("schemed.example/a", Some("a:scheme")),
            ("versioned.example/a", Some("a:version 1")),
            ("versioned.example/node/a", Some("a:version 2")),
            ("nginx", Some("hub:open:sesame")),
            ("a.pattern.example/a", Some("a:pattern")),
            ("pattern.example/a", None),
        ] {
            assert_eq!(read(auths, image).as_deref(), want, "{image}");
        }
    }

    /// The example of Kubernetes' documentation.
    #[test]
    fn patterns_of_hosts_are_followed_as_kubelets_follow_them() {
        let auths = r#"{
            "my-registry.example/images": {"username": "a", "password": "host"},
            "*.my-registry.example/images": {"username": "a", "password": "pattern"}
        }"#;
        for (image, want) in [
            ("my-registry.example/images", Some("a:host")),
            ("my-registry.example/images/my-image", Some("a:host")),
            ("my-registry.example/images/another-image", Some("a:host")),
            ("sub.my-registry.example/images/my-image", Some("a:pattern")),
            ("a.sub.my-registry.example/images/my-image", None),
            ("a.b.sub.my-registry.example/images/my-image", None),
            ("sub.my-registry.example/others/my-image", None),
        ] {
            assert_eq!(read(auths, image).as_deref(), want, "{image}");
        }
    }

    #[test]
    fn of_several_entries_the_one_that_a_kubelet_shows_first_is_taken() {
        let auths = r#"{
            "*.example.org": {"username": "a", "password": "any"},
            "h*.example.org": {"username": "a", "password": "some"},
            "h*.example.org/node": {"username": "a", "password": "path"},
            "harbor.example.org": {"username": "a", "password": "host"},
            "*.example.org:5000": {"username": "a", "password": "port"}
        }"#;
        for (image, want) in [
            ("harbor.example.org/node/a", "a:host"),
            ("hub.example.org/node/a", "a:path"),
            ("hub.example.org/a", "a:some"),
            ("other.example.org/node/a", "a:any"),
            ("harbor.example.org:5000/node/a", "a:port"),
        ] {
            assert_eq!(read(auths, image).as_deref(), Some(want), "{image}");
        }
    }

    #[test]
    fn entries_are_read_as_kubelets_read_them_or_not_at_all() {
        for (entry, want) in [
            (r#"{"username": "a", "password": "b"}"#, Some("a:b")),
            (r#"{"auth": "YTpi"}"#, Some("a:b")),
            (r#"{"auth": "YTpiYg=="}"#, Some("a:bb")),
            (r#"{"auth": "YTpiYg"}"#, Some("a:bb")),
            (r#"{"auth": "YTpi", "username": "c", "password": "d"}"#, Some("a:b")),
            (r#"{"auth": "", "username": "c", "password": "d"}"#, Some("c:d")),
            (r#"{"auth": "!", "username": "c", "password": "d"}"#, None),
            (r#"{"auth": "YQ=="}"#, None),
            (r#"{"username": "a"}"#, None),
            (r#"{"username": "a:b", "password": "c"}"#, None),
            (r#"{"identitytoken": "x"}"#, None),
            (r#"{"username": "a", "password": "b", "password": "c"}"#, None),
            ("{}", None),
            ("1", None),
        ] {
            assert_eq!(
                read(&format!(r#"{{"harbor.example": {entry}}}"#), "harbor.example/a").as_deref(),
                want,
                "{entry}"
            );
        }
        let image = ImageRef::parse("harbor.example/a").unwrap();
        for config in ["", "{}", r#"{"auths": []}"#, r#"{"harbor.example": {"auth": "YTpi"}}"#] {
            assert!(Credential::from_dockerconfigjson(config.as_bytes(), &image).is_none(), "{config}");
        }
    }

    #[test]
    fn a_worker_is_given_this_entry_alone_and_nobody_is_shown_it() {
        let auths = r#"{"a.example": {"auth": "YTpvcGVuIHNlc2FtZQ=="}, "b.example": {"auth": "YTpiYg=="}, "index.docker.io": {"auth": "YTpi"}}"#;
        for (image, want) in [
            (
                "a.example/x",
                json!({"auths": {"a.example": {"username": "a", "password": "open sesame", "auth": "YTpvcGVuIHNlc2FtZQ=="}}}),
            ),
            (
                "nginx",
                json!({"auths": {"https://index.docker.io/v1/": {"username": "a", "password": "b", "auth": "YTpi"}}}),
            ),
        ] {
            let config = format!("{{\"auths\": {auths}}}");
            let image = ImageRef::parse(image).unwrap();
            let credential = Credential::from_dockerconfigjson(config.as_bytes(), &image).unwrap();
            let shown = format!("{credential:?}");
            assert_eq!(shown, format!("Credential {{ host: {:?}, .. }}", image.host));
            assert_eq!(credential.to_dockerconfigjson().reveal(), want.to_string());
        }
    }
}

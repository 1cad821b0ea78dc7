//! An image reference, read as container runtimes read it (grammar: github.com/distribution/reference).

use std::fmt;

/// A reference such as `harbor.example/node/analysis:1@sha256:…`, in canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageRef<'a> {
    /// The registry's host, with its port where one is given; `docker.io` where the text names none.
    pub host: &'a str,
    /// `library/` for Docker Hub's own images, written or not.
    prefix: &'static str,
    path: &'a str,
    /// The tag, where one is given.
    pub tag: Option<&'a str>,
    /// Algorithm and value, where a digest is given.
    pub digest: Option<&'a str>,
}

/// Why a text is no image reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageProblem {
    /// Nothing stands there.
    #[error("an image must be named")]
    Empty,
    /// The name is not written as the grammar wants it.
    #[error("no image name; write it like registry.example/path/name:tag")]
    Name,
    /// Longer than runtimes accept.
    #[error("the image name is longer than 255 characters")]
    Long,
    /// The tag is not written as the grammar wants it.
    #[error("no tag after `:`; letters, digits, `_`, `.` and `-`, at most 128")]
    Tag,
    /// The digest has an unknown algorithm, the wrong length or other digits than 0-9 and a-f.
    #[error("no digest after `@`; write sha256: and 64 hexadecimal digits")]
    Digest,
}

impl<'a> ImageRef<'a> {
    /// Reads a reference and makes it canonical.
    ///
    /// # Errors
    /// Which part of it is wrong. Where runtimes differ, the strictest counts.
    pub fn parse(text: &'a str) -> Result<Self, ImageProblem> {
        if text.is_empty() {
            return Err(ImageProblem::Empty);
        }
        let (text, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(checked_digest(digest)?)),
            None => (text, None),
        };
        // 64 hexadecimal digits could as well be the id of an image on the node.
        if digest.is_none() && is_hexadecimal(text, 64) {
            return Err(ImageProblem::Name);
        }
        let (host, rest) = split_host(text);
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if !tag.is_none_or(is_tag) {
            return Err(ImageProblem::Tag);
        }
        if !is_host(host) || !path.split('/').all(is_component) {
            return Err(ImageProblem::Name);
        }
        let (prefix, path) = split_library(host, path);
        if host.len() + 1 + prefix.len() + path.len() > LONGEST {
            return Err(ImageProblem::Long);
        }
        Ok(ImageRef { host, prefix, path, tag, digest })
    }

    /// The path below the host, such as `library/nginx`.
    pub fn path(&self) -> String {
        format!("{}{}", self.prefix, self.path)
    }

    /// Whether the image lies below a registry: a host, or host and path; whole path components only.
    pub fn is_below(&self, registry: &str) -> bool {
        let registry = registry.trim_end_matches('/');
        let (host, folder) = registry.split_once('/').unwrap_or((registry, ""));
        host == self.host && (folder.is_empty() || self.rest_below(folder).is_some())
    }

    /// Whether the image is one of a list's entries: an exact reference, or all below a path that ends in `/`.
    /// Where the entry names no digest, a digest of the same repository and tag is that entry pinned.
    pub fn is_listed(&self, entry: &str) -> bool {
        if entry.ends_with('/') {
            return self.is_below(entry);
        }
        ImageRef::parse(entry).is_ok_and(|entry| {
            (self.host, self.prefix, self.path) == (entry.host, entry.prefix, entry.path)
                && self.effective_tag() == entry.effective_tag()
                && entry.digest.is_none_or(|digest| self.digest == Some(digest))
        })
    }

    /// Whether the image is in an entry's repository, or lies below it where the entry ends in `/`; which of its tags and
    /// digests is not asked.
    pub fn is_of(&self, entry: &str) -> bool {
        let same = |entry: ImageRef<'_>| (self.host, self.prefix, self.path) == (entry.host, entry.prefix, entry.path);
        if entry.ends_with('/') { self.is_below(entry) } else { ImageRef::parse(entry).is_ok_and(same) }
    }

    /// Its canonical name with its tag, whether or not one is written.
    pub fn tagged(&self) -> String {
        format!("{}/{}{}:{}", self.host, self.prefix, self.path, self.effective_tag())
    }

    /// What a runtime pulls where no digest is given.
    pub fn effective_tag(&self) -> &'a str {
        self.tag.unwrap_or("latest")
    }

    /// What of the path is left below a folder.
    fn rest_below(&self, folder: &str) -> Option<&'a str> {
        let unwritten = self.prefix.trim_end_matches('/');
        if !unwritten.is_empty() {
            return (folder == unwritten).then_some(self.path);
        }
        self.path.strip_prefix(folder)?.strip_prefix('/')
    }
}

/// Canonical: with the host, and with tag and digest where they are written.
impl fmt::Display for ImageRef<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}{}", self.host, self.prefix, self.path)?;
        self.tag.iter().try_for_each(|tag| write!(to, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(to, "@{digest}"))
    }
}

/// What is wrong with a registry, a host or host and path, as images name it; none where nothing is.
pub fn registry_problem(registry: &str) -> Option<&'static str> {
    let (host, path) = match registry.strip_suffix('/').unwrap_or(registry).split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (registry.trim_end_matches('/'), None),
    };
    if registry.contains("://") {
        return Some("has a scheme; write the host alone, or host and path");
    }
    if registry.contains('@') {
        return Some("has a digest; a registry is a host, or host and path");
    }
    if host == "index.docker.io" {
        return Some("is known as docker.io; write that");
    }
    if host.contains(|c: char| c.is_ascii_uppercase()) {
        return Some("has capitals; runtimes and rules compare it in small letters, so write it in them");
    }
    // Otherwise runtimes take the first part for a path on Docker Hub.
    let told_apart = host == "localhost" || host.contains(['.', ':']);
    if !told_apart || !is_host(host) {
        return Some("names no host; write it as in an image, with a dot or a port: registry.example.org:5000/path");
    }
    let fits = path.is_none_or(|path| path.split('/').all(is_component));
    (!fits).then_some("has no path that images have, or a tag; small letters, digits and `.`, `_`, `-` between `/`")
}

/// The host where one is written, and the rest. Something before a `/` is a host if it could be
/// no path: with a dot, a colon or a capital in it, or `localhost`.
fn split_host(text: &str) -> (&str, &str) {
    let Some((first, rest)) = text.split_once('/') else { return (HUB, text) };
    match first {
        "index.docker.io" => (HUB, rest),
        "localhost" => (first, rest),
        _ if first.contains(['.', ':']) || first.bytes().any(|byte| byte.is_ascii_uppercase()) => (first, rest),
        _ => (HUB, text),
    }
}

/// `nginx`, `library/nginx` and `docker.io/nginx` are one image.
fn split_library<'a>(host: &str, path: &'a str) -> (&'static str, &'a str) {
    if host != HUB {
        return ("", path);
    }
    let name = path.strip_prefix(LIBRARY).unwrap_or(path);
    if name.contains('/') { ("", path) } else { (LIBRARY, name) }
}

fn is_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let is_address = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    port.is_none_or(is_port) && name.split('.').all(is_domain_label)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_domain_label(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Small letters and digits, with one dot, one or two underscores or any number of dashes between them.
fn is_component(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = text.split(is_letter).filter(|separator| !separator.is_empty());
    text.starts_with(is_letter)
        && text.ends_with(is_letter)
        && separators
            .into_iter()
            .all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'))
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(is_word) && text.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

fn checked_digest(text: &str) -> Result<&str, ImageProblem> {
    let (algorithm, value) = text.split_once(':').ok_or(ImageProblem::Digest)?;
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return Err(ImageProblem::Digest),
    };
    if is_hexadecimal(value, length) { Ok(text) } else { Err(ImageProblem::Digest) }
}

fn is_hexadecimal(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

const HUB: &str = "docker.io";
const LIBRARY: &str = "library/";
const LONGEST: usize = 255;

#[cfg(test)]
mod tests;
